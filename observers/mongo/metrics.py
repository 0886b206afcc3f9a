"""
The points of one run as Sacred keeps them: a document per metric with three arrays, `steps`, `values`, `timestamps`.

A point goes in once. A document counts its points in `anew.n`, and holds in `anew.at` up to which number of each writer
events are in; an update asks for the count that was read before, and moves both. When somebody else was first, or a
reply was lost, nothing matches, and all is looked at again. From 50,000 points on, a metric goes on in a new document,
which begins with the positions of the one before.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from anew.observers.mongo.client import insert_missing
from anew.observers.mongo.view import escape_key, number, short_name, unescape_key
from anew.runner import events as ev
from anew.runner.dataclass import dataclass
from anew.runner.errors import UnavailableError

if TYPE_CHECKING:
    from bson import ObjectId
    from pymongo.database import Database

PART_POINTS = 50_000
# Of arrays that one command makes a server write anew: within a timeout also on a slow one.
_MOST_TOUCHED = 100_000
_MOST_PENDING = 200_000
_ATTEMPTS = 20
_CHEAP_S = 0.05
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LAST_MS = int((datetime(9999, 12, 31, tzinfo=timezone.utc) - _EPOCH).total_seconds() * 1000)
# writer, number of the event, step, value, date
_Point = tuple[str, int, float | int, float | int, Any]


def metric_id(uid: str, run_id: int, name: str, part: int) -> ObjectId:
    """Return the identifier of a metric's document, the same for everybody."""
    from bson import ObjectId

    told = f"{uid}/{run_id}/{part}/{name}"
    return ObjectId(hashlib.sha256(told.encode("utf-8", "surrogatepass")).digest()[:12])


@dataclass(slots=True)
class _Series:
    """
    A metric.

    Attributes:
        name: As it is listed, and not too long.
        part: The number of its latest document; -1 if it has none.
        n: How many points are in that.
        at: Up to which number of each writer events are in.
        pending: Points to be written, in order.
    """

    name: str
    part: int = -1
    n: int = 0
    at: dict[str, int] = field(default_factory=dict)
    pending: list[_Point] = field(default_factory=list)


