"""SQL tables in SQLite files and in a real PostgreSQL: what was logged is there, once, whatever happens."""

from __future__ import annotations

import json
import math
import random
import re
import secrets
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

import anew.configs
from anew.observers.sql.database import SCHEMA_VERSION, SQLError, parse_url
from anew.observers.sql.observer import SQLObserver
from anew.observers.sql.tables import TABLES
from anew.runner import events as ev
from anew.runner.attached.comments import Comment
from anew.runner.attached.media import Histogram
from anew.runner.config.build import build_observer
from anew.runner.contracts import Batching, Beginning, Observer
from anew.runner.errors import ConfigError, UnavailableError
from anew.runner.format import ids
from anew.runner.format.replay import replay
from anew.runner.records import (
    CommandFacts,
    ContentRef,
    EnvironmentFacts,
    ErrorFacts,
    GitFacts,
    GpuFacts,
    HardwareFacts,
    ParentRun,
    RerunOf,
    RunRecord,
    SeedFacts,
    SourceFacts,
    Status,
    SweepMembership,
    Verdict,
)
from tests.helpers.places import ROOT
from tests.helpers.postgres import HOST, PostgresServer, free_port
from tests.helpers.stores import make_store
from tests.helpers.waiting import until

pytest_plugins = ("tests.helpers.postgres",)

DOCUMENT = ROOT / "docs" / "sql.md"
STARTED = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=timezone.utc)
RECORD = RunRecord(
    uid="01kjmz5n7a8y3v0c2xq9r4tw6b",
    id=7,
    experiment="digits",
    started_at=STARTED,
    command=CommandFacts(argv=("train.py", "name=two words"), cwd="/project", function="train:main"),
)
PATIENCE_S = 60.0
# Twenty processes that make the tables, and write, at the same moment; all has been imported when they part.
STARTERS = """\
import os, sys, time
sys.path.insert(0, sys.argv[1])
import psycopg, sqlalchemy.dialects.postgresql, sqlalchemy.dialects.sqlite
from tests.observers.test_sql import UnavailableError, SQLObserver, many_points, start_of
def deliver(observer, events):
    deadline = time.monotonic() + 60
    while True:
        try:
            return observer.handle_many(events)
        except UnavailableError as error:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
def write(url, uid):
    observer = SQLObserver(url)
    deliver(observer, [start_of(uid)])
    events = many_points(100, uid)
    for begin in range(0, 100, 10):
        deliver(observer, events[begin:begin + 10])
    observer.close()
gate, opener = os.pipe()
children = []
for uid in sys.argv[3:]:
    child = os.fork()
    if not child:
        os.close(opener)
        os.read(gate, 1)
        try:
            write(sys.argv[2], uid)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    children.append(child)
os.close(opener)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""
WITHOUT = """\
import sys
sys.modules[sys.argv[1]] = None
from anew.observers.sql.observer import SQLObserver
from anew.runner.errors import MissingExtraError
try:
    SQLObserver(sys.argv[2] or None)
except MissingExtraError as error:
    print(error)
