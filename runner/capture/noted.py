"""What is noted of a file that is opened: what it was, and what is done to it."""

from __future__ import annotations

import os

from anew.runner.dataclass import dataclass

WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
READ, REPLACED, CHANGED, APPENDED = range(4)


@dataclass(frozen=True, slots=True)
class Noted:
    """
    One file at its first opening in one way; size and time are -1 when it was not there.

    Attributes:
        writes: Whether it was opened to be written.
        replaces: Whether whatever it was is gone then.
        appends: Whether only to have something added.
        sha256: The digest of what it was, when that was kept before it could be changed.
    """

    path: str
    size: int
    changed_ns: int
    writes: bool = False
    replaces: bool = False
    appends: bool = False
    sha256: str | None = None

    @classmethod
    def of(cls, path: str, way: int, before: tuple[int, int], sha256: str | None = None) -> Noted:
        """Return what is noted of a file that is opened in a way, one of four, by what it was: size and time."""
        return cls(path, *before, way != READ, way == REPLACED, way == APPENDED, sha256)


def way_of(flags: int, is_there: bool) -> int:
    """Return what is done to a file that is opened so."""
    if not flags & WRITING or not (is_there or flags & os.O_CREAT):
        return READ
    if flags & (os.O_TRUNC | os.O_EXCL) or not is_there:
        return REPLACED
    return APPENDED if flags & os.O_APPEND and not flags & os.O_RDWR else CHANGED
