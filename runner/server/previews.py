"""Reports that were made for the page, for as long as it may still ask for them."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict

_MOST = 8


class Previews:
    """Holds the last few as HTML, by keys that are not guessed. Safe between threads."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def hold(self, page: str) -> str:
        """Hold one, and return its key."""
        key = secrets.token_hex(16)
        with self._lock:
            self._held[key] = page
            while len(self._held) > _MOST:
                self._held.popitem(last=False)
        return key

    def get(self, key: str) -> str | None:
        """Return one; None where it is held no more."""
        with self._lock:
            return self._held.get(key)
