"""Runs read back from MongoDB, with all that can be done with runs in a folder."""

from __future__ import annotations

import hashlib
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.observers.mongo import sweeps
from anew.observers.mongo.chunks import chunk_documents
from anew.observers.mongo.client import connect, durable, in_our_words, insert_missing, place
from anew.observers.mongo.content import Content
from anew.observers.mongo.fold import unpack
from anew.observers.mongo.observer import MongoObserver
from anew.observers.mongo.read import sacred as mongo_sacred
from anew.observers.mongo.read.copy import Copy
from anew.observers.mongo.read.objects import MongoObjects
from anew.observers.mongo.read.sweeps import SweepMirror, membership_of
from anew.observers.mongo.view import escape_key, pack
from anew.runner import events as ev
from anew.runner.errors import StoreError, SweepNotFoundError, UnavailableError
from anew.runner.format import ids
from anew.runner.format.replay import fold
from anew.runner.format.serial import DamagedError
from anew.runner.records import RunRecord, Status
from anew.runner.store.folder import FolderStore
from anew.runner.store.liveness import process_alive
from anew.runner.store.paths import RunLayout
from anew.runner.store.reading import SILENT_S
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.stored import StoredRun
from anew.runner.store.sweep_copy import Brought
from anew.runner.store.sweep_folder import SweepFolder
from anew.runner.store.sweep_state import read_sweep, restore_claims
from anew.runner.store.typed import as_typed
from anew.runner.sweep_records import SweepRecord
from anew.runner.wording import in_a_line

if TYPE_CHECKING:
    from pymongo.database import Database


