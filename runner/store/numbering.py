"""Which number this process was given last in a store, so that the next is found without listing all of its runs."""

from __future__ import annotations

import os
import threading
from pathlib import Path


class LastClaimed:
    """
    The last numbers, by stores. Safe between threads. A hint: others may have taken further ones since.

    A store is told by the file that says its format, which is made once: a folder that was removed and made again is
    another store.
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, int, int], int] = {}
        self._lock = threading.Lock()

    def of(self, format_file: Path) -> int:
        """Return the greatest number that was noted; 0 for none."""
        key = _key(format_file)
        return 0 if key is None else self._numbers.get(key, 0)

    def note(self, format_file: Path, number: int) -> None:
        """Take note of a number that was given."""
        key = _key(format_file)
        with self._lock:
            if key is not None:
                self._numbers[key] = max(self._numbers.get(key, 0), number)


def _key(format_file: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(format_file)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_ctime_ns


last_claimed = LastClaimed()
