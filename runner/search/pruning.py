"""Stopping a job that promises nothing, seen from the job's own process."""

from __future__ import annotations

import copy
import logging
import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from anew.runner.dataclass import dataclass
from anew.runner.errors import MissingExtraError, StoreError, ValueRefusedError
from anew.runner.search.files import SearchFiles, read_json, write_json
from anew.runner.search.samplers import make_pruner
from anew.runner.search.settings import Named
from anew.runner.search.storage import Place, open_storage

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.storages import BaseStorage

log = logging.getLogger(__name__)


def pruning_of(sweep_folder: Path, index: int) -> Pruning | None:
    """
    Return what a job of a sweep asks whether to stop; None when the sweep is no search.

    Costs one small read; Optuna is loaded with the first report, and only when the search has a pruner.

    Raises:
        StoreError: The job's file cannot be read.
    """
    files = SearchFiles(sweep_folder)
    values = read_json(files.trial(index))
    if values is None:
        return None
    pruner = values["pruner"]
    return Pruning(
        files,
        index,
        study=values["study"],
        place=Place(words=values["storage"], folder=values.get("folder")),
        number=values["trial"],
        directions=values["directions"],
        pruner=None if pruner is None else Named(**pruner),
    )


class Pruning:
    """
    What one job has reported, and whether it should stop.

    Without a pruner nothing is written and the answer is always no; so it is in a search with several objectives, which
    is said once. What goes wrong with the study's storage is said once too, and stops neither the job nor anything
    else. Safe between threads, and between processes that report about different jobs.

    Args:
        files: Of the search.
        index: The job.
        study: The study's name.
        place: Where the study is kept.
        number: The trial's number in the study.
        directions: "minimize" or "maximize", for each objective.
        pruner: What decides, or None.
    """

    def __init__(
        self,
        files: SearchFiles,
        index: int,
        *,
        study: str,
        place: Place,
        number: int,
        directions: Sequence[str],
        pruner: Named | None,
    ) -> None:
        self._files = files
        self._index = index
        self._name = study
        self._place = place
        self._number = number
        self._objectives = len(directions)
        self._pruner = pruner
        self._opened: _Opened | None = None
        self._reported: dict[int, float] = {}
        self._lock = RLock()
        self._active = pruner is not None and self._objectives == 1
        self._stopped = False
        self._said = False

    def report(self, value: float, step: int) -> None:
        """
        Report how it goes: the objective as it is at a step. At a step that was reported before, the last value counts.

        Raises:
            MissingExtraError: Optuna is not installed here.
            ValueRefusedError: The step is negative, or one of the two is no number.
        """
        number, place = point_of(value, step)
        with self._lock:
            self._reported[place] = number
            if self._active:
                self._guard(lambda opened: opened.storage.set_trial_intermediate_value(opened.trial, place, number))

    def should_stop(self) -> bool:
        """
        Return whether the job had better end here, by what was reported so far; once so, always so.

        Raises:
            MissingExtraError: Optuna is not installed here.
        """
        with self._lock:
            if self._objectives > 1 and not self._said:
                self._said = True
                log.warning("A search with several objectives stops no job early: should_stop() is False")
            if self._active and not self._stopped and self._reported:
                self._guard(self._decide)
            return self._stopped

    def _decide(self, opened: _Opened) -> None:
        trial = copy.copy(opened.storage.get_trial(opened.trial))
        # A killed attempt at the same job may have left reports of later steps, which are not this one's.
        trial.intermediate_values = dict(self._reported)
        if opened.pruner.prune(opened.study, trial):
            self._mark()

    def stop(self) -> None:
        """Take note that the job ended itself as one that is pruned."""
        with self._lock:
            try:
                self._mark()
            except StoreError as error:
                log.warning("Job %d is not known to the search as pruned: %s", self._index, error)

    def _mark(self) -> None:
        write_json(self._files.stop_mark(self._index), {"step": max(self._reported, default=None)})
        self._stopped = True

    @property
    def has_stopped(self) -> bool:
        """Whether the job was told to stop, by whatever process of it."""
        return self._stopped or self._files.stop_mark(self._index).exists()

    def _guard(self, act: Callable[[_Opened], object]) -> None:
        try:
            if self._opened is None:
                self._opened = self._open()
            act(self._opened)
        except MissingExtraError:
            raise
        except Exception as error:
            # The search may have given the job up, or its folder is out of reach. The job itself is as good as before.
            self._active = False
            log.warning("Job %d is not stopped early any more: %s: %s", self._index, type(error).__name__, error)

    def _open(self) -> _Opened:
        storage = open_storage(self._files.sweep, self._place)
        pruner = make_pruner(self._pruner)
        import optuna

        study = optuna.load_study(
            study_name=self._name, storage=storage, sampler=optuna.samplers.RandomSampler(), pruner=pruner
        )
        number = storage.get_trial_id_from_study_id_trial_number(
            storage.get_study_id_from_name(self._name), self._number
        )
        return _Opened(storage=storage, study=study, pruner=pruner, trial=number)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Opened:
    """A job's trial in its study."""

    storage: BaseStorage
    study: Study
    pruner: BasePruner
    trial: int


def point_of(value: float, step: int) -> tuple[float, int]:
    """Return what was reported as numbers. Raises ValueRefusedError: they are none, or the step is negative."""
    try:
        number, place = float(value), operator.index(step)
    except (TypeError, ValueError) as error:
        raise ValueRefusedError(
            f"report() takes a number and a whole number, its step; it was given {value!r} and {step!r}."
        ) from error
    if place < 0:
        raise ValueRefusedError(f"report() takes steps from 0 on; it was given step {step!r}.", step=step)
    return number, place
