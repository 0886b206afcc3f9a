"""A piece of work in a process forked for it, which ends as an interpreter ends; and whether a Ctrl-C reaches both."""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

from anew.runner.dataclass import dataclass
from anew.runner.errors import EXIT_SIGNAL
from anew.runner.lazy.modules import later

if TYPE_CHECKING:
    import tempfile
else:
    tempfile = later("tempfile")

_HELD = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Forked:
    """
    How it ended.

    Attributes:
        value: What the work returned; None where it did not come to that.
        error: What it raised, if that could be sent here.
        code: The exit code of its process as a shell has it.
        is_told: Whether the process came to the end of the work, and said how.
    """

    value: Any
    error: BaseException | None
    code: int
    is_told: bool

    @property
    def death(self) -> str:
        """What ended the process, where it did not come to the end of the work."""
        if self.code <= EXIT_SIGNAL:
            return f"left by os._exit({self.code}), or replaced by another program"
        with suppress(ValueError):
            return f"killed by {signal.Signals(self.code - EXIT_SIGNAL).name}"
        return f"killed by signal {self.code - EXIT_SIGNAL}"


def run_forked(work: Callable[[], Any]) -> Forked:
    """
    Do a piece of work in a child forked here, and wait for the end of that process. To be called in the main thread.

    The child ends as a program does: threads that are no daemons are waited for, and what `atexit` was told is done.
    What interrupts this process meanwhile is handed on, and raised here once the child has ended.

    Raises:
        OSError: There can be no further process.
        KeyboardInterrupt, SystemExit: As a signal that came has it.
    """
    with tempfile.TemporaryFile() as told:
        code = _code_of_child(work, told)
        told.seek(0)
        with suppress(EOFError, pickle.UnpicklingError):
            value, error = pickle.load(told)  # written by this program itself, into a file without a name
            return Forked(value, error, code, is_told=True)
        return Forked(None, None, code, is_told=False)


def in_foreground() -> bool:
    """Whether a Ctrl-C of a terminal reaches this process, and so each that it started."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


class _Signals:
    """
    SIGINT and SIGTERM while there is a child, for which they are meant as well; nothing is raised before it has ended.

    An exception of theirs could come between the fork and the moment when its number is known, however they are
    blocked here: another thread takes them.
    """

    def __init__(self) -> None:
        self._came: list[int] = []
        self._early: list[int] = []
        self._child: int | None = None
        self._handlers: dict[int, Any] = {}
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)

    def note(self) -> None:
        """Note them from now on."""
        for number in _HELD:
            handler = signal.getsignal(number)
            if callable(handler):
                self._handlers[number] = handler
                signal.signal(number, self._take)

    def hand_on(self, child: int) -> None:
        """Let them come, and hand on what has come before there was a child, and what comes."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        self._child = child
        while self._early:
            _send(child, self._early.pop())

    def put_back(self) -> None:
        """Have all be as it was before."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def act(self) -> None:
        """Have the first that came do what it does in this process."""
        if self._came:
            signal.raise_signal(self._came[0])

    def _take(self, number: int, frame: FrameType | None) -> None:
        self._came.append(number)
        if self._child is None:
            self._early.append(number)
        elif number != signal.SIGINT or not in_foreground():
            # a Ctrl-C has reached the child already, and twice is more than once
            _send(self._child, number)


def _send(pid: int, number: int) -> None:
    with suppress(OSError):
        os.kill(pid, number)


def _code_of_child(work: Callable[[], Any], told: IO[bytes]) -> int:
    """Fork a child for a piece of work, and return its code once it has ended, or raise what came."""
    signals = _Signals()
    try:
        signals.note()
        waiting, begun = os.pipe()
        try:
            _flush()
            pid = os.fork()
            if not pid:
                os.close(begun)
                _be_child(work, told, signals, waiting)
            signals.hand_on(pid)
        finally:
            os.close(waiting)
            os.close(begun)
        code = _waited_for(pid)
    finally:
        signals.put_back()
    signals.act()
    return code


def _be_child(work: Callable[[], Any], told: IO[bytes], signals: _Signals, waiting: int) -> None:
    """Be the child, once its parent has handed on what had come: do not return."""
    code = 1
    try:
        value, error = None, None
        try:
            _forget_printed()
            os.read(waiting, 1)
            os.close(waiting)
            signals.put_back()
            value = work()
        except BaseException as raised:
            error = raised
        _tell(told, value, error)
        code = 0 if error is None else 1
        # As the interpreter's own end: threads first, which may still tell `atexit` of something. There is no public
        # way: joining them would wait for ever for idle workers of pools of `concurrent.futures`, which are no daemons
        # and are told to end by this alone. `multiprocessing` ends its forked children so, too; what types are known
        # of `threading` leave private names out.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    finally:
        _flush()
        os._exit(code)


def _tell(told: IO[bytes], value: Any, error: BaseException | None) -> None:
    try:
        said = pickle.dumps((value, error))
        pickle.loads(said)
    except Exception:  # what cannot be sent is told by its text
        said = pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}") if error else None))
    told.write(said)
    told.flush()


def _waited_for(pid: int) -> int:
    try:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:  # somebody has SIGCHLD ignored
        return 0
    return code if code >= 0 else EXIT_SIGNAL - code


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()


def _forget_printed() -> None:
    """Drop, in the child, what the parent has printed since it flushed: it is the parent's to write."""
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            number = stream.fileno()
            kept = os.dup(number)
            try:
                os.dup2(nowhere, number)
                stream.flush()
            finally:
                os.dup2(kept, number)
                os.close(kept)
    os.close(nowhere)