class Metrics:
    """
    The metrics of a run.

    Args:
        database: Where they are.
        uid: The run.
        run_id: Its number.
        started_at: What the points' times count from.
        is_new: Whether nothing of the run is there as yet.
        beat: Called between commands.
    """

    def __init__(
        self,
        database: Database[dict[str, Any]],
        uid: str,
        run_id: int,
        started_at: datetime,
        *,
        is_new: bool,
        beat: Callable[[], None],
    ) -> None:
        from bson.datetime_ms import DatetimeMS

        self._in_ms = DatetimeMS
        self._documents = database["metrics"]
        self._uid = uid
        self._run_id = run_id
        self._started_ms = (started_at - _EPOCH) / timedelta(milliseconds=1)
        self._beat = beat
        self._series: dict[str, _Series] = {}
        self._named: dict[str, _Series] = {}
        self._pending = 0
        self._due = 0.0
        if not is_new:
            self._load()

    @property
    def is_due(self) -> bool:
        """Whether what waits is to be written now: writing takes at most about a quarter of the time."""
        return self._pending > 0 and (self._pending > _MOST_PENDING or time.monotonic() >= self._due)

    def references(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """Return what stands in `info.metrics` of the run: the latest document of each metric, in order of *names*."""
        order = {short_name(name): at for at, name in enumerate(names)}
        known = [each for each in self._series.values() if each.part >= 0]
        return [
            {"id": str(metric_id(self._uid, self._run_id, each.name, each.part)), "name": each.name}
            for each in sorted(known, key=lambda each: order.get(each.name, len(order)))
        ]

    def remove(self) -> None:
        """Take away what this process may have written of a run that was deleted meanwhile."""
        ids = [metric_id(self._uid, self._run_id, each.name, each.part) for each in self._series.values()]
        self._documents.delete_many({"_id": {"$in": ids}})

    def add(self, event: ev.MetricsLogged) -> None:
        """Take points; they wait for `flush`. Points that are there already are passed over."""
        writer, q, step, date = event.writer, event.q, number(event.step), self._date(event.t)
        for name, value in event.values.items():
            series = self._named.get(name)
            if series is None:
                short = short_name(name)
                series = self._named[name] = self._series.setdefault(short, _Series(short))
            if q > series.at.get(writer, -1):
                series.pending.append((writer, q, step, number(value), date))
                self._pending += 1

    def flush(self) -> None:
        """
        Write what waits.

        Raises:
            UnavailableError: Others go on writing the same metrics.
        """
        begun = time.monotonic()
        for _ in range(_ATTEMPTS):
            while todo := [each for each in self._series.values() if each.pending]:
                if not self._write(todo):
                    break
            else:
                self._pending = 0
                now = time.monotonic()
                took = now - begun
                self._due = now + 3 * took if took > _CHEAP_S else now
                return
            self._load()
        raise UnavailableError("Others are writing the metrics of this run.")

    # --- writing ------------------------------------------------------------------------------------------------

    def _write(self, todo: Sequence[_Series]) -> bool:
        """Write of each series as much as one document takes; return False when somebody else was first."""
        touched = 0
        group: list[_Series] = []
        for series in todo:
            cost = min(len(series.pending), PART_POINTS) + (series.n if series.n < PART_POINTS else 0)
            if group and touched + cost > _MOST_TOUCHED:
                if not self._write_group(group):
                    return False
                self._beat()
                group, touched = [], 0
            group.append(series)
            touched += cost
        return self._write_group(group)

    def _write_group(self, group: Sequence[_Series]) -> bool:
        from pymongo import UpdateOne

        begun = [each for each in group if each.part < 0 or each.n >= PART_POINTS]
        others = [each for each in group if not (each.part < 0 or each.n >= PART_POINTS)]
        if insert_missing(self._documents, [self._first(each) for each in begun]):
            return False
        for series in begun:
            self._advance(series, begins=True)
        if others:
            updates = [UpdateOne(*self._update(each)) for each in others]
            if self._documents.bulk_write(updates, ordered=False).matched_count != len(updates):
                return False
            for series in others:
                self._advance(series, begins=False)
        return True

    def _advance(self, series: _Series, *, begins: bool) -> None:
        points = series.pending[:PART_POINTS]
        series.part += begins
        series.n = len(points) + (0 if begins else series.n)
        series.at.update(_positions(points))
        del series.pending[:PART_POINTS]

    def _first(self, series: _Series) -> dict[str, Any]:
        points = series.pending[:PART_POINTS]
        part = series.part + 1
        at = {**series.at, **_positions(points)}
        return {
            "_id": metric_id(self._uid, self._run_id, series.name, part),
            "run_id": self._run_id,
            "name": series.name,
            **self._arrays(points),
            "anew": {"part": part, "n": len(points), "at": _escaped(at)},
        }

    def _update(self, series: _Series) -> tuple[dict[str, Any], dict[str, Any]]:
        points = series.pending[:PART_POINTS]
        known = {"_id": metric_id(self._uid, self._run_id, series.name, series.part), "anew.n": series.n}
        moved = {f"anew.at.{name}": q for name, q in _escaped(_positions(points)).items()}
        return known, {
            "$push": {name: {"$each": values} for name, values in self._arrays(points).items()},
            "$set": {"anew.n": series.n + len(points), **moved},
        }

    def _arrays(self, points: Sequence[_Point]) -> dict[str, list[Any]]:
        return {
            "steps": [step for _, _, step, _, _ in points],
            "values": [value for _, _, _, value, _ in points],
            "timestamps": [date for _, _, _, _, date in points],
        }

    def _date(self, t: float) -> Any:
        moment = self._started_ms + t * 1000
        return self._in_ms(min(max(0, round(moment)), _LAST_MS) if math.isfinite(moment) else 0)

    # --- reading ------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Look at what is there; what waits and is there already waits no more."""
        latest: dict[Any, tuple[str, int, int, dict[str, int]]] = {}
        found = self._documents.find({"run_id": self._run_id, "anew": {"$exists": True}}, {"name": 1, "anew": 1})
        for document in found:
            state = _state(document)
            if state is not None and latest.get(document["name"], ("", -1))[1] < state[1]:
                latest[document["name"]] = state
        for name in latest:
            self._series.setdefault(name, _Series(name))
        for name, series in self._series.items():
            # none where somebody has deleted it
            _, series.part, series.n, series.at = latest.get(name, (name, -1, 0, {}))
            at = series.at
            series.pending = [point for point in series.pending if point[1] > at.get(point[0], -1)]


def _state(document: Mapping[str, Any]) -> tuple[str, int, int, dict[str, int]] | None:
    """Return name, part, count and positions of a document; None for one that is not ours."""
    name, ours = document.get("name"), document.get("anew")
    if type(name) is not str or not isinstance(ours, dict):
        return None
    part, n, at = ours.get("part"), ours.get("n"), ours.get("at")
    if not (type(part) is int and type(n) is int and isinstance(at, dict)):
        return None
    return name, part, n, {unescape_key(key): q for key, q in at.items() if type(q) is int}


def _positions(points: Sequence[_Point]) -> dict[str, int]:
    return {writer: q for writer, q, _, _, _ in points}


def _escaped(at: Mapping[str, int]) -> dict[str, int]:
    return {escape_key(writer, top=True): q for writer, q in at.items()}
