"""Words for messages."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def nearest(given: str, names: Sequence[str], prefix: str = "", *, line: bool = False) -> str:
    """Return " Did you mean ...?" with the names that come closest, each after *prefix*; "" when none is near."""
    close = difflib.get_close_matches(given, list(dict.fromkeys(str(name) for name in names)), n=2)
    if not close:
        return ""
    return f"{chr(10) if line else ' '}Did you mean {' or '.join(prefix + name for name in close)}?"
