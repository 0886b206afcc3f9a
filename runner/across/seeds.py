"""Runs that differ in nothing but the seed, and whether what came of some differs from what came of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from anew.runner.across.statistics import Difference, Interval, Sample, Test, difference_of, sample_of, sentence
from anew.runner.attached.aims import direction_of, is_finite
from anew.runner.contracts import RunStore
from anew.runner.dataclass import dataclass
from anew.runner.errors import MetricNotFoundError, RunStateError
from anew.runner.format.values import exact_form
from anew.runner.records import RunRecord, Status
from anew.runner.store.choosing import choose
from anew.runner.wording import closest, printable, some

RESULT = "result"


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """
    Runs that are taken for repetitions of each other.

    Attributes:
        name: The word that named them.
        records: The runs, oldest first.
        unlike: The numbers of those that would be among them, had they the same source.
    """

    name: str
    records: tuple[RunRecord, ...]
    unlike: tuple[int, ...] = ()

    @property
    def runs(self) -> list[int]:
        """Their numbers."""
        return [record.id for record in self.records if record.id is not None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """
    Two groups beside each other.

    Attributes:
        metric: What is compared; `RESULT` for what main returned.
        groups: The two.
        samples: The numbers of each.
        difference: Of the second from the first.
        sentence: That in words.
    """

    metric: str
    groups: tuple[Group, Group]
    samples: tuple[Sample, Sample]
    difference: Difference
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "metric": self.metric,
            "groups": [
                {
                    "name": group.name,
                    "runs": group.runs,
                    "n": sample.n,
                    "values": list(sample.values),
                    "mean": sample.mean,
                    "std": sample.std,
                    "interval": _listed(sample.interval),
                }
                for group, sample in zip(self.groups, self.samples, strict=True)
            ],
            "difference": self.difference.value,
            "interval": _listed(self.difference.interval),
            "shown": self.difference.is_shown,
            "welch": _tested(self.difference.welch),
            "mann_whitney": _tested(self.difference.mann_whitney),
            "sentence": self.sentence,
        }


def _listed(interval: Interval | None) -> list[float] | None:
    return None if interval is None else list(interval)


def _tested(test: Test | None) -> dict[str, float] | None:
    return None if test is None else {"statistic": test.statistic, "p": test.p}


def without_seeds(config: Any) -> Any:
    """Return a configuration without the keys named seed, at any depth."""
    if isinstance(config, Mapping):
        return {key: without_seeds(value) for key, value in config.items() if key != "seed"}
    if isinstance(config, (list, tuple)):
        return [without_seeds(each) for each in config]
    return config


def repetitions(store: RunStore, record: RunRecord) -> list[RunRecord]:
    """Return the completed runs that differ from a run in the seed alone, itself among them, oldest first."""
    # the same configuration of other code is another experiment
    source = _source(record)
    return [each for each in _alike(store, record) if _source(each) == source]


def _alike(store: RunStore, record: RunRecord) -> list[RunRecord]:
    """Return the completed runs whose configuration differs from a run's in the seed alone, oldest first."""
    same = exact_form(without_seeds(record.config))
    return [
        store.get(each.uid)
        for each in reversed(store.find())
        if each.experiment == record.experiment
        and each.state == Status.COMPLETED.value
        and exact_form(without_seeds(each.config)) == same
    ]


def _source(record: RunRecord) -> frozenset[tuple[str, str]]:
    return frozenset((file.path, file.sha256) for file in record.source.files)


def group_of(store: RunStore, word: str) -> Group:
    """
    Return the runs that a word stands for: of one run all that differ from it in the seed alone.

    Raises:
        RunStateError: None of them has completed.
        AnewError: The word names none.
    """
    chosen = choose(store, [word])
    for _, error in chosen.refused:
        raise error
    records = [store.get(number) for number in chosen.numbers]
    unlike: tuple[int, ...] = ()
    if chosen.is_one:
        alike, source = _alike(store, records[0]), _source(records[0])
        records = [each for each in alike if _source(each) == source]
        unlike = tuple(each.id or 0 for each in alike if _source(each) != source)
    ended = sorted((each for each in records if each.state == Status.COMPLETED.value), key=lambda each: each.started_at)
    if not ended:
        raise RunStateError(
            f"Of the runs that {word!r} stands for none has completed, so that there is nothing to compare."
        )
    return Group(name=f"run {word}" if word.isdecimal() else word, records=tuple(ended), unlike=unlike)


def compared(first: Group, second: Group, metric: str | None = None, direction: str | None = None) -> Comparison:
    """
    Return how the second of two groups is beside the first.

    A run that repeats another with the very same seed, and came to the very same number, counts once.

    Args:
        first: A group.
        second: Another.
        metric: The metric whose last value is compared; None for the result, where that is a number.
        direction: Which is better, "minimize" or "maximize"; None for what the name says.

    Raises:
        MetricNotFoundError: No run of a group has such a metric, or a number as its result.
    """
    name = metric or RESULT
    samples = _sample(first, name), _sample(second, name)
    difference = difference_of(*samples)
    said = (
        direction or direction_of(name) or (_of_result([*first.records, *second.records]) if metric is None else None)
    )
    text = sentence(first.name, second.name, *samples, difference, said)
    return Comparison(metric=name, groups=(first, second), samples=samples, difference=difference, sentence=text)


def _sample(group: Group, name: str) -> Sample:
    # the re-run of a run says nothing that the run has not said
    numbers = {(each.seed, value): float(value) for each in group.records if is_finite(value := _number(each, name))}
    if not numbers:
        found = {metric for record in group.records for metric in record.metrics if is_finite(_number(record, metric))}
        names = sorted(found)
        near = closest(name, names)
        what = "returned a number" if name == RESULT else f"has a finite metric {name!r}"
        hint = f" Did you mean {near!r}?" if near else ""
        there = f"there are: {some([printable(each) for each in names], 20)}" if names else "they have no metrics"
        raise MetricNotFoundError(
            f"No completed run of {group.name} {what}; {there}.{hint} To compare one: --metric NAME",
            ref=group.name,
            name=name,
            candidates=tuple(names),
        )
    return sample_of([*numbers.values()])


def _number(record: RunRecord, name: str) -> Any:
    if name == RESULT and RESULT not in record.metrics:
        return record.result
    return record.metrics[name].last if name in record.metrics else None


def _of_result(records: Iterable[RunRecord]) -> str | None:
    """Return which result is better, by the names of the metrics that ended as the result of every run."""
    names: set[str] | None = None
    for record in records:
        same = {name for name, metric in record.metrics.items() if metric.last == record.result}
        names = same if names is None else names & same
    found = {direction for name in names or () if (direction := direction_of(name))}
    return found.pop() if len(found) == 1 else None


def pairs(groups: Sequence[Group]) -> list[tuple[Group, Group]]:
    """Return each group but the first beside the first."""
    return [(groups[0], each) for each in groups[1:]]
