"""A command's process: started in this terminal, told of signals, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

from anew.runner.errors import EXIT_SIGNAL
from anew.runner.kernel.door import end_other_with

if TYPE_CHECKING:
    import psutil

_PATIENCE_S = 10.0


class _HungUp(SystemExit):
    """Raised in the main thread by SIGHUP."""

    def __init__(self) -> None:
        super().__init__(EXIT_SIGNAL + signal.SIGHUP)


def run_process(words: Sequence[str], variables: Mapping[str, str]) -> int:
    """
    Run a command to its end, with the standard streams of this process; return its code as a shell has it.

    What ends this process meanwhile is handed on to the command: it has 10 s to end then, or until the next Ctrl-C,
    before it is killed with all that it started. Where this process is killed, the command is terminated (on Linux).
    To be called in any thread; in the main one SIGHUP is handed on, too.

    Raises:
        OSError: It cannot be started.
        KeyboardInterrupt, SystemExit: As a signal that came has it, after the command has ended.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    lifeline, held = os.pipe()
    try:
        with _hang_ups():
            process = subprocess.Popen(list(words), env=dict(variables), pass_fds=(lifeline,))
            try:
                with suppress(OSError):
                    end_other_with(lifeline, process.pid)
                code = process.wait()
            except BaseException as error:
                _end(process, error)
                raise
    finally:
        os.close(lifeline)
        os.close(held)
    return code if code >= 0 else EXIT_SIGNAL - code


def _end(process: subprocess.Popen[bytes], why: BaseException) -> None:
    """Hand on what came, and wait for the end of the command and of all that it started."""
    below = _below(process.pid)
    try:
        if isinstance(why, KeyboardInterrupt):
            # a Ctrl-C has reached it already, and twice is more than once
            if not _is_in_foreground():
                _send(process, signal.SIGINT)
        else:
            _send(process, signal.SIGHUP if isinstance(why, _HungUp) else signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_S)
    finally:
        # a second Ctrl-C comes here as well
        below += [each for each in _below(process.pid) if each not in below]
        process.kill()
        for each in below:
            with suppress(Exception):
                each.kill()
        process.wait()


def _send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(OSError):
        process.send_signal(number)


def _below(pid: int) -> list[psutil.Process]:
    # not at the top: only what is interrupted has to wait for it
    import psutil

    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _is_in_foreground() -> bool:
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


@contextmanager
def _hang_ups() -> Iterator[None]:
    """Have SIGHUP raise, where it would end this process and nobody handles it."""
    is_ours = threading.current_thread() is threading.main_thread()
    is_ours = is_ours and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    if is_ours:
        signal.signal(signal.SIGHUP, _hang_up)
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _hang_up(number: int, frame: FrameType | None) -> None:
    raise _HungUp
