"""
The journal: one process's append-only file of sealed lines.

A line is a JSON object with its number first and the CRC-32 of the bytes before it last, written by one unbuffered
`write`. Once that call has returned, the kernel holds the line and the death of the process cannot take it away; a
background thread makes it survive a power cut. `lines` reads them.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakSet
from zlib import crc32

from anew.runner import events as ev
from anew.runner.format import serial
from anew.runner.store.durability import forget, keep_synced
from anew.runner.store.files import cannot
from anew.runner.store.journal_file import JournalFile
from anew.runner.store.logged import QUICK, VALUES, Known, Metric, Metrics, Points, Told
from anew.runner.store.numeric import GREATEST_STEP, LEAST_STEP, NotANumberError, whole_step

_KEYS = ev.keys(ev.MetricsLogged)
# what stands before each part of a line; made once, since `log` is called millions of times
_NUMBER = f'{{"{_KEYS["q"]}":'
_KIND = f',"{ev.KIND_KEY}":"'
_TIME = f'","{_KEYS["t"]}":'
_METRICS = f"{_KIND}{ev.MetricsLogged.kind}{_TIME}"
_STEP = f',"{_KEYS["step"]}":'
_THREAD = f',"{_KEYS["thread"]}":'
# steps below this are compared at once, as most are
_SMALL = 2**30
# the last three digits of a time, and the same with what comes behind them
_MICROSECONDS = tuple(map("%03d".__mod__, range(1000)))
_BEFORE_STEP = tuple(f"{digits}{_STEP}" for digits in _MICROSECONDS)
# after how many lines the numbers in them are looked at
_SETTLED_AFTER = 512
_LEAST_WAIT_S = 2e-5
# how much is kept of lines that are none of metrics, to be asked when the run ends
_MOST_KEPT_BYTES = 1 << 16
# a checksum above this has eight digits without being told to, which most have, and formatting is quicker so
_SEVEN_DIGITS = 0xFFFFFFF
_get_ident = threading.get_ident
# without a lock of the interpreter, no thread can tell by a mere look what others are doing
_HAS_GIL = getattr(sys, "_is_gil_enabled", lambda: True)()


class JournalWriter(JournalFile):
    """
    Appends to one journal. Safe in threads and in signal handlers; a forked child goes on with a `successor`.

    A call from a signal handler (or a finaliser) that came while its own thread was in another call is written when
    that other one is, in place of waiting for it for ever.

    Args:
        path: A file that does not exist.
        clock: Seconds, from any moment on.
        origin: What the clock said when the run started.
        durability_ms: How long a line may be without being synced to disk; 0 syncs in every call.

    Attributes:
        path: As given.
        forked: Whether this process is a fork of the one that the journal belongs to; nothing can be written then.
        descriptor: What it is written through; -1 when it is closed or belongs to another process.
        fault: Why a sync in the background failed, when one did.
        is_named: Whether its name in its folder is synced.
        strays: As for `Metrics`.

    Raises:
        StoreError: The file cannot be made.
    """

    __slots__ = (
        "_apart",
        "_clock",
        "_durability_ms",
        "_first_thread",
        "_inside",
        "_is_quick",
        "_kept",
        "_kept_bytes",
        "_later",
        "_lock",
        "_metrics",
        "_millisecond",
        "_origin",
        "_pass_on_at",
        "_quick_thread",
        "_seconds",
        "_settled",
        "_short",
        "_t",
        "_tally",
        "_threads",
        "_time",
        "strays",
    )

    def __init__(
        self, path: Path, *, clock: Callable[[], float], origin: float = 0.0, durability_ms: int = 500
    ) -> None:
        super().__init__(path, syncs=not durability_ms)
        self._clock = clock
        self._origin = origin
        self._durability_ms = durability_ms
        self._lock = threading.RLock()
        # whether a call is in its turn, and whether that is one of the first thread's that came in without the lock
        self._inside = self._is_quick = False
        self._later: deque[Callable[[], None]] = deque()
        # the latest time and the millisecond that it lies in, as the clock has it, and what stands in a line up to that
        self._t = self._millisecond = origin
        self._seconds, self._time = "0.000", f"{_METRICS}0.000"
        self._metrics = Metrics()
        self._short, self.strays = self._metrics.short, self._metrics.strays
        self._apart = array("q")
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._tally: memoryview | None = None
        # up to which line numbers were looked at, and the next one that something is to be done after
        self._settled, self._pass_on_at = 0, _SETTLED_AFTER if durability_ms else 0
        # the thread that logs first, and the others with their numbers
        self._first_thread = self._quick_thread = 0
        self._threads: dict[int, int] = {}
        _writers.add(self)
        if durability_ms:
            keep_synced(self, durability_ms / 1000)

    def successor(self, path: Path) -> JournalWriter:
        """Return a journal for this process that goes on counting steps where this one stood at the fork."""
        writer = JournalWriter(path, clock=self._clock, origin=self._origin, durability_ms=self._durability_ms)
        writer._metrics.go_on_from(self._metrics)
        return writer

    def tell(self, tally: memoryview | None) -> None:
        """From now on, have the number of the latest line there, where somebody else is to know it."""
        self._tally = tally
        self._pass_on_at = 0

    def told(self) -> Told | None:
        """Return what was written, once it is closed; None where that is not known for certain."""
        if self._done is not self._tried or not self._is_exact:
            return None
        return Told(
            path=self.path,
            file=self._file,
            length=self.length,
            number=self.number,
            t=float(self._moment()),
            metrics=self._metrics.summaries(),
            apart=self._apart,
            lines=tuple(self._kept) if self._kept_bytes <= _MOST_KEPT_BYTES else None,
        )

    def append(self, kind: str, body: Mapping[str, Any]) -> None:
        """
        Write one entry whose members are JSON values.

        Raises:
            StoreError: It could not be written; the journal is as it was before and can be written to again.
        """
        members = serial.dumps(body)[1:-1]
        tail = f",{members}" if members else ""
        self._in_turn(lambda: self._write_apart(kind, tail))

    def log(self, values: Mapping[str, Any], step: int | None = None) -> dict[str, str] | None:
        """
        Write one line of metrics; see `Run.log`.

        Returns:
            The names that were left out, each with the reason; None when there are none.

        Raises:
            StoreError: As for `append`.
        """
        is_first = type(values) is dict and _get_ident() == self._quick_thread and not self._is_quick
        if is_first and len(values) == 1 and (step is None or (type(step) is int and -1 < step < _SMALL)):
            [name] = values
            number = values[name]
            kind = type(number)
            is_plain = (kind is float and number - number == 0.0) or (kind is int and -QUICK < number < QUICK)
            if is_plain and name in self._short:
                self._is_quick = True
                try:
                    # who is inside has seen, or will see, that this thread is quick, and waits; or this one does, below
                    is_alone = not self._inside
                    if is_alone:
                        self._write_one(self._short[name], number, step)
                finally:
                    self._is_quick = False
                if is_alone:
                    if self._later:
                        self._in_turn(None)
                    return None
        elif is_first and (step is None or (type(step) is int and LEAST_STEP <= step <= GREATEST_STEP)):
            found = self._metrics.as_known(values)
            if found is not None and self._write_first(found, step):
                return None
        points, refused = self._metrics.take(values)
        if step is not None and not (type(step) is int and LEAST_STEP <= step <= GREATEST_STEP):
            try:
                step = whole_step(step)
            except NotANumberError as error:
                return {**(refused or {}), **dict.fromkeys([each.name for each in points.metrics], str(error))}
        if points.metrics:
            self._in_turn(partial(self._write_points, points, step))
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
            finally:
                self._later.appendleft(self._shut)
                self._in_turn(None)
        if self.fault is not None:
            raise cannot("sync", self.path, self.fault) from self.fault

    # --- one call at a time -------------------------------------------------------------------------------------

    def _in_turn(self, write: Callable[[], None] | None) -> None:
        """Do one write, and those that signal handlers asked for meanwhile."""
        if self._is_quick and _get_ident() == self._quick_thread:
            # out of a signal handler in the middle of a quick call, which does this when it is through
            if write is not None:
                self._later.append(write)
            return
        with self._lock:
            if write is not None:
                self._later.append(write)
            if self._inside:
                return
            self._inside = True
            try:
                while self._is_quick:
                    time.sleep(_LEAST_WAIT_S)
                while self._later:
                    self._later.popleft()()
            finally:
                self._inside = False

    def _write_first(self, known: Known, step: int | None) -> bool:
        """Do as `_write_points` for the first thread, without the lock; return whether nobody else was inside."""
        self._is_quick = True
        try:
            is_alone = not self._inside
            if is_alone:
                self._write_metrics(*known, step)
        finally:
            self._is_quick = False
        if is_alone and self._later:
            self._in_turn(None)
        return is_alone

    def _write_one(self, metric: Metric, number: float, step: int | None) -> None:
        """Do as `_write_metrics`, `_now` and `_put`, for one finite number and the first thread, as in most lines."""
        done = self._done
        if done is not self._tried or self._torn:
            self._write_metrics(f"{metric.key}{number!r}", (metric,), (number,), step)
            return
        if step is None:
            step = min(metric.step + 1, GREATEST_STEP)
        t = self._clock()
        if t > self._t:
            self._t = t
        else:
            t = self._t
        place = int((t - self._millisecond) * 1e6 + 0.5)
        if place > 999:
            place = self._begin_millisecond()
        line, length = done
        line += 1
        head = f"{_NUMBER}{line}{self._time}{_BEFORE_STEP[place]}{step}{metric.opening}{number!r}}}".encode()
        checksum = crc32(head)
        written = (b'%b,"c":"%x"}\n' if checksum > _SEVEN_DIGITS else b'%b,"c":"%08x"}\n') % (head, checksum)
        self._tried = tried = (line, length + len(written))
        try:
            taken = os.write(self.descriptor, written)
        except OSError as error:
            taken = self._write_again(written, error)
        if taken != len(written):
            self._write_rest(written[taken:])
        metric.add(number)
        metric.step = step
        self._done = tried
        if line >= self._pass_on_at:
            self._pass_on()

    def _write_points(self, points: Points, step: int | None) -> None:
        """Write a line of metrics, and take note of what is odd in it."""
        step = self._write_metrics(points.text, points.metrics, points.numbers, step)
        if points.has_odd:
            self._metrics.note_strays(points, step)

    def _write_metrics(
        self, text: str, metrics: Sequence[Metric], numbers: Sequence[float | int], step: int | None
    ) -> int:
        """Write a line of metrics; return their step."""
        if self._done is not self._tried:
            self._settle()
        if step is None:
            step = min(max([metric.step for metric in metrics]) + 1, GREATEST_STEP)
        ident = _get_ident()
        thread = "" if ident == self._first_thread else self._thread(ident)
        line = self._done[0] + 1
        head = f"{_NUMBER}{line}{_METRICS}{self._now()}{_STEP}{step}{VALUES}{text}}}{thread}"
        tried = self._put(head.encode("ascii"), line)
        for metric, number in zip(metrics, numbers):  # noqa: B905 (they are as many, and this is quicker)
            metric.add(number)
            metric.step = step
        self._done = tried
        if line >= self._pass_on_at:
            self._pass_on()
        return step

    def _write_apart(self, kind: str, tail: str) -> None:
        """Write a line that is none of metrics."""
        if self._done is not self._tried:
            self._settle()
        line, begin = self._done[0] + 1, self._done[1] + self._torn
        head = f"{_NUMBER}{line}{_KIND}{kind}{_TIME}{self._now()}{tail}".encode("ascii")
        tried = self._put(head, line)
        self._apart.append(begin)
        self._kept_bytes += len(head)
        if self._kept_bytes <= _MOST_KEPT_BYTES:
            self._kept.append(head)
        self._done = tried
        if line >= self._pass_on_at:
            self._pass_on()

    def _pass_on(self) -> None:
        """Do what comes after a line, where that is more than nothing."""
        line = self._done[0]
        if self._tally is not None:
            self._tally[0] = line
        if line >= self._settled + _SETTLED_AFTER:
            is_exact, self._is_exact = self._is_exact, False
            self._metrics.settle()
            self._is_exact, self._settled = is_exact, line
        is_watched = self._tally is not None or not self._durability_ms
        self._pass_on_at = 0 if is_watched else self._settled + _SETTLED_AFTER
        if not self._durability_ms:
            self._sync()

    def _thread(self, ident: int) -> str:
        """Return what a line says of the thread that logs it: nothing for the first."""
        if not self._first_thread:
            self._first_thread = ident
            self._quick_thread = ident if _HAS_GIL else 0
            return ""
        return f"{_THREAD}{self._threads.setdefault(ident, len(self._threads) + 1)}"

    def _now(self) -> str:
        """Return the time, never less than before, to the microsecond."""
        t = self._clock()
        if t > self._t:
            self._t = t
        return self._moment()

    def _moment(self) -> str:
        place = int((self._t - self._millisecond) * 1e6 + 0.5)
        if place > 999:
            place = self._begin_millisecond()
        return f"{self._seconds}{_MICROSECONDS[place]}"

    def _begin_millisecond(self) -> int:
        """Have the text of the time ready up to its millisecond, which many lines share; return the microseconds."""
        whole = round((self._t - self._origin) * 1e6) // 1000
        self._seconds = f"{whole // 1000}.{whole % 1000:03d}"
        self._time = f"{_METRICS}{self._seconds}"
        self._millisecond = self._origin + whole / 1000
        return min(int((self._t - self._millisecond) * 1e6 + 0.5), 999)

    def _disown(self) -> None:
        """In a forked child: let go of the parent's file. Its lock may be held by a thread that is not here."""
        self.forked = True
        self._lock = threading.RLock()
        self._inside = self._is_quick = False
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
