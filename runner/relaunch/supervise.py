"""An errand, done in a process of its own, while this one waits for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from anew.runner.dataclass import dataclass
from anew.runner.errors import EXIT_SIGNAL
from anew.runner.relaunch.plan import Errand
from anew.runner.relaunch.pythons import with_paths
from anew.runner.relaunch.sandbox import Sandbox

# started by path: the interpreter may be one whose packages are being found by that path alone
CHILD = Path(__file__).parent / "child.py"
_PATIENCE_S = 10.0
# what is said of this process and its own runs
_NOT_HANDED_ON = ("ANEW_RUN", "ANEW_STORE", "ANEW_SECRETS", "ANEW_LAID_OUT")
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@dataclass(frozen=True, slots=True)
class Ended:
    """
    How a process ended that did an errand.

    Attributes:
        code: Its exit code, negative for a signal.
        signal: The first signal that this process was sent meanwhile, and handed on.
    """

    code: int
    signal: signal.Signals | None = None

    @property
    def exit_code(self) -> int:
        """What this process is to leave with, as a shell says it."""
        if self.signal is not None and self.code != 0:
            return EXIT_SIGNAL + self.signal
        return self.code if self.code >= 0 else EXIT_SIGNAL - self.code

    def leave(self) -> NoReturn:
        """Do what the signal would have done here. Raises KeyboardInterrupt, or SystemExit for any other."""
        if self.signal is signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(EXIT_SIGNAL + self.signal if self.signal else self.exit_code)


def run_errand(
    errand: Errand,
    place: Sandbox,
    *,
    cwd: Path,
    variables: Mapping[str, str],
    python: str = sys.executable,
    timeout_s: float | None = None,
    **streams: int | None,
) -> Ended:
    """
    Do an errand in a process of its own, to its end.

    Signals that end a program are handed on to it while it lasts, when this is the main thread; it is terminated when
    this process dies, however that comes.

    Args:
        errand: What is to be done.
        place: The folder that it is told in, which that process holds as long as it lives.
        cwd: Where the process starts.
        variables: Its environment.
        python: Its interpreter.
        timeout_s: Seconds after which it is terminated, and ten more after which it is killed; None for no end.
        streams: `stdin`, `stdout` and `stderr`, as for `subprocess`.

    Raises:
        OSError: It cannot be told, or not be started.
    """
    path = place.folder / "errand.json"
    errand.write(path)
    # what is buffered here would be printed after what the child prints
    if sys.stdout is not None:
        sys.stdout.flush()
    lifeline, held = os.pipe()
    try:
        command = [python, *errand.command.options, str(CHILD), str(path), str(lifeline)]
        with _handed_on() as handing:
            options: dict[str, Any] = {"cwd": cwd, "env": variables, "pass_fds": (place.lock, lifeline), **streams}
            handing.process = subprocess.Popen(command, **options)
            handing.send()
            return Ended(_waited_for(handing.process, timeout_s), handing.first)
    finally:
        os.close(lifeline)
        os.close(held)
        # secrets that were given again are in it, and the folder may be kept
        path.unlink(missing_ok=True)


def run_where_it_was(errand: Errand, place: Sandbox, *, import_paths: str | None = None) -> Ended:
    """
    Do an errand as `run_errand` does, where its command was started: in the laid-out project where that is laid out.

    Args:
        errand: What is to be done; what it needs is laid out.
        place: The folder that it is told in.
        import_paths: `PYTHONPATH` as on record.

    Raises:
        OSError: It cannot be told, or not be started.
    """
    places, recorded = errand.places, Path(errand.command.cwd)
    cwd = recorded
    if places.moved and cwd.is_relative_to(places.root):
        cwd = places.mirrored(cwd)
        cwd.mkdir(parents=True, exist_ok=True)
    if not cwd.is_dir():
        cwd = places.project if places.project.is_dir() else place.folder
    variables = {name: value for name, value in os.environ.items() if name not in _NOT_HANDED_ON}
    if places.moved:
        variables["GIT_CEILING_DIRECTORIES"] = str(place.folder)
    variables = with_paths(variables, import_paths, recorded, places)
    return run_errand(errand, place, cwd=cwd, variables=variables, stdin=subprocess.DEVNULL)


def _waited_for(process: subprocess.Popen[bytes], timeout_s: float | None) -> int:
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.terminate()
    try:
        return process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


class _Handing:
    """Signals on their way to a process, which may not be there yet."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.first: signal.Signals | None = None
        self._waiting: list[int] = []

    def take(self, number: int, frame: FrameType | None) -> None:
        """Hand a signal on at once: a Ctrl-C at a terminal reaches both, and what comes late would count as another."""
        self.first = self.first or signal.Signals(number)
        # of those that a run has no outcome for, it is asked to end
        self._waiting.append(number if number == signal.SIGINT else signal.SIGTERM)
        self.send()

    def send(self) -> None:
        """Send what waits."""
        while self.process is not None and self._waiting:
            with suppress(OSError):
                self.process.send_signal(self._waiting.pop(0))


@contextmanager
def _handed_on() -> Iterator[_Handing]:
    """Have signals handed on; elsewhere than in the main thread they are not ours to handle, nor those ignored."""
    handing = _Handing()
    before = {}
    if threading.current_thread() is threading.main_thread():
        # handlers of Python's own, since a child inherits a signal that is ignored
        before = {number: signal.getsignal(number) for number in _ENDING}
        before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
        for number in before:
            signal.signal(number, handing.take)
    try:
        yield handing
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
