"""A search's study in its storage: making and finding it and its trials."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner.errors import ConfigError, StoreError
from anew.runner.search.extra import without_announcements
from anew.runner.search.record import SearchRecord
from anew.runner.search.samplers import derived_seed, make_pruner, make_sampler
from anew.runner.search.spaces import Choices, Parameter, distributions
from anew.runner.search.storage import open_storage

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial

INDEX = "index"
CONSTRAINTS = "constraints"  # as Optuna's samplers look for them
OWNER = "search"


class StudyOf:
    """
    The study of one search.

    A study may hold trials that are not of this search, from which it learns; they are passed over here. To be used in
    one thread; other processes may add to the same study.

    Args:
        sweep: The folder of the sweep.
        record: What is known of the search.
        beside: How many jobs there are at a time.
        reading: Write nothing.

    Attributes:
        is_exhausted: Whether the sampler has said that there is nothing left to try.

    Raises:
        MissingExtraError: Optuna is not installed.
        StoreError: The storage cannot be opened.
    """

    def __init__(self, sweep: Path, record: SearchRecord, *, beside: int = 1, reading: bool = False) -> None:
        self.record = record
        self.storage = open_storage(sweep, record.place, reading=reading)
        self._beside = beside
        self.is_exhausted = False

    def exists(self) -> bool:
        """Whether it has been made."""
        return any(each.study_name == self.record.study for each in self.storage.get_all_studies())

    def make(self) -> None:
        """Make it unless it is there. Raises ConfigError when it is there with other directions."""
        from optuna.exceptions import DuplicatedStudyError
        from optuna.study import StudyDirection

        wanted = [StudyDirection[direction.upper()] for direction in self.record.directions]
        try:
            with without_announcements():
                self.storage.create_new_study(wanted, self.record.study)
        except DuplicatedStudyError:
            if self.storage.get_study_directions(self._id) != wanted:
                raise ConfigError(
                    f"The study {self.record.study!r} in {self.record.storage!r} has other directions than "
                    f"{', '.join(self.record.directions)}. To begin another: hydra.sweeper.study_name=NAME",
                    key="hydra.sweeper.direction",
                ) from None
        self.storage.set_study_user_attr(self._id, "seed", self.record.seed)
        self.storage.set_study_user_attr(self._id, "sampler", self.record.sampler.name)

    def open(self, index: int) -> Study:
        """Return it with the sampler for one job. A study remembers the trials it saw, so it is not kept."""
        import optuna

        study = optuna.load_study(
            study_name=self.record.study,
            storage=self.storage,
            sampler=self._sampler(index),
            pruner=make_pruner(self.record.pruner),
        )
        # a sampler with nothing left to propose ends Optuna's own loop, which does not run here
        study.stop = self._stop  # type: ignore[method-assign]
        return study

    def latest(self) -> dict[int, FrozenTrial]:
        """Return the trial of each job by its index: of a job that was run again, the last."""
        trials = self.storage.get_all_trials(self._id, deepcopy=False)
        own = [each for each in trials if each.user_attrs.get(OWNER) == self.record.uid]
        return {int(each.user_attrs[INDEX]): each for each in own}

    def trial(self, number: int) -> FrozenTrial:
        """Return a trial as it stands."""
        return self.storage.get_trial(self.trial_id(number))

    def trial_id(self, number: int) -> int:
        """Return what its storage knows a trial by."""
        return self.storage.get_trial_id_from_study_id_trial_number(self._id, number)

    def add(self, index: int, **content: Any) -> int:
        """
        Add a trial of a job, at once with its index, so that none is ever without; return its number.

        Args:
            index: The job.
            content: As `optuna.trial.create_trial` takes it.
        """
        from optuna.trial import create_trial

        template = create_trial(user_attrs={INDEX: index, OWNER: self.record.uid}, **content)
        return self.storage.get_trial(self.storage.create_new_trial(self._id, template)).number

    def propose(self, index: int, number: int, parameters: Sequence[Parameter]) -> dict[str, Any]:
        """
        Have the sampler give a trial the values that it has not got yet; return all of them.

        A trial that was left half made gets the values that it would have got: what is proposed for all parameters
        together follows from the job's index, and what is proposed for one alone from the index and the name.

        Args:
            index: The job.
            number: Its trial.
            parameters: What is searched for, those first that others wait for.
        """
        from optuna.trial import Trial

        study = self.open(index)
        trial = Trial(study, self.trial_id(number))
        _ = trial.relative_params  # those for all together; made when asked for
        spaces = distributions(parameters)
        chosen: dict[str, str] = {}
        for each in parameters:
            if each.is_asked(chosen):
                study.sampler = self._sampler(index, each.name)
                _suggest(trial, each.name, spaces[each.name])
                if isinstance(each.space, Choices):
                    chosen[each.name] = each.text(trial.params[each.name])
        return trial.params

    def constrain(self, number: int, violations: Sequence[float] | None) -> None:
        """
        Say of a trial that is about to end by how much it misses each constraint; from 0 down it meets it.

        None is for one that was stopped before it could be told, which meets none of them.
        """
        if self.record.constraints:
            self.storage.set_trial_system_attr(self.trial_id(number), CONSTRAINTS, self._violations(violations))

    def note(self, number: int, text: str) -> None:
        """Say of a trial that has not ended why it is about to fail."""
        self.storage.set_trial_user_attr(self.trial_id(number), "note", text)

    def _sampler(self, *path: int | str) -> BaseSampler:
        return make_sampler(
            self.record.sampler,
            derived_seed(self.record.seed, *path),
            constraints=self._constraints_of if self.record.constraints else None,
            beside=self._beside,
        )

    def _violations(self, found: Sequence[float] | None) -> list[float]:
        return [sys.float_info.max] * len(self.record.constraints) if found is None else list(found)

    def _constraints_of(self, trial: FrozenTrial) -> Sequence[float]:
        return tuple(self._violations(trial.system_attrs.get(CONSTRAINTS)))

    def _stop(self) -> None:
        self.is_exhausted = True

    @property
    def _id(self) -> int:
        try:
            return self.storage.get_study_id_from_name(self.record.study)
        except KeyError as error:
            raise StoreError(
                f"There is no study {self.record.study!r} in {self.record.storage!r}.", path=self.record.storage
            ) from error


def _suggest(trial: Trial, name: str, wanted: BaseDistribution) -> None:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(wanted, CategoricalDistribution):
        trial.suggest_categorical(name, wanted.choices)
    elif isinstance(wanted, IntDistribution):
        trial.suggest_int(name, wanted.low, wanted.high, step=wanted.step, log=wanted.log)
    elif isinstance(wanted, FloatDistribution):
        trial.suggest_float(name, wanted.low, wanted.high, step=wanted.step, log=wanted.log)
