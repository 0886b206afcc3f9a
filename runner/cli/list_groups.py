"""`anew list --by`: a row for each group of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anew.runner.cli.context import print_json, saved_filter
from anew.runner.cli.render import csv_rows, markdown, plain_cell, remark_damage, say, table
from anew.runner.contracts import RunStore
from anew.runner.errors import FilterError
from anew.runner.format.values import number_to_json, plain
from anew.runner.query.columns import shared_metrics
from anew.runner.query.filters import parse_filter
from anew.runner.query.grouped import Group, Spread, grouped, without_repeats
from anew.runner.store.choosing import tell_left_out
from anew.runner.store.more import Beside
from anew.runner.wording import short

_NUMBERS = ("mean", "std", "min", "max")
_LEAST_METRICS = 4


def print_groups(
    store: RunStore, where: str, sort: str | None, by: Sequence[str], columns: Sequence[str], how: str
) -> None:
    """
    Print what the metrics of groups of runs come to.

    Args:
        store: Where the runs are.
        where: Which runs.
        sort: By the mean of which metric the groups are sorted; "-" before it for the largest first; else as the runs
            come, newest first.
        by: What the runs of a group are alike in.
        columns: What is told of each; else the metrics that most runs have, and the result where it is a number.
        how: "json", "csv", "markdown", or "" for people.

    Raises:
        FilterError: Groups are sorted by what is not told of them.
    """
    asked = parse_filter(where, saved_filter(store)).names
    records = store.find(without_repeats(where, (*asked, *by)))
    remark_damage(records, store.url)
    tell_left_out(store)
    names = [*columns] or [*shared_metrics(records, None if how else _LEAST_METRICS), "result"]
    key = sort.lstrip("-").strip() if sort else ""
    names += [key] if key and key not in (*names, *by, "n") else []
    groups = _sorted(grouped(records, by, names, Beside(store)), sort, key, by)
    told = [name for name in names if any(name in group.metrics for group in groups)]
    if how == "json":
        print_json([_to_json(group) for group in groups])
    elif how:
        header = [*by, "n", *(f"{name} {each}" for name in told for each in _NUMBERS)]
        rows = [[*map(plain_cell, group.by.values()), group.n, *_numbers(group, told)] for group in groups]
        (csv_rows if how == "csv" else markdown)(header, rows)
    elif not groups:
        say(f"No runs{' that match' if where else ''} in {store.url}.")
    else:
        header = [*by, "n", *(text for name in told for text in (name, "std", "min", "max"))]
        cells = [[*map(short, group.by.values()), str(group.n), *_texts(group, told)] for group in groups]
        table(header, cells, keep=len(by) + 1)


def _sorted(groups: list[Group], sort: str | None, key: str, by: Sequence[str]) -> list[Group]:
    if not sort:
        return groups
    if key in by:
        raise FilterError(f"Groups by {key!r} are sorted by a metric, as in: --sort=-loss, or by n", name=key)

    def place(group: Group) -> float:
        spread = group.metrics.get(key)
        return float(group.n) if key == "n" else spread.mean if spread is not None else float("nan")

    known = sorted((group for group in groups if place(group) == place(group)), key=place, reverse=sort.startswith("-"))
    return [*known, *(group for group in groups if place(group) != place(group))]


def _to_json(group: Group) -> dict[str, Any]:
    metrics = {
        name: {each: None if (value := getattr(spread, each)) is None else number_to_json(value) for each in _NUMBERS}
        for name, spread in group.metrics.items()
    }
    return {"by": plain(dict(group.by)), "n": group.n, "metrics": metrics}


def _numbers(group: Group, names: Sequence[str]) -> list[Any]:
    return [getattr(group.metrics.get(name), each, None) for name in names for each in _NUMBERS]


def _texts(group: Group, names: Sequence[str]) -> list[str]:
    nothing = Spread(0.0, None, 0.0, 0.0, 0)
    found = []
    for name in names:
        spread = group.metrics.get(name, nothing)
        found += ["" if spread.n == 0 else short(getattr(spread, each)) for each in _NUMBERS]
    return found
