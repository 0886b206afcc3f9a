"""
The journal: one process's append-only file of sealed lines.

A line is a JSON object with its number first and the CRC-32 of the bytes before it last, written by one unbuffered
`write`. Once that call has returned, the kernel holds the line and the death of the process cannot take it away; a
background thread makes it survive a power cut. `lines` reads them.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from typing import Any
from weakref import WeakSet
from zlib import crc32

from anew.runner import events as ev
from anew.runner.errors import StoreError
from anew.runner.format import serial
from anew.runner.kernel.door import sync_data
from anew.runner.store.durability import forget, keep_synced
from anew.runner.store.files import cannot, sync_folder, write_all
from anew.runner.store.lines import MAX_LINE
from anew.runner.store.numeric import GREATEST_STEP, LEAST_STEP, NotANumberError, flattened, json_number, whole_step

_KEYS = ev.keys(ev.MetricsLogged)
# what stands before each part of a line; made once, since `log` is called millions of times
_NUMBER = f'{{"{_KEYS["q"]}":'
_KIND = f',"{ev.KIND_KEY}":"'
_TIME = f'","{_KEYS["t"]}":'
_METRICS = f"{_KIND}{ev.MetricsLogged.kind}{_TIME}"
_STEP = f',"{_KEYS["step"]}":'
_VALUES = f',"{_KEYS["values"]}":{{'
_THREAD = f',"{_KEYS["thread"]}":'
_QUICK = 2**63


class JournalWriter:
    """
    Appends to one journal. Safe in threads and in signal handlers; a forked child goes on with a `successor`.

    A call from a signal handler (or a finaliser) that came while its own thread was in another call is written when
    that other one is, in place of waiting for it for ever.

    Args:
        path: A file that does not exist.
        clock: Seconds since the run started.
        durability_ms: How long a line may be without being synced to disk; 0 syncs in every call.

    Attributes:
        path: As given.
        forked: Whether this process is a fork of the one that the journal belongs to; nothing can be written then.
        descriptor: What it is written through; -1 when it is closed or belongs to another process.
        fault: Why a sync in the background failed, when one did.
        is_named: Whether its name in its folder is synced.
        tally: Takes the number of the latest line, where somebody else is to know it.
        strays: The steps at which metrics were NaN or infinite for the first time, each with their names and values.

    Raises:
        StoreError: The file cannot be made.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float], durability_ms: int = 500) -> None:
        self.path = path
        self.forked = False
        self.fault: OSError | None = None
        self.is_named = False
        self.tally: memoryview | None = None
        self._clock = clock
        self._durability_ms = durability_ms
        self._lock = threading.RLock()
        self._inside = False
        self._later: deque[Callable[[], None]] = deque()
        # (number, where its line ends) of the latest line that is there, and of the latest that was tried: when they
        # are not the same object, a write was interrupted and the file has to be asked
        self._done = self._tried = (0, 0)
        self._torn = False
        self._t = 0.0
        self._keys: dict[str, str] = {}
        self._next_steps: dict[str, int] = {}
        self.strays: deque[tuple[int, dict[str, str]]] = deque()
        self._strayed: set[str] = set()
        # the thread that logs first, and the others with their numbers
        self._first_thread = 0
        self._threads: dict[int, int] = {}
        try:
            self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
            self._file = os.fstat(self.descriptor)
            if not durability_ms:
                sync_folder(path.parent)
                self.is_named = True
        except OSError as error:
            raise cannot("write", path, error) from error
        _writers.add(self)
        if durability_ms:
            keep_synced(self, durability_ms / 1000)

    @property
    def number(self) -> int:
        """The number of the latest line."""
        return self._done[0]

    @property
    def length(self) -> int:
        """How many bytes have been written."""
        return self._done[1]

    def successor(self, path: Path) -> JournalWriter:
        """Return a journal for this process that goes on counting steps where this one stood at the fork."""
        writer = JournalWriter(path, clock=self._clock, durability_ms=self._durability_ms)
        writer._next_steps = dict(self._next_steps)
        writer._strayed = set(self._strayed)
        return writer

    def append(self, kind: str, body: Mapping[str, Any]) -> None:
        """
        Write one entry whose members are JSON values.

        Raises:
            StoreError: It could not be written; the journal is as it was before and can be written to again.
        """
        members = serial.dumps(body)[1:-1]
        tail = f",{members}" if members else ""
        self._in_turn(lambda: self._write(f"{_KIND}{kind}{_TIME}{self._now()}{tail}"))

    def log(self, values: Mapping[str, Any], step: int | None = None) -> dict[str, str] | None:
        """
        Write one line of metrics; see `Run.log`.

        Returns:
            The names that were left out, each with the reason; None when there are none.

        Raises:
            StoreError: As for `append`.
        """
        keys = self._keys
        texts: list[str] = []
        names: list[str] = []
        odd: dict[Any, Any] = {}
        for name, value in values.items():
            kind = type(value)
            if name in keys and (
                (kind is float and value - value == 0.0) or (kind is int and -_QUICK < value < _QUICK)
            ):
                texts.append(f"{keys[name]}{value!r}")
                names.append(name)
            else:
                odd[name] = value
        refused = self._take_odd(odd, texts, names) if odd else None
        if step is not None and not (type(step) is int and LEAST_STEP <= step <= GREATEST_STEP):
            try:
                step = whole_step(step)
            except NotANumberError as error:
                return {**(refused or {}), **dict.fromkeys(names, str(error))}
        if not texts:
            return refused
        with self._lock:
            # As `_in_turn`, without its cost.
            if self._inside or self._later:
                self._in_turn(lambda: self._write_metrics(names, texts, step, odd))
                return refused
            self._inside = True
            try:
                self._write_metrics(names, texts, step, odd)
            finally:
                self._inside = False
            if self._later:
                self._in_turn(None)
        return refused

    def sync(self) -> None:
        """Make everything written survive a power cut. Raises StoreError."""
        with self._lock:
            self._check_open()
            self._sync()

    def close(self) -> None:
        """
        Sync and close; a second time does nothing.

        Raises:
            StoreError: The disk reports a fault, now or in the background before; it is closed nevertheless.
        """
        with self._lock:
            if self.descriptor < 0:
                return
            forget(self)
            try:
                self._in_turn(None)
                if not self._is_ours(self.descriptor):
                    self._open_again()
                self._sync()
            finally:
                descriptor, self.descriptor = self.descriptor, -1
                if self._is_ours(descriptor):
                    os.close(descriptor)
        if self.fault is not None:
            raise cannot("sync", self.path, self.fault) from self.fault

    def gap(self) -> str | None:
        """Return what has become of the file that is not as it was written, as a sentence."""
        try:
            status = self.path.lstat()
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

    # --- one call at a time -------------------------------------------------------------------------------------

    def _in_turn(self, write: Callable[[], None] | None) -> None:
        """Do one write, and those that signal handlers asked for meanwhile."""
        with self._lock:
            if write is not None:
                self._later.append(write)
            if self._inside:
                return
            self._inside = True
            try:
                while self._later:
                    self._later.popleft()()
            finally:
                self._inside = False

    def _write_metrics(self, names: Sequence[str], texts: Sequence[str], step: int | None, odd: object) -> None:
        following = self._next_steps
        if step is None:
            step = max([following.get(name, 0) for name in names])
        ident = threading.get_ident()
        thread = "" if ident == self._first_thread else self._thread(ident)
        self._write(f"{_METRICS}{self._now()}{_STEP}{step}{_VALUES}{','.join(texts)}}}{thread}")
        after = min(step + 1, GREATEST_STEP)
        for name in names:
            following[name] = after
        if odd:
            self._note_strays(names, texts, step)

    def _note_strays(self, names: Sequence[str], texts: Sequence[str], step: int) -> None:
        """Take note of metrics that are not finite for the first time: their values end with a quotation mark."""
        found = {
            name: text.rsplit('"', 2)[1]
            for name, text in zip(names, texts, strict=True)
            if text.endswith('"') and name not in self._strayed
        }
        if found:
            self._strayed.update(found)
            self.strays.append((step, found))

    def _thread(self, ident: int) -> str:
        """Return what a line says of the thread that logs it: nothing for the first."""
        if not self._first_thread:
            self._first_thread = ident
            return ""
        return f"{_THREAD}{self._threads.setdefault(ident, len(self._threads) + 1)}"

    def _now(self) -> str:
        """Return the time, never less than before, to the microsecond."""
        t = self._clock()
        if t > self._t:
            self._t = t
        return f"{self._t:.6f}"

    def _write(self, tail: str) -> None:
        """Write `{"q":N` + *tail* + seal as one line; it is this call's turn."""
        if self._done is not self._tried:
            self._settle()
        self._check_open()
        number, start = self._done
        number += 1
        head = f"{_NUMBER}{number}{tail}".encode("ascii")
        line = b'%s,"c":"%08x"}\n' % (head, crc32(head))
        if self._torn:
            line = b"\n" + line
        length = len(line)
        if length > MAX_LINE:
            raise StoreError(f"{length} bytes in one call are too many for the journal: it takes {MAX_LINE} at a time.")
        self._tried = tried = (number, start + length)
        try:
            written = os.write(self.descriptor, line)
        except OSError as error:
            written = self._write_again(line, error)
        try:
            if written != length:
                write_all(self.descriptor, line[written:])
        except OSError as error:
            self._take_back()
            raise cannot("write", self.path, error) from error
        # From here on nothing is called: an exception out of a signal handler cannot come between.
        self._done = tried
        self._torn = False
        if self.tally is not None:
            self.tally[0] = number
        if not self._durability_ms:
            self._sync()

    def _write_again(self, line: bytes, error: OSError) -> int:
        """Write what failed, where the descriptor was closed under our hands; return how much of it was taken."""
        try:
            if error.errno != errno.EBADF:
                raise cannot("write", self.path, error) from error
            self._open_again()
            return os.write(self.descriptor, line)
        except OSError as again:
            self._take_back()
            if isinstance(again, StoreError):
                raise
            raise cannot("write", self.path, again) from again

    def _settle(self) -> None:
        """Find out what became of a write that was interrupted by an exception out of a signal handler."""
        if not self._is_ours(self.descriptor) and self.descriptor >= 0:
            self._open_again()
        try:
            is_whole = os.fstat(self.descriptor).st_size >= self._tried[1]
        except OSError as error:
            raise cannot("write", self.path, error) from error
        if is_whole:
            self._done, self._torn = self._tried, False
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

    # --- values -------------------------------------------------------------------------------------------------

    def _take_odd(self, values: Mapping[Any, Any], texts: list[str], names: list[str]) -> dict[str, str] | None:
        """Take what the quick way of `log` does not: new names, other numbers, nested mappings; refuse the rest."""
        refused: dict[str, str] = {}
        taken = set(names)
        for name, value in flattened(values):
            if not isinstance(name, str):
                refused[repr(name)] = f"a metric's name is a text, not {type(name).__name__}"
                continue
            if name in taken:
                refused[name] = "it was given twice in one call"
                continue
            try:
                number = json_number(value)
            except NotANumberError as error:
                refused[name] = str(error)
                continue
            texts.append(f"{self._key(name)}{number}")
            names.append(name)
            taken.add(name)
        return refused or None

    def _key(self, name: str) -> str:
        key = self._keys.get(name)
        if key is None:
            key = self._keys[name] = f"{quoted(name)}:"
        return key

    def _disown(self) -> None:
        """In a forked child: let go of the parent's file. Its lock may be held by a thread that is not here."""
        self.forked = True
        self._lock = threading.RLock()
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)


_writers: WeakSet[JournalWriter] = WeakSet()


def _after_fork() -> None:
    for writer in list(_writers):
        writer._disown()
    _writers.clear()


os.register_at_fork(after_in_child=_after_fork)
