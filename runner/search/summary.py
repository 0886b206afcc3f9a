"""What a search has found, for people and programs."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, field, replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner.attached.aims import beats
from anew.runner.dataclass import dataclass
from anew.runner.errors import AnewError, StoreError, ValueRefusedError
from anew.runner.format import serial
from anew.runner.search.extra import allow_experiments, need, without_announcements
from anew.runner.search.files import SearchFiles, read_json, read_regular, write_json
from anew.runner.search.record import SearchRecord, read_record
from anew.runner.search.storage import JOURNAL, lies_within
from anew.runner.search.study import CONSTRAINTS, StudyOf
from anew.runner.wording import in_a_line

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_ENOUGH = 4
_TOP = 5  # of fewer good jobs nothing can be said of what they have in common


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """One job of a search: its index, the value of each objective, and its parameters."""

    index: int
    values: tuple[float, ...]
    params: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSummary:
    """
    How a search stands.

    Attributes:
        directions: "minimize" or "maximize", for each objective.
        sampler: The sampler's name.
        seed: What its proposals follow from.
        wanted: How many jobs it is to have.
        n_trials: How many jobs there are by state: "COMPLETE", "FAIL", "PRUNED", "RUNNING"; of a job that was run
            again the last time counts.
        best: The best job, the first of those that are equal; for several objectives those that no other one beats.
        importance: How much of what came out each parameter accounts for, most first; the shares sum up to 1. Of
            several objectives the mean. Empty when fewer than 4 jobs have come to their end.
        unopened: The storage that was not opened, so that no more is known.
    """

    directions: tuple[str, ...]
    sampler: str
    seed: int
    wanted: int
    n_trials: Mapping[str, int] = field(default_factory=dict)
    best: tuple[Found, ...] = ()
    importance: Mapping[str, float] = field(default_factory=dict)
    unopened: str = ""


def summary(sweep_folder: Path, *, trusted: bool = False) -> SearchSummary | None:
    """
    Return how the search of a sweep stands, also while it goes on; None when there is none.

    Args:
        sweep_folder: The sweep's.
        trusted: Open whatever storage the record names. Else one inside the folder only: a record may be anybody's, and
            a URL leads to any library and server, a path to any file, which would be made, locked and cut.

    Raises:
        MissingExtraError: Optuna is not installed.
        StoreError: The search cannot be read.
    """
    record = read_record(sweep_folder)
    if record is None:
        return None
    if (kept := _kept(sweep_folder, record)) is not None:
        return kept
    need("optuna")
    plain = SearchSummary(
        directions=record.directions, sampler=record.sampler.name, seed=record.seed, wanted=record.n_trials
    )
    if not trusted and not lies_within(sweep_folder, record.place):
        return replace(plain, unopened=record.storage)
    try:
        study = StudyOf(sweep_folder, record, reading=True)
        trials = study.latest() if study.exists() else None
        return plain if trials is None else _told(record, trials)
    except AnewError:
        raise
    except Exception as error:
        # it may be damaged in any way, and Optuna raises what comes of that
        raise StoreError(
            f"The search in {str(sweep_folder)!r} cannot be read, its storage {record.storage!r} is damaged: "
            f"{in_a_line(f'{type(error).__name__}: {error}')}. What its jobs came to: anew sweep show",
            path=str(sweep_folder),
        ) from error


@dataclass(frozen=True, slots=True)
class Searched:
    """
    What a search has learnt, read when it is asked for.

    Attributes:
        sweep_folder: The sweep's.
        trusted: As for `summary`.
    """

    sweep_folder: Path
    trusted: bool = False

    def importance(self) -> Mapping[str, float]:
        """Return the share of each parameter; see `SearchSummary.importance`. Raises MissingExtraError, StoreError."""
        found = summary(self.sweep_folder, trusted=self.trusted)
        if found is not None and found.unopened:
            raise self._refusal(found.unopened)
        return {} if found is None else found.importance

    def study(self) -> Study | None:
        """Return a copy of the study in memory, of the latest trial of each job. Raises as `importance`."""
        record = read_record(self.sweep_folder)
        if record is None:
            return None
        need("optuna")
        if not self.trusted and not lies_within(self.sweep_folder, record.place):
            raise self._refusal(record.storage)
        import optuna
        from optuna.study import StudyDirection

        study = StudyOf(self.sweep_folder, record, reading=True)
        trials = study.latest() if study.exists() else {}
        with without_announcements():
            directions = [StudyDirection[each.upper()] for each in record.directions]
            copy = optuna.create_study(study_name=record.study, directions=directions)
        for _, trial in sorted(trials.items()):
            copy.add_trial(trial)
        return copy

    def _refusal(self, storage: str) -> StoreError:
        return StoreError(
            f"The search of {str(self.sweep_folder)!r} is kept in {storage!r}, where a record that is not yours leads. "
            "To look at it: anew sweep show --trust",
            path=str(self.sweep_folder),
        )


def keep(sweep_folder: Path, found: SearchSummary) -> None:
    """Write down what a search has found, for whoever asks later: to work it out takes Optuna and all it imports."""
    record = read_record(sweep_folder)
    digest = None if record is None else _digest(sweep_folder, record)
    # it is had without, too
    with suppress(StoreError, ValueRefusedError):
        if digest is not None:
            write_json(SearchFiles(sweep_folder).summary, {"of": digest, "found": serial.to_json(found)})


def _kept(sweep_folder: Path, record: SearchRecord) -> SearchSummary | None:
    """Return what was written down, where it is that, and the search is still the one that it was written of."""
    with suppress(StoreError, KeyError, TypeError, ValueError, AttributeError):
        values = read_json(SearchFiles(sweep_folder).summary)
        if values is None or values["of"] is None or values["of"] != _digest(sweep_folder, record):
            return None
        return serial.from_json(SearchSummary, values["found"])
    return None


def _digest(sweep_folder: Path, record: SearchRecord) -> str | None:
    """Return a digest of a search and of its storage; None where that is no file of the sweep's."""
    if record.storage != JOURNAL:
        return None
    with suppress(OSError):
        return hashlib.sha256(serial.seal(asdict(record)) + read_regular(sweep_folder / JOURNAL)).hexdigest()
    return None


