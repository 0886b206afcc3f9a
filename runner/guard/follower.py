"""Reads a file that a run prints to, while it grows: the run prints to the file itself, and finds it as it was."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable

from anew.runner.guard.carrier import READ_BYTES, Carrier, Source
from anew.runner.guard.output_log import FLUSH_S, OutputLog, common

_IDLE_S = 0.4
_COMPARED_BYTES = 4096


class Follower(Carrier):
    """
    One file, from where it is begun to where it ends when `finish` is called.

    What is written over what was read already, or again after the file was cut, is read again, from the beginning of
    the line; after larger changes, from where it was begun. So the log has everything that was there whenever the file
    was looked at, as it would if it had come through a pipe. A gap in the file, or zeros at its end, are no text; what
    takes space in advance prints into it later, so that many of them are passed at the end only.
    """

    def __init__(self, source: Source, log: OutputLog, on_change: Callable[[bool], None]) -> None:
        super().__init__(source, log, on_change)
        self._begin = os.lseek(source.read, 0, os.SEEK_CUR)
        self._end: int | None = None
        self._last, self._seen = b"", self._begin
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._pause_s = FLUSH_S

    def look(self) -> None:
        """Take what stands there by now."""
        with self._lock:
            if not self.ended:
                self._take()

    def finish(self) -> None:
        """Take what stands there by now, and end: at once, where no thread has begun with it, and there is little."""
        if self._end is not None:
            return
        self._end = os.fstat(self._source.read).st_size
        self._wanted.set()
        if self.begun:
            return
        if self._end - self._begin > READ_BYTES:
            self.begin()
        else:
            self._run()

    def caught_up(self) -> bool:
        """Return whether it has ended: until then, something may stand there that was not looked at."""
        return self.ended

    def _turn(self) -> bool:
        due = self._log.tick() if self._log else None
        self._wanted.wait(self._pause_s if due is None else min(due, self._pause_s))
        is_last = self._end is not None
        with self._lock:
            found = self._take()
            if is_last or not self.is_whole:
                self._print(self._decode(b"", True))
                return False
        self._pause_s = FLUSH_S if found else min(2 * self._pause_s, _IDLE_S)
        return True

    def _take(self) -> bool:
        found = False
        try:
            while data := self._read():
                self._print(self._decode(data))
                found = True
        except OSError as error:
            self._unreadable(error)
        return found

    def _read(self) -> bytes:
        """Return what stands after what was read; the descriptor's place is how far that was."""
        file, size = self._source.read, self._reach()
        at = _text_from(file, self._place())
        if at is None:
            return b""
        data = os.pread(file, max(0, min(READ_BYTES, size - at)), at)
        if data.endswith(b"\0") and (at + len(data) >= size or self._is_space(at + len(data))):
            data = data.rstrip(b"\0")
        if data:
            os.lseek(file, at + len(data), os.SEEK_SET)
            before = self._last if at == self._seen else b""
            self._last, self._seen = (before + data)[-_COMPARED_BYTES:], at + len(data)
        return data

    def _is_space(self, at: int) -> bool:
        """Whether zeros go on at *at* for long, into which may be printed yet."""
        return self._end is None and not os.pread(self._source.read, READ_BYTES, at).strip(b"\0")

    def _reach(self) -> int:
        """Return how far the file is to be read."""
        size = os.fstat(self._source.read).st_size
        if self._source.destination is not None:
            size = min(size, os.lseek(self._source.destination, 0, os.SEEK_CUR))
        return size if self._end is None else min(size, self._end)

    def _place(self) -> int:
        """Return where to read on, which is further up where the last that was read has changed."""
        file = self._source.read
        at = os.lseek(file, 0, os.SEEK_CUR)
        first = at - len(self._last)
        found = os.pread(file, len(self._last), first)
        if found == self._last and (found or os.fstat(file).st_size >= at):
            return at
        same = common(found, self._last)
        if 0 < same == len(found):  # cut, and nothing printed since
            self._last, self._seen = found, first + same
            return os.lseek(file, self._seen, os.SEEK_SET)
        if same:
            return first + found.rfind(b"\n", 0, same) + 1
        return self._begin if os.fstat(file).st_size >= self._begin else 0


def _text_from(file: int, at: int) -> int | None:
    """Return where, from *at* on, something stands that is no gap; None where nothing does."""
    place = os.lseek(file, 0, os.SEEK_CUR)
    try:
        return os.lseek(file, at, getattr(os, "SEEK_DATA", os.SEEK_SET))
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
        return at
    finally:
        os.lseek(file, place, os.SEEK_SET)