_GREATEST = 2**53 - 1
_MOST_RUNS = 1_000_000
_MOST_S = 120.0
_MOST_TAGS = 1_000
_MOST_NOTE = 100_000
_FRESH_S = 0.2
_ATTEMPTS = 20
_AT_A_TIME = 1_000


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

    Tags and notes that were given in Omniboard are shown beside our own. A run's number is its `_id`; runs whose `_id`
    is none are left out.

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
        weakref.finalize(self, database.client.close)

    def __repr__(self) -> str:
        return f"MongoStore({self.url!r})"

    # --- finding ------------------------------------------------------------------------------------------------

    def numbers(self) -> list[int]:
        """Return the numbers of all runs, newest first."""
        with reading(self.database):
            cursor = self.database["runs"].find({}, {"_id": 1}).sort("_id", -1)
            return [document["_id"] for document in self._bounded(cursor) if _is_number(document.get("_id"))]

    def all_runs(self) -> Iterator[StoredRun]:
        """Yield all runs, newest first, their records light, from their documents alone."""
        return self._runs_of({})

    def _runs_of(self, query: Mapping[str, Any]) -> Iterator[StoredRun]:
        left_out = {"captured_out": 0, "artifacts": 0, "resources": 0, "experiment.dependencies": 0}
        with reading(self.database):
            numbers = sweeps.called(self.database)
            for document in self._bounded(self.database["runs"].find(query, left_out).sort("_id", -1)):
                if _is_number(document.get("_id")):
                    record = self._light(document, numbers)
                    if record is not None:
                        yield StoredRun(document["_id"], record)

    def of_uid(self, prefix: str) -> list[int]:
        """Return the numbers, ascending, of the runs whose uid begins so."""
        with reading(self.database):
            query = {"anew.uid": {"$gte": prefix, "$lt": f"{prefix}~"}}
            found = [each.get("_id") for each in islice(self.database["runs"].find(query, {"_id": 1}), 100)]
        numbers = sorted(number for number in found if isinstance(number, int) and _is_number(number))
        return numbers or super().of_uid(prefix)

    def quick_number(self, uid: str, hint: int | None) -> int | None:
        """Return what the run of a uid is called here."""
        return next(iter(self.of_uid(uid)), None)

    def _bounded(self, cursor: Any) -> Iterator[dict[str, Any]]:
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
        if not _is_number(number):
            return None
        with reading(self.database):
            return self.database["runs"].find_one({"_id": number})

    def read(self, number: int) -> StoredRun | None:
        """Return a run with its whole record; None when there is none of this number. Raises StoreError."""
        document = self._document(number)
        run = None if document is None else super().read(number)
        if document is None or run is None:
            return None
        with reading(self.database):
            numbers = sweeps.called(self.database) if run.record.sweep is not None else {}
        record = replace(run.record, sweep=membership_of(document, run.record, numbers))
        return StoredRun(number, _as_in_omniboard(record, document))

    def _light(self, document: Mapping[str, Any], sweeps_here: Mapping[int, str]) -> RunRecord | None:
        """Return a run as its document has it; None for one that is nonsense."""
        uid = _uid(document)
        try:
            if uid is None:
                record: RunRecord | None = mongo_sacred.light_record(self.database, document)
            else:
                record = unpack(document["anew"].get("record"), uid)
                if record is None:
                    whole = self.read(document["_id"])
                    return None if whole is None else whole.record
                member = membership_of(document, record, sweeps_here)
                record = _as_it_is_now(replace(record, id=document["_id"], sweep=member), document)
        except (StoreError, DamagedError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
            return None
        return None if record is None else _as_in_omniboard(record, document)

    # --- sweeps -------------------------------------------------------------------------------------------------

    def runs(self, numbers: Sequence[int]) -> dict[int, RunRecord]:
        """Return the light records of some runs, those that there are, by number."""
        found: dict[int, RunRecord] = {}
        for begin in range(0, len(numbers), _AT_A_TIME):
            query = {"_id": {"$in": list(numbers[begin : begin + _AT_A_TIME])}}
            found.update((run.number, run.record) for run in self._runs_of(query))
        return found

    def named(self, record: RunRecord) -> RunRecord:
        """Return a run's record as it is: the number that its sweep has here is in its document."""
        return record

    def sweep_numbers(self) -> list[int]:
        """Return the numbers of all sweeps, newest first."""
        return sorted(self.sweeps_of_uid(""), reverse=True)

    def sweeps_of_uid(self, prefix: str) -> dict[int, str]:
        """Return the sweeps whose uid begins so: number -> uid, ascending."""
        with reading(self.database):
            return sweeps.called(self.database, prefix)

    def sweep_folder(self, ref: str | int) -> SweepFolder:
        """Return a sweep's folder, fetched as far as it is in the database; see `RunFolders.sweep_folder`."""
        number = super().sweep_folder(ref).number
        with reading(self.database):
            mirror = SweepMirror(self.database, self.layout.sweep(number), number)
            mirror.fetch()
        # of a sweep that was not copied here the runs came one by one, and tell who took which job
        restore_claims(mirror.folder, _Members(self, mirror.folder.uid))
        return mirror.folder

    def sweep(self, ref: str | int) -> SweepRecord:
        """Return a sweep and its jobs, as they stand. Raises as `sweep_folder`, StoreError."""
        folder = self.sweep_folder(ref)
        if folder.start() is None and not folder.is_headless():
            number = folder.number
            raise SweepNotFoundError(
                f"Of sweep {number} nothing but its runs is in {self.url}: "
                f"{as_typed(f'anew list sweep=={number}', self.url)}. To bring the rest: anew sync FOLDER {self.url}",
                ref=number,
            )
        return read_sweep(folder, _Members(self, folder.uid))

    def members(self, uid: str) -> Iterator[RunRecord]:
        """Yield the light records of a sweep's runs, newest first."""
        return (run.record for run in self._runs_of({"anew.sweep.uid": uid}))

    def bring_sweep(self, sweep: SweepFolder, store: RunFolders) -> tuple[int, Brought]:
        """Bring a sweep here; see `RunFolders.bring_sweep`. It keeps its number where that is free."""
        start = sweep.start()
        if start is None:
            raise StoreError(f"{str(sweep.layout.record)!r} cannot be read.")
        runs = self.numbers_for(store)
        with reading(self.database):
            number = sweeps.claim(self.database, start.uid, start.experiment, sweep.number)
            content = Content(self.database, store, lambda: None)
            content.keep_files(start.source.files)
            return number, SweepMirror(self.database, self.layout.sweep(number), number).bring(sweep, runs)

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


class _Members:
    """The runs of one sweep."""

    def __init__(self, store: MongoStore, uid: str) -> None:
        self._store = store
        self._uid = uid

    def runs(self, numbers: Sequence[int], /) -> Mapping[int, RunRecord]:
        """Return some by number, those that there are."""
        return self._store.runs(numbers)

    def records(self) -> Iterable[RunRecord]:
        """Return all of them."""
        return self._store.members(self._uid)


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 < value <= _GREATEST


def _whole(value: Any) -> int:
    return value if type(value) is int else 0


def _uid(document: Mapping[str, Any]) -> str | None:
    """Return the uid of a run of ours; None for one that Sacred wrote."""
    ours = document.get("anew")
    uid = ours.get("uid") if isinstance(ours, dict) else None
    return uid if type(uid) is str and uid.isascii() and uid.isalnum() and len(uid) == ids.UID_LENGTH else None


def _as_it_is_now(record: RunRecord, document: Mapping[str, Any]) -> RunRecord:
    """Return a run that has not ended as LOST when nothing was heard of it."""
    if record.status.final:
        return record
    alive = process_alive(record.process) if record.process else None
    beat = document.get("heartbeat")
    if alive is None:
        now = datetime.now(beat.tzinfo) if isinstance(beat, datetime) else None
        alive = now is not None and isinstance(beat, datetime) and (now - beat).total_seconds() < SILENT_S
    if alive:
        return record
    last = record.heartbeat_at or record.started_at
    return replace(record, status=Status.LOST, duration_s=(last - record.started_at).total_seconds())


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
