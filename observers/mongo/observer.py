"""Runs in MongoDB, as Sacred keeps them, so that Omniboard shows them, and whole beside that."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from anew.observers.ending import is_lost
from anew.observers.mongo import numbers as mongo_runs
from anew.observers.mongo import sweeps
from anew.observers.mongo.chunks import is_known
from anew.observers.mongo.client import connect, durable, in_our_words, place
from anew.observers.mongo.content import Content
from anew.observers.mongo.fold import Fold, unpack
from anew.observers.mongo.journal import Journal
from anew.observers.mongo.metrics import Metrics
from anew.observers.mongo.output import Output
from anew.observers.mongo.view import LOST, NOT_NULL, Parts, changing_fields, unescape_key
from anew.runner import events as ev
from anew.runner.contracts import RunStore
from anew.runner.dataclass import dataclass
from anew.runner.errors import AnewError, UnavailableError
from anew.runner.records import ContentRef, RunRecord
from anew.runner.store.run_folders import RunFolders

if TYPE_CHECKING:
    from bson import ObjectId

VIEW_S = 1.0
_OUTPUT_S = 10.0
_LITTLE_OUTPUT_BYTES = 64 * 1024
_CHEAP_S = 0.1
_START_S = 1.5
_BEAT_S = 20.0
_ALIVE_S = 120.0
_ATTEMPTS = 30
_AT_ONCE = (ev.RunEnded, ev.ArtifactAdded, ev.TagsChanged, ev.NoteSet, ev.Commented, ev.Judged)


class _OvertakenError(Exception):
    """Somebody else has written the run's document since it was read."""


@dataclass(slots=True)
class _Run:
    """
    A run as this process knows it to be in the database. After any failure it is read again.

    Attributes:
        rev: `anew.rev` of the document.
        shown: What the fields of the document are known to be.
        artifacts: The artifacts' files that the document refers to.
        is_shown: Whether this process has written the document since it took up the run.
        view_due, output_due: On the monotonic clock: when the document, and the output in it, are written next.
        view_took: How many seconds that took last time.
    """

    number: int
    rev: int
    fold: Fold
    journal: Journal
    output: Output
    metrics: Metrics
    shown: dict[str, Any] = field(default_factory=dict)
    artifacts: set[ObjectId] = field(default_factory=set)
    has_all_content: bool = False
    is_shown: bool = False
    is_dirty: bool = True
    view_due: float = 0.0
    view_took: float = 0.0
    output_due: float = 0.0


