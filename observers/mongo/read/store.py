"""Runs read back from MongoDB, with all that can be done with runs in a folder."""

from __future__ import annotations

import hashlib
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.observers.mongo.chunks import chunk_documents
from anew.observers.mongo.client import connect, durable, in_our_words, insert_missing, place
from anew.observers.mongo.fold import unpack
from anew.observers.mongo.observer import MongoObserver
from anew.observers.mongo.read import sacred as mongo_sacred
from anew.observers.mongo.read.copy import Copy
from anew.observers.mongo.read.members import INT64
from anew.observers.mongo.read.naming import MADE_UP, OddNames, number_of, started_at, text_of_id
from anew.observers.mongo.read.objects import MongoObjects
from anew.observers.mongo.read.sacred_summary import summaries
from anew.observers.mongo.read.standing import as_it_is_now
from anew.observers.mongo.view import clean, escape_key, pack
from anew.runner import events as ev
from anew.runner.errors import StoreError, UnavailableError
from anew.runner.format import ids
from anew.runner.format.replay import fold
from anew.runner.format.serial import DamagedError
from anew.runner.records import MetricSummary, RunRecord
from anew.runner.store.folder import FolderStore
from anew.runner.store.paths import RunLayout
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.stored import StoredRun
from anew.runner.wording import in_a_line

if TYPE_CHECKING:
    from pymongo.database import Database


_MOST_RUNS = 1_000_000
_MOST_S = 120.0
_MOST_TAGS = 1_000
_MOST_NOTE = 100_000
_FRESH_S = 0.2
_ATTEMPTS = 20
_AT_A_TIME = 200
_LEFT_OUT = {"captured_out": 0, "artifacts": 0, "resources": 0, "experiment.dependencies": 0}
_NUMBERED = {"_id": {"$gt": 0, "$lt": MADE_UP}}


def open_url(url: str, *, create: bool = False) -> MongoStore:
    """
    Open the runs in a database.

    Args:
        url: As MongoDB's drivers take it, such as "mongodb://localhost:27017/anew".
        create: Nothing to MongoDB, which makes a database when something is written there.

    Raises:
        MissingExtraError: pymongo is not installed.
        ConfigError: The URL cannot be understood.
        StoreError: The server cannot be reached, or does not let us in.
    """
    from platformdirs import user_cache_path

    database = durable(connect(url))
    name = hashlib.sha256(place(database).encode()).hexdigest()[:20]
    try:
        with reading(database):
            database.client.admin.command("ping")
        return MongoStore(url, database, user_cache_path("anew") / "mongodb" / name)
    except BaseException:
        database.client.close()
        raise


@contextmanager
def reading(database: Database[dict[str, Any]]) -> Iterator[None]:
    """Raise whatever a server does as a StoreError; it may be anybody's, and answer anything."""
    from bson.errors import BSONError
    from pymongo.errors import PyMongoError

    try:
        with in_our_words(database):
            yield
    except UnavailableError as error:
        raise StoreError(f"{error} To see what is wrong: anew check --store mongodb://...") from None
    except (PyMongoError, BSONError, RecursionError, OverflowError) as error:
        raise StoreError(f"MongoDB at {place(database)} answers what cannot be read: {in_a_line(error, 200)}") from None


