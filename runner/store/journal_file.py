"""
The file of a journal: lines are appended whole, or not at all.

What is written lies in the kernel, and survives the death of the process; `durability` makes it survive a power cut.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from anew.runner.errors import StoreError
from anew.runner.kernel.door import sync_data
from anew.runner.store.files import cannot, sync_folder, write_all
from anew.runner.store.lines import MAX_LINE


class JournalFile:
    """
    A journal's file, for one caller at a time. A forked child has none of it.

    Args:
        path: A file that does not exist.
        syncs: Whether its name is to survive a power cut at once.

    Attributes:
        path: As given.
        forked: Whether this process is a fork of the one that the journal belongs to; nothing can be written then.
        descriptor: What it is written through; -1 when it is closed or belongs to another process.
        fault: Why a sync in the background failed, when one did.
        is_named: Whether its name in its folder is synced.

    Raises:
        StoreError: The file cannot be made.
    """

    # without them an object with so many attributes would be slower to read and to change
    __slots__ = (
        "__weakref__",
        "_done",
        "_file",
        "_is_exact",
        "_torn",
        "_tried",
        "descriptor",
        "fault",
        "forked",
        "is_named",
        "path",
    )

    def __init__(self, path: Path, *, syncs: bool) -> None:
        self.path = path
        self.forked = False
        self.fault: OSError | None = None
        self.is_named = False
        # (number, where its line ends) of the latest line that is there, and of the latest that was tried: when they
        # are not the same object, a write was interrupted and the file has to be asked
        self._done = self._tried = (0, 0)
        self._torn = False
        # whether all that is there was noted by who wrote it: an exception out of a signal handler may come between
        self._is_exact = True
        try:
            self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
            self._file = os.fstat(self.descriptor)
            if syncs:
                sync_folder(path.parent)
                self.is_named = True
        except OSError as error:
            raise cannot("write", path, error) from error

    @property
    def number(self) -> int:
        """The number of the latest line."""
        return self._done[0]

    @property
    def length(self) -> int:
        """How many bytes have been written."""
        return self._done[1]

    def gap(self) -> str | None:
        """Return what has become of the file that is not as it was written, as a sentence."""
        try:
            status = os.lstat(self.path)
        except OSError as error:
            return f"{str(self.path)!r}, with {self.number} records, is gone ({error.strerror})"
        if not os.path.samestat(status, self._file):
            return f"{str(self.path)!r} is another file by now, without the {self.number} records that were written"
        if status.st_size < self.length:
            return f"{str(self.path)!r} was cut short: it has {status.st_size} bytes of {self.length}"
        return None

    def _is_ours(self, descriptor: int) -> bool:
        """Whether a descriptor still leads to the file: libraries that make daemons close all that there are."""
        try:
            return os.path.samestat(os.fstat(descriptor), self._file)
        except OSError:
            return False

    def _open_again(self) -> None:
        """Open the file once more. Raises StoreError."""
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise cannot("write", self.path, error) from error
        if not self._is_ours(descriptor):
            os.close(descriptor)
            raise StoreError(f"{str(self.path)!r} is another file by now, and is left alone.", path=str(self.path))
        self.descriptor = descriptor

    def _put(self, head: bytes, number: int) -> tuple[int, int]:
        """Write a line, given all but its seal, in its turn; return what is done as soon as its caller says so."""
        line = b'%s,"c":"%08x"}\n' % (head, crc32(head))
        if self._torn:
            line = b"\n" + line
        length = len(line)
        if length > MAX_LINE:
            raise StoreError(f"{length} bytes in one call are too many for the journal: it takes {MAX_LINE} at a time.")
        self._tried = tried = (number, self._done[1] + length)
        try:
            written = os.write(self.descriptor, line)
        except OSError as error:
            written = self._write_again(line, error)
        if written != length:
            self._write_rest(line[written:])
        # From here on nothing is called: an exception out of a signal handler cannot come between.
        self._torn = False
        return tried

    def _write_again(self, line: bytes, error: OSError) -> int:
        """Write what failed, where the descriptor was closed under our hands; return how much of it was taken."""
        try:
            self._check_open()
            if error.errno != errno.EBADF:
                raise cannot("write", self.path, error) from error
            self._open_again()
            return os.write(self.descriptor, line)
        except OSError as again:
            self._take_back()
            if isinstance(again, StoreError):
                raise
            raise cannot("write", self.path, again) from again

    def _write_rest(self, rest: bytes) -> None:
        """Write what the kernel has not taken of a line. Raises StoreError; nothing of the line is there then."""
        try:
            write_all(self.descriptor, rest)
        except OSError as error:
            self._take_back()
            raise cannot("write", self.path, error) from error

    def _settle(self) -> None:
        """Find out what became of a write that was interrupted by an exception out of a signal handler."""
        if not self._is_ours(self.descriptor) and self.descriptor >= 0:
            self._open_again()
        try:
            is_whole = os.fstat(self.descriptor).st_size >= self._tried[1]
        except OSError as error:
            raise cannot("write", self.path, error) from error
        if is_whole:
            self._done, self._torn, self._is_exact = self._tried, False, False
        else:
            self._take_back()

    def _take_back(self) -> None:
        """Cut off what a failed write left; where that fails too, the next line begins on a line of its own."""
        number, length = self._done
        try:
            os.ftruncate(self.descriptor, length)
        except OSError:
            self._torn = True
            with suppress(OSError):  # main may have closed all descriptors that there are
                length = os.fstat(self.descriptor).st_size
        self._done = self._tried = (number, length)

    def _sync(self) -> None:
        try:
            sync_data(self.descriptor)
            if not self.is_named:
                sync_folder(self.path.parent)
                self.is_named = True
        except OSError as error:
            raise cannot("sync", self.path, error) from error

    def _check_open(self) -> None:
        if self.forked:
            raise StoreError(f"The journal {str(self.path)!r} belongs to the process that this one was forked from.")
        if self.descriptor < 0:
            raise StoreError(f"The journal {str(self.path)!r} is closed: its run has ended.")

    def _shut(self) -> None:
        """Sync and close. Raises StoreError; it is closed nevertheless."""
        try:
            if not self._is_ours(self.descriptor):
                self._open_again()
            self._sync()
        finally:
            descriptor, self.descriptor = self.descriptor, -1
            if self._is_ours(descriptor):
                os.close(descriptor)
