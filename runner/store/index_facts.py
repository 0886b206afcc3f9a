"""
What filters and sorts look at of a run, as rows of the index: a row for each metric, and one or more for each fact.

A fact is a field, or a key of one of the trees (`names.TREES`), with a letter for its kind:

    n number   b truth value   t text   d time (microseconds since 1970)   v version   x digest   0 none
    m mapping (1, or 0 for an empty one)   l list (how many items it has; they follow, numbered from 1)
    s another run or a sweep: its uid, and the number on record

What no row holds exactly (whole numbers beyond 64 bits, NaN in a configuration, texts that are no Unicode, more than
300 keys) is left out, and the part of the record that it is in is marked as one that the record itself is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.query.names import FIELDS, HERE, LATE, TREES, Digest, Version
from anew.runner.records import RunRecord
from anew.runner.wording import key_name

PARTS = {name: 1 << place for place, name in enumerate(("field", *TREES, "metric", "series"))}
"""The parts of a record, by the bit that marks one which is not all in the rows."""
FIELD_PARTS = tuple(name for name in (*FIELDS, *LATE) if name not in ("id", "uid", "tags", "duration_s", *HERE))
_RELATIONS = ("sweep", "rerun_of", "parent")
_MOST_ROWS = 300
_LONGEST_TEXT = 4_000
_INT64 = 2**63
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)

Value = Any
Row = tuple[str, str, int, str, Value, str | None]
"""Part, name, number (0, or that of an item), kind, value, and the value in small letters where that is another."""


class _OddError(Exception):
    """Something that no row holds."""


@dataclass(frozen=True, slots=True)
class Facts:
    """
    The rows of one run.

    Attributes:
        rows: Of its fields and trees.
        metrics: Name, and what its summary says: last, min, max, count, step; None for NaN, or where there is none.
        partial: The bits of the parts that are not all there.
    """

    rows: list[Row]
    metrics: list[tuple[Any, ...]]
    partial: int


def facts_of(record: RunRecord) -> Facts:
    """Return what filters and sorts look at of a run."""
    rows: list[Row] = []
    partial = 0
    for part, read in (("field", _fields), *((tree, _tree_reader(tree)) for tree in TREES)):
        before = len(rows)
        try:
            for row in read(record):
                rows.append(row)
                if len(rows) - before > _MOST_ROWS:
                    raise _OddError
            if len({row[1:3] for row in rows[before:]}) < len(rows) - before:
                raise _OddError  # two keys that are called the same
        except _OddError:
            del rows[before:]
            partial |= PARTS[part]
    metrics = []
    for name, each in record.metrics.items():
        try:
            numbers = [_metric_number(value) for value in (each.last, each.min, each.max)]
            metrics.append((_sound(name), *numbers, _whole(each.count), _whole(each.step)))
        except _OddError:
            partial |= PARTS["metric"]
    return Facts(rows, metrics, partial)


def _fields(record: RunRecord) -> Iterator[Row]:
    for name in FIELD_PARTS:
        value = (FIELDS.get(name) or LATE[name])(record)
        if value is not None:
            yield from _rows("field", name, value)
    yield from _rows("field", "uid", record.uid)
    for name in _RELATIONS:
        relation = getattr(record, name)
        if relation is not None:
            if not relation.uid:
                raise _OddError  # of an earlier version: which sweep it means is told by more than the record
            yield "field", name, 0, "s", _sound(relation.uid), None if relation.id is None else str(relation.id)


def _tree_reader(tree: str) -> Any:
    return lambda record: _rows(tree, "", TREES[tree](record))


def _rows(part: str, name: str, value: Any) -> Iterator[Row]:
    if isinstance(value, Mapping):
        yield part, name, 0, "m", int(bool(value)), None
        for key, item in value.items():
            called = key_name(key)
            if called != key and isinstance(key, str):
                raise _OddError  # it is found by its letters, too
            yield from _rows(part, _sound(f"{name}.{called}" if name else called), item)
    elif isinstance(value, (list, tuple)):
        yield part, name, 0, "l", len(value), None
        for number, item in enumerate(_flat(value), 1):
            yield part, name, number, *_scalar(item)
        if part != "field":
            for index, item in enumerate(value):
                yield from _rows(part, f"{name}.{index}" if name else str(index), item)
    else:
        yield part, name, 0, *_scalar(value)


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flat(value)
        elif not isinstance(value, Mapping):  # which is equal to nothing
            yield value


def _scalar(value: Any) -> tuple[str, Value, str | None]:
    if value is None:
        return "0", None, None
    if isinstance(value, bool):
        return "b", int(value), None
    if type(value) is int:
        return "n", _whole(value), None
    if type(value) is float:
        if value != value:
            raise _OddError
        return "n", value, None
    if isinstance(value, datetime) and value.tzinfo is not None:
        return "d", microseconds(value), None
    if type(value) in (str, Version, Digest):
        text = _sound(value)
        if len(text) > _LONGEST_TEXT:
            raise _OddError
        low = text.lower()
        kind = "v" if type(value) is Version else "x" if type(value) is Digest else "t"
        return kind, text, low if low != text else None
    raise _OddError


def _sound(text: str) -> str:
    """Return a text that SQLite takes. Raises _OddError."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise _OddError from None
    if "\0" in text:
        raise _OddError
    return str(text)


def _whole(value: Any) -> int:
    if type(value) is not int or not -_INT64 <= value < _INT64:
        raise _OddError
    return value


def _metric_number(value: Any) -> Value:
    if type(value) is float:
        return None if value != value else value
    return None if value is None else _whole(value)


def microseconds(moment: datetime) -> int:
    """Return a time as rows hold it."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(value: int) -> datetime:
    """Return the time that `microseconds` was given."""
    return _EPOCH + value * _MICROSECOND