class MongoObserver:
    """
    Keeps a run in MongoDB: in Sacred's collections (`runs`, `metrics`, `fs`), which Omniboard and many scripts read,
    and, in `anew_journal`, every event as it stands in the run's journal.

    The number. The document in `runs` has as its `_id` a number that no run has had, counted in `anew_counters`, always
    above all that are there; so Sacred may write to the same database. A run is known by its uid: whoever delivers it
    again, from whatever machine, comes to the same document.

    What is there when. When a batch has been delivered its events are in `anew_journal`, and the content of files is
    in GridFS. The arrays in `metrics` and the document in `runs` are made from these events: at once as long as that is
    cheap, at least about once a second, less often where documents are large or the server is slow, and completely at
    the run's end. A process that takes up a run midway makes up for what its predecessor left undone. Each of them is
    compared and set, so that repeats, lost replies and several processes that deliver the same run change nothing.

    What is cut. The document holds at most 512 KiB of captured output (its beginning and its end), and of a
    configuration, of `info` and of lists of files what fits, with a note. The journal has all. A metric that is longer
    than 50,000 points is in several documents, of which Omniboard shows the latest.

    What is left alone. `omniboard`, where Omniboard's users have their tags and notes: a run's own are put there once,
    when it starts. A run whose document was deleted is not brought back, neither while it goes on nor by delivering it
    again: its events are taken without a word, as long as its journal is there. An artifact that is logged again under
    its name takes the place of the one before.

    Files are read from the run's store. What is missing or damaged there is left out, with a sentence in
    `anew.warnings`, and tried once more when the run ends.

    For one thread at a time. Not to be used in a child after a fork.

    Args:
        url: As MongoDB's drivers take it: "mongodb://USER:PASSWORD@HOST:PORT/DATABASE?OPTIONS"; replica sets,
            authentication and TLS are options in it. Nothing secret in it is shown anywhere. Unless it says what it
            wants of writes (`w`, `journal`), they have to be on the disks of a majority.
        database: The database's name; null: the one in the URL, or else "anew".
        timeout_s: How long a server is looked for, and how long a reply is waited for, where the URL does not say.
        keep_number: Whether to use the number that the run has in its own store, if it is free in the database.

    Raises:
        MissingExtraError: pymongo is not installed.
        ConfigError: The URL cannot be understood.
    """

    def __init__(
        self, url: str, database: str | None = None, timeout_s: float = 5.0, keep_number: bool = False
    ) -> None:
        self._database = durable(connect(url, database=database, timeout_s=timeout_s))
        self._keep_number = keep_number
        self._store: RunStore | None = None
        self._start: RunRecord | None = None
        self._run: _Run | None = None
        self._content: Content | None = None
        self._number: int | None = None
        self._is_deleted = self._has_ended = False
        # what stays true of a run, whatever else has to be read again
        self._sources: dict[str, ContentRef] = {}
        self._seen: dict[str, int] = {}
        self._heartbeat: datetime | None = None
        self._begun = self._beaten = time.monotonic()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({place(self._database)!r})"

    @property
    def sink(self) -> str:
        """Where the run is, as "run 17 in localhost:27017/anew"; empty before the first event."""
        if self._is_deleted:
            return f"deleted from {place(self._database)}"
        return "" if self._number is None else f"run {self._number} in {place(self._database)}"

    def check(self) -> str:
        """Look whether the server answers and lets us read; return where it is. Raises UnavailableError."""
        with in_our_words(self._database):
            self._database.command("ping")
            self._database["runs"].find_one({}, {"_id": 1})
        return place(self._database)

    def begin(self, store: RunStore, /) -> None:
        """Take the store that files are read from."""
        self._store = store

    def handle(self, event: ev.Event, /) -> None:
        """Take one event; see `handle_many`."""
        self.handle_many((event,))

    def handle_many(self, events: Sequence[ev.Event], /) -> None:
        """
        Take events.

        Raises:
            UnavailableError: The server cannot be reached, does not let us in, or cannot do it now.
        """
        self._begun = self._beaten = time.monotonic()
        for event in events:
            if isinstance(event, ev.RunStarted):
                self._begin_run(event.record)
            self._has_ended |= isinstance(event, ev.RunEnded)
        assert self._start is not None, "the first event is RunStarted"
        try:
            with in_our_words(self._database):
                self._deliver(self._start, [event for event in events if is_known(event)])
        except BaseException:
            self._forget()
            raise

    def close(self) -> None:
        """Bring the run's document up to date if it is not, and let go of the connection. Never raises."""
        with suppress(Exception):
            run = self._run
            if run is not None and (run.is_dirty or run.output.is_dirty):
                run.output_due = 0.0  # there is no later
                self._publish(run)
        with suppress(Exception):
            self._tell_lost()
        with suppress(Exception):
            self._database.client.close()

    def _tell_lost(self) -> None:
        """Have the document say so where the run died without an end: nobody who reads it can tell."""
        if self._start is None or self._has_ended or not is_lost(self._store, self._start.uid):
            return
        known = {"anew.uid": self._start.uid, "anew.ended": {"$ne": True}}
        self._database["runs"].update_one(known, {"$set": {f"anew.{LOST}": datetime.now(timezone.utc)}})

    # --- one run ------------------------------------------------------------------------------------------------

    def _begin_run(self, record: RunRecord) -> None:
        if self._start is not None and self._start.uid == record.uid:
            return
        self._start = record
        self._content = Content(self._database, self._store, self._beat)

    def _deliver(self, start: RunRecord, events: Sequence[ev.Event]) -> None:
        for attempt in range(_ATTEMPTS):
            run = self._run = self._run or self._take_up(start)
            if run is None:
                return
            try:
                self._write(run, events)
            except _OvertakenError:
                self._forget()
                time.sleep(random.uniform(0, 0.01 * (attempt + 1)))
            else:
                return
        raise UnavailableError(f"Others are writing the same run in {place(self._database)}.")

    def _forget(self) -> None:
        if self._run is not None:
            self._sources.update(self._run.fold.sources)
            self._seen = dict(self._run.fold.at)
        self._run = None

    def _write(self, run: _Run, events: Sequence[ev.Event]) -> None:
        run.journal.keep(event for event in events if not isinstance(event, ev.OutputCaptured))
        run.output.keep(events)
        for event in events:
            if isinstance(event, (ev.OutputCaptured, ev.RunStarted)):
                continue
            if run.fold.take(event):
                run.is_dirty = True
                if isinstance(event, ev.MetricsLogged):
                    run.metrics.add(event)
            if isinstance(event, (ev.SourceAdded, ev.InputUsed, ev.ArtifactAdded)):
                run.has_all_content = False
        has_ended = any(isinstance(event, ev.RunEnded) for event in events)
        # a run that is to start waits for this one event
        only_start = all(isinstance(event, ev.RunStarted) for event in events)
        self._keep_content(run, until=self._begun + _START_S if only_start else float("inf"), again=has_ended)
        if run.metrics.is_due:
            run.metrics.flush()
        if self._is_due(run, events):
            self._publish(run)

    def _is_due(self, run: _Run, events: Sequence[ev.Event]) -> bool:
        if not run.is_shown or any(isinstance(event, _AT_ONCE) for event in events):
            return True
        if run.view_took < _CHEAP_S and any(isinstance(event, ev.InfoSet) for event in events):
            return True
        return (run.is_dirty or run.output.is_dirty) and time.monotonic() >= run.view_due

    def _keep_content(self, run: _Run, *, until: float, again: bool) -> None:
        assert self._content is not None
        if again or not run.has_all_content:
            run.has_all_content = self._content.keep(run.fold.record(run.number), run.number, until=until, again=again)

    # --- taking up ----------------------------------------------------------------------------------------------

    def _take_up(self, start: RunRecord) -> _Run | None:
        """Return the run as it is in the database, inserted if need be; None if it was deleted."""
        database, uid = self._database, start.uid
        if self._is_deleted:
            return None
        document = mongo_runs.find(database, uid)
        if document is None:
            if Journal(database, uid).has_start():
                self._is_deleted = True
                return None
            sweep = self._sweep_of(start)
            number = mongo_runs.claim(database, start, keep_number=self._keep_number, sweep=sweep)
            if number is not None:
                return self._new(start, number)
            document = mongo_runs.find(database, uid)
            if document is None:
                raise UnavailableError(f"The document of the run was deleted from {place(database)} just now.")
        return self._resumed(start, document)

    def _sweep_of(self, start: RunRecord) -> dict[str, Any] | None:
        """Return which job of which sweep a run is, as its document says it; the sweep gets a number if it has none."""
        member = start.sweep
        if member is not None and member.uid is None and self._store is not None:
            # of an earlier version: its store may know better
            with suppress(AnewError):
                member = self._store.get(start.uid).sweep
        if member is None or member.uid is None:
            return None
        wanted = member.id if self._keep_number else None
        number = sweeps.claim(self._database, member.uid, start.experiment, wanted)
        if isinstance(self._store, RunFolders):
            sweeps.begin(self._database, number, self._store, member.uid)
        return {"number": number, "uid": member.uid, "index": member.index}

    def _new(self, start: RunRecord, number: int) -> _Run:
        database = self._database
        run = _Run(
            number,
            0,
            Fold(start),
            Journal(database, start.uid, is_new=True),
            Output(database, start.uid, is_new=True),
            Metrics(database, start.uid, number, start.started_at, is_new=True, beat=self._beat),
        )
        self._number = number
        run.journal.keep([ev.RunStarted(uid=start.uid, writer="run", q=0, t=0.0, record=start)])
        return run

    def _resumed(self, start: RunRecord, document: dict[str, Any]) -> _Run:
        database, number = self._database, document["_id"]
        ours = document["anew"]
        record = unpack(ours.get("record"), start.uid)
        at = {unescape_key(name): q for name, q in ours.get("at", {}).items()} if record else {}
        run = _Run(
            number,
            ours.get("rev", 0),
            Fold(start, laid_down=record, at=at, sources=self._sources),
            Journal(database, start.uid),
            Output(database, start.uid),
            Metrics(database, start.uid, number, start.started_at, is_new=False, beat=self._beat),
        )
        self._number = number
        run.artifacts = {each["file_id"] for each in document.get("artifacts") or ()}
        run.journal.keep([ev.RunStarted(uid=start.uid, writer="run", q=0, t=0.0, record=start)])
        for event in run.journal.behind(run.fold.at, self._seen):
            if run.fold.take(event) and isinstance(event, ev.MetricsLogged):
                run.metrics.add(event)
                if run.metrics.is_due:
                    run.metrics.flush()
        return run

    # --- the document -------------------------------------------------------------------------------------------

    def _publish(self, run: _Run) -> None:
        """
        Write what of the run's document has changed.

        Raises:
            _OvertakenError: Somebody else was first.
        """
        begun = time.monotonic()
        run.metrics.flush()
        fields = self._fields(run)
        changed = {path: value for path, value in fields.items() if path not in run.shown or run.shown[path] != value}
        changed["anew.rev"] = run.rev + 1
        gone = {path: changed.pop(path) for path in NOT_NULL if path in changed and changed[path] is None}
        update = {"$set": changed, **({"$unset": gone} if gone else {})}
        assert self._start is not None
        known = {"_id": run.number, "anew.uid": self._start.uid, "anew.rev": run.rev}
        if not self._database["runs"].update_one(known, update).matched_count:
            if mongo_runs.find(self._database, self._start.uid) is not None:
                raise _OvertakenError
            self._is_deleted = True
            run.metrics.remove()
            self._forget()
            return
        run.rev += 1
        run.shown.update(fields)
        run.is_shown, run.is_dirty = True, False
        run.output.is_dirty = run.output.is_dirty and "captured_out" not in fields
        self._heartbeat = fields["heartbeat"]
        self._remove_replaced(run, {each["file_id"] for each in fields["artifacts"]})
        now = time.monotonic()
        run.view_took = now - begun
        run.view_due = now + max(VIEW_S, 3 * run.view_took)

    def _fields(self, run: _Run) -> dict[str, Any]:
        assert self._content is not None
        content = self._content
        record = run.fold.record(run.number)
        parts = Parts(
            metrics=run.metrics.references(record.metrics),
            source=content.source,
            artifact=lambda artifact: content.artifact(record.uid, run.number, artifact),
            warnings=content.warnings,
            positions=run.fold.at,
        )
        fields = changing_fields(record, parts)
        now = time.monotonic()
        if run.output.is_dirty and (record.status.final or now >= run.output_due):
            fields["captured_out"] = run.output.shown(
                f"anew logs {run.number} --store mongodb://{place(self._database)}"
            )
            # half a megabyte, written each second, would be all that a quiet run sends
            run.output_due = now + (VIEW_S if run.output.size < _LITTLE_OUTPUT_BYTES else _OUTPUT_S)
        return fields

    def _remove_replaced(self, run: _Run, shown: set[ObjectId]) -> None:
        replaced, run.artifacts = run.artifacts - shown, shown
        if replaced and self._content is not None:
            self._content.remove(replaced, run.number)

    def _beat(self) -> None:
        """Move the heartbeat while something takes long; the next view has that of the events again."""
        now = time.monotonic()
        if now - self._beaten < _BEAT_S:
            return
        self._beaten = now
        moment = datetime.now(timezone.utc)
        is_alive = self._heartbeat is not None and moment - self._heartbeat < timedelta(seconds=_ALIVE_S)
        run = self._run
        if run is None or not is_alive or run.shown.get("anew.ended"):
            return
        self._heartbeat = moment
        run.shown.pop("heartbeat", None)
        self._database["runs"].update_one({"_id": run.number, "status": "RUNNING"}, {"$max": {"heartbeat": moment}})
