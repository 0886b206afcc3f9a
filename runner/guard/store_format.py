"""
Which format a store has, by what is in it: earlier versions refuse what they would take for lost.

The standard library has to do, since what compresses journals is started without any other.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

PLAIN = 1
WITH_PACKS = 2
WITH_COMPRESSED = 4
"""The format of a store once a journal of it is compressed; 3 is none, since one flipped bit makes it of 1 and of 2."""

KNOWN = (PLAIN, WITH_PACKS, WITH_COMPRESSED)
NEWEST = WITH_COMPRESSED

_MOST_BYTES = 16


def raise_format(store: str, number: int) -> None:
    """
    Have a store be of a format, or of a later one if it is; it survives a power cut. Safe between processes.

    Raises:
        OSError: It cannot be read or written.
        ValueError: Its FORMAT is no number.
    """
    folder = os.open(store, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # two that raise it at once are not to leave the lower one; where there are no locks, so be it
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        path = os.path.join(store, "FORMAT")
        with open(path, "rb") as file:
            if int(file.read(_MOST_BYTES)) >= number:
                return
        _replace(path, b"%d\n" % number)
        os.fsync(folder)
    finally:
        os.close(folder)


def _replace(path: str, data: bytes) -> None:
    folder, name = os.path.split(path)
    draft = os.path.join(folder, f".{name}.{os.getpid()}")
    try:
        with open(draft, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError:
        with suppress(OSError):
            os.unlink(draft)
        raise
