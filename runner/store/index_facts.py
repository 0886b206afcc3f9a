"""
What filters and sorts look at of a run, by part and name: its fields, each key of its trees, and its metrics.

The parts are those of `names.Place`. What is no plain value (texts of thousands of letters, or that are no Unicode;
whole numbers of hundreds of digits; more than 300 keys) is left out, and the part of the record that it is in is marked
as one that the record itself is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.query.names import FIELDS, HERE, LATE, MISSING, OF_SERIES, SUMMARIES, TREES, Digest, Version
from anew.runner.records import RunRecord
from anew.runner.store.index_values import Inside, Relation
from anew.runner.wording import key_name

PARTS = {name: 1 << place for place, name in enumerate(("field", *TREES, "metric", "series"))}
"""The parts of a record, by the bit that marks one which is not all here."""
_READERS = {
    name: FIELDS.get(name) or LATE[name]
    for name in (*FIELDS, *LATE)
    if name not in ("id", "uid", "tags", "duration_s", *HERE)
}
_RELATIONS = ("sweep", "rerun_of", "parent")
_MOST_KEYS, _MOST_ITEMS = 300, 1_000
_LONGEST_TEXT = 4_000
_MOST = 10**300
_PLAIN = frozenset((bool, type(None), float))
_TEXTS = frozenset((str, Version, Digest))

Key = tuple[str, str]
"""A part, and a name in it."""


class _OddError(Exception):
    """Something that is no plain value."""


@dataclass(frozen=True, slots=True)
class Facts:
    """
    What is known of one run.

    Attributes:
        values: By part and name.
        partial: The bits of the parts that are not all there.
    """

    values: dict[Key, Any]
    partial: int


def facts_of(record: RunRecord, series: Mapping[str, tuple[Any, Any]] | None = None) -> Facts:
    """
    Return what filters and sorts look at of a run.

    Args:
        record: Its record.
        series: Metric -> its first value and the mean of those that are numbers, where they are known.
    """
    values: dict[Key, Any] = {}
    partial = 0
    for part in ("field", *TREES):
        try:
            values.update(_fields(record) if part == "field" else _tree(part, TREES[part](record)))
        except _OddError:
            partial |= PARTS[part]
    try:
        values.update(_metrics(record, series or {}))
    except _OddError:
        partial |= PARTS["metric"]
    return Facts(values, partial)


def _fields(record: RunRecord) -> dict[Key, Any]:
    found: dict[Key, Any] = {("field", "uid"): _plain(record.uid)}
    for name, read in _READERS.items():
        value = read(record)
        if value is not None:
            found["field", name] = value if type(value) in _PLAIN else _plain(value)
    for name in _RELATIONS:
        relation = getattr(record, name)
        if relation is not None:
            if not relation.uid:
                raise _OddError  # of an earlier version: which sweep it means is told by more than the record
            found["field", name] = Relation(_plain(relation.uid), relation.id)
    return found


def _metrics(record: RunRecord, series: Mapping[str, tuple[Any, Any]]) -> dict[Key, Any]:
    found: dict[Key, Any] = {}
    for name, each in record.metrics.items():
        _plain(name)
        summaries = ((part, getattr(each, part)) for part in SUMMARIES)
        for part, value in chain(summaries, zip(OF_SERIES, series.get(name, ()), strict=False)):
            if value is not None:
                found[part, name] = value if type(value) is float or value is MISSING else _plain(value)
    return found


def _tree(part: str, value: Any) -> dict[Key, Any]:
    found: dict[Key, Any] = {}
    for name, item in _leaves("", value):
        if (part, name) in found or len(found) > _MOST_KEYS:
            raise _OddError  # two keys that are called the same, or very many
        found[part, name] = item
    return found


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    yield name, value if type(value) in _PLAIN else _plain(value)
    if isinstance(value, Mapping):
        for key, item in value.items():
            called = key_name(key)
            if called != key and isinstance(key, str):
                raise _OddError  # it is found by its letters, too
            yield from _leaves(_plain(f"{name}.{called}" if name else called), item)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _leaves(f"{name}.{index}" if name else str(index), item)


def _plain(value: Any) -> Any:
    """Return a value as it is kept. Raises _OddError."""
    kind = type(value)
    if kind in _TEXTS:
        if len(value) > _LONGEST_TEXT:
            raise _OddError
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise _OddError from None
        return value
    if kind in _PLAIN:
        return value
    if kind is int:
        if not -_MOST < value < _MOST:
            raise _OddError
        return value
    if isinstance(value, Mapping):
        return Inside({"": None} if value else {})
    if isinstance(value, (list, tuple)):
        if len(value) > _MOST_ITEMS:
            raise _OddError
        return [*map(_plain, value)] if isinstance(value, list) else tuple(map(_plain, value))
    if kind is datetime and value.tzinfo is not None:
        return value
    raise _OddError
