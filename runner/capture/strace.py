"""
Files that all processes of a run open, as `strace` tells of them: for whoever asks for that, and pays for it.

It attaches to the process of the run, and follows what that starts: a command stays the run's own child, with its
terminal, its signals and its exit code. What it tells goes into a file without a name, and is read when the run ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterable
from tempfile import TemporaryFile
from typing import IO

from anew.runner.capture.strace_lines import CALLS, Opening, openings
from anew.runner.kernel.door import CLOSED, allow_tracing, limit_written, tracers

_PROGRAM = "strace"
# no line for a signal or an end; quiet, but for why it cannot
_COMMAND = (_PROGRAM, "-f", "-y", "-qqq", "-s0", "-esignal=none", f"-etrace={','.join(CALLS)}")
# some hundred thousand openings
_MOST_BYTES = 128 * 2**20
_PATIENCE_S = 10.0


def missing_tracer() -> str | None:
    """Return what to say where there is no strace to be had; None where there is one."""
    if CLOSED:
        return "--trace (anew.inputs.trace) is done by strace, which is there for Linux alone."
    if shutil.which(_PROGRAM) is None:
        return (
            "--trace (anew.inputs.trace) is done by strace, which is not installed. To install it: "
            "sudo apt install strace (on Fedora: sudo dnf install strace)"
        )
    return None


class Tracer:
    """
    Traces this process and all that it starts, from `start` to `stop`. To be used by one thread.

    Attributes:
        since_s: When it began, in seconds since the epoch.
        flaw: What there is to say of what it could not do; None for nothing.
    """

    def __init__(self) -> None:
        self.since_s = 0.0
        self.flaw: str | None = None
        self._cwd = ""
        self._file: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin; where that cannot be, `flaw` says why, and nothing is traced."""
        self.flaw = missing_tracer()
        if self.flaw is not None:
            return
        self.since_s, self._cwd = time.time(), os.getcwd()
        allow_tracing(True)
        try:
            self._file = TemporaryFile(buffering=0)  # noqa: SIM115 - closed in `close`
            self._process = self._begun(self._file.fileno())
            self.flaw = self._attached(self._process)
        except OSError as error:
            self.flaw = f"strace could not be started: {error.strerror or error}."
        finally:
            allow_tracing(False)
        if self.flaw is not None:
            self.close()

    def _begun(self, target: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [*_COMMAND, f"-o/proc/self/fd/{target}", f"-p{os.getpid()}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(target,),
            # a Ctrl-C of the terminal is not for it
            start_new_session=True,
        )
        limit_written(process.pid, _MOST_BYTES)
        return process

    def _attached(self, process: subprocess.Popen[bytes]) -> str | None:
        """Wait until it has all threads of this process; return why it has not."""
        until = time.monotonic() + _PATIENCE_S
        while process.poll() is None and time.monotonic() < until:
            if tracers() == {process.pid}:
                return None
            time.sleep(0.002)
        if process.poll() is None:
            return "strace did not begin in time: what other processes open is noticed as without --trace."
        assert process.stderr is not None
        said = process.stderr.read().decode(errors="replace").strip().splitlines()
        why = said[-1] if said else f"it ended with {process.returncode}"
        return (
            f"Tracing is not permitted here, so that files are noticed as without --trace: {why}. A container needs "
            "--cap-add=SYS_PTRACE; a process that a debugger or another trace has cannot be traced twice."
        )

    def stop(self) -> None:
        """Trace no more; what is still running goes on. May be called again."""
        process, self._process = self._process, None
        if process is None:
            return
        is_over = process.poll() is not None
        process.terminate()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stderr is not None:
            process.stderr.close()
        if is_over and self.flaw is None:
            self.flaw = (
                "strace ended before the run did, or told of more than it may keep (128 MiB): files that were opened "
                "after that are noticed as without --trace."
            )

    def openings(self) -> Iterable[Opening]:
        """Return what was opened, in order."""
        if self._file is None:
            return ()
        self._file.seek(0)
        return openings(self._lines(self._file), os.fsencode(self._cwd))

    @staticmethod
    def _lines(file: IO[bytes]) -> Iterable[bytes]:
        with os.fdopen(os.dup(file.fileno()), "rb") as buffered:
            yield from buffered

    def close(self) -> None:
        """Stop, and forget what was told."""
        self.stop()
        if self._file is not None:
            self._file.close()
            self._file = None
