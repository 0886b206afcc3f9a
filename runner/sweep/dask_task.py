"""
What is sent to Dask's workers: functions that need the standard library alone.

Each is made inside another function, so that it cannot be found by name and is therefore pickled by value: the
scheduler and the workers unpickle it without having anew. They run in the worker's process, in any thread, and share
what they know by a module that is in no file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

_PLACE = "_anew_sweep_jobs"
_TAIL_BYTES = 4096
_KILL_S = 5.0
CANNOT_START = 127


def make_run() -> Callable[[str, list[str], str | None], tuple[int, str]]:
    """Return the function that runs a job's process on a worker."""

    def run(token: str, words: list[str], interpreter: str | None) -> tuple[int, str]:
        """
        Run a process to its end. It holds a pipe of the worker's as stdin, and so learns of the worker's death.

        Args:
            token: The sweep, to `signal` and `end` its processes by.
            words: What follows the interpreter.
            interpreter: None for the worker's own.

        Returns:
            The exit code (negative: the signal), and the end of what was printed.
        """
        place = vars(sys.modules.setdefault(_PLACE, ModuleType(_PLACE)))
        processes = place.setdefault(token, {})
        program = interpreter or sys.executable
        with tempfile.TemporaryFile() as output:
            if processes.get("ended"):
                return 128 + signal.SIGINT, ""
            try:
                process = subprocess.Popen(
                    [program, *words],
                    cwd="/",  # the first place that modules are looked for: nobody's files are there
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                return CANNOT_START, f"{program!r} cannot be started: {error}"
            processes[process.pid] = process
            try:
                if processes.get("ended"):
                    os.killpg(process.pid, signal.SIGINT)
                code = process.wait()
            finally:
                del processes[process.pid]
                if process.stdin is not None:
                    process.stdin.close()
            size = output.seek(0, os.SEEK_END)
            output.seek(max(0, size - _TAIL_BYTES))
            return code, output.read().decode("utf-8", "replace")

    return run


def make_interrupt() -> Callable[[str], int]:
    """Return the function that interrupts a sweep's processes on a worker."""

    def interrupt(token: str) -> int:
        """Send SIGINT to all processes of a sweep, and begin no more of it; return how many there were."""
        place = vars(sys.modules.setdefault(_PLACE, ModuleType(_PLACE)))
        processes = place.setdefault(token, {})
        processes["ended"] = True
        running = [each for key, each in list(processes.items()) if key != "ended" and each.poll() is None]
        for process in running:
            os.killpg(process.pid, signal.SIGINT)
        return len(running)

    return interrupt


def make_end() -> Callable[[str], int]:
    """Return the function that ends a sweep's processes on a worker."""

    def end(token: str) -> int:
        """Let go of all processes of a sweep, which terminates them, and kill those that stay; return how many."""
        place = vars(sys.modules.setdefault(_PLACE, ModuleType(_PLACE)))
        processes = place.setdefault(token, {})
        processes["ended"] = True
        running = [each for key, each in list(processes.items()) if key != "ended" and each.poll() is None]

        def kill() -> None:
            for process in running:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

        for process in running:
            process.stdin.close()
        later = threading.Timer(_KILL_S, kill)
        later.daemon = True
        later.start()
        return len(running)

    return end


def make_allowed_failures() -> Callable[..., int]:
    """Return the function that asks a scheduler how often it begins a task again whose worker died."""

    def allowed_failures(dask_scheduler: Any = None) -> int:
        return int(dask_scheduler.allowed_failures)

    return allowed_failures
