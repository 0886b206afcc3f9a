"""Jobs of a sweep that differ in nothing but the seed, and what came out over all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

from anew.runner.attached.aims import is_finite
from anew.runner.dataclass import dataclass
from anew.runner.records import Status
from anew.runner.sweep_records import Aim, SweepJob


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """
    A number over several jobs.

    Attributes:
        n: How many jobs have it.
        mean, min, max: Of these.
        std: The standard deviation of a sample, with n - 1 in the denominator; None of one job.
    """

    n: int
    mean: float
    std: float | None
    min: float
    max: float

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"mean": self.mean, "std": self.std, "n": self.n, "min": self.min, "max": self.max}


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """
    Jobs that differ in nothing but the seed.

    Attributes:
        overrides: What they have in common, in order.
        jobs: Their indices.
        result: Over what main returned, or what a search goes by; None where that is no finite number for any job.
        metrics: The same of the last value of each metric.
    """

    overrides: tuple[str, ...]
    jobs: tuple[int, ...]
    result: Spread | None
    metrics: Mapping[str, Spread] = field(default_factory=dict)

    def of(self, by: str | None) -> Spread | None:
        """Return the spread of a metric; of the result without its name."""
        return self.result if by is None else self.metrics.get(by)


def groups_of(jobs: Iterable[SweepJob], *, by: str | None = None, aim: Aim | None = None) -> list[Group]:
    """
    Return groups of jobs; none where no two jobs differ in the seed alone.

    Only jobs that came to their end count: a pruned one has no result, nor has one that failed.

    Args:
        jobs: Of one sweep.
        by: The metric that says which is best; None for the result.
        aim: Which is best, and so comes first; without it they are in the order of their jobs.
    """
    found: dict[tuple[str, ...], list[SweepJob]] = {}
    for job in sorted(jobs, key=lambda each: each.index):
        found.setdefault(tuple(each for each in job.overrides if not is_seed(each)), []).append(job)
    if all(len(each) < 2 for each in found.values()):
        return []
    groups = [_group(overrides, each, aim or Aim(None)) for overrides, each in found.items()]
    if aim is None or aim.direction is None:
        return groups
    sign = 1 if aim.direction == "minimize" else -1

    def key(group: Group) -> tuple[bool, float]:
        spread = group.of(by)
        return (True, 0.0) if spread is None else (False, sign * spread.mean)

    return sorted(groups, key=key)


def is_seed(override: str) -> bool:
    """Whether an override gives a seed: `seed=3`, `train.seed=3`, `anew.seed=3`."""
    return override.lstrip("+~").partition("=")[0].rpartition(".")[2] == "seed"


def _group(overrides: tuple[str, ...], jobs: Sequence[SweepJob], aim: Aim) -> Group:
    ended = [job for job in jobs if job.status is Status.COMPLETED and not job.pruned]
    names = dict.fromkeys(name for job in ended for name in job.metrics)

    def over(read: Callable[[SweepJob], Any]) -> Spread | None:
        return _spread([value for value in map(read, ended) if is_finite(value)])

    spreads = {name: over(lambda job, name=name: job.metrics.get(name)) for name in names}  # type: ignore[misc]
    return Group(
        overrides=overrides,
        jobs=tuple(job.index for job in jobs),
        result=over(aim.of),
        metrics={name: spread for name, spread in spreads.items() if spread is not None},
    )


def _spread(values: Sequence[Any]) -> Spread | None:
    try:
        numbers = [float(value) for value in values]
        mean = math.fsum(numbers) / len(numbers)
        squares = math.fsum((number - mean) ** 2 for number in numbers)
    except (OverflowError, ZeroDivisionError):
        return None  # none at all, or an int beyond what a float can be
    std = math.sqrt(squares / (len(numbers) - 1)) if len(numbers) > 1 else None
    return Spread(n=len(numbers), mean=mean, std=std, min=min(numbers), max=max(numbers))
