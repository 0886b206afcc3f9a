"""The journal of one run in MongoDB: kept once, whoever delivers it and how often, and read again."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from anew.observers.mongo.chunks import COLLECTION, OUTPUT, START, chunk_documents, chunk_of, events_of, is_key
from anew.observers.mongo.client import insert_missing
from anew.runner import events as ev
from anew.runner.format.serial import DamagedError

if TYPE_CHECKING:
    from pymongo.database import Database

_MOST_WRITERS = 10_000
# A chunk is lengthened up to so many events and bytes.
_MOST_SMALL = 64
_SMALL_BYTES = 4096


class Journal:
    """
    A run's events, but for captured output.

    Args:
        database: Where they are.
        uid: The run.
        is_new: Whether nothing of the run is there as yet.
    """

    def __init__(self, database: Database[dict[str, Any]], uid: str, *, is_new: bool = False) -> None:
        self._chunks = database[COLLECTION]
        self._uid = uid
        self._is_new = is_new
        self._last: dict[str, int] = {}
        # the latest chunk of each writer, as long as it is small and this process has made it
        self._latest: dict[str, list[ev.Event]] = {}

    def has_start(self) -> bool:
        """Whether the run's start is there, and so something of the run was delivered before."""
        return self._chunks.find_one({"_id": f"{self._uid}:{START}:0:0"}, {"_id": 1}) is not None

    def keep(self, events: Iterable[ev.Event]) -> None:
        """Keep events that are not there yet."""
        rest = self._lengthen([event for event in events if event.q > self._known(event.writer)])
        while rest:
            rest = self._insert(rest)

    def behind(self, at: Mapping[str, int], seen: Mapping[str, int]) -> Iterator[ev.Event]:
        """
        Yield the events behind a position in order, and before it those that are not about metrics alone.

        Args:
            at: The position: number of the last event of each writer.
            seen: Up to where nothing is wanted of what lies before the position.
        """
        writers = self._chunks.distinct("w", {"run": self._uid})
        known = sorted(each for each in writers if type(each) is str and each not in (START, OUTPUT))
        streams = [self._events(each, at.get(each, -1), seen.get(each, -1)) for each in known[:_MOST_WRITERS]]
        yield from heapq.merge(*streams, key=lambda event: event.t)

    def _known(self, writer: str) -> int:
        """Return the number of the writer's last event that is there; -1 if there is none."""
        if writer not in self._last:
            self._last[writer] = -1 if self._is_new else self._greatest(writer)
        return self._last[writer]

    def _greatest(self, writer: str) -> int:
        found = self._chunks.find_one({"run": self._uid, "w": writer}, {"last": 1}, sort=[("q", -1)])
        last = found.get("last") if found else None
        return last if isinstance(last, int) else -1

    def _lengthen(self, events: list[ev.Event]) -> list[ev.Event]:
        """
        Put events into chunks that are there, where there are few; return the others.

        Else a run that logs a little ten times a second would have a million chunks a day.
        """
        from pymongo import UpdateOne

        updates: list[UpdateOne] = []
        lengthened: dict[str, list[ev.Event]] = {}
        if len(events) > _MOST_SMALL:
            return events
        for writer in {event.writer for event in events} & self._latest.keys():
            before = self._latest[writer]
            together = [*before, *(event for event in events if event.writer == writer)]
            documents = chunk_documents(together)
            if len(together) > _MOST_SMALL or len(documents) > 1 or len(documents[0]["z"]) > _SMALL_BYTES:
                continue
            chunk = documents[0]
            known = {"_id": chunk["_id"], "last": before[-1].q}
            updates.append(UpdateOne(known, {"$set": {name: chunk[name] for name in ("last", "m", "z")}}))
            lengthened[writer] = together
        if not updates:
            return events
        if self._chunks.bulk_write(updates, ordered=False).matched_count != len(updates):
            # somebody else's events are there by now: whatever comes twice counts once
            self._latest.clear()
            return events
        self._latest.update(lengthened)
        self._last.update({writer: together[-1].q for writer, together in lengthened.items()})
        return [event for event in events if event.writer not in lengthened]

    def _insert(self, events: Sequence[ev.Event]) -> list[ev.Event]:
        """Insert events; return those that a chunk was meant to hold which somebody else had begun with fewer."""
        documents = chunk_documents(events)
        for document in documents:
            if document["parts"] > 1:
                self._chunks.replace_one({"_id": document["_id"]}, document, upsert=True)
        there = insert_missing(self._chunks, [each for each in documents if each["parts"] == 1])
        for document in documents:
            self._last[document["w"]] = document["last"]
        for document in documents:
            self._latest.pop(document["w"], None)
        self._latest.update(_small(documents, events))
        if not there:
            return []
        self._latest.clear()
        query = {"_id": {"$in": [each["_id"] for each in there]}}
        ends = {each["_id"]: each.get("last") for each in self._chunks.find(query, {"last": 1})}
        missing = {
            (each["w"], q)
            for each in there
            if isinstance(end := ends.get(each["_id"]), int)
            for q in range(end + 1, each["last"] + 1)
        }
        return [event for event in events if (event.writer, event.q) in missing]

    def _events(self, writer: str, at: int, seen: int) -> Iterator[ev.Event]:
        since = min(at, seen)
        query = {
            "run": self._uid,
            "w": writer,
            "$or": [{"last": {"$gt": at}}, {"last": {"$gt": since}, "m": False}],
        }
        last = -1
        for parts in _wholes(self._chunks.find(query).sort([("q", 1), ("part", 1)])):
            try:
                chunk = chunk_of(parts)
            except DamagedError:
                continue
            for event in events_of(self._uid, chunk):
                if event.q > last and (event.q > at or isinstance(event, ev.SourceAdded)):
                    last = event.q
                    yield event


def _small(documents: Sequence[dict[str, Any]], events: Sequence[ev.Event]) -> dict[str, list[ev.Event]]:
    """Return the events of the latest chunk of each writer; none for a large one."""
    latest = {document["w"]: document for document in documents}
    found: dict[str, list[ev.Event]] = {}
    for writer, chunk in latest.items():
        is_small = chunk["parts"] == 1 and len(chunk["z"]) <= _SMALL_BYTES
        inside = [event for event in events if event.writer == writer and event.q >= chunk["q"]] if is_small else []
        found[writer] = inside if len(inside) < _MOST_SMALL else []
    return {writer: inside for writer, inside in found.items() if inside}


def _wholes(documents: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the parts of each chunk."""
    parts: list[dict[str, Any]] = []
    for document in documents:
        if not is_key(document):
            continue
        if parts and (parts[0]["q"], parts[0]["last"]) != (document["q"], document["last"]):
            yield parts
            parts = []
        parts.append(document)
    if parts:
        yield parts
