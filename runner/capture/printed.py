"""
Which files runs print into just now, so that one of them does not take what another prints for its own.

Of each there is a file in the cache, on which the runs hold a shared lock (flock) while they last, and into which each
writes one byte. A process that dies gives its lock up.
"""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path

from anew.runner.store.files import open_made

_held: dict[tuple[int, int], int] = {}
_lock = threading.Lock()


class PrintedInto:
    """
    One run's place among those that print into a file.

    Runs inside another of the same process print into it together, as they do everywhere.

    Args:
        folder: In the cache; made when it is missing.
        status: Of the file.
    """

    def __init__(self, folder: Path, status: os.stat_result) -> None:
        self._key = status.st_dev, status.st_ino
        self._path = os.path.join(folder, f"{status.st_dev}-{status.st_ino}")
        self._file = -1
        self._size = 0

    def begin(self) -> bool:
        """Take the place; return whether no other process has one. Raises OSError."""
        with _lock:
            _held[self._key] = _held.get(self._key, 0) + 1
            if _held[self._key] > 1:
                return True
        self._file = open_made(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        is_alone = self._is_alone()
        fcntl.flock(self._file, fcntl.LOCK_SH)
        os.write(self._file, b".")
        self._size = os.fstat(self._file).st_size
        return is_alone

    def end(self) -> bool:
        """Give the place up; return whether another process took one meanwhile. May be called again. Never raises."""
        with _lock:
            _held[self._key] = _held.get(self._key, 1) - 1
        if self._file < 0:
            return False
        try:
            others = os.fstat(self._file).st_size > self._size
            if self._is_alone():
                with suppress(OSError):
                    os.unlink(self._path)
            os.close(self._file)
        except OSError:
            others = False
        self._file = -1
        return others

    def _is_alone(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
