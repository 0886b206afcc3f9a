"""
What a run prints, kept in its log, while it goes where it was going.

Three ways, together where needed. The descriptors 1 and 2 are replaced by a pipe, or by a pseudo-terminal where they
were a terminal, so that child processes and C code are heard, too; the guard process carries what comes. Where they
lead to a file they are left alone, since programs seek in it, cut it and ask what it is, and the guard process reads in
the file what is added to it while the run lasts, whoever adds it. And Python's own streams are wrapped where they do
not lead to these descriptors (notebooks, test runners), or in the mode "sys".

What is not as without a capture: `/dev/null` is a pipe to whoever asks the system; `ttyname(1)` names another terminal;
a program that sets the terminal's modes on its output, not its input, sets those of the pseudo-terminal; a reader that
goes away (`| head`) is not noticed, the run goes on; a new window size is seen up to half a second late.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from anew.runner.capture.printed import PrintedInto
from anew.runner.capture.streams import Identity, can_seek, file_behind, identity, pipe, stream_to, unread
from anew.runner.capture.tee import Tee, keep_seekable
from anew.runner.dataclass import dataclass
from anew.runner.errors import StoreError
from anew.runner.guard.carrier import Source
from anew.runner.guard.pump import Capture
from anew.runner.guard.watch import Guard, GuardGoneError

_DRAIN_S = 2.0
_SLOWEST_BYTES_S = 10e6
_NAMES = {1: "stdout", 2: "stderr"}

_SHARED = "Another run printed into the same file, and what it printed meanwhile is in this run's log, too."
Mode = Literal["fd", "sys", "off"]


@dataclass(frozen=True, slots=True)
class _Redirection:
    """A descriptor that leads into a stream of ours; `ours` tells if it still does."""

    descriptor: int
    before: int
    ours: Identity


class OutputCapture:
    """
    The capture of one run's output, from `start` to `stop`. Both belong in the thread that runs main.

    In a forked child, `stop` leaves everything as it is: what the child prints goes on into the log, for as long as it
    lives. Nobody waits for it. What it prints into a file after the end of the run stays out of the log: nothing tells
    it from what others do.

    Args:
        path: The log to make, its checksums in a file beside it. If that fails, nothing is captured, and `stop` says
            why.
        mode: "fd": descriptors 1 and 2, children included; "sys": `sys.stdout` and `sys.stderr` alone; "off": nothing.
            Without a guard process "fd" is "sys": only another process can read a pipe into which a C call that holds
            the GIL writes.
        limit_bytes: How large the log may become; of more, the head and the tail are kept.
        guard: Carries the streams.
        secrets: Texts that the log must not hold.
        places: A folder of the cache, where it is known which files other runs print into; None to take it that there
            are none. A file that others print into already is not followed: what they print is not this run's.
        follows: Whether a file is, at all.
        is_apart: Whether what the thread that asks prints is not the run's, where Python's streams are wrapped.

    Attributes:
        settled_bytes: Once it has stopped, how many bytes of the log will not change any more; None when that is not
            known.
        sealed_bytes: How many of these have their checksums on record; likewise.
        turns: How many lines of it are of stdout, of stderr, and so on by turns; None where that cannot be told.
    """

    def __init__(
        self,
        path: Path,
        *,
        mode: Mode,
        limit_bytes: int,
        guard: Guard,
        secrets: Sequence[str] = (),
        places: Path | None = None,
        follows: bool = True,
        is_apart: Callable[[], bool] = lambda: False,
    ) -> None:
        self._path = path
        # for the guard process, which is elsewhere
        self._seals = str(path.absolute().with_suffix(".sums"))
        self._mode = mode
        self._guard = guard
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._problem: str | None = None
        self._is_whole = True
        self._stopped = mode == "off"
        self._limit_bytes = limit_bytes
        self._secrets = secrets
        self._places = places
        self._follows = follows
        self._is_apart = is_apart
        self._printed: list[PrintedInto] = []
        self._log: int | None = None
        self._sources: list[Source] = []
        self._ends: set[int] = set()
        self._redirections: list[_Redirection] = []
        self._tees: dict[str, Tee] = {}
        self._copies: int | None = None
        self._number: int | None = None
        self._local: Capture | None = None
        self._caught_up = threading.Event()
        self.settled_bytes: int | None = None
        self.sealed_bytes: int | None = None
        self.turns: tuple[int, ...] | None = None

    def start(self) -> None:
        """Begin to capture; to be called once."""
        if self._mode == "off":
            return
        try:
            with self._lock:
                self._begin()
        except OSError as error:
            self._problem = f"The output is not captured in {str(self._path)!r}: {error.strerror or error}"
            self._is_whole = False
            self._stopped = True
            self._restore()
            self._close()

    def stop(self) -> str | None:
        """
        End the capture; what was printed before, by children too, is then where it was going and in the log.

        Where `start` was broken off, or never called, everything is put back as far as it had come. Waits at most 2 s
        for what was printed, as long as a stopped terminal may last; longer for a file of which there is more to read.
        Returns a sentence if something is not as it should be.

        Raises:
            StoreError: Something that was printed is not in the log, or the log is not there; it says why.
        """
        _flush()
        if os.getpid() != self._pid:
            return None
        with self._lock:
            if self._stopped:
                return self._told(None)
            self._stopped = True
            self._restore()
        self._guard.forget(self._take_over)
        try:
            problem = self._wait()
            gone = self._gone()
            ended = [place.end() for place in self._printed]
            if any(ended) and any(item.follows for item in self._sources):
                problem = problem or _SHARED
        finally:
            self._close()
        if gone is not None:
            raise StoreError(gone)
        return self._told(problem)

    def _told(self, problem: str | None) -> str | None:
        if not self._is_whole:
            raise StoreError(problem or self._problem or "Part of the output is not in the log.")
        return self._problem or problem

    def _gone(self) -> str | None:
        """Return what has become of the log's file in the meantime, as a sentence."""
        if self._log is None:
            return None
        with suppress(OSError):
            opened, named = os.fstat(self._log), os.lstat(self._path)
            if os.path.samestat(opened, named) and named.st_size >= (self.settled_bytes or 0):
                return None
        return f"{str(self._path)!r} was removed, replaced or cut short while the run went on."

    # --- start --------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._log = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        _flush()
        planned = self._plan() if self._mode == "fd" and self._guard.alive else {}
        self._wrap_streams(covered=set(planned))
        self._guard.on_death(self._take_over)
        self._number = self._guard.capture(
            self._log, self._sources, limit_bytes=self._limit_bytes, secrets=self._secrets, seals=self._seals
        )
        if self._number is None and planned:
            raise OSError("the guard process has ended")
        if self._number is None:
            self._carry_here()
        self._redirect(planned)
        if self._number is not None and not self._guard.alive:
            self._take_over()

    def _plan(self) -> dict[int, int | None]:
        """
        Make a stream for each place that 1 and 2 lead to.

        Returns:
            For each descriptor that is heard its writing end, None for one that stays where it is.
        """
        ends: dict[Identity, int | None] = {}
        sources: dict[Identity, Source] = {}
        prints: dict[Identity, int] = {}
        planned: dict[int, int | None] = {}
        for descriptor, name in _NAMES.items():
            if getattr(sys, f"__{name}__") is None:
                continue  # closed from the start; what is open under that number now is something else
            try:
                place = identity(descriptor)
            except OSError:
                continue
            if place not in ends:
                file = file_behind(descriptor) if self._may_follow(descriptor) else None
                source, end = file or stream_to(os.dup(descriptor))
                sources[place] = source
                ends[place] = end
                if end is not None:
                    self._ends.add(end)
            planned[descriptor] = ends[place]
            prints[place] = prints.get(place, 0) | descriptor
        self._sources += [replace(each, prints=prints[place]) for place, each in sources.items()]
        return planned

    def _may_follow(self, descriptor: int) -> bool:
        status = os.fstat(descriptor)
        if self._places is None or not stat.S_ISREG(status.st_mode):
            return self._follows
        place = PrintedInto(self._places, status)
        try:
            is_alone = place.begin()
        except OSError:
            return self._follows
        self._printed.append(place)
        return self._follows and is_alone

    def _redirect(self, planned: dict[int, int | None]) -> None:
        for descriptor, end in planned.items():
            if end is None:
                continue
            self._redirections.append(_Redirection(descriptor, os.dup(descriptor), identity(end)))
            could_seek = can_seek(descriptor)
            os.dup2(end, descriptor)
            stream = getattr(sys, _NAMES[descriptor])
            if could_seek and _leads_to(stream, descriptor):
                keep_seekable(getattr(stream, "of_the_process", stream))
        self._close_ends()

    def _close_ends(self) -> None:
        """Close the writing ends, which 1 and 2 are copies of by now: the streams end with those."""
        while self._ends:
            os.close(self._ends.pop())

    def _wrap_streams(self, covered: set[int]) -> None:
        for descriptor, name in _NAMES.items():
            stream = getattr(sys, name)
            if stream is None or (descriptor in covered and _leads_to(stream, descriptor)):
                continue
            if self._copies is None:
                read, self._copies = pipe()
                self._sources.append(Source(read))
            self._tees[name] = Tee(stream, self._copy)
            setattr(sys, name, self._tees[name])

    def _copy(self, data: bytes) -> None:
        if self._is_apart():
            return
        rest = memoryview(data)
        with suppress(OSError):
            while rest and self._copies is not None:
                rest = rest[os.write(self._copies, rest) :]

    # --- the guard process is missing -------------------------------------------------------------------------------

    def _take_over(self) -> None:
        """
        Go on without the guard process, which was killed.

        What main prints goes its own way again. What still comes through the streams, from children and from before, is
        carried by threads of this process; a file is followed by one.
        """
        with self._lock:
            if self._local is not None or self._log is None:
                return
            missing = "what main printed after that" if self._redirections else "some of what was printed just before"
            self._problem = f"The guard process was killed: {missing} is not in the output log."
            self._restore()
            self._carry_here()

    def _carry_here(self) -> None:
        assert self._log is not None
        own = [
            replace(
                item,
                read=os.dup(item.read),
                destination=None if item.destination is None else os.dup(item.destination),
            )
            for item in self._sources
        ]
        self._local = Capture(
            os.dup(self._log),
            own,
            limit_bytes=self._limit_bytes,
            secrets=self._secrets,
            on_change=self._caught_up.set,
            seals=self._seals,
        )
        self._local.follow()

    # --- stop -------------------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        """Put descriptors and streams back where they are still ours."""
        for item in self._redirections:
            with suppress(OSError):
                if identity(item.descriptor) == item.ours:
                    os.dup2(item.before, item.descriptor)
            os.close(item.before)
        self._redirections.clear()
        for name, tee in self._tees.items():
            if getattr(sys, name) is tee:
                setattr(sys, name, tee.original)
        self._tees.clear()
        if self._copies is not None:
            copies, self._copies = self._copies, None
            os.close(copies)

    def _wait(self) -> str | None:
        """Wait until what was printed has arrived."""
        patience_s = _DRAIN_S + sum(unread(item.read) for item in self._sources if item.follows) / _SLOWEST_BYTES_S
        deadline = time.monotonic() + patience_s
        if self._local is None and self._number is not None:
            try:
                drained = self._guard.drain(self._number, patience_s)
                if drained is None:
                    return self._late(patience_s)
                self.settled_bytes, self.sealed_bytes = drained.settled_bytes, drained.sealed_bytes
                self._is_whole, self.turns = drained.is_whole, drained.turns
                return drained.problem
            except GuardGoneError:
                self._take_over()
        local = self._local
        if local is None:
            return None
        local.watched = True
        local.finish()
        while not local.caught_up():
            self._caught_up.clear()
            if time.monotonic() > deadline:
                return self._late(patience_s)
            self._caught_up.wait(0.01)
        self.settled_bytes, self.sealed_bytes = local.settled_bytes, local.sealed_bytes
        self._is_whole, self.turns = local.is_whole, local.turns
        return local.problem

    def _late(self, patience_s: float) -> str:
        return f"Output was not taken within {patience_s:.0f} s; what is left of it follows, in the log, too."

    def _close(self) -> None:
        with self._lock:
            self._close_ends()
            for source in self._sources:
                os.close(source.read)
                if source.destination is not None:
                    os.close(source.destination)
            self._sources.clear()
            if self._log is not None:
                os.close(self._log)
                self._log = None
            if self._local is not None and self._local.ended:
                self._local.close()


def is_within_a_line(output: Path) -> bool:
    """Whether what was printed last has no end of a line, and stands where stderr leads to."""
    try:
        if not os.path.samestat(os.fstat(1), os.fstat(2)):
            return False
        with output.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:
        return False


def _leads_to(stream: Any, descriptor: int) -> bool:
    try:
        return bool(stream.fileno() == descriptor)
    except (AttributeError, OSError, ValueError, TypeError):
        return False


def _flush() -> None:
    """Write out what Python and the C library hold back."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    library, held_back = _of_the_c_library()
    # Not fflush(NULL): that waits for a thread that is reading standard input.
    for stream in held_back:
        library.fflush(stream)


@cache
def _of_the_c_library() -> tuple[Any, tuple[Any, ...]]:
    """Return the C library, and its variables that hold its two streams: what they hold is read at each call."""
    import ctypes

    library, streams = ctypes.CDLL(None), []
    for name in ("stdout", "stderr", "__stdoutp", "__stderrp"):  # the latter on macOS
        with suppress(ValueError):
            streams.append(ctypes.c_void_p.in_dll(library, name))
    return library, tuple(streams)