"""


@dataclass(frozen=True)
class Base:
    """A database of a test's own."""

    kind: str
    url: str

    @property
    def is_sqlite(self) -> bool:
        return self.kind == "sqlite"

    def ask(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """Run a statement, and return its rows."""
        engine = sa.create_engine(parse_url(self.url), poolclass=sa.NullPool)
        with engine.begin() as connection:
            result = connection.execute(sa.text(query), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    def run(self, uid: str = RECORD.uid) -> dict[str, Any]:
        """Return a run's row, with JSON and times as Python values."""
        [found] = self.ask(f"SELECT {', '.join(TABLES['runs'])} FROM anew_runs WHERE uid = :u", u=uid)
        row = dict(zip(TABLES["runs"], found, strict=True))
        for name, (kind, _) in TABLES["runs"].items():
            if kind == "json" and isinstance(row[name], str):
                row[name] = json.loads(row[name])
            if kind == "time" and isinstance(row[name], str):
                row[name] = datetime.fromisoformat(row[name]).replace(tzinfo=timezone.utc)
        return row

    def points(self, uid: str = RECORD.uid) -> list[tuple[Any, ...]]:
        """Return every point of a run, in the form of `points_of`."""
        query = "SELECT writer, q, name, step, value, value_text, t FROM anew_metrics WHERE uid = :u"
        return sorted(map(comparable, self.ask(query, u=uid)))

    def output(self) -> str:
        """Return the run's output."""
        return "".join(text for (text,) in self.ask("SELECT text FROM anew_output ORDER BY offset_bytes"))


def comparable(row: Sequence[Any]) -> tuple[Any, ...]:
    """Return a row in which NaN, which equals nothing, is a text; a SQLite file has NULL in its place."""
    *head, value, text, t = row
    return (*head, "NaN" if text == "NaN" and (value is None or math.isnan(value)) else value, text or "", t)


@pytest.fixture(params=["sqlite", "postgresql"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Base:
    """An empty database, of each kind."""
    if request.param == "sqlite":
        return Base("sqlite", f"sqlite:///{tmp_path}/runs.sqlite")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return Base("postgresql", server.url_of(server.make_database()))


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Base:
    """An empty database in PostgreSQL."""
    return Base("postgresql", postgres_server.url_of(postgres_server.make_database()))


@pytest.fixture
def file(tmp_path: Path) -> Base:
    """A SQLite file that is not there yet."""
    return Base("sqlite", f"sqlite:///{tmp_path}/runs.sqlite")


def start_of(uid: str) -> ev.RunStarted:
    return ev.RunStarted(uid=uid, writer="run", q=0, t=0.0, record=replace(RECORD, uid=uid))


def start(**changes: Any) -> ev.RunStarted:
    return replace(start_of(RECORD.uid), record=replace(RECORD, **changes))


def point(q: int, values: Mapping[str, float | int], step: int, writer: str = "main") -> ev.MetricsLogged:
    return ev.MetricsLogged(uid=RECORD.uid, writer=writer, q=q, t=q / 8, step=step, values=values)


def many_points(count: int, uid: str = RECORD.uid) -> list[ev.MetricsLogged]:
    """Points of two writers whose values tell them apart, and which run they are of."""
    salt = int(uid[-4:], 36)
    return [
        replace(point(1 + i // 2, {"loss": i + salt / 7, "acc": i}, i, ("main", "child-1")[i % 2]), uid=uid)
        for i in range(count)
    ]


def piece(q: int, offset: int, text: str) -> ev.OutputCaptured:
    return ev.OutputCaptured(uid=RECORD.uid, writer="output", q=q, t=float(q), text=text, offset=offset)


def of_kind(kind: type[ev.Event], q: int, **values: Any) -> ev.Event:
    return kind(uid=RECORD.uid, writer="main", q=q, t=float(q), **values)


def end(status: Status = Status.COMPLETED, **changes: Any) -> ev.RunEnded:
    return ev.RunEnded(
        uid=RECORD.uid,
        writer="outcome",
        q=0,
        t=90.0,
        status=status,
        ended_at=STARTED + timedelta(seconds=90),
        duration_s=90.0,
        **changes,
    )


def points_of(events: Sequence[ev.Event]) -> list[tuple[Any, ...]]:
    """Every point that has to be there, once."""
    rows: list[tuple[Any, ...]] = []
    for event in events:
        if isinstance(event, ev.MetricsLogged):
            for name, value in event.values.items():
                rows.append(comparable((event.writer, event.q, name, event.step, value, None, event.t)))
    return sorted(rows)


def deliver(base: Base, events: Sequence[ev.Event], *, batch: int = 1000, **options: Any) -> None:
    """Hand over events as a follower does that begins anew."""
    with closing(SQLObserver(base.url, **options)) as observer:
        observer.handle(start())
        for begin in range(0, len(events), batch):
            observer.handle_many(events[begin : begin + batch])


# --- points -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_every_point_is_in_the_table(base: Base, batch: int) -> None:
    """Steps that repeat, go back or are negative are what was logged, and so they stay."""
    steps = [0, 1, 1, 5, 2, 2, -4, 2**63 - 1, -(2**63)]
    events = [point(q, {"train/loss": 0.1 * q, "größe/µ": q}, step) for q, step in enumerate(steps, 1)]

    deliver(base, events, batch=batch)

    assert base.points() == points_of(events)
    [(logged_at,)] = base.ask("SELECT logged_at FROM anew_metrics WHERE q = 2 AND name = 'train/loss'")
    assert str(logged_at).startswith("2026-03-01 12:00:00.500000")


def test_numbers_that_no_column_holds_are_there_as_text(base: Base) -> None:
    values: list[float | int] = [math.nan, math.inf, -math.inf, 2**70, 2**53 + 1, -(10**400), 5e-324, -0.0, True, 0.0]

    deliver(base, [point(q, {"x": value}, q) for q, value in enumerate(values, 1)])

    rows = base.ask("SELECT value, value_text FROM anew_metrics ORDER BY q")
    nan = rows[0][0]
    assert nan is None if base.is_sqlite else math.isnan(nan)
    assert rows[0][1] == "NaN"
    assert rows[1:] == [
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (2.0**70, str(2**70)),
        (2.0**53, str(2**53 + 1)),
        (-math.inf, str(-(10**400))),
        (5e-324, None),
        (0.0, "-0.0"),
        (1.0, None),
        (0.0, None),
    ]


def test_a_point_that_comes_twice_is_kept_once(base: Base) -> None:
    """Also NaN, which equals nothing, and by another instance, in other batches."""
    events = [point(q, {"x": math.nan, "y": q}, 0) for q in range(1, 8)]

    deliver(base, [*events, *events], batch=4)
    deliver(base, events, batch=1)

    assert base.points() == points_of([]) + sorted(
        comparable(("main", q, name, 0, value, text, q / 8))
        for q in range(1, 8)
        for name, value, text in (("x", None, "NaN"), ("y", q, None))
    )


def test_an_instance_that_takes_up_a_run_anywhere_goes_on_where_it_was_left(base: Base) -> None:
    """Each instance begins somewhere at or before the place where the one before it stopped, as after a restart."""
    chance = random.Random(4)
    events = many_points(400)
    reached = 0
    while reached < len(events):
        begin = max(0, reached - chance.randrange(40))
        reached = min(len(events), begin + chance.randrange(30, 90))
        deliver(base, events[begin:reached], batch=chance.randrange(1, 50))

    assert base.points() == points_of(events)


def test_points_are_sent_in_statements_of_the_size_that_is_asked_for(base: Base) -> None:
    events = many_points(25)

    deliver(base, events, batch=7)

    assert base.points() == points_of(events)


def test_a_batch_that_cannot_be_taken_leaves_nothing_and_the_rest_of_it_can_come_alone(base: Base) -> None:
    """That is how a follower finds out which event is to be set aside; it must not take it for an outage."""
    good, bad, better = point(1, {"x": 1}, 1), point(2, {"x": 2}, 2**70), point(3, {"x": 3}, 3)
    with closing(SQLObserver(base.url)) as observer:
        observer.handle(start())
        with pytest.raises((SQLError, OverflowError)):
            observer.handle_many([good, bad, better])
        assert base.points() == []

        observer.handle(good)
        with pytest.raises((SQLError, OverflowError)):
            observer.handle(bad)
        observer.handle(better)

    assert base.points() == points_of([good, better])


def test_a_metric_is_found_by_its_name_without_reading_the_others(file: Base) -> None:
    deliver(file, [*many_points(4), point(100, {f"other/{i}": i for i in range(50)}, 0)])

    plans = [
        file.ask("EXPLAIN QUERY PLAN SELECT value FROM anew_metrics WHERE name = 'loss'"),
        file.ask(f"EXPLAIN QUERY PLAN {queries()[0]}"),
    ]

    assert all("anew_metrics_name_uid_step (name=?" in str(plan) for plan in plans)
    assert "TEMP B-TREE FOR ORDER BY" not in str(plans[0])


# --- runs -------------------------------------------------------------------------------------------------------

FULL = replace(
    RECORD,
    config={"optimizer": {"lr": 0.1, "name": "adam"}, "layers": [3, 4], "seed": 2**70, "debug": True, "none": None},
    overrides=("optimizer.lr=0.1",),
    choices={"model": "big"},
    seed=11,
    seeds=SeedFacts(root=11, seeded={"random": 1}),
    source=SourceFacts(
        root="/project",
        git=GitFacts(commit="c0ffee", branch="main", dirty=True, remote="https://host/repo.git"),
        files=(ContentRef(path="train.py", sha256="a" * 64, size=10),),
    ),
    environment=EnvironmentFacts(python="3.11.7", anew="0.4", packages={"numpy": "2.0", "six": "1"}),
    hardware=HardwareFacts(
        hostname="node7", os="Linux", cpu_cores=8, memory_bytes=2**40, gpus=(GpuFacts(name="A100", memory_bytes=1),) * 2
    ),
    inputs=(ContentRef(path="data.csv", sha256="d" * 64, size=2**40),),
    tags=("first", "gone"),
    note="begun",
    rerun_of=RerunOf(id=3, uid="01kjmz5n7a8y3v0c2xq9r4tw00"),
    sweep=SweepMembership(id=5, index=0, uid="01" + "s" * 24),
    info={"given": {"a": 1}},
    warnings=("small",),
)
LATER = (
    of_kind(ev.TagsChanged, 1, added=("good", "best"), removed=("gone",)),
    of_kind(ev.TagsChanged, 2, removed=("best", "unknown")),
    of_kind(ev.NoteSet, 3, text="going on"),
    of_kind(ev.InfoSet, 4, values={"given": {"b": math.inf}, "x": {"y": 1}}),
    of_kind(ev.InfoSet, 5, values={"given": {"a": 2}, "x": 3, "path": Path("/a")}),
    of_kind(ev.Warned, 6, text="large"),
    of_kind(ev.Warned, 7, text="small"),
    of_kind(ev.SeedsSet, 8, seeded={"numpy": 5}, deterministic={"torch": "on"}),
    of_kind(ev.SourceAdded, 9, files=(ContentRef(path="late.py", sha256="b" * 64, size=1),)),
    of_kind(ev.InputUsed, 10, input=ContentRef(path="more.csv", sha256="e" * 64, size=2)),
    of_kind(ev.ArtifactAdded, 11, artifact=ContentRef(path="model.pt", sha256="f" * 64, size=3)),
    of_kind(ev.ArtifactAdded, 12, artifact=ContentRef(path="model.pt", sha256="0" * 64, size=4)),
    of_kind(ev.Heartbeat, 13),
)
AFTER = (
    end(result={"loss": 0.5}),
    of_kind(ev.Judged, 14, verdict=Verdict(verdict="close", rtol=0.1, max_deviation=math.inf)),
    of_kind(ev.TagsChanged, 15, added=("late",)),
)


def test_that_a_run_was_told_to_stop_and_which_run_it_is_in_is_a_column_also_of_tables_made_before(base: Base) -> None:
    deliver(base, [])
    for column in ("pruned", "parent_uid", "parent_id"):
        base.ask(f"ALTER TABLE anew_runs DROP COLUMN {column}")
    other = ids.new_uid()
    with closing(SQLObserver(base.url)) as observer:
        first = start_of(other)
        parent = ParentRun(id=3, uid=RECORD.uid)
        observer.handle(replace(first, record=replace(first.record, parent=parent)))
        observer.handle_many([ev.ToldToStop(uid=other, writer="main", q=1, t=0.1, asked=1)])
    rows = base.ask("SELECT uid, pruned, parent_uid, parent_id FROM anew_runs")
    assert {uid: (bool(pruned), *parent) for uid, pruned, *parent in rows} == {
        RECORD.uid: (False, None, None),
        other: (True, RECORD.uid, 3),
    }


def test_what_is_known_at_the_start_is_there_at_once(base: Base, tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    with closing(SQLObserver(base.url)) as observer:
        observer.begin(store)
        observer.handle(replace(start(), record=FULL))

    row = base.run()
    assert row["store"] == store.url
    assert {name: row[name] for name in ("uid", "id", "experiment", "status")} == {
        "uid": FULL.uid,
        "id": 7,
        "experiment": "digits",
        "status": "RUNNING",
    }
    assert row["started_at"] == row["heartbeat_at"] == STARTED
    assert row["ended_at"] is row["duration_s"] is row["result"] is row["result_json"] is row["error_type"] is None
    assert row["config"] == {**FULL.config, "layers": [3, 4]}
    assert (row["command"], row["main"], row["cwd"]) == ("train.py 'name=two words'", "train:main", "/project")
    assert (row["seed"], row["git_commit"], row["git_branch"], bool(row["git_dirty"])) == (11, "c0ffee", "main", True)
    assert (row["python"], row["anew"], row["host"]) == ("3.11.7", "0.4", "node7")
    assert (row["gpu"], row["gpu_count"], row["cpu_cores"]) == ("A100", 2, 8)
    assert (row["memory_bytes"], row["rerun_of_id"], row["sweep_id"], row["sweep_index"]) == (2**40, 3, 5, 0)
    assert row["sweep_uid"] == "01" + "s" * 24
    assert row["overrides"] == ["optimizer.lr=0.1"]
    assert "packages" not in row["environment"]
    assert base.ask("SELECT name, version FROM anew_packages ORDER BY name") == [("numpy", "2.0"), ("six", "1")]
    assert base.ask("SELECT path, size_bytes FROM anew_inputs") == [("data.csv", 2**40)]


def test_params_are_there_one_by_one(base: Base) -> None:
    config = {
        "a": {"b": {"c": 1}, "d.e": 0.25, "back\\slash": "0.5"},
        "list": [1, {"x": None}],
        "empty": {},
        "nan": math.nan,
        "big": 2**70,
        "yes": True,
        "nothing": None,
        "": "é\0",
    }
    with closing(SQLObserver(base.url)) as observer:
        observer.handle(start(config=config))

    query = "SELECT key, value_num, value_text, CAST(value_json AS TEXT) FROM anew_params"
    rows = {key: rest for key, *rest in base.ask(query)}
    nan = rows.pop("nan")
    assert nan[0] is None if base.is_sqlite else math.isnan(nan[0])
    assert nan[1] == "NaN"
    assert {key: (number, text) for key, (number, text, _) in rows.items()} == {
        "a.b.c": (1.0, "1"),
        "a.d\\.e": (0.25, "0.25"),
        "a.back\\\\slash": (None, "0.5"),
        "list": (None, '[1, {"x": null}]'),
        "empty": (None, "{}"),
        "big": (2.0**70, str(2**70)),
        "yes": (None, "true"),
        "nothing": (None, None),
        "": (None, "é\\x00"),
    }
    assert [json.loads(rows[key][2]) for key in ("list", "big", "yes", "")] == [[1, {"x": None}], 2**70, True, "é\\x00"]
    assert rows["nothing"][2] is None


@pytest.mark.parametrize("repeated", [False, True])
def test_a_run_in_the_table_is_what_its_events_make_of_it(base: Base, repeated: bool) -> None:
    """Also when the latest events come again, to an instance that is told of the start once more."""
    observer = SQLObserver(base.url)
    observer.handle(replace(start(), record=FULL))
    observer.handle_many(LATER[:6])
    for event in (*LATER[6:], *AFTER):
        observer.handle(event)
    if repeated:
        observer.close()
        observer = SQLObserver(base.url)
        observer.handle(replace(start(), record=FULL))
        observer.handle_many([*LATER[2:], *AFTER])
    observer.close()

    record, row = replay(FULL, (*LATER, *AFTER)), base.run()
    assert row["status"] == "COMPLETED"
    assert (row["ended_at"], row["duration_s"], row["heartbeat_at"]) == (record.ended_at, 90.0, record.heartbeat_at)
    assert (row["result"], row["result_json"]) == (None, {"loss": 0.5})
    assert row["note"] == record.note == "going on"
    assert row["info"] == {"given": {"a": 2, "b": "Infinity"}, "x": 3, "path": "/a"}
    assert row["warnings"] == list(record.warnings)
    assert record.seeds is not None
    assert row["seeds"]["seeded"] == record.seeds.seeded
    assert row["seeds"]["deterministic"] == record.seeds.deterministic
    assert row["verdict"] == "close"
    assert row["verdict_json"]["max_deviation"] == "Infinity"
    assert {tag for (tag,) in base.ask("SELECT tag FROM anew_tags")} == set(record.tags)
    for table, name, files in (
        ("artifacts", "name", record.artifacts),
        ("inputs", "path", record.inputs),
        ("sources", "path", record.source.files),
    ):
        rows = base.ask(f"SELECT {name}, sha256, size_bytes FROM anew_{table}")
        assert sorted(rows) == sorted((file.path, file.sha256, file.size) for file in files)


@pytest.mark.parametrize(
    ("result", "number"), [(0.25, 0.25), (2**70, 2.0**70), (True, None), ("0.5", None), ([1], None), (None, None)]
)
def test_a_result_is_a_number_or_json(base: Base, result: Any, number: float | None) -> None:
    deliver(base, [end(result=result)])

    [(kept, text)] = base.ask("SELECT result, CAST(result_json AS TEXT) FROM anew_runs")
    assert kept == number
    assert (None if text is None else json.loads(text)) == result


def test_a_failure_and_a_signal_are_told(base: Base) -> None:
    error = ErrorFacts(type="ValueError", message="bad \0 \udcff", traceback="Traceback ...")

    deliver(base, [end(Status.FAILED, error=error, signal="SIGTERM", exit_code=143)])

    row = base.run()
    assert (row["status"], row["signal"], row["exit_code"]) == ("FAILED", "SIGTERM", 143)
    assert (row["error_type"], row["error_message"]) == ("ValueError", "bad \\x00 \\udcff")


def test_histograms_and_comments_are_there_once(base: Base) -> None:
    """Also in tables that an earlier version made, which had none for them."""
    deliver(base, [])
    for table in ("anew_histograms", "anew_comments"):
        base.ask(f"DROP TABLE {table}")
    spread = Histogram(low=-1.5, high=2.0, counts=(3, 0, 2**40), mean=0.25, std=1e-300, nans=1, infinities=2)
    nothing = Histogram(low=0.0, high=0.0, counts=(), nans=4)
    said = Comment(text="so\nfar", by="ada", at=STARTED + timedelta(hours=1))
    events = [
        of_kind(ev.HistogramsLogged, 1, step=-2, values={"weights": spread, "größe": nothing}),
        of_kind(ev.Commented, 2, comment=said),
        of_kind(ev.Commented, 3, comment=said),
    ]

    deliver(base, events)
    deliver(base, events, batch=1)

    columns = "name, step, counts, low, high, mean, std, nans, infinities, t"
    rows = base.ask(f"SELECT writer, q, {columns} FROM anew_histograms ORDER BY nans")
    found = [(*row[:4], json.loads(row[4]) if isinstance(row[4], str) else row[4], *row[5:]) for row in rows]
    assert found == [
        ("main", 1, "weights", -2, [3, 0, 2**40], -1.5, 2.0, 0.25, 1e-300, 1, 2, 1.0),
        ("main", 1, "größe", -2, [], 0.0, 0.0, 0.0, 0.0, 4, 0, 1.0),
    ]
    comments = base.ask("SELECT q, text, author, made_at FROM anew_comments ORDER BY q")
    assert [row[:3] for row in comments] == [(2, "so\nfar", "ada"), (3, "so\nfar", "ada")]
    assert str(comments[0][3]).startswith("2026-03-01 13:00:00.250000")


def test_odd_names_and_values_are_kept_or_escaped(base: Base) -> None:
    chance = random.Random(1)
    long = "".join(chance.choice("abcdefghijklmnopqrstuvwxyzäöü") for _ in range(5000))
    names = [
        "",
        " ",
        "'; DROP TABLE anew_runs; --",
        "%s %(x)s :x ?",
        '"q"',
        "🦉\n\t",
        "a\0b",
        "\ud800",
        long,
        long + "!",
    ]
    tags = of_kind(ev.TagsChanged, 50, added=tuple(names))
    info = of_kind(ev.InfoSet, 51, values={name: name for name in names})
    files = of_kind(ev.SourceAdded, 52, files=tuple(ContentRef(path=n, sha256="a" * 64, size=0) for n in names))
    with closing(SQLObserver(base.url)) as observer:
        observer.handle(start(experiment="\0", config={name: name for name in names}, tags=tuple(names)))
        observer.handle_many([point(1, dict.fromkeys(names, 1), 1, writer=long), tags, info, files])

    kept = {name for (name,) in base.ask("SELECT name FROM anew_metrics")}
    assert {name for name in kept if len(name) < 100} == {*names[:6], "a\\x00b", "\\ud800"}
    assert sorted(len(name.encode()) <= 1000 for name in kept) == [True] * 10
    assert {tag for (tag,) in base.ask("SELECT tag FROM anew_tags")} == kept
    assert {path for (path,) in base.ask("SELECT path FROM anew_sources")} == kept
    assert base.run()["info"]["a\\x00b"] == "a\\x00b"
    assert base.run()["info"][long] == long
    assert base.run()["experiment"] == "\\x00"


# --- captured output --------------------------------------------------------------------------------------------


def test_output_is_there_in_order_and_once(base: Base) -> None:
    pieces = [piece(1, 0, "one\n"), piece(2, 4, "zwö\n"), piece(3, 9, "three \0\n")]

    deliver(base, pieces, batch=2)
    deliver(base, pieces[1:], batch=1)
    deliver(base, pieces)

    assert base.output() == "one\nzwö\nthree \\x00\n"
    assert base.ask("SELECT count(*) FROM anew_output") == [(3,)]


def test_a_repeat_that_breaks_off_takes_nothing_away(base: Base) -> None:
    """As when a follower delivers the latest pieces again, and is killed after the first of them."""
    pieces = [piece(1, 0, "one\n"), piece(2, 4, "two\n"), piece(3, 8, "three\n")]

    deliver(base, pieces)
    deliver(base, pieces[:1])

    assert base.output() == "one\ntwo\nthree\n"


def test_output_that_was_rewritten_takes_the_place_of_what_stood_there(base: Base) -> None:
    """A progress bar, say: what follows an offset is news from there on. Repeats end where they ended before."""
    pieces = [
        piece(1, 0, "head\n"),
        piece(2, 5, " 10%\n"),
        piece(3, 10, "more\n"),
        piece(4, 5, "100%\n"),
        piece(5, 10, ""),
    ]

    deliver(base, pieces, batch=2)
    assert base.output() == "head\n100%\n"
    deliver(base, pieces[2:], batch=1)
    assert base.output() == "head\n100%\n"


def test_output_that_is_cut_into_other_pieces_later_is_not_doubled(base: Base) -> None:
    """As by a follower that has lost its place, and reads from the beginning."""
    deliver(base, [piece(q, 5 * (q - 1), f"row {q}") for q in range(1, 6)])

    deliver(base, [piece(1, 0, "row 1row 2row 3"), piece(2, 15, "row 4row 5row 6")], batch=1)

    assert base.output() == "".join(f"row {q}" for q in range(1, 7))


def test_output_can_be_left_out(base: Base) -> None:
    deliver(base, [piece(1, 0, "text")], output=False)

    assert base.output() == ""


def test_a_table_of_an_earlier_version_gets_the_columns_that_came_since(base: Base) -> None:
    deliver(base, [])
    base.ask("ALTER TABLE anew_runs DROP COLUMN sweep_uid")
    uid = ids.new_uid()
    with closing(SQLObserver(base.url)) as observer:
        observer.handle(replace(start(), uid=uid, record=replace(FULL, uid=uid)))
    assert base.run(uid)["sweep_uid"] == "01" + "s" * 24


# --- many at once -----------------------------------------------------------------------------------------------


def test_twenty_processes_make_the_tables_and_write_at_the_same_moment(base: Base) -> None:
    uids = [ids.new_uid() for _ in range(20)]

    command = [sys.executable, "-c", STARTERS, str(ROOT), base.url, *uids]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    assert (done.returncode, done.stderr) == (0, "")
    assert base.ask("SELECT version FROM anew_schema") == [(SCHEMA_VERSION,)]
    assert {uid for (uid,) in base.ask("SELECT uid FROM anew_runs")} == set(uids)
    for uid in uids:
        assert base.points(uid) == points_of(many_points(100, uid))


def test_quiet_runs_hold_no_connection_and_busy_ones_hold_one(postgres_server: PostgresServer) -> None:
    name = postgres_server.make_database()

    def connections() -> int:
        with postgres_server.connect() as connection:
            row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [name]).fetchone()
            assert row is not None
            return int(row[0])

    def await_connections(count: int) -> None:
        # a server takes a moment to notice
        until(lambda: connections() == count, f"{count} connections", seconds=PATIENCE_S)

    with closing(SQLObserver(postgres_server.url_of(name))) as observer:
        observer.handle(start())
        await_connections(0)
        observer.handle(point(1, {"x": 1}, 1))
        observer.handle(point(2, {"x": 1}, 2))
        await_connections(1)
    await_connections(0)


# --- outages ----------------------------------------------------------------------------------------------------


def await_blocked(server: PostgresServer) -> None:
    """Wait until some statement waits for a lock."""
    with server.connect() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        until(lambda: connection.execute(query).fetchall() != [(0,)], "a wait for a lock", seconds=PATIENCE_S)


def test_a_server_killed_in_the_middle_of_a_batch_has_all_of_it_or_nothing(fresh_postgres: PostgresServer) -> None:
    """The points are in, the run's row is waited for: then the server dies, comes back, and the batch comes again."""
    base = Base("postgresql", fresh_postgres.url)
    events = many_points(3000)
    raised: list[BaseException] = []
    observer = SQLObserver(base.url)

    def deliver_second() -> None:
        try:
            observer.handle_many(events[1000:2000])
        except BaseException as error:
            raised.append(error)

    observer.handle(start())
    observer.handle_many(events[:1000])
    holder = fresh_postgres.connect()
    holder.autocommit = False
    holder.execute("SELECT 1 FROM anew_runs FOR NO KEY UPDATE")
    thread = threading.Thread(target=deliver_second)
    thread.start()
    await_blocked(fresh_postgres)
    fresh_postgres.kill()
    thread.join()
    holder.close()
    assert [type(error) for error in raised] == [UnavailableError]
    with pytest.raises(UnavailableError):
        observer.handle_many(events[1000:2000])

    fresh_postgres.start()
    assert base.points() == points_of(events[:1000])
    observer.handle_many(events[1000:2000])
    observer.handle_many(events[2000:])
    observer.close()

    assert base.points() == points_of(events)
    assert base.ask("SELECT count(*) FROM anew_runs") == [(1,)]


def test_a_server_killed_at_any_moment_loses_and_doubles_nothing(fresh_postgres: PostgresServer) -> None:
    """A batch whose commit was not answered may be there or not; it comes again in any case."""
    base = Base("postgresql", fresh_postgres.url)
    chance = random.Random(9)
    events = many_points(4000)
    failures: list[BaseException] = []

    def follow() -> None:
        with closing(SQLObserver(base.url)) as observer:
            batches: list[Sequence[ev.Event]] = [
                [start()],
                *(events[begin : begin + 20] for begin in range(0, len(events), 20)),
            ]
            for batch in batches:
                while True:
                    try:
                        observer.handle_many(batch)
                    except UnavailableError as error:
                        failures.append(error)
                        time.sleep(0.02)
                    else:
                        break

    thread = threading.Thread(target=follow)
    thread.start()
    for _ in range(6):
        time.sleep(chance.uniform(0.05, 0.3))
        fresh_postgres.kill()
        fresh_postgres.start()
    thread.join()

    assert failures
    assert base.points() == points_of(events)


def test_a_restart_between_two_batches_is_not_even_noticed(fresh_postgres: PostgresServer) -> None:
    base = Base("postgresql", fresh_postgres.url)
    with closing(SQLObserver(base.url)) as observer:
        observer.handle(start())
        for q in range(1, 4):
            observer.handle(point(q, {"x": q}, q))
            fresh_postgres.stop()
            fresh_postgres.start()

    assert base.points() == points_of([point(q, {"x": q}, q) for q in range(1, 4)])


def test_a_server_that_is_down_at_the_start_gets_all_of_it_later(fresh_postgres: PostgresServer) -> None:
    fresh_postgres.stop()
    base = Base("postgresql", fresh_postgres.url)
    with closing(SQLObserver(base.url)) as observer:
        with pytest.raises(UnavailableError):
            observer.handle(start())
        fresh_postgres.start()
        observer.handle(start())
        observer.handle(point(1, {"x": 1}, 1))

    assert base.points() == points_of([point(1, {"x": 1}, 1)])


def unavailable(url: str) -> UnavailableError:
    """Return the error of an observer that cannot get to its database."""
    with closing(SQLObserver(url)) as observer, pytest.raises(UnavailableError) as caught:
        observer.handle(start())
    return caught.value


def all_that_is_said(error: BaseException) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__)) + repr(error)


def test_a_wrong_password_is_told_and_not_shown(postgres_server: PostgresServer) -> None:
    secret = "not/the:right@one"
    url = postgres_server.url_of("postgres", password=secret) + f"?sslpassword={secret}"

    said = all_that_is_said(unavailable(url)) + repr(SQLObserver(url))

    assert "password authentication failed" in said
    assert f"somebody:***@{HOST}:{postgres_server.port}/postgres" in said
    assert secret not in said
    assert "not%2F" not in said


def test_a_host_that_cannot_be_reached_is_told() -> None:
    assert "refused" in str(unavailable(f"postgresql://user:secret@{HOST}:{free_port()}/runs"))
    assert "no-such-host.invalid" in str(unavailable("postgresql://user:secret@no-such-host.invalid/runs"))


def test_a_database_that_is_not_there_is_told(postgres_server: PostgresServer) -> None:
    assert "does not exist" in str(unavailable(postgres_server.url_of("nowhere")))


def test_a_file_that_another_program_holds_gets_the_batch_later(file: Base) -> None:
    with closing(SQLObserver(f"{file.url}?timeout=0.05")) as observer:
        observer.handle(start())
        holder = sqlite3.connect(file.url.removeprefix("sqlite:///"), isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="locked"):
            observer.handle(point(1, {"x": 1}, 1))
        holder.execute("ROLLBACK")
        holder.close()
        observer.handle(point(1, {"x": 1}, 1))

    assert file.points() == points_of([point(1, {"x": 1}, 1)])


def test_a_batch_waits_for_what_another_program_is_writing(file: Base) -> None:
    """One that read before it waited would keep the other from its commit, and both would fail."""
    with closing(SQLObserver(file.url)) as observer, ThreadPoolExecutor(1) as executor:
        observer.handle(start())
        with closing(sqlite3.connect(file.url.removeprefix("sqlite:///"), isolation_level=None, timeout=1)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("UPDATE anew_runs SET experiment = 'theirs'")
            delivered = executor.submit(observer.handle, of_kind(ev.InfoSet, 1, values={"x": 1}))
            time.sleep(0.2)  # else there would be nothing to wait for yet
            other.execute("COMMIT")
            delivered.result()

    assert (file.run()["experiment"], file.run()["info"]) == ("theirs", {"x": 1})


def test_tables_that_are_lost_while_a_run_goes_on_are_made_again(base: Base) -> None:
    with closing(SQLObserver(base.url)) as observer:
        observer.handle_many([start(), point(1, {"x": 1}, 1)])
        base.ask("DROP TABLE anew_metrics")
        with pytest.raises(UnavailableError):
            observer.handle(point(2, {"x": 2}, 2))
        observer.handle(point(2, {"x": 2}, 2))

    assert base.points() == points_of([point(2, {"x": 2}, 2)])


def test_a_run_that_was_deleted_takes_its_rows_along(base: Base) -> None:
    deliver(base, [point(1, {"x": 1}, 1), *LATER, piece(1, 0, "text")])

    engine = sa.create_engine(parse_url(base.url), poolclass=sa.NullPool)
    with engine.begin() as connection:
        if base.is_sqlite:
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        connection.exec_driver_sql("DELETE FROM anew_runs")

    left = [table for table in TABLES if base.ask(f"SELECT count(*) FROM anew_{table}") != [(0,)]]
    assert not left


def test_a_run_that_is_deleted_while_it_goes_on_is_there_again_with_what_comes_later(base: Base) -> None:
    with closing(SQLObserver(base.url)) as observer:
        observer.handle_many([start(), point(1, {"x": 1}, 1)])
        for table in ("metrics", "runs"):
            base.ask(f"DELETE FROM anew_{table}")
        with pytest.raises(SQLError):
            observer.handle_many([point(2, {"x": 2}, 2)])
        observer.handle(point(2, {"x": 2}, 2))

    assert base.points() == points_of([point(2, {"x": 2}, 2)])
    assert base.run()["status"] == "RUNNING"


# --- whose tables -----------------------------------------------------------------------------------------------


def test_a_table_of_somebody_else_is_left_alone(base: Base) -> None:
    base.ask("CREATE TABLE anew_metrics (theirs INTEGER)")
    base.ask("INSERT INTO anew_metrics VALUES (5)")
    with closing(SQLObserver(base.url)) as observer, pytest.raises(SQLError, match="anew_metrics") as caught:
        observer.handle(start())

    assert not isinstance(caught.value, OSError)
    assert base.ask("SELECT * FROM anew_metrics") == [(5,)]
    with pytest.raises(sa.exc.DBAPIError):
        base.ask("SELECT * FROM anew_runs")


@pytest.mark.parametrize("theirs", ["(name TEXT)", "(version TEXT)"])
def test_a_version_table_of_somebody_else_is_no_version(base: Base, theirs: str) -> None:
    base.ask(f"CREATE TABLE anew_schema {theirs}")
    base.ask("INSERT INTO anew_schema VALUES ('x')")
    with closing(SQLObserver(base.url)) as observer, pytest.raises(SQLError, match="anew_schema"):
        observer.handle(start())


def test_tables_of_a_newer_version_are_not_written_to(base: Base) -> None:
    deliver(base, [])
    base.ask("UPDATE anew_schema SET version = 99")
    before = base.run()

    with closing(SQLObserver(base.url)) as observer, pytest.raises(SQLError, match=r"newer version.*99"):
        observer.handle_many([start(), end()])

    assert base.run() == before


def test_tables_can_be_in_a_schema_of_their_own(postgres: Base) -> None:
    postgres.ask("CREATE TABLE anew_runs (theirs INTEGER)")

    deliver(postgres, many_points(3), schema='Die "Läufe"')

    assert postgres.ask('SELECT count(*) FROM "Die ""Läufe""".anew_metrics') == [(6,)]


def test_a_user_who_may_only_write_can_once_the_tables_are_there(postgres_server: PostgresServer) -> None:
    """And whose rights are taken away meanwhile loses nothing: no event is to blame, so none may be set aside."""
    database, user = postgres_server.make_database(), f"writer_{secrets.token_hex(4)}"
    base = Base("postgresql", postgres_server.url_of(database))
    base.ask(f"CREATE USER {user} PASSWORD 'word'")
    writer = postgres_server.url_of(database, user=user, password="word")
    with closing(SQLObserver(writer)) as observer, pytest.raises(SQLError, match=r"permission denied.*\.schema=NAME"):
        observer.handle(start())

    deliver(base, [])
    events = many_points(5)
    rights = "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public"
    with closing(SQLObserver(writer)) as observer:
        with pytest.raises(SQLError, match="permission denied"):
            observer.handle(start())
        base.ask(f"GRANT {rights} TO {user}")
        observer.handle_many([start(), *events[:3], *LATER, end()])
        base.ask(f"REVOKE {rights} FROM {user}")
        for _ in range(2):
            with pytest.raises(UnavailableError, match="permission denied"):
                observer.handle_many(events[3:])
        base.ask(f"GRANT {rights} TO {user}")
        observer.handle_many(events[3:])

    assert base.points() == points_of(events)


def test_columns_are_explained_in_postgresql(postgres: Base) -> None:
    deliver(postgres, [])

    assert postgres.ask("SELECT col_description('anew_metrics'::regclass, 8)") == [("seconds since the run started",)]


# --- files ------------------------------------------------------------------------------------------------------


def test_a_file_is_made_with_its_folder_and_relative_to_where_the_observer_was_made(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SQLObserver("sqlite:///deep/er/runs.sqlite")) as observer:
        monkeypatch.chdir("/")
        observer.handle(start())
        assert observer.sink.endswith("/project/deep/er/runs.sqlite")

    assert (project / "deep" / "er" / "runs.sqlite").is_file()


def test_without_a_url_the_file_is_in_the_store(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    with closing(SQLObserver()) as observer:
        observer.begin(store)
        observer.handle(start())

    assert Base("sqlite", f"sqlite:///{tmp_path}/runs/runs.sqlite").run()["store"] == store.url


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_the_journal_mode_of_a_file_stays_as_it_is(file: Base, mode: str) -> None:
    file.ask(f"PRAGMA journal_mode={mode}")

    deliver(file, many_points(5))

    assert file.ask("PRAGMA journal_mode") == [(mode,)]
    assert file.points() == points_of(many_points(5))


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no database at all, but text that is long enough" * 50)
    with (
        closing(SQLObserver(f"sqlite:///{path}")) as observer,
        pytest.raises((SQLError, UnavailableError), match="not a"),
    ):
        observer.handle(start())


# --- configuration ----------------------------------------------------------------------------------------------


def test_the_class_keeps_the_contracts() -> None:
    observer = SQLObserver("sqlite:///x")

    assert isinstance(observer, Observer)
    assert isinstance(observer, Beginning)
    assert isinstance(observer, Batching)
    assert observer.sink == ""


def test_a_check_says_where_the_database_is_and_leaves_nothing(base: Base) -> None:
    with closing(SQLObserver(base.url)) as observer:
        assert observer.check() in (base.url, re.sub(r":[^:@/]+@", ":***@", base.url))

    if base.is_sqlite:
        assert not Path(base.url.removeprefix("sqlite:///")).exists()
        base.ask("CREATE TABLE theirs (x)")
        with closing(SQLObserver(base.url)) as observer:
            observer.check()
        assert base.ask("SELECT name FROM sqlite_master") == [("theirs",)]
    else:
        assert base.ask("SELECT tablename FROM pg_tables WHERE tablename LIKE 'anew%'") == []


def test_a_check_finds_tables_of_others(base: Base) -> None:
    base.ask("CREATE TABLE anew_runs (uid INTEGER)")
    with closing(SQLObserver(base.url)) as observer, pytest.raises(SQLError, match="anew_runs already"):
        observer.check()


def test_a_check_says_what_is_wrong_without_the_password(postgres: Base) -> None:
    url = sa.make_url(postgres.url).set(password="s3cretword")
    with (
        closing(SQLObserver(url.render_as_string(hide_password=False))) as observer,
        pytest.raises(UnavailableError, match="cannot be written to now") as caught,
    ):
        observer.check()
    assert "s3cretword" not in "".join(traceback.format_exception(caught.value))


def test_a_check_of_a_file_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "blocked").touch()
    for url in (f"sqlite:///{tmp_path}/blocked/runs.sqlite", f"sqlite:///{tmp_path}/blocked/deeper/runs.sqlite"):
        with closing(SQLObserver(url)) as observer, pytest.raises(UnavailableError, match="blocked"):
            observer.check()


def test_the_configuration_that_comes_along_builds_the_observer(project: Path) -> None:
    text = (Path(anew.configs.__file__).parent / "anew" / "observers" / "sql.yaml").read_text()
    spec = yaml.safe_load(text)

    with closing(build_observer("sql", spec)) as observer:
        observer.handle_many([start(), *many_points(3)])

    assert Base("sqlite", f"sqlite:///{project}/runs.sqlite").points() == points_of(many_points(3))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hunter2",
        "postgresql://user:hunter2@host:hunter2/db",
        "postgresql+psycopg2://user:hunter2@host/db",
        "mysql://user:hunter2@host/db",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_a_url_that_is_none_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SQLObserver(url)

    assert "sqlite:///" in str(caught.value) or "postgresql://" in str(caught.value)
    assert "hunter2" not in all_that_is_said(caught.value)


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="schema='s'"):
        SQLObserver("sqlite:///x", schema="s")
    with pytest.raises(ConfigError, match="batch=0"):
        SQLObserver("sqlite:///x", batch=0)


@pytest.mark.parametrize(
    ("module", "url"), [("sqlalchemy", "sqlite:///x"), ("sqlalchemy", ""), ("psycopg", "postgres://h/d")]
)
def test_a_library_that_is_missing_is_named_with_the_extra(module: str, url: str) -> None:
    command = [sys.executable, "-c", WITHOUT, module, url]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "pip install 'anew[sql]'" in done.stdout


# --- the document -----------------------------------------------------------------------------------------------


def queries() -> list[str]:
    return re.findall(r"```sql\n(.*?);\n```", DOCUMENT.read_text(), re.DOTALL)


@pytest.fixture
def asked(base: Base) -> Base:
    """A database with runs about which the document's questions can be asked."""
    cases = [
        (1, 0.1, "1.26", 0.5),
        (2, 0.1, "2.0", 0.25),
        (3, 0.01, "2.0", 0.125),
        (4, 1.0, "2.0", None),
        (5, 1.0, "2.0", None),
    ]
    for number, lr, numpy, loss in cases:
        uid = ids.new_uid()
        record = replace(
            RECORD,
            uid=uid,
            id=number,
            config={"optimizer": {"lr": lr}},
            environment=EnvironmentFacts(python="3.11", packages={"numpy": numpy}),
            hardware=HardwareFacts(hostname="node7", os="Linux"),
            inputs=(ContentRef(path="data/train.csv", sha256="d" * 64, size=2),) if number != 2 else (),
        )
        events: list[ev.Event] = [replace(start(), uid=uid, record=record)]
        if loss is not None:
            events += [
                replace(point(1 + step, {"val/loss": loss + 4 - step, "acc": 1}, step), uid=uid) for step in range(5)
            ]
            events.append(replace(end(result=loss), uid=uid))
        elif number == 4:
            failed = ErrorFacts(type="MemoryError", message="", traceback="")
            events.append(replace(end(Status.FAILED, error=failed), uid=uid))
        with closing(SQLObserver(base.url)) as observer:
            observer.handle_many(events)
    return base


def test_the_questions_in_the_document_are_answered_right(asked: Base) -> None:
    last, curve, failures, versions, lost = [asked.ask(query.replace(":00:00", "\\:00\\:00")) for query in queries()]

    assert last == [(3, 0.01, 0.125), (2, 0.1, 0.25), (1, 0.1, 0.5)]
    assert curve == [
        *((0.01, step, 4.125 - step, 1) for step in range(5)),
        *((0.1, step, 4.375 - step, 2) for step in range(5)),
    ]
    assert [row[:3] for row in failures] == [("MemoryError", "node7", 1)]
    assert versions == [("1.26", 1, 0.5), ("2.0", 3, 0.125)]
    assert [row[:2] for row in lost] == [(5, "UNKNOWN")]


def test_the_document_names_every_table_and_column() -> None:
    text = DOCUMENT.read_text()

    missing = [
        f"{table}.{column}"
        for table, names in TABLES.items()
        for column in names
        if f"`anew_{table}`" not in text or f"`{column}`" not in text
    ]

    assert not missing


# --- how it stands -----------------------------------------------------------------------------------------------


class Knowing:
    """A store that knows how one run stands."""

    url = "runs"

    def __init__(self, status: Status) -> None:
        self._status = status

    def get(self, ref: str | int) -> RunRecord:
        return replace(RECORD, status=self._status)


def status_of(base: Base) -> list[tuple[Any, ...]]:
    return base.ask("SELECT id, status FROM anew_status")


def test_a_run_that_is_not_heard_of_is_unknown_and_one_that_was_lost_is_lost(base: Base) -> None:
    now = (datetime.now(timezone.utc) - STARTED).total_seconds()
    deliver(base, [start_of(RECORD.uid), ev.Heartbeat(uid=RECORD.uid, writer="main", q=1, t=now)])
    assert status_of(base) == [(7, "RUNNING")]
    base.ask("UPDATE anew_runs SET heartbeat_at = '2026-03-01 13:00:00'")
    assert status_of(base) == [(7, "UNKNOWN")]
    for status, shown in ((Status.RUNNING, "UNKNOWN"), (Status.LOST, "LOST")):
        with closing(SQLObserver(base.url)) as observer:
            observer.begin(Knowing(status))  # type: ignore[arg-type]
            observer.handle_many([start_of(RECORD.uid)])
        assert status_of(base) == [(7, shown)]


def test_a_run_whose_end_came_is_not_lost_afterwards(base: Base) -> None:
    with closing(SQLObserver(base.url)) as observer:
        observer.begin(Knowing(Status.LOST))  # type: ignore[arg-type]
        observer.handle_many([start_of(RECORD.uid), end()])
    assert status_of(base) == [(7, "COMPLETED")]


def test_tables_of_before_get_the_view(base: Base) -> None:
    deliver(base, [start_of(RECORD.uid)])
    base.ask("DROP VIEW anew_status")
    deliver(base, [start_of(RECORD.uid)])
    assert status_of(base) == [(7, "UNKNOWN")]