def _told(record: SearchRecord, trials: Mapping[int, FrozenTrial]) -> SearchSummary:
    return SearchSummary(
        directions=record.directions,
        sampler=record.sampler.name,
        seed=record.seed,
        wanted=record.n_trials,
        n_trials=dict(sorted(Counter(each.state.name for each in trials.values()).items())),
        best=best_of(trials, record),
        importance=_importance(trials, record.directions),
    )


def results(found: SearchSummary) -> dict[str, Any]:
    """Return what `optimization_results.yaml` says: plain values, as other sweepers on Optuna write them."""
    if len(found.directions) > 1:
        solutions = [{"params": dict(each.params), "values": list(each.values)} for each in found.best]
        return {"name": "optuna", "solutions": solutions}
    best = found.best[0] if found.best else None
    return {
        "name": "optuna",
        "best_params": dict(best.params) if best else {},
        "best_value": best.values[0] if best else None,
    }


def best_of(trials: Mapping[int, FrozenTrial], record: SearchRecord) -> tuple[Found, ...]:
    """Return the best of the latest trials by index, of those that meet the constraints; see `SearchSummary.best`."""
    directions = record.directions
    complete = [
        Found(index=index, values=tuple(trial.values or ()), params=dict(trial.params))
        for index, trial in sorted(trials.items())
        if trial.state.name == "COMPLETE" and all(each <= 0 for each in trial.system_attrs.get(CONSTRAINTS) or ())
    ]
    signs = [1 if direction == "minimize" else -1 for direction in directions]
    costs = [tuple(sign * value for sign, value in zip(signs, each.values, strict=True)) for each in complete]
    if len(directions) == 1:
        return (complete[costs.index(min(costs))],) if complete else ()
    return tuple(
        each for each, cost in zip(complete, costs, strict=True) if not any(beats(other, cost) for other in costs)
    )


def _importance(trials: Mapping[int, FrozenTrial], directions: Sequence[str]) -> dict[str, float]:
    complete = [trial for _, trial in sorted(trials.items()) if trial.state.name == "COMPLETE"]
    total: dict[str, float] = {}
    for place, direction in enumerate(directions):
        for name, share in _importance_for(complete, place, direction).items():
            total[name] = total.get(name, 0.0) + share / len(directions)
    return dict(sorted(total.items(), key=lambda pair: -pair[1]))


def _importance_for(complete: Sequence[FrozenTrial], place: int, direction: str) -> dict[str, float]:
    """Return the share of each parameter in one objective; none when it is the same for all jobs."""
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    values = {index: (trial.values or ())[place] for index, trial in enumerate(complete)}
    finite = {index: value for index, value in values.items() if math.isfinite(value)}
    if len(finite) < _ENOUGH or len(set(finite.values())) == 1:
        return {}
    # One objective, and those jobs alone that count: the study on disk also has attempts that were run again.
    with without_announcements():
        study = optuna.create_study(direction=optuna.study.StudyDirection[direction.upper()])
    for index, value in finite.items():
        trial = complete[index]
        study.add_trial(optuna.create_trial(params=trial.params, distributions=trial.distributions, value=value))
    share_of_good = max(0.1, min(0.5, _TOP / len(finite)))
    kind: Any = PedAnovaImportanceEvaluator
    is_new = "target_quantile" in signature(kind).parameters  # it has had both names in Optuna 4
    with allow_experiments():
        evaluator = kind(**{"target_quantile" if is_new else "baseline_quantile": share_of_good})
    return get_param_importances(study, evaluator=evaluator)
