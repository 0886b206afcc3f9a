"""The file FORMAT of a folder: whether that is a store of runs, and one that this version can read."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from anew.runner.errors import StoreFormatError
from anew.runner.lazy.patterns import regexp
from anew.runner.store.files import read_regular
from anew.runner.store.stamps import YOUNG_NS

_MOST_FORMAT_BYTES = 1000
_MOST_KNOWN = 64
# a FORMAT that had not changed for a while when it was read -> what it was like, and the number in it
_known: dict[str, tuple[tuple[int, ...], int]] = {}
_IS_FORMAT = regexp(r"[1-9][0-9]{0,8}").fullmatch
_MEND_FORMAT = (
    "Of a store of runs it holds the number 1 and a newline, or 2 where there are packs, or 4 where a run's events/ "
    "has a .jsonl.gz; if that was lost, write it again."
)


def is_store(folder: Path) -> bool:
    """Whether a folder is a store of runs, by its FORMAT, whatever that says of its age."""
    try:
        check_format(folder, sys.maxsize)
    except StoreFormatError:
        return False
    return True


def check_format(root: Path, newest: int) -> None:
    """
    Refuse a store of a newer format, or one whose FORMAT file makes no sense.

    Raises:
        StoreFormatError: It is refused, or cannot be read.
    """
    found = _format_in(f"{root}/FORMAT")
    if found > newest:
        raise StoreFormatError(
            f"The store {str(root)!r} has format {found}; this version of anew reads up to {newest}. "
            "To use it: pip install --upgrade anew"
        )


def _format_in(path: str) -> int:
    """Return what a FORMAT says, which is read again where it has changed. Raises StoreFormatError."""
    try:
        state = _state(path)
        known = _known.get(path)
        if known is not None and known[0] == state:
            return known[1]
        text = read_regular(Path(path), _MOST_FORMAT_BYTES).decode("utf-8", "backslashreplace")
    except OSError as error:
        raise StoreFormatError(f"{path!r} cannot be read: {error.strerror}. {_MEND_FORMAT}") from error
    if not _IS_FORMAT(text.strip()):
        raise StoreFormatError(
            f"{path!r} holds {text[:40]!r}, not the number of a format: it is damaged, or this is no store of "
            f"anew. {_MEND_FORMAT}"
        )
    if max(state[-2:]) < time.time_ns() - YOUNG_NS:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[path] = state, int(text)
    return int(text)


def _state(path: str) -> tuple[int, ...]:
    """Return by what a file is known to be as it was. Raises OSError."""
    found = os.lstat(path)
    return found.st_mode, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
