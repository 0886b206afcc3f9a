"""From events to rows."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from anew.observers.sql.database import Database
from anew.observers.sql.tables import TABLES
from anew.observers.sql.values import deeply_merged, double_of, in_utc, json_of, key_of, later, number_of, text_of
from anew.runner import events as ev
from anew.runner.dataclass import dataclass
from anew.runner.format import serial
from anew.runner.records import ContentRef, ErrorFacts, RunRecord, Status, Verdict

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(slots=True)
class Changes:
    """
    What a batch of events says, each thing once.

    Attributes:
        points, histograms, comments, output, later: Events, in order; `later` are those that change what the run's row
            holds as JSON.
        artifacts, inputs, sources: By name or path, the last one of each; artifacts with their time in seconds.
        tags: Whether a tag is there afterwards.
        run: Columns of the run's row.
        newest: The time of the latest event, in seconds since the start.
        ended_at: When the run ended, if it did.
    """

    points: list[ev.MetricsLogged] = field(default_factory=list)
    histograms: list[ev.HistogramsLogged] = field(default_factory=list)
    comments: list[ev.Commented] = field(default_factory=list)
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
    def of(cls, events: Iterable[ev.Event], *, output: bool) -> Changes:
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
        elif isinstance(event, ev.HistogramsLogged):
            self.histograms.append(event)
        elif isinstance(event, ev.Commented):
            self.comments.append(event)
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
            self.run["note"] = text_of(event.text) or None
        elif isinstance(event, ev.ToldToStop):
            self.run["pruned"] = True
        elif isinstance(event, ev.Judged):
            self.run.update(_verdict(event.verdict))
        elif isinstance(event, ev.RunEnded):
            self.ended_at = event.ended_at
            self.run.update(_outcome(event))


class RunRows:
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
        self._keep("params", [{"key": key_of(name), **_param(value)} for name, value in _flat(record.config)])
        packages = record.environment.packages if record.environment else {}
        self._keep("packages", [{"name": key_of(name), "version": text_of(it)} for name, it in packages.items()])
        self._keep("tags", [{"tag": key_of(tag)} for tag in record.tags])
        self._keep("sources", map(_file_row, record.source.files))
        self._keep("inputs", map(_file_row, record.inputs))
        self._keep("artifacts", [self._artifact(each, None) for each in record.artifacts])

    def write(self, changes: Changes) -> None:
        """Write what a batch of events says."""
        self._write_points(changes.points)
        self._keep("histograms", [row for event in changes.histograms for row in self._histograms(event)])
        self._keep("comments", map(_comment_row, changes.comments))
        self._put("artifacts", [self._artifact(*each) for each in changes.artifacts.values()])
        self._put("inputs", map(_file_row, changes.inputs.values()))
        self._put("sources", map(_file_row, changes.sources.values()))
        self._write_tags(changes.tags)
        self._write_output(changes.output)
        # last of all, so that a row that people look at is locked for a moment only
        self._write_run({**changes.run, **self._merged(changes.later)})
        self._beat(changes)

    def lose(self) -> None:
        """Say that the run died without an end, unless its end came all the same."""
        from sqlalchemy import update

        runs = self._database.tables["runs"]
        going = (runs.c.uid == self._uid, runs.c.ended_at.is_(None))
        self._connection.execute(update(runs).where(*going).values(status=Status.LOST.value))

    def _keep(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        self._database.keep(self._connection, table, [{"uid": self._uid, **row} for row in rows])

    def _put(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        self._database.put(self._connection, table, [{"uid": self._uid, **row} for row in rows])

    def _write_points(self, events: Sequence[ev.MetricsLogged]) -> None:
        rows: list[Sequence[Any]] = []
        for event in events:
            writer, at = key_of(event.writer), later(self._started_at, event.t)
            for name, value in event.values.items():
                number, text = double_of(value)
                rows.append((self._uid, writer, event.q, key_of(name), event.step, number, text, event.t, at))
        for begin in range(0, len(rows), self._batch):
            self._database.keep_many(self._connection, "metrics", rows[begin : begin + self._batch])

    def _histograms(self, event: ev.HistogramsLogged) -> Iterator[dict[str, Any]]:
        where = {"writer": key_of(event.writer), "q": event.q, "step": event.step}
        when = {"t": event.t, "logged_at": later(self._started_at, event.t)}
        for name, it in event.values.items():
            spread = {each: getattr(it, each) for each in ("low", "high", "mean", "std", "nans", "infinities")}
            yield {**where, "name": key_of(name), "counts": list(it.counts), **spread, **when}

    def _artifact(self, artifact: ContentRef, t: float | None) -> dict[str, Any]:
        row = _file_row(artifact)
        return {"name": row.pop("path"), **row, "added_at": None if t is None else later(self._started_at, t)}

    def _write_tags(self, tags: Mapping[str, bool]) -> None:
        from sqlalchemy import delete

        gone = [key_of(tag) for tag, stays in tags.items() if not stays]
        if gone:
            table = self._database.tables["tags"]
            self._connection.execute(delete(table).where(table.c.uid == self._uid, table.c.tag.in_(gone)))
        self._keep("tags", [{"tag": key_of(tag)} for tag, stays in tags.items() if stays])

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
            text = text_of(piece.text)
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
                info = deeply_merged(info, json_of(event.values))
            elif isinstance(event, ev.Warned):
                warnings[text_of(event.text)] = None
            elif seeds is not None:
                added = {"seeded": event.seeded, "deterministic": event.deterministic}
                seeds = deeply_merged(seeds, json_of(added))
        return {"info": info, "warnings": list(warnings), "seeds": seeds}

    def _write_run(self, values: Mapping[str, Any]) -> None:
        from sqlalchemy import update

        if values:
            runs = self._database.tables["runs"]
            self._connection.execute(update(runs).where(runs.c.uid == self._uid).values(values))

    def _beat(self, changes: Changes) -> None:
        from sqlalchemy import or_, update

        beats = (later(self._started_at, changes.newest), in_utc(changes.ended_at))
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
        "started_at": in_utc(record.started_at),
        "ended_at": in_utc(record.ended_at),
        "duration_s": record.duration_s,
        "heartbeat_at": in_utc(record.heartbeat_at or record.started_at),
        "result": number_of(record.result),
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
        "sweep_uid": record.sweep and record.sweep.uid,
        "sweep_id": record.sweep and record.sweep.id,
        "sweep_index": record.sweep and record.sweep.index,
        "parent_uid": record.parent and record.parent.uid,
        "parent_id": record.parent and record.parent.id,
        "pruned": record.pruned,
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
        name: text_of(value) if isinstance(value, str) else json_of(value) if kinds[name][0] == "json" else value
        for name, value in row.items()
    }


def _outcome(event: ev.RunEnded) -> dict[str, Any]:
    return {
        "status": event.status.value,
        "ended_at": in_utc(event.ended_at),
        "duration_s": event.duration_s,
        "result": number_of(event.result),
        "result_json": json_of(event.result),
        **_error(event.error),
        "signal": event.signal,
        "exit_code": event.exit_code,
    }


def _error(error: ErrorFacts | None) -> dict[str, Any]:
    names = ("type", "message", "traceback")
    return {f"error_{name}": None if error is None else text_of(getattr(error, name)) for name in names}


def _verdict(verdict: Verdict | None) -> dict[str, Any]:
    return {"verdict": verdict and verdict.verdict, "verdict_json": None if verdict is None else json_of(verdict)}


def _file_row(file: ContentRef) -> dict[str, Any]:
    return {"path": key_of(file.path), "sha256": file.sha256, "size_bytes": file.size}


def _comment_row(event: ev.Commented) -> dict[str, Any]:
    comment = event.comment
    said = {"text": text_of(comment.text), "author": text_of(comment.by), "made_at": in_utc(comment.at)}
    return {"writer": key_of(event.writer), "q": event.q, **said}


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        name = prefix + str(key).replace("\\", "\\\\").replace(".", "\\.")
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _param(value: Any) -> dict[str, Any]:
    shown = json_of(value)
    text = shown if shown is None or isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)
    return {"value_num": number_of(value), "value_text": text, "value_json": shown}
