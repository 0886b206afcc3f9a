"""Runs in plain SQL tables, in a SQLite file or in PostgreSQL, for whoever asks questions in SQL."""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from anew.observers.folders import folder_of_runs
from anew.observers.sql.database import TABLES, Database, SQLError, parse_url, shown_url
from anew.runner import events as ev
from anew.runner.contracts import RunStore
from anew.runner.errors import ConfigError, MissingExtraError, UnavailableError
from anew.runner.format import serial
from anew.runner.format.redact import redact_text
from anew.runner.format.values import number_to_json, plain
from anew.runner.records import ContentRef, ErrorFacts, RunRecord, Verdict

if TYPE_CHECKING:
    from sqlalchemy import Connection

FILE = "runs.sqlite"
_EXACT_UP_TO = 2**53
_MOST_KEY_BYTES = 1000


class SQLObserver:
    r"""
    Keeps runs in plain tables that need no knowledge of anew to be queried: `docs/sql.md` describes them.

    There are `anew_runs` (a row per run), `anew_params` (a row per value of the configuration), `anew_metrics` (a row
    per point), `anew_artifacts`, `anew_inputs`, `anew_sources`, `anew_packages`, `anew_tags` and `anew_output`, and
    `anew_schema` with the version of these tables. They are made when the first run comes, also by many runs at the
    same moment. All names begin with `anew_`, whichever schema they are in: other tools call their tables `runs`,
    `metrics` and `params` too. A table of that name that somebody else made is never touched.

    How a point is written once. A batch is one transaction: there whole or not at all. Each point has a unique key,
    its run, writer, number and name, and one that is there already is left alone; all other facts are set, not added
    to, so that repeats, in the order of delivery, end where they ended before.

    What a column cannot hold is in the text column beside it. Ints beyond 2**53 are in `value` as the nearest double
    and in `value_text` with all digits. NaN is NULL in a SQLite file, which knows no NaN, and NaN in PostgreSQL;
    `value_text` says "NaN" in both, and names the infinities and -0.0, too. What is no text for a database (lone
    surrogates, the character 0) is written as an escape such as \x00. Names and paths beyond 1,000 bytes are cut, and
    end with the beginning of their SHA-256.

    A connection is held while batches come in quick succession, else it is closed after each: so hundreds of quiet
    runs do not use up what a server allows. After a restart of the server the next batch connects again.

    A SQLite file may be written by many processes; each waits for the others (for 10 s, or `?timeout=SECONDS` in the
    URL), and is then tried again. The file's journal mode is left as it is. The default one also holds on a network
    file system, if its locks work between hosts. `PRAGMA journal_mode=WAL`, set once by whoever owns the file, lets
    people read while runs write; it must not be used on a network file system.

    For one thread at a time.

    Args:
        url: As SQLAlchemy writes it: "sqlite:///FILE", relative to the run's working directory, or
            "postgresql://USER:PASSWORD@HOST/DATABASE" with options of libpq behind it ("?sslmode=verify-full"). The
            password is shown nowhere. null: `runs.sqlite` in the store's folder, or in the working directory when the
            store has none.
        schema: For PostgreSQL: the schema that the tables are in, made if need be; null: the user's own default.
        batch: At most so many points are sent in one statement; a batch of events is one transaction all the same.
        output: Whether to keep the captured output, too.

    Raises:
        ConfigError: The URL is none of these, or a schema is given for SQLite.
        MissingExtraError: SQLAlchemy, or psycopg for PostgreSQL, is not installed.
    """

    def __init__(
        self, url: str | None = None, *, schema: str | None = None, batch: int = 10_000, output: bool = True
    ) -> None:
        try:
            import sqlalchemy  # noqa: F401  # whether it is there

            self._url = None if url is None else parse_url(url)
            if self._url is not None and self._url.get_backend_name() == "postgresql":
                import psycopg  # noqa: F401  # whether it is there
        except ImportError as error:
            raise MissingExtraError(
                "Tables in a database need SQLAlchemy, and psycopg for PostgreSQL. "
                "To install them: pip install 'anew[sql]'"
            ) from error
        if schema is not None and (self._url is None or self._url.get_backend_name() == "sqlite"):
            raise ConfigError(f"schema={schema!r} is for PostgreSQL: a SQLite file has no schemas. Leave it out.")
        if batch < 1:
            raise ConfigError(f"batch={batch!r} must be at least 1, the number of points in a statement.")
        self._schema = schema
        self._batch = batch
        self._output = output
        self._store: RunStore | None = None
        self._database: Database | None = None
        self._record: RunRecord | None = None
        self._is_ready = False
        self._has_begun = False

    def __repr__(self) -> str:
        shown = None if self._url is None else shown_url(self._url)
        return f"{type(self).__name__}({shown!r}, schema={self._schema!r})"

    @property
    def sink(self) -> str:
        """The database's URL without its password; empty before the first event."""
        return self._database.shown if self._database else ""

    def check(self) -> str:
        """
        Look whether the database lets us in, and whether its tables are ours or can be made; return where it is.

        Nothing is left behind: what is made is taken back, and a SQLite file that is not there yet is not made.

        Raises:
            UnavailableError, SQLError: See `handle_many`.
        """
        if self._url is None:
            return f"{FILE} in the store's folder"
        database = self._opened()
        try:
            database.try_out()
        finally:
            database.close()
        return database.shown

    def begin(self, store: RunStore, /) -> None:
        """Take the store that the run is recorded in: its address is kept with the run."""
        self._store = store

    def handle(self, event: ev.Event, /) -> None:
        """Take one event; see `handle_many`."""
        self.handle_many((event,))

    def handle_many(self, events: Sequence[ev.Event], /) -> None:
        """
        Take events as one transaction.

        Raises:
            UnavailableError: The database cannot be reached, or cannot do it now (no room, no rights, locked).
            SQLError: Tables of these names are not ours, or of a newer version, or the database refuses a value.
        """
        for event in events:
            if isinstance(event, ev.RunStarted):
                self._record, self._is_ready = event.record, False
        record = self._record
        assert record is not None, "the first event is RunStarted"
        database = self._opened()
        # after a failure all is looked at again: a server may come back without the tables, or without the run
        was_ready, self._is_ready = self._is_ready, False
        with database.transaction() as connection:
            if not was_ready:
                self._prepare(database, connection)
            rows = _RunRows(connection, database, _key(record.uid), record.started_at, self._batch)
            if not was_ready:
                rows.begin(record, self._address())
            rows.write(_Changes.of(events, output=self._output))
        self._is_ready = self._has_begun = True

    def close(self) -> None:
        """Let go of the connection. Never raises."""
        if self._database is not None:
            self._database.close()

    def _prepare(self, database: Database, connection: Connection) -> None:
        try:
            database.prepare(connection)
        except SQLError as error:
            if self._has_begun:  # it is no event's fault, and none may be set aside for it
                raise UnavailableError(error.message) from error
            raise

    def _opened(self) -> Database:
        if self._database is None:
            url = self._url
            if url is None:
                url = parse_url(f"sqlite:///{folder_of_runs(None, self._store, FILE)}")
            self._database = Database(url, self._schema)
        return self._database

    def _address(self) -> str | None:
        url = getattr(self._store, "url", None)
        return redact_text(url) if isinstance(url, str) else None


