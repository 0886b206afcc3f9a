"""The file FORMAT of a folder: whether that is a store of runs, and one that this version can read."""

from __future__ import annotations

import sys
from pathlib import Path

from anew.runner.errors import StoreFormatError
from anew.runner.lazy.patterns import regexp
from anew.runner.store.files import read_regular

_MOST_FORMAT_BYTES = 1000
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
    path = root / "FORMAT"
    try:
        text = read_regular(path, _MOST_FORMAT_BYTES).decode("utf-8", "backslashreplace")
    except OSError as error:
        raise StoreFormatError(f"{str(path)!r} cannot be read: {error.strerror}. {_MEND_FORMAT}") from error
    if not _IS_FORMAT(text.strip()):
        raise StoreFormatError(
            f"{str(path)!r} holds {text[:40]!r}, not the number of a format: it is damaged, or this is no store of "
            f"anew. {_MEND_FORMAT}"
        )
    if int(text) > newest:
        raise StoreFormatError(
            f"The store {str(root)!r} has format {int(text)}; this version of anew reads up to {newest}. "
            "To use it: pip install --upgrade anew"
        )
