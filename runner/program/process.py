"""A command's process: started in this terminal, told of signals, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from anew.runner.capture.summary_files import commands
from anew.runner.errors import EXIT_SIGNAL
from anew.runner.guard.forked import in_foreground
from anew.runner.kernel.door import end_other_with
from anew.runner.run.hang_ups import CODE, HangUps

if TYPE_CHECKING:
    import psutil

_PATIENCE_S = 10.0


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
    hang_ups = HangUps()
    try:
        hang_ups.start()
        start = _Start(words, variables, lifeline)
        try:
            process = start.finished()
            with suppress(OSError):
                end_other_with(lifeline, process.pid)
            code = process.wait()
        except BaseException as error:
            if (begun := start.settled()) is not None:
                _end(begun, error)
            raise
    finally:
        hang_ups.stop()
        os.close(lifeline)
        os.close(held)
    return code if code >= 0 else EXIT_SIGNAL - code


class _Start:
    """
    The start of a command, in a thread of its own.

    A signal that raises in the main thread would break `Popen` off when the command is there already and nobody knows
    of it; in no other thread is a handler run.
    """

    def __init__(self, words: Sequence[str], variables: Mapping[str, str], lifeline: int) -> None:
        self._words, self._variables, self._lifeline = list(words), dict(variables), lifeline
        self._process: subprocess.Popen[bytes] | None = None
        self._error: BaseException | None = None
        self._is_begun = False
        # not the thread is waited for: a `join` that a signal breaks off has it pass for ended (Python 3.10 to 3.12)
        self._is_over = threading.Event()

    def finished(self) -> subprocess.Popen[bytes]:
        """Start it. Raises OSError where it cannot be started, and whatever a signal raises meanwhile."""
        self._is_begun = True
        try:
            threading.Thread(target=self._run, name="anew-command").start()
        except RuntimeError:  # there may be no more threads
            self._is_over.set()
            raise
        self._is_over.wait()
        if self._process is None:
            assert self._error is not None
            raise self._error
        return self._process

    def settled(self) -> subprocess.Popen[bytes] | None:
        """Wait for it, whatever comes; return the process, None where there is none."""
        while self._is_begun and not self._is_over.is_set():
            with suppress(KeyboardInterrupt, SystemExit):
                self._is_over.wait()
        return self._process

    def _run(self) -> None:
        try:
            self._process = subprocess.Popen(self._words, env=self._variables, pass_fds=(self._lifeline,))
            commands.add(self._process.pid)
        except BaseException as error:  # raised where it is waited for
            self._error = error
        finally:
            self._is_over.set()


def _end(process: subprocess.Popen[bytes], why: BaseException) -> None:
    """Hand on what came, and wait for the end of the command and of all that it started."""
    below = _below(process.pid)
    try:
        if isinstance(why, KeyboardInterrupt):
            # a Ctrl-C has reached it already, and twice is more than once
            if not in_foreground():
                _send(process, signal.SIGINT)
        else:
            is_hung_up = isinstance(why, SystemExit) and why.code == CODE
            _send(process, signal.SIGHUP if is_hung_up else signal.SIGTERM)
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
