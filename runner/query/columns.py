"""Which columns tell runs apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from anew.runner.format.values import exact_form
from anew.runner.query.names import FIELD_NAMES, More, places, value_of
from anew.runner.query.tabular import flatten
from anew.runner.records import RunRecord
from anew.runner.wording import closest, exact, short

MOST_INPUTS = 12
MOST_METRICS = 8
UNINTERESTING = ("system/", "time/")
_FIRST_INPUTS = 4
_SHOWN_ANYWAY = frozenset(
    {"id", "uid", "status", "experiment", "started", "duration", "duration_s", "tag", "verdict", "parent"}
)


def varying_inputs(records: Sequence[RunRecord], most: int | None = MOST_INPUTS) -> list[str]:
    """
    Return what was put in and differs between *records*, as names of the filter language; at most *most*, if any.

    The config groups whose choice differs, as `choices.GROUP`, and configuration keys, as `config.KEY`. Of the keys
    below such a group, which differ since the group does, those that somebody typed, or that differ among the runs
    that have them. Those that more runs have come first, and else they are in the order of the configuration, which is
    that of a function's parameters; a group stands before the keys below it.
    """
    configs = [flatten(record.config) for record in records]
    place = {key: number for number, key in enumerate(dict.fromkeys(key for config in configs for key in config))}
    groups = [(name, _package(name)) for name in _varying([record.choices for record in records])]
    below = tuple(package for _, package in groups)
    typed = {f"{each.lstrip('+~').partition('=')[0]}." for record in records for each in record.overrides} - {*below}
    ranked = [
        (-sum(key in config for config in configs), float(place[key]), f"config.{key}")
        for key in _varying(configs)
        if not key.startswith(below)
        or f"{key}.".startswith(tuple(typed))
        or _differs(config[key] for config in configs if key in config)
    ]
    for name, package in groups:
        first = min((number for key, number in place.items() if key.startswith(package)), default=0)
        ranked.append((-len(records), first - 0.5, f"choices.{name}"))
    return [name for *_, name in sorted(ranked)][:most]


def _package(group: str) -> str:
    """Return what the names of the keys begin with that a config group gives."""
    name, _, package = group.partition("@")
    return f"{package or name.replace('/', '.')}."


def _differs(values: Iterable[Any]) -> bool:
    return len({exact_form(value) for value in values}) > 1


def cells_of(records: Sequence[RunRecord], name: str, more: More | None = None) -> list[str]:
    """
    Return what *name* is for each of *records*, in little space.

    Of what was put in, values that differ have texts that differ: in full, where they would be the same for want of it.
    """
    values = [value_of(record, name, more) for record in records]
    return apart(values) if name.startswith(("config.", "choices.")) else [short(value) for value in values]


def apart(values: Sequence[Any]) -> list[str]:
    """Return values in little space, in full where those that differ would have the same text."""
    texts = [short(value) for value in values]
    has_room = len(set(texts)) == len({exact_form(value) for value in values})
    return texts if has_room else ["" if value is None else exact(value) for value in values]


def _varying(values: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys that not all have alike."""
    keys = dict.fromkeys(key for value in values for key in value)
    return [key for key in keys if _differs(value.get(key) for value in values)]


def shared_metrics(records: Iterable[RunRecord], most: int | None = MOST_METRICS) -> list[str]:
    """Return the metrics that most of *records* have, those of time and machine left out; at most *most*, if any."""
    counts: dict[str, int] = {}
    for record in records:
        for name in record.metrics:
            if not name.startswith(UNINTERESTING):
                counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: -counts[name])[:most]


def _is_beside(name: str) -> bool:
    """Whether a name means what records do not tell."""
    return all(each.part in ("package", "field") for each in places(name)[-1:])


def strangers(records: Sequence[RunRecord], names: Iterable[str]) -> dict[str, str | None]:
    """Return those of *names* that none of *records* has, each with the name most like it that one has."""
    asked = [name for name in dict.fromkeys(names) if name not in FIELD_NAMES and not _is_beside(name)]
    unknown = [name for name in asked if all(value_of(record, name) is None for record in records)]
    if not unknown:
        return {}
    known: dict[str, None] = dict.fromkeys(sorted(FIELD_NAMES))
    for record in records:
        known.update(dict.fromkeys(record.metrics))
        known.update(dict.fromkeys(f"config.{key}" for key in flatten(record.config)))
        known.update(dict.fromkeys(f"choices.{key}" for key in record.choices))
    return {name: closest(name, known) for name in unknown}


def chosen(records: Sequence[RunRecord], asked: Sequence[str], *, in_full: bool = False) -> list[str]:
    """Return what was asked about, and the columns that tell these runs apart, the most telling first."""
    inputs = varying_inputs(records, None if in_full else MOST_INPUTS)
    metrics = shared_metrics(records, None if in_full else MOST_METRICS)
    has_result = any(isinstance(record.result, (int, float, str)) for record in records)
    # a note may be long, and is last: into a pipe it goes in full
    tags, note = ([name] if any(getattr(record, name) for record in records) else [] for name in ("tags", "note"))
    first = len(inputs) if in_full else _FIRST_INPUTS
    telling = [
        *_foreign_ids(records),
        *inputs[:first],
        *(["result"] if has_result else []),
        *metrics,
        *tags,
        *inputs[first:],
        *note,
    ]
    named = list({_fact(name): name for name in reversed(asked) if name not in _SHOWN_ANYWAY}.values())[::-1]
    known = {_fact(name) for name in named}
    return [*named, *(name for name in telling if _fact(name) not in known)]


def _fact(name: str) -> str:
    """Return what a column shows, however it is named: `metric.loss.last` is loss."""
    plain = heading_of(name).removeprefix("metric.")
    return plain.removesuffix(".last") or plain


def _foreign_ids(records: Sequence[RunRecord]) -> list[str]:
    """Return the column of what another program calls the runs, where that is not their numbers."""
    called = (record.foreign.id != str(record.id) for record in records if record.foreign is not None)
    return ["_id"] if any(called) else []


def heading_of(column: str) -> str:
    """Return what stands above a column of a name."""
    return column.removeprefix("config.").removeprefix("choices.")
