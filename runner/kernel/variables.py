"""The environment of this process as text, decoded anew only where it has changed: each run asks for all of it."""

from __future__ import annotations

import os
from collections.abc import Mapping

# what the variables were last, as the system has them, and as text
_latest: list[tuple[dict[bytes, bytes], Mapping[str, str]]] = [({}, {})]


def variables() -> Mapping[str, str]:
    """Return the variables of this process, as `os.environ` has them now; not to be changed. Safe between threads."""
    # Python's own dict beneath: through its wrapper each name is encoded and each value decoded
    known = getattr(os.environ, "_data", None)
    if not isinstance(known, dict):
        return dict(os.environ)
    told, found = _latest[0]
    if told != known:
        told, found = dict(known), dict(os.environ)
        _latest[0] = told, found
    return found
