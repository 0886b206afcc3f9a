"""
Runs that no main's return ends: who ends them, when nobody says so.

The interpreter tells of an exception (`sys.excepthook`), of `sys.exit` and of its end (`atexit`), IPython of each cell
that has ended. A signal is an exception first; the guard has the last word, as with any run.
"""

from __future__ import annotations

import atexit
import dis
import os
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from anew.runner.errors import AnewError, RunStateError
from anew.runner.run.enclosing import inner
from anew.runner.run.hang_ups import HangUps
from anew.runner.run.lifecycle import Begun
from anew.runner.wording import say


class OpenRun:
    """
    A run between its beginning and its end, in the process and the thread that began it.

    Args:
        begun: The run.
        on_end: Called when it has ended.
    """

    def __init__(self, begun: Begun, on_end: Callable[[], object]) -> None:
        self.begun = begun
        self.is_held = False
        self._on_end = on_end
        self._process = os.getpid()
        self._thread = threading.current_thread()

    @property
    def is_here(self) -> bool:
        """Whether this is the process that began it; a forked child is none."""
        return os.getpid() == self._process

    @property
    def is_mine(self) -> bool:
        """Whether this is the thread that began it."""
        return threading.current_thread() is self._thread

    def hold(self) -> None:
        """Leave its end to a `with` block."""
        self.is_held = True

    def end(self, failure: BaseException | None) -> None:
        """
        End it, and before that those which were begun in it; do nothing when it has ended, or in a forked child.

        Raises:
            RunStateError: Another thread began it.
            UnkeptError: Something of it is not on record.
        """
        if not self.is_here or self not in open_runs.runs:
            return
        if not self.is_mine:
            raise RunStateError(
                f"Run {self.begun.run.id} was begun in the thread {self._thread.name!r}, and is to be ended there."
            )
        while self in open_runs.runs:
            open_runs.runs[-1].end_alone(failure)

    def end_alone(self, failure: BaseException | None) -> None:
        """End it; a Ctrl-C may break that off, and it is ended all the same."""
        try:
            self.begun.end(failure)
        finally:
            open_runs.remove(self)
            self._on_end()

    def end_with_main(self, failure: BaseException | None) -> None:
        """End it with the main that it was begun in, which has raised, or returned; say what is not on record."""
        if self.is_here and self.is_mine and self in open_runs.runs:
            try:
                self.end_alone(failure)
            except AnewError as error:
                say(str(error))


class OpenRuns:
    """
    The open runs of this process, the innermost last, and what tells of their end.

    Attributes:
        runs: They.
        turn: Held from the look at whether there is one to the moment when the next is among them: of threads that
            begin runs at once, one does, and the others are told of it.
    """

    def __init__(self) -> None:
        self.runs: list[OpenRun] = []
        self.turn = threading.RLock()
        os.register_at_fork(after_in_child=self._renew)
        self._hang_ups = HangUps()
        self._process = 0
        self._last: BaseException | None = None
        self._program: FrameType | None = None
        self._excepthook: Callable[..., Any] = sys.excepthook
        self._exit: Callable[..., Any] = sys.exit

    def _renew(self) -> None:
        """In a forked child the thread that had its turn is none any more."""
        self.turn = threading.RLock()

    def add(self, run: OpenRun) -> None:
        """Take a run, and be told of what ends it."""
        self.runs.append(run)
        inner.ends.append(run.end_with_main)
        self._hang_ups.start()
        if self._process != os.getpid():
            self._process = os.getpid()
            self._listen()

    def remove(self, run: OpenRun) -> None:
        """Forget a run that has ended."""
        if run in self.runs:
            self.runs.remove(run)
        if run.end_with_main in inner.ends:
            inner.ends.remove(run.end_with_main)
        if not self.runs:
            self._hang_ups.stop()

    def leave_off(self) -> None:
        """
        End the innermost run as COMPLETED, where nothing but the next one's beginning would.

        Raises:
            RunStateError: It is another thread's.
            UnkeptError: Something of it is not on record.
        """
        if self._process != os.getpid():
            self.runs.clear()  # in a forked child
        if not self.runs:
            return
        last = self.runs[-1]
        if not last.is_mine:
            raise RunStateError(
                f"Run {last.begun.run.id} is going on in another thread of this process, and there can be one at a "
                "time. End it first, with run.finish(), or begin the next in a process of its own."
            )
        if not last.is_held:
            last.end(self._last)
            self._last = None

    def _listen(self) -> None:
        atexit.register(self._at_exit)
        self._program = _program()
        self._excepthook, sys.excepthook = sys.excepthook, self._on_exception
        self._exit = sys.exit
        vars(sys)["exit"] = self._on_sys_exit
        shell_of = getattr(sys.modules.get("IPython"), "get_ipython", None)
        shell = shell_of() if shell_of is not None else None
        if shell is not None and hasattr(shell, "events"):
            shell.events.register("post_run_cell", self._on_cell)

    def _on_exception(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        # first, so that what is printed of it is of the run
        self._excepthook(kind, error, trace)
        self._end_all(error)

    def _on_sys_exit(self, status: Any = None, /) -> None:
        try:
            self._exit(status)
        except SystemExit as error:
            self._last = error
            raise

    def _on_cell(self, result: Any) -> None:
        """A cell has ended: interrupted, so are the runs; another error is theirs if nothing better comes after it."""
        error = result.error_before_exec or result.error_in_exec
        if isinstance(error, KeyboardInterrupt):
            self._end_all(error)
        else:
            self._last = error

    def _at_exit(self) -> None:
        last = self._last
        # of what was caught the program knows better
        is_over = isinstance(last, SystemExit) and _came_to_its_end(self._program)
        self._end_all(None if is_over else last)

    def _end_all(self, failure: BaseException | None) -> None:
        """End all runs of this process, whoever asks."""
        while self.runs and self._process == os.getpid():
            try:
                self.runs[-1].end_alone(failure)
            except AnewError as error:
                say(str(error))


def _program() -> FrameType | None:
    """Return the frame of the program's own code, below which this is called; None where there is none."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and not (
        frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") == "__main__"
    ):
        frame = frame.f_back
    return frame


def _came_to_its_end(frame: FrameType | None) -> bool:
    """Whether what a frame ran, which is over, ended with its last line, and not by an exception."""
    return frame is None or dis.opname[frame.f_code.co_code[frame.f_lasti]].startswith("RETURN")


open_runs = OpenRuns()