# --- from events to rows ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Changes:
    """
    What a batch of events says, each thing once.

    Attributes:
        points, output, later: Events, in order; `later` are those that change what the run's row holds as JSON.
        artifacts, inputs, sources: By name or path, the last one of each; artifacts with their time in seconds.
        tags: Whether a tag is there afterwards.
        run: Columns of the run's row.
        newest: The time of the latest event, in seconds since the start.
        ended_at: When the run ended, if it did.
    """

    points: list[ev.MetricsLogged] = field(default_factory=list)
    output: list[ev.OutputCaptured] = field(default_factory=list)
    later: list[ev.InfoSet | ev.Warned | ev.SeedsSet] = field(default_factory=list)
    artifacts: dict[str, tuple[ContentRef, float]] = field(default_factory=dict)
    inputs: dict[str, ContentRef] = field(default_factory=dict)
    sources: dict[str, ContentRef] = field(default_factory=dict)
    tags: dict[str, bool] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    newest: float = 0.0
    ended_at: datetime | None = None

    @classmethod
    def of(cls, events: Iterable[ev.Event], *, output: bool) -> _Changes:
        """Return what events say; captured output only if it is asked for."""
        changes = cls()
        for event in events:
            changes._take(event)
        if not output:
            changes.output.clear()
        return changes

    def _take(self, event: ev.Event) -> None:
        if not isinstance(event, ev.RunEnded):
            self.newest = max(self.newest, event.t)
        if isinstance(event, ev.MetricsLogged):
            self.points.append(event)
        elif isinstance(event, ev.OutputCaptured):
            self.output.append(event)
        elif isinstance(event, (ev.InfoSet, ev.Warned, ev.SeedsSet)):
            self.later.append(event)
        elif isinstance(event, ev.ArtifactAdded):
            self.artifacts[event.artifact.path] = event.artifact, event.t
        elif isinstance(event, ev.InputUsed):
            self.inputs[event.input.path] = event.input
        elif isinstance(event, ev.SourceAdded):
            self.sources.update({each.path: each for each in event.files})
        elif isinstance(event, ev.TagsChanged):
            self.tags.update(dict.fromkeys(event.added, True))
            self.tags.update(dict.fromkeys(event.removed, False))
        elif isinstance(event, ev.NoteSet):
            self.run["note"] = _text(event.text) or None
        elif isinstance(event, ev.Judged):
            self.run.update(_verdict(event.verdict))
        elif isinstance(event, ev.RunEnded):
            self.ended_at = event.ended_at
            self.run.update(_outcome(event))


