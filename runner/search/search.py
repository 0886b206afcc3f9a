"""A search while it goes on: which job comes next, and what became of each."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner.errors import EXIT_FAILED, AnewError, StoreError, ValueRefusedError
from anew.runner.search.extra import need
from anew.runner.search.files import SearchFiles, write_json
from anew.runner.search.outcomes import NotComparableError, names_against, objectives, violations
from anew.runner.search.record import begin_record
from anew.runner.search.settings import SearchSettings
from anew.runner.search.spaces import Choices, grid_point, in_order
from anew.runner.search.study import CONSTRAINTS, StudyOf
from anew.runner.search.summary import best_of

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

log = logging.getLogger(__name__)


class SearchFailedError(AnewError, RuntimeError):
    """A search of which more jobs have failed than may; `failures` says how many."""

    exit_code = EXIT_FAILED

    @classmethod
    def after(cls, failures: int, settings: SearchSettings) -> SearchFailedError:
        """Return the error for a number of failures."""
        return cls(
            f"The search has ended: {failures} of {settings.n_trials} jobs failed, and "
            f"hydra.sweeper.max_failure_rate={settings.max_failure_rate:g} lets {settings.may_fail} fail.",
            failures=failures,
        )

    @classmethod
    def without_numbers(cls, index: int, why: str) -> SearchFailedError:
        """Return the error for a job that returned nothing to compare, as the next ones would."""
        return cls(f"The search has ended with job {index}: {why}", failures=1)


class Search:
    """
    The jobs of one search, by index from 0.

    A job has a trial in the study, whose number is the job's index unless the job failed and was run again. What a job
    is given depends on the seed, its index and what was learnt before, and is kept before the job begins: a search that
    was killed goes on as if it had not been. To be used in one thread, by one process at a time.

    Args:
        sweep: The folder of the sweep, which exists.
        settings: What is asked for.
        beside: How many jobs there are at a time.

    Attributes:
        record: What is known of it beside its trials.
        files: Where it is kept.
        unfit: The error for a job that returned nothing that can be compared, once there is one.

    Raises:
        MissingExtraError: Optuna is not installed.
        ConfigError: Another search was begun in this folder, or the sampler refuses its options.
        StoreError: The search cannot be kept.
    """

    def __init__(self, sweep: Path, settings: SearchSettings, *, beside: int = 1) -> None:
        need("optuna")
        self._settings = settings
        self._parameters = in_order(settings.parameters)
        self.files = SearchFiles(sweep)
        self._make_folder()
        self.record = begin_record(sweep, settings)
        self._study = StudyOf(sweep, self.record, beside=beside)
        self._study.make()
        self._numbers = {index: trial.number for index, trial in self._study.latest().items()}
        self._failed: set[int] = set()
        self._has_told = False
        self._has_warned = False
        self.unfit: SearchFailedError | None = None
        if not self._numbers:
            self._announce()

    @property
    def jobs(self) -> int:
        """How many jobs there are to be, over all starts; those that were begun are among them."""
        return max(self.record.n_trials, max(self._numbers, default=-1) + 1)

    @property
    def has_failed(self) -> bool:
        """Whether more jobs have failed than may, or one has come to nothing that can be compared."""
        return self.unfit is not None or len(self._failed) > self._settings.may_fail

    @property
    def is_over(self) -> bool:
        """Whether no further job is to begin, also where there are fewer than was asked for."""
        return self.has_failed or self._study.is_exhausted or self._has_stalled()

    def _has_stalled(self) -> bool:
        """Whether so many jobs in a row were no better than the best before that it is not worth going on."""
        patience = self._settings.patience
        if patience is None:
            return False
        trials = self._study.latest()
        best = max((each.index for each in best_of(trials, self.record)), default=-1)
        since = [index for index, trial in trials.items() if index > best and trial.state.is_finished()]
        if len(since) < patience:
            return False
        if not self._has_told:
            self._has_told = True
            than = f"was better than job {best}" if best >= 0 else "came to a result"
            log.info("The search ends: none of the last %d jobs %s (hydra.sweeper.patience)", len(since), than)
        return True

    @property
    def failure(self) -> SearchFailedError:
        """What has ended it, where that is so."""
        return self.unfit or SearchFailedError.after(self.failures, self._settings)

    @property
    def failures(self) -> int:
        """How many jobs are known to have failed, as far as this process has heard."""
        return len(self._failed)

    def has_begun(self, index: int) -> bool:
        """Whether a job was asked for, in this start or in one before."""
        return index in self._numbers

    def has_ended(self, index: int) -> bool:
        """Whether the result of a job is known, also that it failed."""
        number = self._numbers.get(index)
        return number is not None and self._study.trial(number).state.is_finished()

    def job(self, index: int) -> list[str]:
        """
        Return the overrides of a job: those that it was given before, or new ones.

        The file by which the job finds its trial is there when this returns.

        Raises:
            StoreError: It cannot be kept.
        """
        if index not in self._numbers:
            self._numbers[index] = self._study.add(index, state=_state("RUNNING"), system_attrs=self._fixed(index))
        number = self._numbers[index]
        trial = self._study.trial(number)
        params = trial.params
        if not trial.state.is_finished():
            params = self._study.propose(index, number, self._parameters)
            self._hand_over(index, number)
        return [
            item if isinstance(item, str) else item.override(params[item.name])
            for item in self._settings.items
            if isinstance(item, str) or item.name in params
        ]

    def take_up(self, index: int, *, again: bool) -> None:
        """
        Take note of a job whose result is known, before it is asked for in a later start.

        Args:
            index: The job.
            again: Whether it is about to be run once more. One that had failed gets a new trial with the same values.
        """
        trial = self._study.trial(self._numbers[index])
        if trial.state is not _state("FAIL"):
            return
        if not again:
            self._failed.add(index)
        else:
            fixed = {"fixed_params": dict(trial.params)}
            self._numbers[index] = self._study.add(index, state=_state("RUNNING"), system_attrs=fixed)

    def tell(self, index: int, returned: Any, metrics: Mapping[str, Any] | None = None) -> None:
        """Learn what main returned. What is no number makes the trial a failed one, and ends the search but for NaN."""
        try:
            values = objectives(returned, self.record.directions, names=self._settings.value, metrics=metrics)
            missed: tuple[float, ...] | None = violations(returned, self._settings.constraints, metrics)
        except ValueRefusedError as error:
            if not self.files.stop_mark(index).exists():
                if isinstance(error, NotComparableError):
                    self.unfit = self.unfit or SearchFailedError.without_numbers(index, error.message)
                self._give_up(index, error.message, "Job %d came to nothing that the search can compare: %s")
                return
            values, missed = (), None  # it was told to stop, and may have had nothing to return
        trial = self._study.trial(self._numbers[index])
        self._warn_of_reports(trial, returned, metrics)
        self._failed.discard(index)
        if not trial.state.is_finished():
            self._complete(index, trial, values, missed)
        elif trial.state is _state("FAIL"):
            self._numbers[index] = self._study.add(
                index,
                state=_state("COMPLETE"),
                params=dict(trial.params),
                distributions=dict(trial.distributions),
                values=list(values),
                system_attrs={CONSTRAINTS: list(missed)} if missed else {},
            )

    def _warn_of_reports(self, trial: FrozenTrial, returned: Any, metrics: Mapping[str, Any] | None) -> None:
        """Say once that what jobs report goes the other way than the search, as far as names tell."""
        if self.record.pruner is None or self._has_warned or trial.last_step is None:
            return
        (direction,) = self.record.directions
        names = names_against(trial.intermediate_values[trial.last_step], returned, metrics, direction)
        if names:
            self._has_warned = True
            log.warning(
                "Jobs report %s by run.report, and the search is to %s %s: the pruner (hydra.sweeper.pruner) stops its "
                "good jobs. Report what goes in the direction of the search, or leave the pruner out.",
                names[0], direction, *(self.record.value or ("what main returns",)),
            )  # fmt: skip

    def tell_failed(self, index: int, reason: str) -> None:
        """Learn that a job has failed."""
        self._give_up(index, reason, "Job %d of the search failed: %s")

    def _give_up(self, index: int, reason: str, words: str) -> None:
        self._failed.add(index)
        number = self._numbers[index]
        if self._study.trial(number).state.is_finished():
            return
        log.warning(words, index, reason)
        self._study.note(number, reason)
        self._study.open(index).tell(number, state=_state("FAIL"), skip_if_finished=True)

    def _complete(
        self, index: int, trial: FrozenTrial, values: tuple[float, ...], missed: tuple[float, ...] | None
    ) -> None:
        study = self._study.open(index)
        self._study.constrain(trial.number, missed)
        if self.files.stop_mark(index).exists():
            study.tell(trial.number, state=_state("PRUNED"), skip_if_finished=True)
        else:
            study.tell(trial.number, list(values), state=_state("COMPLETE"), skip_if_finished=True)

    def _fixed(self, index: int) -> dict[str, Any]:
        if self.record.sampler.name == "grid":
            return {"fixed_params": grid_point(self._settings.parameters, index)}
        return {"fixed_params": dict(self.record.points[index])} if index < len(self.record.points) else {}

    def _hand_over(self, index: int, number: int) -> None:
        values = {
            "study": self.record.study,
            "storage": self.record.storage,
            "folder": self.record.folder,
            "trial": number,
            "directions": list(self.record.directions),
            "pruner": None
            if self.record.pruner is None
            else {"name": self.record.pruner.name, "options": dict(self.record.pruner.options)},
        }
        # An attempt that was killed may have been told to stop; this one has not.
        self.files.stop_mark(index).unlink(missing_ok=True)
        write_json(self.files.trial(index), values)

    def _make_folder(self) -> None:
        try:
            self.files.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"Cannot make {str(self.files.folder)!r}: {error.strerror or error}") from error

    def _announce(self) -> None:
        if self.record.sampler.name == "cmaes":
            at_random = [each.name for each in self._settings.parameters if isinstance(each.space, Choices)]
            if at_random:
                log.warning("cmaes has no notion of choices: %s will be chosen at random", ", ".join(at_random))


def _state(name: str) -> Any:
    from optuna.trial import TrialState

    return TrialState[name]
