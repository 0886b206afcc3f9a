"""Runs read back from MongoDB, with all that can be done with runs in a folder."""

from __future__ import annotations

import hashlib
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.observers.mongo import sweeps
from anew.observers.mongo.chunks import chunk_documents
from anew.observers.mongo.client import connect, durable, insert_missing, place
from anew.observers.mongo.content import Content
from anew.observers.mongo.fold import unpack
from anew.observers.mongo.observer import MongoObserver
from anew.observers.mongo.read import sacred as mongo_sacred
from anew.observers.mongo.read.asked import likely_query
from anew.observers.mongo.read.copy import Copy
from anew.observers.mongo.read.documents import AT_A_TIME, Documents, reading
from anew.observers.mongo.read.naming import MADE_UP, meant_by, number_of, started_at, text_of_id
from anew.observers.mongo.read.objects import MongoObjects
from anew.observers.mongo.read.sacred_summary import summaries
from anew.observers.mongo.read.standing import as_it_is_now
from anew.observers.mongo.read.sweeps import SweepMirror, membership_of
from anew.observers.mongo.view import clean, escape_key, pack
from anew.runner import events as ev
from anew.runner.errors import StoreError, SweepNotFoundError
from anew.runner.format import ids
from anew.runner.format.replay import fold
from anew.runner.format.serial import DamagedError
from anew.runner.places import cache_folder
from anew.runner.query.tree import Tree
from anew.runner.records import MetricSummary, RunRecord
from anew.runner.store.folder import FolderStore
from anew.runner.store.paths import RunLayout
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.saved import Views
from anew.runner.store.stored import StoredRun
from anew.runner.store.sweep_copy import Brought
from anew.runner.store.sweep_folder import SweepFolder
from anew.runner.store.sweep_state import read_sweep, restore_claims
from anew.runner.store.typed import as_typed
from anew.runner.sweep_records import SweepRecord
from anew.runner.wording import in_a_line

if TYPE_CHECKING:
    from pymongo.database import Database


_MOST_TAGS = 1_000
_MOST_NOTE = 100_000
_FRESH_S = 0.2
_ATTEMPTS = 20
_ASKED_AT_A_TIME = 1_000


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
    database = durable(connect(url))
    name = hashlib.sha256(place(database).encode()).hexdigest()[:20]
    try:
        with reading(database):
            database.client.admin.command("ping")
        return MongoStore(url, database, cache_folder() / "mongodb" / name)
    except BaseException:
        database.client.close()
        raise


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
        self._documents = Documents(database)
        self._fresh: dict[int, float] = {}
        weakref.finalize(self, database.client.close)

    def __repr__(self) -> str:
        return f"MongoStore({self.url!r})"

    # --- finding ------------------------------------------------------------------------------------------------

    def numbers(self) -> list[int]:
        """Return the numbers of all runs, newest first."""
        return self._documents.numbers()

    def all_runs(self) -> Iterator[StoredRun]:
        """Yield all runs, newest first, their records light, from what the database says of them in short."""
        return (found for found in self._read_in_short(self._documents.all()) if isinstance(found, StoredRun))

    def likely(self, tree: Tree) -> Iterator[RunRecord]:
        """Yield the light records of runs that may pass a filter, newest first, as far as the database can tell."""
        for found in self._read_in_short(self._documents.all(likely_query(tree))):
            if isinstance(found, StoredRun):
                yield found.record
            else:
                self.tell_left_out([found])

    def views(self) -> Views:
        """Return the questions that have names: this user's, in a folder of his."""
        from platformdirs import user_data_path

        return Views(user_data_path("anew") / "views" / self.layout.root.name)

    def left_out(self) -> Iterator[str]:
        """Yield what stands among the runs and cannot be read as one, a sentence each. Raises StoreError."""
        return (found for found in self._read_in_short(self._documents.all()) if isinstance(found, str))

    def left_out_at_once(self) -> Iterator[str]:
        """Yield nothing: `likely` tells of what it comes across."""
        return iter(())

    def _runs_of(self, query: Mapping[str, Any]) -> Iterator[StoredRun]:
        found = self._read_in_short(self._documents.of(query))
        return (each for each in found if isinstance(each, StoredRun))

    def _read_in_short(self, documents: Iterator[tuple[int, dict[str, Any] | str]]) -> Iterator[StoredRun | str]:
        with reading(self.database):
            sweeps_here = sweeps.called(self.database)
        while some := list(islice(documents, AT_A_TIME)):
            theirs = [(number, each) for number, each in some if isinstance(each, dict) and _uid(each) is None]
            known = [(each["_id"], started_at(each)[0]) for _, each in theirs]
            with reading(self.database):
                metrics = dict(zip((number for number, _ in theirs), summaries(self.database, known), strict=True))
            for number, document in some:
                if isinstance(document, str):
                    yield document
                    continue
                record = self._light(number, document, metrics.get(number, {}), sweeps_here)
                if isinstance(record, str):
                    yield f"{text_of_id(document['_id'])!r}: {record}"
                else:
                    yield StoredRun(number, record, is_made_up=number >= MADE_UP)

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
            found = list(self.database["runs"].find({"_id": {"$in": [*meant_by(name)]}}, {"anew.uid": 1}).limit(10))
        theirs = [self._documents.number(each["_id"]) for each in found if _uid(each) is None]
        return sorted(number for number in theirs if number is not None) or super().of_foreign_id(name)

    def quick_number(self, uid: str, hint: int | None) -> int | None:
        """Return what the run of a uid is called here."""
        return next(iter(self.of_uid(uid)), None)

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
        return self._documents.one(number)

    def read(self, number: int) -> StoredRun | None:
        """Return a run with its whole record; None when there is none of this number. Raises StoreError."""
        document = self._document(number)
        run = None if document is None else super().read(number)
        if document is None or run is None:
            return None
        with reading(self.database):
            numbers = sweeps.called(self.database) if run.record.sweep is not None else {}
        record = replace(run.record, sweep=membership_of(document, run.record, numbers))
        if not self.layout.run(number).outcome.exists():
            record = self._standing(record, document)
        return StoredRun(number, _as_in_omniboard(record, document), is_made_up=number >= MADE_UP)

    def _standing(self, record: RunRecord, document: Mapping[str, Any]) -> RunRecord:
        """Return a run of which no end is here as it stands; the folder that it was fetched to knows less of that."""
        if _uid(document) is not None:
            return as_it_is_now(record, document)
        light = mongo_sacred.light_record(self.database, document)
        return replace(record, status=light.status, duration_s=light.duration_s)

    def _light(
        self,
        number: int,
        document: Mapping[str, Any],
        metrics: Mapping[str, MetricSummary],
        sweeps_here: Mapping[int, str],
    ) -> RunRecord | str:
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
                member = membership_of(document, packed, sweeps_here)
                record = as_it_is_now(replace(packed, sweep=member), document)
        except (StoreError, DamagedError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            return f"it cannot be understood ({in_a_line(error, 200)})"
        return _as_in_omniboard(replace(record, id=number), document)

    # --- sweeps -------------------------------------------------------------------------------------------------

    def runs(self, numbers: Sequence[int]) -> dict[int, RunRecord]:
        """Return the light records of some runs, those that there are, by number."""
        found: dict[int, RunRecord] = {}
        for begin in range(0, len(numbers), _ASKED_AT_A_TIME):
            query = {"_id": {"$in": list(numbers[begin : begin + _ASKED_AT_A_TIME])}}
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
        return FolderStore.open(cache_folder() / "spool", create=True)

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
