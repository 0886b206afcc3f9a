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
    _flush()
    with tempfile.TemporaryFile() as told:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
        try:
            pid = os.fork()
            if not pid:
                _be_child(work, told, before)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        code = _waited_for(pid)
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


def _be_child(work: Callable[[], Any], told: IO[bytes], mask: Any) -> None:
    """Be the child: do not return."""
    code = 1
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        value, error = None, None
        try:
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
    """Wait for a child, whatever comes; return its code, or raise what came."""
    stopped: BaseException | None = None
    while True:
        try:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except ChildProcessError:  # somebody has SIGCHLD ignored
            code = 0
        except BaseException as error:
            stopped = error
            _hand_on(pid, error)
            continue
        if stopped is not None:
            raise stopped
        return code if code >= 0 else EXIT_SIGNAL - code


def _hand_on(pid: int, error: BaseException) -> None:
    """Have a child interrupted as this process was; a Ctrl-C has reached it already, and twice is more than once."""
    is_interrupt = isinstance(error, KeyboardInterrupt)
    if is_interrupt and in_foreground():
        return
    with suppress(OSError):
        os.kill(pid, signal.SIGINT if is_interrupt else signal.SIGTERM)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