class _RunRows:
    """The rows of one run, written in one transaction; the ways of writing are those of `Database`."""

    def __init__(self, connection: Connection, database: Database, uid: str, started_at: datetime, batch: int) -> None:
        self._connection = connection
        self._database = database
        self._uid = uid
        self._started_at = started_at
        self._batch = batch

    def begin(self, record: RunRecord, store: str | None) -> None:
        """Write what is known at the start, unless the run is there: later events may have changed it since."""
        from sqlalchemy import select

        runs = self._database.tables["runs"]
        if self._connection.execute(select(runs.c.uid).where(runs.c.uid == self._uid)).first():
            return
        self._keep("runs", [_run_row(record, store)])
        self._keep("params", [{"key": _key(name), **_param(value)} for name, value in _flat(record.config)])
        packages = record.environment.packages if record.environment else {}
        self._keep("packages", [{"name": _key(name), "version": _text(it)} for name, it in packages.items()])
        self._keep("tags", [{"tag": _key(tag)} for tag in record.tags])
        self._keep("sources", map(_file_row, record.source.files))
        self._keep("inputs", map(_file_row, record.inputs))
        self._keep("artifacts", [self._artifact(each, None) for each in record.artifacts])

    def write(self, changes: _Changes) -> None:
        """Write what a batch of events says."""
        self._write_points(changes.points)
        self._put("artifacts", [self._artifact(*each) for each in changes.artifacts.values()])
        self._put("inputs", map(_file_row, changes.inputs.values()))
        self._put("sources", map(_file_row, changes.sources.values()))
        self._write_tags(changes.tags)
        self._write_output(changes.output)
        # last of all, so that a row that people look at is locked for a moment only
        self._write_run({**changes.run, **self._merged(changes.later)})
        self._beat(changes)

    def _keep(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        self._database.keep(self._connection, table, [{"uid": self._uid, **row} for row in rows])

    def _put(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        self._database.put(self._connection, table, [{"uid": self._uid, **row} for row in rows])

    def _write_points(self, events: Sequence[ev.MetricsLogged]) -> None:
        rows: list[Sequence[Any]] = []
        for event in events:
            writer, at = _key(event.writer), _later(self._started_at, event.t)
            for name, value in event.values.items():
                number, text = _double(value)
                rows.append((self._uid, writer, event.q, _key(name), event.step, number, text, event.t, at))
        for begin in range(0, len(rows), self._batch):
            self._database.keep_many(self._connection, "metrics", rows[begin : begin + self._batch])

    def _artifact(self, artifact: ContentRef, t: float | None) -> dict[str, Any]:
        row = _file_row(artifact)
        return {"name": row.pop("path"), **row, "added_at": None if t is None else _later(self._started_at, t)}

    def _write_tags(self, tags: Mapping[str, bool]) -> None:
        from sqlalchemy import delete

        gone = [_key(tag) for tag, stays in tags.items() if not stays]
        if gone:
            table = self._database.tables["tags"]
            self._connection.execute(delete(table).where(table.c.uid == self._uid, table.c.tag.in_(gone)))
        self._keep("tags", [{"tag": _key(tag)} for tag, stays in tags.items() if stays])

    def _write_output(self, pieces: Sequence[ev.OutputCaptured]) -> None:
        """Put each piece in the place of all that stood from its offset on, unless it is there: then it is a repeat."""
        from sqlalchemy import delete

        if not pieces:
            return
        table = self._database.tables["output"]
        known = self._known_output(pieces)
        fresh: list[dict[str, Any]] = []
        cut: int | None = None
        for piece in pieces:
            text = _text(piece.text)
            if cut is None and known.get(piece.q) == (piece.offset, text):
                continue
            cut = piece.offset if cut is None else min(cut, piece.offset)
            while fresh and fresh[-1]["offset_bytes"] >= piece.offset:
                fresh.pop()
            if text:
                fresh.append({"offset_bytes": piece.offset, "q": piece.q, "t": piece.t, "text": text})
        if cut is not None:
            self._connection.execute(delete(table).where(table.c.uid == self._uid, table.c.offset_bytes >= cut))
            self._keep("output", fresh)

    def _known_output(self, pieces: Sequence[ev.OutputCaptured]) -> dict[int, tuple[int, str]]:
        from sqlalchemy import select

        table = self._database.tables["output"]
        numbers = [piece.q for piece in pieces]
        query = select(table.c.q, table.c.offset_bytes, table.c.text).where(
            table.c.uid == self._uid,
            table.c.offset_bytes >= min(piece.offset for piece in pieces),
            table.c.q.between(min(numbers), max(numbers)),
        )
        return {q: (offset, text) for q, offset, text in self._connection.execute(query)}

    def _merged(self, events: Sequence[ev.InfoSet | ev.Warned | ev.SeedsSet]) -> dict[str, Any]:
        """Return the columns that events add to, as they are afterwards."""
        from sqlalchemy import select

        if not events:
            return {}
        runs = self._database.tables["runs"]
        query = select(runs.c.info, runs.c.warnings, runs.c.seeds).where(runs.c.uid == self._uid).with_for_update()
        row = self._connection.execute(query).one()
        info, warnings, seeds = row.info or {}, dict.fromkeys(row.warnings or ()), row.seeds
        for event in events:
            if isinstance(event, ev.InfoSet):
                info = _deeply_merged(info, _json(event.values))
            elif isinstance(event, ev.Warned):
                warnings[_text(event.text)] = None
            elif seeds is not None:
                added = {"seeded": event.seeded, "deterministic": event.deterministic}
                seeds = _deeply_merged(seeds, _json(added))
        return {"info": info, "warnings": list(warnings), "seeds": seeds}

    def _write_run(self, values: Mapping[str, Any]) -> None:
        from sqlalchemy import update

        if values:
            runs = self._database.tables["runs"]
            self._connection.execute(update(runs).where(runs.c.uid == self._uid).values(values))

    def _beat(self, changes: _Changes) -> None:
        from sqlalchemy import or_, update

        beats = (_later(self._started_at, changes.newest), _utc(changes.ended_at))
        latest = max((beat for beat in beats if beat is not None), default=None)
        if latest is not None:
            runs = self._database.tables["runs"]
            is_news = or_(runs.c.heartbeat_at.is_(None), runs.c.heartbeat_at < latest)
            self._connection.execute(update(runs).where(runs.c.uid == self._uid, is_news).values(heartbeat_at=latest))


def _run_row(record: RunRecord, store: str | None) -> dict[str, Any]:
    data = serial.record_to_json(record, full=False)
    git, seeds, environment, hardware = record.source.git, record.seeds, record.environment, record.hardware
    row: dict[str, Any] = {
        "id": record.id,
        "store": store,
        "experiment": record.experiment,
        "status": record.status.value,
        "started_at": _utc(record.started_at),
        "ended_at": _utc(record.ended_at),
        "duration_s": record.duration_s,
        "heartbeat_at": _utc(record.heartbeat_at or record.started_at),
        "result": _number(record.result),
        "result_json": data["result"],
        **{name: data[name] for name in ("config", "overrides", "choices", "seeds", "environment", "hardware")},
        "config_name": record.provenance.config_name,
        "command": shlex.join(record.command.argv),
        "main": record.command.function or None,
        "cwd": record.command.cwd,
        "seed": seeds.root if seeds else record.seed,
        "git_commit": git and git.commit,
        "git_branch": git and git.branch,
        "git_dirty": git and git.dirty,
        "git_remote": git and git.remote,
        "python": environment and environment.python,
        "anew": environment and environment.anew,
        "host": hardware and hardware.hostname,
        "os": hardware and hardware.os,
        "pid": record.process and record.process.pid,
        "cpu_model": hardware and hardware.cpu_model,
        "cpu_cores": hardware and hardware.cpu_cores,
        "memory_bytes": hardware and hardware.memory_bytes,
        "gpu": hardware.gpus[0].name if hardware and hardware.gpus else None,
        "gpu_count": len(hardware.gpus) if hardware else None,
        "rerun_of_uid": record.rerun_of and record.rerun_of.uid,
        "rerun_of_id": record.rerun_of and record.rerun_of.id,
        "sweep_id": record.sweep and record.sweep.id,
        "sweep_index": record.sweep and record.sweep.index,
        "note": record.note,
        "info": data["info"],
        "warnings": data["warnings"],
        **_verdict(record.verdict),
        **_error(record.error),
        "signal": record.signal,
        "exit_code": record.exit_code,
    }
    kinds = TABLES["runs"]
    return {
        name: _text(value) if isinstance(value, str) else _json(value) if kinds[name][0] == "json" else value
        for name, value in row.items()
    }


def _outcome(event: ev.RunEnded) -> dict[str, Any]:
    return {
        "status": event.status.value,
        "ended_at": _utc(event.ended_at),
        "duration_s": event.duration_s,
        "result": _number(event.result),
        "result_json": _json(event.result),
        **_error(event.error),
        "signal": event.signal,
        "exit_code": event.exit_code,
    }


def _error(error: ErrorFacts | None) -> dict[str, Any]:
    names = ("type", "message", "traceback")
    return {f"error_{name}": None if error is None else _text(getattr(error, name)) for name in names}


def _verdict(verdict: Verdict | None) -> dict[str, Any]:
    return {"verdict": verdict and verdict.verdict, "verdict_json": None if verdict is None else _json(verdict)}


def _file_row(file: ContentRef) -> dict[str, Any]:
    return {"path": _key(file.path), "sha256": file.sha256, "size_bytes": file.size}


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        name = prefix + str(key).replace("\\", "\\\\").replace(".", "\\.")
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _param(value: Any) -> dict[str, Any]:
    shown = _json(value)
    text = shown if shown is None or isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)
    return {"value_num": _number(value), "value_text": text, "value_json": shown}


# --- values -----------------------------------------------------------------------------------------------------


def _number(value: Any) -> float | None:
    """Return a number as a double, None for what is no number; truth values are none."""
    return None if isinstance(value, bool) or not isinstance(value, (int, float)) else _double(value)[0]


def _double(value: float | int) -> tuple[float, str | None]:
    """Return a number as a double, and as text where that is not all."""
    if isinstance(value, float):
        if value and math.isfinite(value):
            return value, None
        text = str(number_to_json(float(value)))  # a SQLite file keeps no NaN, and of -0.0 no sign
        return value, None if text == "0.0" else text
    if abs(value) <= _EXACT_UP_TO:
        return float(value), None
    try:
        return float(value), str(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf, str(value)


def _utc(moment: datetime | None) -> datetime | None:
    """Return a time in UTC: a SQLite file keeps no zone."""
    return None if moment is None else moment.astimezone(timezone.utc)


def _later(moment: datetime, seconds: float) -> datetime | None:
    """Return a time in UTC, or None for one that no calendar has."""
    try:
        return _utc(moment + timedelta(seconds=seconds))
    except (OverflowError, ValueError):
        return None


def _text(text: str) -> str:
    """Return a text without what no database takes: the character 0, and what is no Unicode."""
    if "\0" in text:
        text = text.replace("\0", "\\x00")
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _key(text: str) -> str:
    """Return a text that an index takes; PostgreSQL has a limit of some 2,700 bytes for all columns together."""
    text = _text(text)
    data = text.encode("utf-8")
    if len(data) <= _MOST_KEY_BYTES:
        return text
    digest = hashlib.sha256(data).hexdigest()[:16]
    return data[: _MOST_KEY_BYTES - 17].decode("utf-8", "ignore") + "~" + digest


def _json(value: Any) -> Any:
    """Return a value as JSON that a database takes. Raises ValueRefusedError."""
    return _cleaned(plain(value))


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return {_text(key): _cleaned(item) for key, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, (list, tuple)) else value


def _deeply_merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        before = merged.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            value = _deeply_merged(before, value)
        merged[key] = value
    return merged
