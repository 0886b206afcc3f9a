"""Whether a run is to stop before its end: what its search says, or what the run was told that it repeats."""

from __future__ import annotations

import operator
import os
import sys
import threading
from collections import Counter
from types import ModuleType
from typing import TYPE_CHECKING, Any

from anew.runner import events as ev
from anew.runner.format import serial
from anew.runner.records import Stop
from anew.runner.run.recorder import Recorder
from anew.runner.store.paths import RunLayout, StoreLayout

if TYPE_CHECKING:
    from anew.runner.search.pruning import Pruning

_UNKNOWN: Any = object()


class Stopping:
    """
    What one process of a run has reported, and what it was answered; the first yes of each thread goes on record.

    Safe between threads; a forked child counts its own questions.

    Args:
        recorder: Of the run, in this process.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._lock = threading.RLock()
        self._search: Any = _UNKNOWN
        self._told: tuple[Stop, ...] = ()
        self._step: int | None = None
        is_own = recorder.writer == ev.MAIN_WRITER
        # main may be run by any thread, and what a child runs first is its main thread
        self._home = threading.get_ident() if is_own else threading.main_thread().ident
        self._own_process = os.getpid() if is_own else None
        self._process = os.getpid()
        self._threads: dict[int | None, int] = {self._home: 0}
        self._asked: Counter[int] = Counter()
        self._answered: set[int] = set()

    @property
    def is_due(self) -> bool:
        """Whether the run was told to stop, here or, in a search, by whatever process of it."""
        return bool(self._answered) or (self._search not in (_UNKNOWN, None) and self._search.has_stopped)

    def report(self, value: float, step: int) -> None:
        """Take an intermediate value of a run of a search. Raises as `Pruning.report`."""
        with self._lock:
            search = self._searched()
            if search is not None:
                search.report(value, step)
            elif self._told:
                _of_searches().point_of(value, step)
            else:
                return
            number = operator.index(step)
            self._step = number if self._step is None else max(self._step, number)

    def should_stop(self) -> bool:
        """Answer whether main is to return. Raises MissingExtraError."""
        with self._lock:
            search = self._searched()
            if search is None and not self._told:
                return False
            self._begin_in_child()
            thread = self._threads.setdefault(threading.get_ident(), len(self._threads))
            self._asked[thread] += 1
            answer = search.should_stop() if search is not None else self._was_told(thread)
            if answer and thread not in self._answered:
                self._answered.add(thread)
                self._recorder.add(ev.ToldToStop, asked=self._asked[thread], **self._where(thread))
            return answer

    def give_up(self) -> None:
        """Take note that main ended itself as one that is pruned."""
        with self._lock:
            search = self._searched()
            if search is not None:
                search.stop()
            if not self._answered:
                self._answered.add(0)
                self._recorder.add(ev.ToldToStop, asked=0)

    def _where(self, thread: int) -> dict[str, int]:
        return {
            **({} if self._step is None else {"step": self._step}),
            **({"thread": thread} if thread else {}),
        }

    def _begin_in_child(self) -> None:
        """Count anew in a child that was forked."""
        if os.getpid() == self._process:
            return
        self._process = os.getpid()
        self._home = threading.main_thread().ident
        self._threads = {self._home: 0}
        self._asked.clear()
        self._answered.clear()

    def _was_told(self, thread: int) -> bool:
        is_own = os.getpid() == self._own_process
        asked = self._asked[thread]
        return any(_applies(stop, asked, self._step, thread) for stop in self._told if stop.own is is_own)

    def _searched(self) -> Pruning | None:
        """Return what may stop the run: its sweep, by its record, where that is a search."""
        if self._search is _UNKNOWN:
            self._search, self._told = _asked_of(self._recorder.layout)
        found: Pruning | None = self._search
        return found


def _applies(stop: Stop, asked: int, step: int | None, thread: int) -> bool:
    """Whether a question comes at or after the one that was answered yes on record."""
    has_reported = stop.step is None or (step is not None and step >= stop.step)
    if stop.own and stop.asked:
        return stop.thread == thread and asked >= stop.asked
    # which of several children it is cannot be told from one run to the next
    return asked >= stop.asked and has_reported


def _asked_of(layout: RunLayout) -> tuple[Pruning | None, tuple[Stop, ...]]:
    record = serial.record_from_start(serial.unseal(layout.record.read_bytes()))
    if record.rerun_of is not None:
        return None, record.rerun_of.stops
    if record.sweep is None or record.sweep.id is None:
        return None, ()
    return _of_searches().pruning_of(
        StoreLayout(layout.folder.parent).sweep(record.sweep.id).folder, record.sweep.index
    ), ()


def _of_searches() -> ModuleType:
    """Return the module that jobs of searches ask; a run outside of a search does without what comes with it."""
    from anew.runner.search import pruning

    return pruning


def ended_itself(failure: BaseException) -> bool:
    """Whether main raised what Optuna has for a trial that is pruned."""
    exceptions = sys.modules.get("optuna.exceptions")
    return exceptions is not None and isinstance(failure, exceptions.TrialPruned)
