"""Metrics that Sacred wrote: a document for each, or several, with lists of steps, values and times."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

from anew.observers.mongo.read.members import (
    INT64,
    MOST_NAME,
    Notes,
    UnreadableError,
    asking,
    codec_options,
    items_of,
    moment_of,
    name_in_words,
    step_of,
)
from anew.observers.mongo.view import clean
from anew.runner.dataclass import dataclass

if TYPE_CHECKING:
    from pymongo.database import Database

MOST_POINTS = 10_000_000
MOST_METRICS = 100_000
_MOST_MERGED = 1000
_MOST_GROUP = 10_000

_Values = Sequence[float | int]
_Point = tuple[float, int, int, float, int, "float | int"]


@dataclass(frozen=True, slots=True)
class _Part:
    """A metric's points from one document, in the order in which they were logged; times in seconds from the start."""

    times: array[float]
    steps: array[int]
    values: _Values


def all_series(
    database: Database[dict[str, Any]], identity: Any, started_at: datetime, notes: Notes
) -> dict[str, list[_Part]]:
    """Return all points of a run by the metrics' names."""
    series: dict[str, list[_Part]] = {}
    left = MOST_POINTS
    for document in _metric_documents(database, identity, notes):
        name = document.get("name")
        if type(name) is not str or not 0 < len(name) <= MOST_NAME:
            notes.add(f"A metric was left out: its name is {name_in_words(name)}.")
            continue
        if left <= 0 or (name not in series and len(series) >= MOST_METRICS):
            notes.add(f"Metrics were left out: more than {MOST_POINTS} points, or than {MOST_METRICS} metrics.")
            break
        part = _part(document, left, started_at, notes)
        left -= len(part.steps)
        if part.steps:
            series.setdefault(clean(name), []).append(part)
    for parts in series.values():
        parts.sort(key=lambda part: part.times[0])
    return series


def _metric_documents(database: Database[dict[str, Any]], identity: Any, notes: Notes) -> Iterator[Mapping[str, Any]]:
    """Yield the documents of a run's metrics; one that cannot be decoded does not stand in the way of the others."""
    import bson
    from bson.codec_options import CodecOptions
    from bson.raw_bson import RawBSONDocument

    raw: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
    collection = database.with_options(codec_options=raw)["metrics"]
    options = codec_options()
    wanted = {"name": 1, "steps": 1, "values": 1, "timestamps": 1}
    with closing(collection.find({"run_id": {"$eq": identity}}, wanted)) as cursor:
        while True:
            try:
                with asking(database):
                    packed = next(cursor, None)
            except UnreadableError as error:
                notes.add(f"Metrics were left out: they cannot be read ({error}).")
                return
            if packed is None:
                return
            try:
                with asking(database):
                    document = bson.decode(packed.raw, codec_options=options)
            except UnreadableError as error:
                notes.add(f"A metric was left out: it cannot be read ({error}).")
                continue
            yield document


def _part(document: Mapping[str, Any], most: int, started_at: datetime, notes: Notes) -> _Part:
    """Return the points of a document that are whole, at most so many."""
    told = f"metric {name_in_words(document.get('name'))}"
    steps, values, moments = (items_of(document.get(name)) for name in ("steps", "values", "timestamps"))
    count = min(len(steps), len(values), len(moments), most)
    if not len(steps) == len(values) == len(moments):
        notes.add(f"Of {told} there are {len(steps)} steps, {len(values)} values and {len(moments)} times.")
    elif count < len(steps):
        notes.add(f"Points of {told} were left out: the run has more than {MOST_POINTS}.")
    times: array[float] = array("d")
    numbers: array[int] = array("q")
    kept: list[float | int] = []
    t, dropped, undated = 0.0, 0, 0
    for index in range(count):
        step, value, moment = step_of(steps[index]), _value(values[index]), moment_of(moments[index])
        if step is None or value is None:
            dropped += 1
            continue
        if moment is None:
            undated += 1
        else:
            t = max(0.0, (moment - started_at).total_seconds())
        times.append(t)
        numbers.append(step)
        kept.append(value)
    if dropped:
        notes.add(f"Points of {told} were left out: {dropped} have a step or a value that is no number.")
    if undated:
        notes.add(f"{undated} points of {told} have no time that can be read; they have that of the point before.")
    return _Part(times, numbers, _packed(kept))


def _value(value: Any) -> float | int | None:
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int) and value.bit_length() <= 1024:
        return int(value)
    return None


def _packed(values: list[float | int]) -> _Values:
    """Return the same numbers in less memory, where they are all of one type."""
    if all(type(value) is float for value in values):
        return array("d", values)
    if all(type(value) is int and -INT64 <= value < INT64 for value in values):
        return array("q", [int(value) for value in values])
    return values


def points_in_order(series: Mapping[str, list[_Part]]) -> Iterator[tuple[float, int, dict[str, float | int]]]:
    """Yield (t, step, values) in order of time, each metric's points in their own; what is of one moment is one."""
    names = list(series)
    group: list[tuple[float, int, dict[str, float | int]]] = []
    places: dict[tuple[float, int], int] = {}
    latest: dict[int, int] = {}
    now = -1.0
    streams = (_stream(index, series[name]) for index, name in enumerate(names))
    for key, _, index, t, step, value in heapq.merge(*streams):
        if key != now or len(group) >= _MOST_GROUP:
            yield from group
            now = key
            group, places, latest = [], {}, {}
        at = places.get((t, step), -1)
        # never into one that comes before this metric's last point
        if at <= latest.get(index, -1) or len(group[at][2]) >= _MOST_MERGED:
            at = places[(t, step)] = len(group)
            group.append((t, step, {}))
        group[at][2][names[index]] = value
        latest[index] = at
    yield from group


def _stream(index: int, parts: list[_Part]) -> Iterator[_Point]:
    """Yield a metric's points with what to sort them by first: a clock that was set back changes no order."""
    newest, number = 0.0, 0
    for part in parts:
        for t, step, value in zip(part.times, part.steps, part.values, strict=True):
            newest = max(newest, t)
            number += 1
            yield newest, number, index, t, step, value
