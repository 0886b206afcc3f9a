"""Run numbers, and the documents that have them: claimed by one of many at the same moment, once per run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from anew.observers.mongo.view import first_document
from anew.runner.errors import UnavailableError
from anew.runner.records import RunRecord

if TYPE_CHECKING:
    from pymongo.database import Database

COUNTERS = "anew_counters"
MADE = 2
# as many digits as references have, but for the first: numbers beyond stand for an `_id` that is none
GREATEST = 10**14 - 1
_ATTEMPTS = 100
_COUNTER: dict[str, Any] = {"_id": "runs"}
# An index of another name or with other options is there; or its documents do not allow for it.
_NO_INDEX = {67, 85, 86, 11000}


def find(database: Database[dict[str, Any]], uid: str) -> dict[str, Any] | None:
    """Return what an observer needs of a run's document to go on with it; None if there is none."""
    return database["runs"].find_one({"anew.uid": uid}, {"anew": 1, "artifacts": 1, "heartbeat": 1})


def claim(
    database: Database[dict[str, Any]],
    record: RunRecord,
    *,
    keep_number: bool = False,
    sweep: Mapping[str, Any] | None = None,
) -> int | None:
    """
    Insert a run's document under a number that no run has had.

    Args:
        database: Where.
        record: The run.
        keep_number: Whether to take the number that the run has in its own store, if it is free here.
        sweep: Which job of which sweep it is, as its document says it.

    Returns:
        The number; None when somebody else has inserted the run meanwhile.

    Raises:
        UnavailableError: Numbers are taken as fast as they are claimed.
    """
    number = _own_number(database, record) if keep_number else None
    for _ in range(_ATTEMPTS):
        if number is None:
            number = _next_number(database)
        if _insert(database, record, number, sweep):
            return number
        if find(database, record.uid) is not None:
            return None
        number = None
    raise UnavailableError("No free number for the run was found: somebody else goes on taking them.")


def _insert(
    database: Database[dict[str, Any]], record: RunRecord, number: int, sweep: Mapping[str, Any] | None
) -> bool:
    from pymongo.errors import DuplicateKeyError

    try:
        database["runs"].insert_one(first_document(record, number, sweep))
    except DuplicateKeyError:
        # perhaps our own, whose reply was lost: then it is found by its uid
        return False
    return True


def _own_number(database: Database[dict[str, Any]], record: RunRecord) -> int | None:
    if record.id is None or not 0 < record.id <= GREATEST:
        return None
    prepare(database)
    database[COUNTERS].update_one(_COUNTER, {"$max": {"last": record.id}})
    return record.id


def _next_number(database: Database[dict[str, Any]]) -> int:
    """Count on, above all numbers that there are, since others give numbers, too."""
    from pymongo import ReturnDocument

    counters = database[COUNTERS]
    greatest = _greatest(database)
    for _ in range(_ATTEMPTS):
        counted = counters.find_one_and_update(
            {**_COUNTER, "made": MADE}, {"$inc": {"last": 1}}, return_document=ReturnDocument.AFTER
        )
        if counted is None:
            prepare(database)
        elif counted["last"] > greatest:
            return int(counted["last"])
        else:
            counters.update_one(_COUNTER, {"$max": {"last": greatest}})
    raise UnavailableError("The counter of run numbers is taken away again and again.")


def _greatest(database: Database[dict[str, Any]]) -> int:
    """Return the greatest number of a run; 0 if there is none. Sacred's runs may have names in place of numbers."""
    found = database["runs"].find({"_id": {"$type": "number", "$lte": GREATEST}}, {"_id": 1}).sort("_id", -1).limit(1)
    return next((int(each["_id"]) for each in found if each["_id"] > 0), 0)


def prepare(database: Database[dict[str, Any]]) -> None:
    """Make the counter and the indexes, which is done once for a database by each version that has others."""
    from pymongo.errors import DuplicateKeyError

    counters = database[COUNTERS]
    made = counters.find_one(_COUNTER)
    if made is not None and made.get("made") == MADE:
        return
    for collection, indexes in _INDEXES.items():
        _index(database, collection, indexes)
    with suppress(DuplicateKeyError):
        counters.insert_one({**_COUNTER, "last": 0})
    counters.update_one(_COUNTER, {"$set": {"made": MADE}})


_Key = list[tuple[str, int]]
_INDEXES: dict[str, list[tuple[_Key, Mapping[str, Any]]]] = {
    "runs": [
        ([("anew.uid", 1)], {"unique": True, "partialFilterExpression": {"anew.uid": {"$exists": True}}}),
        ([("anew.sweep.uid", 1)], {"sparse": True}),
        ([("start_time", 1)], {}),
        ([("experiment.name", 1)], {}),
        ([("status", 1)], {}),
    ],
    "metrics": [([("run_id", 1), ("name", 1)], {}), ([("name", 1)], {})],
    "anew_journal": [([("run", 1), ("w", 1), ("q", 1)], {})],
    "anew_sweeps": [([("uid", 1)], {"unique": True})],
    "anew_sweep_files": [([("sweep", 1), ("sha256", 1)], {})],
    "fs.files": [([("filename", 1), ("uploadDate", 1)], {}), ([("metadata.sha256", 1)], {"sparse": True})],
    "fs.chunks": [([("files_id", 1), ("n", 1)], {"unique": True})],
}


def _index(
    database: Database[dict[str, Any]], collection: str, indexes: Sequence[tuple[_Key, Mapping[str, Any]]]
) -> None:
    """Make indexes of a collection, without those that cannot be made beside what is there."""
    from pymongo import IndexModel
    from pymongo.errors import OperationFailure

    try:
        database[collection].create_indexes([IndexModel(key, **options) for key, options in indexes])
    except OperationFailure as error:
        if error.code not in _NO_INDEX:
            raise
        if len(indexes) > 1:
            for each in indexes:
                _index(database, collection, [each])
