"""An errand, done in a process of its own, while this one waits for it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anew.runner.relaunch.plan import Errand
from anew.runner.relaunch.sandbox import Sandbox

# started by path: the interpreter may be one whose packages are being found by that path alone
CHILD = Path(__file__).parent / "child.py"
_LOOK_S = 0.2


def run_errand(
    errand: Errand,
    place: Sandbox,
    *,
    cwd: Path,
    variables: Mapping[str, str],
    python: str = sys.executable,
    **streams: int | None,
) -> int:
    """
    Do an errand in a process of its own, to its end; return its exit code, negative for a signal.

    Args:
        errand: What is to be done.
        place: The folder that it is told in, which that process holds as long as it lives.
        cwd: Where the process starts.
        variables: Its environment.
        python: Its interpreter.
        streams: `stdin`, `stdout` and `stderr`, as for `subprocess`.

    Raises:
        OSError: It cannot be told, or not be started.
    """
    path = place.folder / "errand.json"
    errand.write(path)
    command = [python, *errand.command.options, str(CHILD), str(path)]
    try:
        return _wait_for(command, cwd=cwd, env=variables, pass_fds=(place.lock,), **streams)
    finally:
        # secrets that were given again are in it, and the folder may be kept
        path.unlink(missing_ok=True)


def _wait_for(command: Sequence[str], **options: Any) -> int:
    """Run a process to its end. A Ctrl-C is the child's, which has it from the terminal; SIGTERM is handed on."""
    # what is buffered here would be printed after what the child prints
    if sys.stdout is not None:
        sys.stdout.flush()
    with _signals_left_to_child() as terminations:
        process = subprocess.Popen(command, **options)
        while True:
            try:
                return process.wait(timeout=_LOOK_S if terminations is not None else None)
            except subprocess.TimeoutExpired:
                if terminations:
                    terminations.clear()
                    process.terminate()


@contextmanager
def _signals_left_to_child() -> Iterator[list[int] | None]:
    """Leave SIGINT to the child and note SIGTERM; elsewhere than in the main thread signals are not ours to handle."""
    if threading.current_thread() is not threading.main_thread():
        yield None
        return
    terminations: list[int] = []
    # handlers of Python's own, since a child inherits a signal that is ignored
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda number, frame: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, frame: terminations.append(number)),
    }
    try:
        yield terminations
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
