"""Which columns tell runs apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from anew.runner.format.values import exact_form
from anew.runner.query.filters import FIELD_NAMES, value_of
from anew.runner.query.tabular import flatten
from anew.runner.records import RunRecord
from anew.runner.wording import closest, exact, short

MOST_INPUTS = 12
MOST_METRICS = 8
UNINTERESTING = ("system/", "time/")


def varying_inputs(records: Sequence[RunRecord], most: int = MOST_INPUTS) -> list[str]:
    """
    Return what was put in and differs between *records*, as names of the filter language; at most *most*.

    First the config groups whose choice differs, as `choices.GROUP`; then configuration keys, as `config.KEY`, but not
    those below such a group. Those that more runs have come first, then those with fewer different values, then in
    order of appearance.
    """
    choices = _varying([record.choices for record in records])
    groups = tuple(f"{name.partition('@')[0].replace('/', '.')}." for name in choices)
    config = [key for key in _varying([flatten(record.config) for record in records]) if not key.startswith(groups)]
    return [*(f"choices.{name}" for name in choices), *(f"config.{key}" for key in config)][:most]


def cells_of(records: Sequence[RunRecord], name: str) -> list[str]:
    """
    Return what *name* is for each of *records*, in little space.

    Of what was put in, values that differ have texts that differ: in full, where they would be the same for want of it.
    """
    values = [value_of(record, name) for record in records]
    return apart(values) if name.startswith(("config.", "choices.")) else [short(value) for value in values]


def apart(values: Sequence[Any]) -> list[str]:
    """Return values in little space, in full where those that differ would have the same text."""
    texts = [short(value) for value in values]
    has_room = len(set(texts)) == len({exact_form(value) for value in values})
    return texts if has_room else ["" if value is None else exact(value) for value in values]


def _varying(values: Sequence[Mapping[str, Any]]) -> list[str]:
    if len(values) < 2:
        return []
    ranked: list[tuple[int, int, int, str]] = []
    for position, key in enumerate(dict.fromkeys(key for value in values for key in value)):
        different = {exact_form(value.get(key)) for value in values}
        if len(different) > 1:
            ranked.append((-sum(key in value for value in values), len(different), position, key))
    return [key for *_, key in sorted(ranked)]


def shared_metrics(records: Iterable[RunRecord], most: int = MOST_METRICS) -> list[str]:
    """Return the metrics that most of *records* have, those of time and machine left out; at most *most*."""
    counts: dict[str, int] = {}
    for record in records:
        for name in record.metrics:
            if not name.startswith(UNINTERESTING):
                counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: -counts[name])[:most]


def strangers(records: Sequence[RunRecord], names: Iterable[str]) -> dict[str, str | None]:
    """Return those of *names* that none of *records* has, each with the name most like it that one has."""
    asked = [name for name in dict.fromkeys(names) if name not in FIELD_NAMES]
    unknown = [name for name in asked if all(value_of(record, name) is None for record in records)]
    if not unknown:
        return {}
    known: dict[str, None] = dict.fromkeys(sorted(FIELD_NAMES))
    for record in records:
        known.update(dict.fromkeys(record.metrics))
        known.update(dict.fromkeys(f"config.{key}" for key in flatten(record.config)))
        known.update(dict.fromkeys(f"choices.{key}" for key in record.choices))
    return {name: closest(name, known) for name in unknown}
