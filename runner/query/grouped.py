"""Runs in groups: those that are alike in some things, such as all but the seed, and what their metrics come to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.format.values import as_float, exact_form
from anew.runner.query.names import More, value_of
from anew.runner.records import RunRecord


@dataclass(frozen=True, slots=True)
class Spread:
    """
    What the numbers of a group come to; NaN where one of them is.

    Attributes:
        std: The sample's standard deviation (n - 1); None of a single number.
        n: How many runs have one.
    """

    mean: float
    std: float | None
    min: float
    max: float
    n: int


@dataclass(frozen=True, slots=True)
class Group:
    """
    Some runs.

    Attributes:
        by: Name -> what it is for all of them; None where they lack it.
        n: How many they are.
        metrics: Name -> what it comes to, of those that one of them has a number of.
        records: The runs, in the order in which they came.
    """

    by: Mapping[str, Any]
    n: int
    metrics: Mapping[str, Spread]
    records: tuple[RunRecord, ...] = ()


def grouped(
    records: Iterable[RunRecord], by: Sequence[str], names: Sequence[str], more: More | None = None
) -> list[Group]:
    """
    Return the groups of runs that are the same in what some names mean, in the order in which the first of each comes.

    Args:
        records: The runs.
        by: Names of the filter language.
        names: What is told of each group.
        more: See `names.More`.
    """
    groups: dict[tuple[str, ...], tuple[dict[str, Any], list[RunRecord]]] = {}
    for record in records:
        key = {name: value_of(record, name, more) for name in by}
        groups.setdefault(tuple(map(exact_form, key.values())), (key, []))[1].append(record)
    return [
        Group(
            key,
            len(members),
            {name: found for name in names if (found := _spread(members, name, more)) is not None},
            tuple(members),
        )
        for key, members in groups.values()
    ]


def without_repeats(where: str, names: Iterable[str]) -> str:
    """Return a filter without what was run once more, or to find a cause: no samples, unless *names* are of that."""
    rest = [f"{name} == none" for name in ("rerun_of", "why") if name not in names]
    return " and ".join([*([f"({where})"] if where.strip() else []), *rest])


def _spread(records: Sequence[RunRecord], name: str, more: More | None) -> Spread | None:
    values = [value_of(record, name, more) for record in records]
    numbers = [as_float(value) for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if not numbers:
        return None
    n = len(numbers)
    known = [number for number in numbers if number == number] or [math.nan]
    try:
        mean = math.fsum(numbers) / n
        std = math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / (n - 1)) if n > 1 else None
    except (OverflowError, ValueError):  # infinities of both signs, or a sum that is none yet of what is
        mean, std = sum(numbers) / n, math.nan if n > 1 else None
    return Spread(mean, std, min(known), max(known), n)