class MongoStore(RunFolders):
    """
    Runs in a database that MongoObserver or Sacred wrote to.

    It has a mirror, a folder in the user's cache that is filled with what is wanted when it is wanted: lists are made
    from the runs' documents alone, a run's journal and output are fetched when it is looked at, and again only what is
    new; content when it is opened. So everything that reads a folder reads this. Safe between threads and processes.
    Nothing in the database is trusted: what is nonsense is left out, and said.

    Tags and notes that were given in Omniboard are shown beside our own. A run's number is its `_id`; for an `_id` that
    is none a number stands that is beyond all others.

    Args:
        url: As it was given, for observers; nothing secret in it is shown.
        database: Where the runs are.
        mirror: The folder in the cache.
    """

    objects: MongoObjects

    def __init__(self, url: str, database: Database[dict[str, Any]], mirror: Path) -> None:
        self._given_url = url
        self.database = database
        self.url = f"mongodb://{place(database)}"
        self.layout = FolderStore.open(mirror, create=True).layout
        self.objects = MongoObjects(self.layout.objects, database, lambda: reading(database))
        self._fresh: dict[int, float] = {}
        self._odd = OddNames(database)
        weakref.finalize(self, database.client.close)

    def __repr__(self) -> str:
        return f"MongoStore({self.url!r})"

    # --- finding ------------------------------------------------------------------------------------------------

    def numbers(self) -> list[int]:
        """Return the numbers of all runs, newest first."""
        with reading(self.database):
            cursor = self.database["runs"].find(_NUMBERED, {"_id": 1}).sort("_id", -1)
            found = [number_of(document.get("_id")) for document in self._bounded(cursor)]
            return [*self._odd.read(), *(number for number in found if number is not None)]

    def all_runs(self) -> Iterator[StoredRun]:
        """Yield all runs, newest first, their records light, from what the database says of them in short."""
        return (found for found in self._everything() if isinstance(found, StoredRun))

    def left_out(self) -> Iterator[str]:
        """Yield what stands among the runs and cannot be read as one, a sentence each. Raises StoreError."""
        return (found for found in self._everything() if isinstance(found, str))

    def _everything(self) -> Iterator[StoredRun | str]:
        documents = self._documents()
        while some := list(islice(documents, _AT_A_TIME)):
            theirs = [(number, each) for number, each in some if isinstance(each, dict) and _uid(each) is None]
            known = [(each["_id"], started_at(each)[0]) for _, each in theirs]
            with reading(self.database):
                metrics = dict(zip((number for number, _ in theirs), summaries(self.database, known), strict=True))
            for number, document in some:
                if isinstance(document, str):
                    yield document
                    continue
                record = self._light(number, document, metrics.get(number, {}))
                if isinstance(record, str):
                    yield f"{text_of_id(document['_id'])!r}: {record}"
                else:
                    yield StoredRun(number, record, is_made_up=number >= MADE_UP)

    def _documents(self) -> Iterator[tuple[int, dict[str, Any] | str]]:
        """Yield each run's number and document, newest first; where that cannot be decoded, a sentence that says so."""
        with reading(self.database):
            names = iter(self._odd.read().items())
            while some := dict(islice(names, _AT_A_TIME)):
                asked = {"_id": {"$in": list(some.values())}}
                found = {_same(each["_id"]): each for each in self._decoded(asked) if isinstance(each, dict)}
                for odd, identity in some.items():
                    yield odd, found.get(_same(identity)) or f"{text_of_id(identity)!r}: its document cannot be decoded"
            for document in self._decoded(_NUMBERED):
                number = 0 if isinstance(document, str) else number_of(document["_id"])
                if number is not None:
                    yield number, document

    def _decoded(self, asked: Mapping[str, Any]) -> Iterator[dict[str, Any] | str]:
        """Yield documents, highest `_id` first, in place of a broken one a sentence: others are none the worse."""
        import bson
        from bson.codec_options import CodecOptions
        from bson.errors import BSONError
        from bson.raw_bson import RawBSONDocument

        raw: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
        plain: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)
        cursor = self.database.with_options(codec_options=raw)["runs"].find(asked, _LEFT_OUT).sort("_id", -1)
        for packed in self._bounded(cursor):
            try:
                yield bson.decode(packed.raw, codec_options=plain)
            except BSONError as error:
                yield f"a document cannot be decoded ({in_a_line(error, 200)})"

    def of_uid(self, prefix: str) -> list[int]:
        """Return the numbers, ascending, of the runs whose uid begins so."""
        with reading(self.database):
            query = {"anew.uid": {"$gte": prefix, "$lt": f"{prefix}~"}}
            found = [each.get("_id") for each in islice(self.database["runs"].find(query, {"_id": 1}), 100)]
        numbers = [number_of(each) for each in found]
        return sorted(number for number in numbers if number is not None) or super().of_uid(prefix)

    def of_foreign_id(self, name: str) -> list[int]:
        """Return the numbers, ascending, of the runs that another program recorded, and calls so."""
        if clean(name) != name:
            return []
        with reading(self.database):
            found = self.database["runs"].find({"_id": {"$in": [*_meant(name)]}}, {"anew.uid": 1}).limit(10)
            theirs = [self._odd.number(each["_id"]) for each in found if _uid(each) is None]
        return sorted(number for number in theirs if number is not None) or super().of_foreign_id(name)

    def quick_number(self, uid: str, hint: int | None) -> int | None:
        """Return what the run of a uid is called here."""
        return next(iter(self.of_uid(uid)), None)

    def _bounded(self, cursor: Any) -> Iterator[Any]:
        """Yield documents; a cursor that does not end ends here."""
        until = time.monotonic() + _MOST_S
        for count, document in enumerate(cursor):
            if count >= _MOST_RUNS or time.monotonic() > until:
                raise StoreError(
                    f"MongoDB at {place(self.database)} goes on sending runs after {count:,}; it is not read further."
                )
            yield document

    # --- reading ------------------------------------------------------------------------------------------------

    def present(self, number: int) -> RunLayout:
        """Return the folder of a run, fetched as far as it is in the database. Raises StoreError."""
        layout = self.layout.run(number)
        if time.monotonic() - self._fresh.get(number, -_FRESH_S) < _FRESH_S:
            return layout
        document = self._document(number)
        if document is None:
            Copy(self.database, layout).remove()
            return layout
        with reading(self.database):
            copy = Copy(self.database, layout)
            if _uid(document) is None:
                copy.of_events(mongo_sacred.events(self.database, document, self.objects.put_stream), document)
            else:
                copy.of_journal(_uid(document) or "", document)
        self._fresh[number] = time.monotonic()
        return layout

    def _document(self, number: int) -> dict[str, Any] | None:
        with reading(self.database):
            try:
                identity = self._odd.identity(number)
            except LookupError:
                return None
            return self.database["runs"].find_one({"_id": {"$eq": identity}})

    def read(self, number: int) -> StoredRun | None:
        """Return a run with its whole record; None when there is none of this number. Raises StoreError."""
        document = self._document(number)
        run = None if document is None else super().read(number)
        if document is None or run is None:
            return None
        record = run.record
        if not self.layout.run(number).outcome.exists():
            record = self._standing(record, document)
        return StoredRun(number, _as_in_omniboard(record, document), is_made_up=number >= MADE_UP)

    def _standing(self, record: RunRecord, document: Mapping[str, Any]) -> RunRecord:
        """Return a run of which no end is here as it stands; the folder that it was fetched to knows less of that."""
        if _uid(document) is not None:
            return as_it_is_now(record, document)
        light = mongo_sacred.light_record(self.database, document)
        return replace(record, status=light.status, duration_s=light.duration_s)

    def _light(self, number: int, document: Mapping[str, Any], metrics: Mapping[str, MetricSummary]) -> RunRecord | str:
        """Return a run as its document has it; for one that is nonsense, why it is."""
        uid = _uid(document)
        try:
            if uid is None:
                record = replace(mongo_sacred.light_record(self.database, document), metrics=metrics)
            else:
                packed = unpack(document["anew"].get("record"), uid)
                if packed is None:
                    whole = self.read(number)
                    return "what is on record of it is not there" if whole is None else whole.record
                record = as_it_is_now(packed, document)
        except (StoreError, DamagedError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            return f"it cannot be understood ({in_a_line(error, 200)})"
        return _as_in_omniboard(replace(record, id=number), document)

    # --- writing ------------------------------------------------------------------------------------------------

    def add_event(self, run: StoredRun, kind: type[ev.Event], **values: Any) -> None:
        """
        Add an event to a run: a tag, a note, a verdict.

        Raises:
            StoreError: The database cannot be written, or Sacred recorded the run.
        """
        record = run.record
        document = self._document(run.number)
        if document is None or _uid(document) != record.uid:
            raise StoreError(f"Run {run.number} was recorded by Sacred; tags and notes are given to it in Omniboard.")
        writer = f"curate-{ids.new_uid()}"
        t = max(0.0, time.time() - record.started_at.timestamp())
        event = kind(uid=record.uid, writer=writer, q=1, t=t, **values)
        with reading(self.database):
            insert_missing(self.database["anew_journal"], chunk_documents([event]))
            self._fold_in(run.number, event)
        self._fresh.pop(run.number, None)

    def _fold_in(self, number: int, event: ev.Event) -> None:
        """Have the run's document say it, too; whoever delivers the run at this moment sees that it was changed."""
        for _ in range(_ATTEMPTS):
            document = self._document(number) or {}
            ours = document.get("anew") or {}
            changes: dict[str, Any] = {"anew.rev": _whole(ours.get("rev")) + 1}
            record = unpack(ours.get("record"), event.uid)
            if record is not None:
                beat = record.heartbeat_at
                changed = fold(record, event)
                changes["anew.record"] = pack(replace(changed, heartbeat_at=beat) if record.status.final else changed)
                changes[f"anew.at.{escape_key(event.writer, top=True)}"] = event.q
            known = {"_id": number, "anew.rev": ours.get("rev")}
            if self.database["runs"].update_one(known, {"$set": changes}).matched_count:
                return

    def refuse_recording(self) -> None:
        """Say how runs come here. Raises StoreError."""
        raise StoreError(
            "A run is not recorded in MongoDB but in a folder, and sent on from there while it goes on: "
            "'anew/observers=[files,mongo]' anew.observers.mongo.url=mongodb://... (without files, no folder stays)"
        )

    def recording(self) -> FolderStore:
        """Return the spool in the user's cache: a run is sent on from there."""
        from platformdirs import user_cache_path

        return FolderStore.open(user_cache_path("anew") / "spool", create=True)

    def observer(self, *, keep_number: bool = False) -> MongoObserver:
        """Return an observer that writes here; with *keep_number* runs have their own numbers where these are free."""
        return MongoObserver(self._given_url, keep_number=keep_number)

    def refuse_removal(self) -> None:
        """Say how runs are deleted. Raises StoreError."""
        raise StoreError(
            f"Runs in {self.url} are deleted in MongoDB or in Omniboard. To have them in a folder: "
            f"anew sync {self.url} FOLDER"
        )


def _same(identity: Any) -> tuple[type, str]:
    """Return what an `_id` is known again by; not all that it may be can be hashed."""
    return type(identity), str(identity)


def _meant(name: str) -> Iterator[Any]:
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


def _whole(value: Any) -> int:
    return value if type(value) is int else 0


def _uid(document: Mapping[str, Any]) -> str | None:
    """Return the uid of a run of ours; None for one that Sacred wrote."""
    ours = document.get("anew")
    uid = ours.get("uid") if isinstance(ours, dict) else None
    return uid if type(uid) is str and uid.isascii() and uid.isalnum() and len(uid) == ids.UID_LENGTH else None


def _as_in_omniboard(record: RunRecord, document: Mapping[str, Any]) -> RunRecord:
    """Return a record with the tags and the note that were given in Omniboard, but for those that we put there."""
    tags, note = _board(document)
    ours = document.get("anew")
    our_tags, our_note = _board(ours) if isinstance(ours, dict) else ([], "")
    tags = [tag for tag in tags if tag not in our_tags]
    text = "" if note == our_note else note
    if not record.note:
        both = text or None
    else:
        both = record.note if not text or text in record.note else f"{record.note}\n{text}"
    return replace(record, tags=tuple(dict.fromkeys((*record.tags, *tags))), note=both)


def _board(document: Mapping[str, Any]) -> tuple[list[str], str]:
    """Return the tags and the note in a document's member `omniboard`."""
    board = document.get("omniboard")
    if not isinstance(board, dict):
        return [], ""
    tags, note = board.get("tags"), board.get("notes")
    return (
        [tag for tag in tags[:_MOST_TAGS] if type(tag) is str] if isinstance(tags, list) else [],
        note[:_MOST_NOTE] if isinstance(note, str) else "",
    )
