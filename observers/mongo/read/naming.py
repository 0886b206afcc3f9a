"""
What runs in a database are called: numbers, also for those whose `_id` is none.

Sacred numbers its runs unless it is told otherwise (`--id`, a queue, a collection that other programs write to), so an
`_id` may be anything that MongoDB takes for one. Where it is no number that a run may have, a number stands for it: one
beyond those that runs have, in the order in which the runs started, and the same for everybody who looks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from anew.observers.mongo.client import bounded
from anew.observers.mongo.numbers import GREATEST
from anew.observers.mongo.read.members import EPOCH, INT64, codec_options, mapping_of, moment_of
from anew.observers.mongo.view import short_name

if TYPE_CHECKING:
    from pymongo.database import Database

MADE_UP = GREATEST + 1
_A_MS = 100
_LATEST_MS = 8_900_000_000_000
# what their place in time is reckoned by
_WHEN = {"start_time": 1, "heartbeat": 1, "stop_time": 1, "meta.queue_time": 1}
# doubles and decimals may be whole, which is looked at here
_ODD: dict[str, Any] = {
    "$or": [
        {"_id": {"$not": {"$type": "number"}}},
        {"_id": {"$type": 1}},
        {"_id": {"$type": 19}},
        {"_id": {"$lte": 0}},
        {"_id": {"$gt": GREATEST}},
    ]
}


def number_of(identity: Any) -> int | None:
    """Return the number that an `_id` is; None for one that is no number of a run. Programs in JavaScript write 7.0."""
    if isinstance(identity, bool) or not isinstance(identity, (int, float)):
        return None
    if isinstance(identity, float) and not identity.is_integer():
        return None
    return int(identity) if 0 < identity <= GREATEST else None


def text_of_id(identity: Any) -> str:
    """Return an `_id` as text: digits, a name, an ObjectId or bytes in hexadecimal digits, a time as ISO 8601."""
    if isinstance(identity, float) and math.isfinite(identity) and identity.is_integer():
        identity = int(identity)
    if isinstance(identity, bytes):
        return short_name(identity.hex())
    if isinstance(identity, datetime):
        return identity.isoformat()
    return short_name(str(identity))


def started_at(document: Mapping[str, Any]) -> tuple[datetime, bool]:
    """Return when a run started, as nearly as that is known, and whether Sacred said so."""
    from bson import ObjectId

    start, beat, stop = (moment_of(document.get(name)) for name in ("start_time", "heartbeat", "stop_time"))
    identity = document.get("_id")
    made = moment_of(identity.generation_time) if isinstance(identity, ObjectId) else None
    queued = moment_of(mapping_of(document.get("meta")).get("queue_time"))
    return start or queued or made or beat or stop or EPOCH, start is not None


class OddNames:
    """
    The runs whose `_id` is no number, and the numbers that stand for these. Safe in threads.

    Args:
        database: Where the runs are.
    """

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._database = database
        self._runs = database.get_collection("runs", codec_options=codec_options())
        self._known: dict[int, Any] = {}

    def read(self) -> dict[int, Any]:
        """Return the `_id` of each by its number, the newest first. Raises StoreError, errors of pymongo."""
        found: list[tuple[int, str, str, Any]] = []
        for document in bounded(self._database, self._runs.find(_ODD, _WHEN)):
            identity = document.get("_id")
            if number_of(identity) is None:
                ms = int((started_at(document)[0] - EPOCH).total_seconds() * 1000)
                found.append((min(max(0, ms), _LATEST_MS), type(identity).__name__, str(identity), identity))
        found.sort(key=lambda each: each[:3])
        self._known = dict(reversed([*_numbered(found)]))
        return self._known

    def identity(self, number: int) -> Any:
        """Return the `_id` that a number stands for. Raises LookupError: none; and as `read`."""
        if number < MADE_UP:
            return number
        known = self._known if number in self._known else self.read()
        return known[number]

    def number(self, identity: Any) -> int | None:
        """Return the number of a document. Raises as `read`."""
        own = number_of(identity)
        if own is not None:
            return own
        key = (type(identity), str(identity))
        return next((number for number, each in self.read().items() if (type(each), str(each)) == key), None)


def _numbered(found: list[tuple[int, str, str, Any]]) -> Iterator[tuple[int, Any]]:
    last = 0
    for ms, _, _, identity in found:
        last = max(last + 1, MADE_UP + ms * _A_MS)
        yield last, identity


def meant_by(name: str) -> Iterator[Any]:
    """Yield what may be the `_id` that somebody typed; what else it may be is found by looking at all."""
    from bson import ObjectId

    yield name
    if ObjectId.is_valid(name):
        yield ObjectId(name)
    with suppress(ValueError):
        whole = int(name)
        if -INT64 <= whole < INT64:
            yield whole
    with suppress(ValueError):
        yield float(name)
