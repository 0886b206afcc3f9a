"""
The metrics that Sacred wrote, in four numbers each, as the server works them out: no series is sent for a list of runs.

A metric whose arrays are not what Sacred writes (texts between numbers, arrays of unequal lengths) is read in full, so
that a list says what the run itself says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from anew.observers.mongo.read.members import (
    MOST_NAME,
    Notes,
    UnreadableError,
    asking,
    codec_options,
    items_of,
    moment_of,
)
from anew.observers.mongo.read.sacred_series import all_series
from anew.observers.mongo.view import clean
from anew.runner.dataclass import dataclass
from anew.runner.records import MetricSummary

if TYPE_CHECKING:
    from pymongo.database import Database

_NUMBERS = {"double", "int", "long"}
_WHOLE = {"int", "long"}


@dataclass(frozen=True, slots=True)
class _Part:
    """A metric as one document has it: when it began, and the summary."""

    name: str
    begun: datetime
    summary: MetricSummary


def summaries(
    database: Database[dict[str, Any]], runs: Sequence[tuple[Any, datetime]]
) -> list[Mapping[str, MetricSummary]]:
    """
    Return the metrics of runs, in their order, each metric by its name.

    Args:
        database: Where they are.
        runs: The `_id` of each, and when it started.

    Raises:
        StoreError: The database cannot be reached.
    """
    found: dict[str, list[_Part]] = {}
    in_full: set[str] = set()
    try:
        with asking(database):
            collection = database.get_collection("metrics", codec_options=codec_options())
            asked = {"run_id": {"$in": [identity for identity, _ in runs]}}
            for document in collection.aggregate([{"$match": asked}, {"$project": _SUMMARY}]):
                key = _key(document.get("run_id"))
                part = _part(document)
                if part is None:
                    in_full.add(key)
                else:
                    found.setdefault(key, []).append(part)
    except UnreadableError:
        # a server that cannot work it out, or a document that cannot be decoded
        in_full = {_key(identity) for identity, _ in runs}
    return [
        _in_full(database, identity, started) if _key(identity) in in_full else _together(found.get(_key(identity), ()))
        for identity, started in runs
    ]


def _key(identity: Any) -> str:
    """Return what two values have in common that MongoDB takes for the same."""
    if isinstance(identity, float) and math.isfinite(identity) and identity.is_integer():
        identity = int(identity)
    kind = "number" if isinstance(identity, int) and not isinstance(identity, bool) else type(identity).__name__
    return f"{kind} {identity}"


# --- on the server ----------------------------------------------------------------------------------------------


def _array(name: str) -> dict[str, Any]:
    return {"$cond": [{"$isArray": f"${name}"}, f"${name}", []]}


def _types(name: str) -> dict[str, Any]:
    """Return the types of an array's items, each once."""
    return {"$setUnion": [{"$map": {"input": _array(name), "as": "item", "in": {"$type": "$$item"}}}, []]}


def _end(name: str, index: int) -> dict[str, Any]:
    return {"$arrayElemAt": [_array(name), index]}


# NaN, which sorts below all numbers, is no minimum
_NO_NAN = {"$filter": {"input": _array("values"), "as": "item", "cond": {"$ne": ["$$item", math.nan]}}}
_SUMMARY: dict[str, Any] = {
    "_id": 0,
    "run_id": 1,
    "name": 1,
    "begun": _end("timestamps", 0),
    "last": _end("values", -1),
    "step": _end("steps", -1),
    "min": {"$min": _NO_NAN},
    "max": {"$max": _NO_NAN},
    "counts": [{"$size": _array(name)} for name in ("values", "steps", "timestamps")],
    "values": _types("values"),
    "steps": _types("steps"),
    "moments": _types("timestamps"),
}


def _part(document: Mapping[str, Any]) -> _Part | None:
    """Return a metric's summary; None for one that has to be looked at in full."""
    name, counts = document.get("name"), set(items_of(document.get("counts")))
    kinds = [set(items_of(document.get(each))) for each in ("values", "steps", "moments")]
    is_plain = kinds[0] <= _NUMBERS and kinds[1] <= _WHOLE and kinds[2] <= {"date"} and len(counts) == 1
    moment = moment_of(document.get("begun"))
    if type(name) is not str or not 0 < len(name) <= MOST_NAME or not is_plain or moment is None:
        return None
    last, least, most = (_number(document.get(each)) for each in ("last", "min", "max"))
    assert last is not None, "an array of numbers that is not empty has a last one"
    summary = MetricSummary(last=last, min=least, max=most, count=counts.pop(), step=int(document["step"]))
    return _Part(clean(name), moment, summary)


def _number(value: Any) -> float | int | None:
    if isinstance(value, float):
        return float(value)
    return int(value) if isinstance(value, int) else None


# --- here -------------------------------------------------------------------------------------------------------


def _together(parts: Iterable[_Part]) -> Mapping[str, MetricSummary]:
    """Return metrics by their names, those of several documents as one, in the order in which they began."""
    found: dict[str, MetricSummary] = {}
    for part in sorted(parts, key=lambda each: each.begun):
        before = found.get(part.name)
        found[part.name] = part.summary if before is None else _joined(before, part.summary)
    return found


def _joined(one: MetricSummary, other: MetricSummary) -> MetricSummary:
    least = [each for each in (one.min, other.min) if each is not None]
    most = [each for each in (one.max, other.max) if each is not None]
    return MetricSummary(
        last=other.last,
        min=min(least, default=None),
        max=max(most, default=None),
        count=one.count + other.count,
        step=other.step,
    )


def _in_full(database: Database[dict[str, Any]], identity: Any, started: datetime) -> Mapping[str, MetricSummary]:
    """Return the metrics of a run from all their points."""
    series = all_series(database, identity, started, Notes())
    found: dict[str, MetricSummary] = {}
    for name in sorted(series, key=lambda each: series[each][0].times[0]):
        values = [value for part in series[name] for value in part.values]
        numbers = [value for value in values if not math.isnan(value)]
        found[name] = MetricSummary(
            last=values[-1],
            min=min(numbers, default=None),
            max=max(numbers, default=None),
            count=len(values),
            step=series[name][-1].steps[-1],
        )
    return found
