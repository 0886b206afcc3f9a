"""Runs in MongoDB over a real wire: what was logged is there, once, whatever happens; Sacred's readers can read it."""

from __future__ import annotations

import gc
import hashlib
import io
import math
import os
import re
import subprocess
import sys
import threading
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import bson
import gridfs
import mongomock
import pytest
import yaml
from bson import ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from pymongo.errors import BulkWriteError, OperationFailure

import anew.configs
from anew.observers.mongo import client as mongo_client
from anew.observers.mongo import content as mongo_content
from anew.observers.mongo import metrics as mongo_metrics
from anew.observers.mongo import observer as mongo_module
from anew.observers.mongo.chunks import chunk_documents, chunk_of, entries_of
from anew.observers.mongo.content import CHUNK_BYTES, shared_id
from anew.observers.mongo.fold import Fold, unpack
from anew.observers.mongo.journal import Journal
from anew.observers.mongo.observer import MongoObserver
from anew.observers.mongo.output import MOST_SHOWN_BYTES
from anew.observers.mongo.view import (
    Parts,
    changing_fields,
    escape_key,
    first_document,
    mapping_view,
    pack,
    unescape_key,
    value_view,
)
from anew.runner import events as ev
from anew.runner.config.build import build_observer
from anew.runner.contracts import Batching, Beginning, Observer
from anew.runner.errors import ConfigError, ObjectNotFoundError, UnavailableError
from anew.runner.format import ids, serial
from anew.runner.format.replay import replay
from anew.runner.records import CommandFacts, ContentRef, GpuFacts, HardwareFacts, RunRecord, SourceFacts, Status
from anew.runner.store.folder import FolderStore
from tests.helpers.mongo_events import (
    STARTED,
    TRACE,
    Db,
    a_record,
    assert_kept,
    batches_of,
    deliver,
    end_of,
    kept_events,
    kept_output,
    kept_points,
    pieces,
    points,
    printed,
    put,
    run_of,
    start_of,
    whole_run,
)
from tests.helpers.places import ROOT
from tests.helpers.stores import make_store
from tests.helpers.wire import HAS_OPENSSL, FaultyProxy, Message, MongoServer, free_port, with_database

pytest_plugins = ("tests.helpers.wire",)

SEEDS = int(os.environ.get("ANEW_TEST_SEEDS", "1"))
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MOST_DOCUMENT = 16 * 2**20
STARTERS = """\
import os, sys
sys.path.insert(0, sys.argv[1])
import pymongo
from tests.helpers.mongo_events import MongoObserver, UnavailableError, a_record, start_of
gate, opener = os.pipe()
children = []
for _ in range(int(sys.argv[3])):
    child = os.fork()
    if not child:
        os.close(opener)
        os.read(gate, 1)
        try:
            observer = MongoObserver(sys.argv[2], timeout_s=60)
            start = start_of(a_record())
            while True:
                try:
                    observer.handle(start)
                    break
                except UnavailableError:
                    pass
            observer.close()
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
sys.modules["pymongo"] = None
import anew.observers.mongo
from anew.runner.errors import MissingExtraError
try:
    anew.observers.mongo.MongoObserver("mongodb://localhost/anew")
except MissingExtraError as error:
    print(error)
"""


@pytest.fixture
def url(mongo_server: MongoServer, database: Db) -> str:
    """The test's own database."""
    return with_database(mongo_server.url, database.name)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return make_store(tmp_path / "store")


@pytest.fixture
def observe(url: str) -> Iterator[Callable[..., MongoObserver]]:
    """`observe(event, ...)`: a new instance on the test's database that has been handed events; closed afterwards."""
    observers: list[MongoObserver] = []

    def build(*events: ev.Event, store: FolderStore | None = None, **options: Any) -> MongoObserver:
        observer = MongoObserver(url, **options)
        observers.append(observer)
        if store is not None:
            observer.begin(store)
        for event in events:
            observer.handle(event)
        return observer

    yield build
    for observer in observers:
        observer.close()


Observe = Callable[..., MongoObserver]


# --- the view ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "escaped"),
    [
        ("lr", "lr"),
        ("a.b", "a%2Eb"),
        ("a,b", "a%2Cb"),
        ("$set", "%24set"),
        ("a$", "a$"),
        ("50%", "50%"),
        ("%more", "%25more"),
        ("a%2E", "a%252E"),
        ("", "%"),
        ("a\0b", "a%00b"),
        ("\ud800", "%ED%A0%80"),
        (1, "%=1"),
        (None, "%=None"),
    ],
)
def test_a_key_is_written_as_mongodb_and_omniboard_take_it(key: Any, escaped: str) -> None:
    assert escape_key(key, top=True) == escaped
    assert unescape_key(escaped) == (key if isinstance(key, str) else str(key))


@QUICK
@given(st.text(alphabet=st.characters()) | st.text(alphabet="%$.,=2Ee\0a\ud800"), st.booleans())
def test_every_text_comes_back_from_its_key(key: str, top: bool) -> None:
    escaped = escape_key(key, top=top)
    assert unescape_key(escaped) == key
    assert bson.decode(bson.encode({escaped: 1})) == {escaped: 1}
    assert not escaped.startswith("$")
    assert not (top and set(escaped) & {".", ","})


class Colour(Enum):
    RED = 1


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters())
    | st.binary()
    | st.datetimes()
    | st.datetimes(timezones=st.just(timezone.utc))
    | st.sampled_from([10**400, -(10**400), 2**63, -(2**63), Decimal("1.5"), Colour.RED, PurePosixPath("a/b"), 1j])
    | st.sampled_from([date(2026, 1, 1), timedelta(seconds=3), frozenset({1, 2}), object(), ids])
)
KEYS = st.text(alphabet=st.characters()) | st.integers() | st.none() | st.booleans() | st.floats()
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5) | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=30,
)


@QUICK
@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_every_value_goes_into_a_document(values: dict[Any, Any]) -> None:
    shown = mapping_view(values, most=2**20)
    assert len(bson.decode(bson.encode(shown))) == len(values)


def test_keys_that_are_told_alike_are_told_apart() -> None:
    shown = mapping_view({math.nan: 1, float("nan"): 2, "NaN #2": 3, object(): 4, object(): 5}, most=2**20)
    assert bson.decode(bson.encode(shown)) == {
        "%=NaN": 1, "%=NaN #2": 2, "NaN #2": 3, "%=object": 4, "%=object #2": 5
    }  # fmt: skip


@QUICK
@given(st.dictionaries(KEYS, VALUES, max_size=6), st.integers(0, 3000))
def test_a_value_takes_no_more_room_than_it_is_given(values: dict[Any, Any], most: int) -> None:
    size = len(bson.encode({"v": value_view(values, most=most)}))
    assert size < 4 * most + 20_000


def test_a_value_is_shown_as_the_nearest_that_there_is() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
    shown = value_view(
        {"big": 2**70, "huge": -(10**400), "at": noon, "naive": datetime(2026, 1, 1), "b": b"\0\1", "t": (1, {"$x": 2})}
    )
    assert shown == {
        "big": 2.0**70,
        "huge": float("-inf"),
        "at": noon,
        "naive": "2026-01-01T00:00:00",
        "b": "AAE=",
        "t": [1, {"%24x": 2}],
    }
    nested: Any = 1
    for _ in range(300):
        nested = [nested]
    assert bson.encode({"v": value_view(nested)})


def test_what_is_too_large_is_cut_with_a_note() -> None:
    config = {"text": "x" * 20_000_000, "list": list(range(2_000_000)), "last": 1}
    record = a_record(
        config=config,
        tags=tuple(f"tag{n}" for n in range(200_000)),
        note="n" * 20_000_000,
        overrides=("o" * 1_000_000,) * 20,
        source=SourceFacts(files=tuple(ContentRef(path=f"{n}/" + "p" * 900, sha256="", size=0) for n in range(30_000))),
    )
    info = {"deep": {str(number): "y" * 1000 for number in range(20_000)}}
    error = end_of(record, Status.FAILED, result=["r" * 5_000_000] * 5)
    assert error.error is not None
    trace = "".join(f"line {number}\n" for number in range(2_000_000)) + "the end\n"
    error = replace(error, error=replace(error.error, traceback=trace))
    ended = replay(record, [ev.InfoSet(uid=record.uid, writer="main", q=1, t=0, values=info), error])
    document = first_document(record, 1)
    metrics = [{"id": str(ObjectId()), "name": f"{number}" + "m" * 200} for number in range(50_000)]
    fields = changing_fields(ended, Parts(metrics=metrics, source=lambda _: ObjectId()))
    assert len(bson.encode(document)) + len(bson.encode(fields)) + MOST_SHOWN_BYTES < MOST_DOCUMENT
    assert document["config"]["text"].endswith("(cut: 20000000 characters in all)")
    assert (
        document["config"]["list"][-1]
        == f"... {2_000_000 - len(document['config']['list']) + 1} more are left out here"
    )
    assert "%more" in fields["info"]["deep"]
    assert fields["fail_trace"][0] == "line 0\n"
    assert fields["fail_trace"][-1] == "the end\n"
    assert 1000 < len(fields["fail_trace"]) <= 10_001
    assert any("30000 source files" in warning for warning in fields["anew.warnings"])
    assert any("50000 metrics" in warning for warning in fields["anew.warnings"])


def test_a_record_that_is_too_large_to_be_laid_down_is_not() -> None:
    noise = "".join(hashlib.sha256(str(number).encode()).hexdigest() for number in range(200_000))
    record = a_record(config={"noise": noise})
    fields = changing_fields(record, Parts(positions={"main": 3}))
    assert (fields["anew.record"], fields["anew.at"]) == (None, {})


def test_the_documents_go_into_any_mongodb() -> None:
    """mongomock is strict about keys, as servers before 5.0 were."""
    runs: Any = mongomock.MongoClient().db.runs
    record = a_record(config={"a.b": {"$c": 1, "d": [{"$e": 2}]}, "$f": None, "": 1, 3: 4})
    runs.insert_one(first_document(record, 1))
    kept = runs.find_one({"_id": 1})
    assert kept is not None
    assert kept["config"] == {"a%2Eb": {"%24c": 1, "d": [{"%24e": 2}]}, "%24f": None, "%": 1, "%=3": 4}


def test_a_fold_that_was_laid_down_goes_on_as_if_it_had_not(store: FolderStore) -> None:
    events = whole_run(store, count=60)
    start = events[0]
    assert isinstance(start, ev.RunStarted)
    for cut in range(1, len(events), 7):
        first = Fold(start.record)
        for event in events[1:cut]:
            first.take(event)
        again = Fold(
            start.record, laid_down=unpack(pack(first.record(3)), start.uid), at=first.at, sources=first.sources
        )
        assert [again.take(event) for event in events[1:cut]] == [False] * (cut - 1)
        for event in events[cut:]:
            assert again.take(event)
        assert str(again.record(3)) == str(replace(replay(start.record, events[1:]), id=3))


# --- what is kept -----------------------------------------------------------------------------------------------


def test_a_run_is_kept_as_sacred_keeps_it(observe: Observe, database: Db, store: FolderStore) -> None:
    gpus = (GpuFacts(name="a gpu", memory_bytes=8 * 2**30, driver="550"),)
    record = a_record(
        source=replace(a_record().source, files=(put(store, "train.py", b"import helper\n"),)),
        hardware=HardwareFacts(hostname="node1", os="Linux 6.1 x86_64", cpu_model="a cpu", gpus=gpus),
    )
    observer = observe(start_of(record), store=store)
    now = run_of(database, record.uid)
    assert now["status"] == "RUNNING"
    assert now["stop_time"] is None
    model, data = put(store, "model.pt", b"weights"), put(store, "data.csv", b"1,2\n")
    events = [
        *points(record, 3, names=("loss", "val.acc")),
        *pieces(record, ["first\n", "second\n"]),
        ev.InfoSet(uid=record.uid, writer="main", q=4, t=1, values={"best": {"epoch": 3}, "metrics": "mine", "a.b": 1}),
        ev.ArtifactAdded(uid=record.uid, writer="main", q=5, t=1, artifact=model),
        ev.InputUsed(uid=record.uid, writer="main", q=6, t=1, input=data),
        end_of(record, Status.FAILED),
    ]
    observer.handle_many(events)
    host, port = database.client.address or ("", 0)
    assert observer.sink == f"run 1 in {host}:{port}/{database.name}"
    run = assert_kept(database, [start_of(record), *events])
    files = gridfs.GridFS(database)
    metrics = {each["name"]: each["_id"] for each in database["metrics"].find()}
    ours = run.pop("anew")
    sources, [artifact] = run["experiment"].pop("sources"), run.pop("artifacts")
    [[resource, resource_id]] = run.pop("resources")
    assert run == {
        "_id": 1,
        "format": "MongoObserver-0.7.0",
        "command": "main",
        "status": "FAILED",
        "start_time": STARTED,
        "stop_time": STARTED + timedelta(seconds=90),
        "heartbeat": STARTED + timedelta(seconds=90),
        "config": {"lr": 0.1, "optimizer": {"name": "sgd"}, "seed": 7},
        "experiment": {
            "name": "digits",
            "base_dir": "/project",
            "mainfile": "train.py",
            "dependencies": ["numpy==2.0"],
            "repositories": [{"url": "", "commit": "abc", "dirty": True}],
        },
        "host": {
            "hostname": "node1",
            "os": ["Linux", "6.1 x86_64"],
            "cpu": "a cpu",
            "gpus": {"driver_version": "550", "gpus": [{"model": "a gpu", "total_memory": 8192}]},
            "python_version": "3.11.7",
            "ENV": {"HOME": "/h"},
        },
        "meta": {"command": "main", "options": {"UPDATE": ["lr=0.1"]}, "comment": ""},
        "info": {
            "best": {"epoch": 3},
            "%6Detrics": "mine",
            "a%2Eb": 1,
            "metrics": [{"id": str(metrics[name]), "name": name} for name in ("loss", "val.acc")],
        },
        "captured_out": "first\nsecond\n",
        "fail_trace": TRACE.splitlines(keepends=True),
        "result": 0.25,
    }
    assert [(name, files.get(file_id).read()) for name, file_id in sources] == [("train.py", b"import helper\n")]
    assert (artifact["name"], files.get(artifact["file_id"]).read()) == ("model.pt", b"weights")
    assert (resource, files.get(resource_id).read()) == ("data.csv", b"1,2\n")
    assert {key: ours[key] for key in ("uid", "format", "experiment", "ended", "at")} == {
        "uid": record.uid,
        "format": 1,
        "experiment": "digits",
        "ended": True,
        "at": {"main": 6, "outcome": 0},
    }


def test_it_is_an_observer_that_takes_batches_and_wants_the_store(observe: Observe) -> None:
    observer = observe()
    assert isinstance(observer, Observer)
    assert isinstance(observer, Batching)
    assert isinstance(observer, Beginning)
    assert observer.sink == ""


def test_the_shipped_configuration_builds_it(monkeypatch: pytest.MonkeyPatch, url: str, database: Db) -> None:
    path = Path(next(iter(anew.configs.__path__))) / "anew" / "observers" / "mongo.yaml"

    def spec() -> dict[str, Any]:
        resolved = OmegaConf.to_container(OmegaConf.create(yaml.safe_load(path.read_text())), resolve=True)
        assert isinstance(resolved, dict)
        return {str(key): value for key, value in resolved.items()}

    assert spec()["url"] == "mongodb://localhost:27017/anew"
    monkeypatch.setenv("MONGO_URL", url)
    observer = build_observer("mongo", spec())
    record = a_record()
    observer.handle(start_of(record))
    observer.close()
    assert run_of(database, record.uid)["_id"] == 1


def test_every_kind_of_event_is_kept_and_indexes_are_made(url: str, database: Db, store: FolderStore) -> None:
    for status in (Status.COMPLETED, Status.FAILED, Status.INTERRUPTED):
        events = whole_run(store, seed=len(status), status=status)
        deliver(lambda: MongoObserver(url), events, store=store)
        run = assert_kept(database, events)
        assert run["status"] == status.value
        assert ("fail_trace" in run) is (status is Status.FAILED)
        assert run["omniboard"] == {"tags": ["first"], "notes": "at the start"}
    names = {name: set(database[name].index_information()) for name in database.list_collection_names()}
    assert {"anew.uid_1", "start_time_1", "experiment.name_1", "status_1"} <= names["runs"]
    assert {"run_id_1_name_1", "name_1"} <= names["metrics"]
    assert "run_1_w_1_q_1" in names["anew_journal"]
    assert "metadata.sha256_1" in names["fs.files"]


def test_a_long_metric_goes_on_in_new_documents(
    observe: Observe, database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_metrics, "PART_POINTS", 100)
    record = a_record()
    events: list[ev.Event] = [start_of(record), *points(record, 730, names=("a", "b"))]
    observer = observe(events[0])
    for some in batches_of(events, lambda: 33):
        observer.handle_many(some)
    observer.handle_many(points(record, 1, writer="other"))
    events += [*points(record, 1, writer="other"), end_of(record)]
    observe(start_of(record)).handle_many(events[-1:])
    kept = kept_points(database, 1)
    assert [len(kept[name]) for name in ("a", "b", "loss")] == [730, 730, 1]
    run = assert_kept(database, events)
    sizes = [len(each["steps"]) for each in database["metrics"].find({"name": "a"})]
    assert len(sizes) > 4
    assert max(sizes) < 200
    last = database["metrics"].find_one({"name": "a"}, sort=[("anew.part", -1)])
    assert last is not None
    assert run["info"]["metrics"][0] == {"id": str(last["_id"]), "name": "a"}
    observe(start_of(record)).handle_many(events[1:])
    assert_kept(database, events)


@pytest.mark.long
def test_a_hundred_thousand_points_are_delivered_in_documents_that_fit(observe: Observe, database: Db) -> None:
    record = a_record()
    events: list[ev.Event] = [start_of(record), *points(record, 120_000), end_of(record)]
    observer = observe(events[0])
    for some in batches_of(events, lambda: 7000):
        observer.handle_many(some)
    assert_kept(database, events)
    assert 2 <= database["metrics"].count_documents({}) <= 3


def test_metrics_may_have_any_name_and_any_number(observe: Observe, database: Db) -> None:
    record = a_record()
    long = "n" * 5000
    odd = {"a.b": 1, "$x": float("nan"), "nul\0": 2**62, "\ud800": -(2**70), long: 10**400, "": -0.0}
    logged = ev.MetricsLogged(uid=record.uid, writer="w.1", q=1, t=1.0, step=-(2**63), values=odd)
    observer = observe(start_of(record))
    observer.handle(logged)
    observe(start_of(record)).handle_many([logged, replace(logged, q=2, t=1.0, step=2**63 - 1), end_of(record)])
    kept = kept_points(database, 1)
    expected: list[Any] = [1, float("nan"), 2**62, -(2.0**70), float("inf"), -0.0]
    found = [kept[name] for name in ("a.b", "$x", "nul\0", "\\ud800", next(n for n in kept if len(n) > 1000), "")]
    assert str([[value for _, value, _ in some] for some in found]) == str([[value, value] for value in expected])
    assert {tuple(step for step, _, _ in some) for some in found} == {(-(2**63), 2**63 - 1)}
    assert len(run_of(database, record.uid)["info"]["metrics"]) == 6
    assert len(kept_events(database, record.uid)) == 3


@pytest.mark.long
@pytest.mark.slow
def test_a_large_configuration_and_a_large_result_are_in_the_journal_whole(observe: Observe, database: Db) -> None:
    noise = "".join(hashlib.sha256(str(number).encode()).hexdigest() for number in range(320_000))
    record = a_record(config={"noise": noise})
    events: list[ev.Event] = [
        start_of(record),
        *points(record, 10),
        ev.InfoSet(uid=record.uid, writer="main", q=11, t=1, values={"noise": noise}),
        *points(record, 10, after=11),
        end_of(record, result=noise),
    ]
    observer = observe(events[0])
    observer.handle_many(events[1:])
    observe(events[0]).handle_many(events[5:])
    run = run_of(database, record.uid)
    assert run["config"]["noise"].endswith(f"(cut: {len(noise)} characters in all)")
    assert run["info"]["noise"].endswith(f"(cut: {len(noise)} characters in all)")
    parts = database["anew_journal"].find({"run": record.uid, "w": "run"}).sort("part", 1)
    [(_, entry)] = entries_of(chunk_of(list(parts)))
    assert serial.record_from_start(entry).config == {"noise": noise}
    assert str(kept_events(database, record.uid)) == str({(e.writer, e.q): e for e in events[1:]})
    assert len(kept_points(database, 1)["loss"]) == 20


# --- numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.slow
def test_two_hundred_that_start_at_once_get_two_hundred_numbers(url: str, database: Db) -> None:
    command = [sys.executable, "-c", STARTERS, str(ROOT), url, "200"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    numbers = sorted(run["_id"] for run in database["runs"].find({}, {"_id": 1}))
    assert len(numbers) == 200
    assert numbers[0] >= 1
    counter = database["anew_counters"].find_one({"_id": "runs"})
    assert counter is not None
    assert counter["last"] >= numbers[-1]
    assert len({run["anew"]["uid"] for run in database["runs"].find({}, {"anew.uid": 1})}) == 200


def test_many_that_deliver_the_same_run_at_once_get_one_number(url: str, database: Db) -> None:
    record = a_record()

    def start(_: int) -> str:
        observer = MongoObserver(url)
        try:
            observer.handle(start_of(record))
            return observer.sink
        finally:
            observer.close()

    with ThreadPoolExecutor(12) as pool:
        assert len(set(pool.map(start, range(12)))) == 1
    run_of(database, record.uid)


def test_a_number_is_above_those_of_sacred(observe: Observe, database: Db) -> None:
    database["runs"].insert_many([{"_id": 41}, {"_id": "a name"}, {"_id": 17.0}, {"_id": ObjectId()}])
    first, second = a_record(), a_record()
    observe(start_of(first))
    assert run_of(database, first.uid)["_id"] == 42
    database["runs"].insert_one({"_id": 43})
    observe(start_of(second))
    assert run_of(database, second.uid)["_id"] == 44


def test_a_number_is_not_given_twice_though_its_run_is_gone(observe: Observe, database: Db) -> None:
    first, second = a_record(), a_record()
    observe(start_of(first))
    database["runs"].delete_many({})
    observe(start_of(second))
    assert run_of(database, second.uid)["_id"] == 2


def test_a_run_keeps_its_own_number_where_that_is_wanted_and_free(observe: Observe, database: Db) -> None:
    first, second, third, fourth = a_record(id=30), a_record(id=30), a_record(id=5), a_record(id=None)
    for record in (first, second, third, fourth):
        observe(start_of(record), keep_number=True)
    numbers = [run_of(database, record.uid)["_id"] for record in (first, second, third, fourth)]
    assert numbers == [30, 31, 5, 32]


def test_indexes_that_are_there_already_are_in_nobodys_way(observe: Observe, database: Db) -> None:
    """Such as those that somebody made by hand, of the same name or of the same keys."""
    database["runs"].create_index("start_time", sparse=True)
    database["runs"].create_index("status", name="mine")
    database["fs.chunks"].create_index([("files_id", 1), ("n", 1)], name="theirs")
    record = a_record()
    observe(start_of(record)).handle(end_of(record))
    assert {"anew.uid_1", "experiment.name_1"} <= set(database["runs"].index_information())


# --- once, whatever happens -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_what_comes_again_is_kept_once(url: str, database: Db, store: FolderStore, seed: int) -> None:
    """By the same instance or another, in the same batches or one at a time."""
    events = whole_run(store, seed=seed)
    deliver(lambda: MongoObserver(url), events, store=store, seed=seed, restarts=0.2, repeats=0.3)
    deliver(lambda: MongoObserver(url), events, store=store, seed=seed + 100, batch=97)
    assert_kept(database, events)


def test_an_instance_that_begins_behind_the_middle_makes_up_for_the_one_before(
    url: str, database: Db, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one was killed before it had brought the arrays and the document up to date."""
    events = whole_run(store, seed=5)
    record = events[0].record  # type: ignore[attr-defined]
    killed = MongoObserver(url)
    killed.begin(store)
    killed.handle(events[0])
    monkeypatch.setattr(mongo_module, "VIEW_S", 1000.0)
    with monkeypatch.context() as patch:
        patch.setattr(mongo_metrics.Metrics, "is_due", property(lambda _: False))
        patch.setattr(mongo_module.MongoObserver, "_is_due", lambda *_: False)
        killed.handle_many(events[1:200])
    assert "loss" not in kept_points(database, 1)
    killed._database.client.close()
    assert len(kept_events(database, record.uid)) > 150
    other = MongoObserver(url)
    other.begin(store)
    other.handle(events[0])
    other.handle_many(events[200:])
    other.close()
    assert_kept(database, events)


def test_two_who_deliver_the_same_run_at_once_double_nothing(url: str, database: Db, store: FolderStore) -> None:
    for seed in range(3):
        events = whole_run(store, seed=seed, count=200)

        def one(number: int, events: list[ev.Event] = events) -> None:
            deliver(
                lambda: MongoObserver(url, timeout_s=20),
                events,
                store=store,
                seed=number,
                batch=15 + 20 * number,
                restarts=0.05,
            )

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(one, range(3)))
        assert_kept(database, events)


def test_one_who_lags_does_not_take_back_what_another_has_delivered(observe: Observe, database: Db) -> None:
    record = a_record()
    events: list[ev.Event] = [start_of(record), *points(record, 30), end_of(record)]
    slow = observe(events[0])
    slow.handle_many(events[1:11])
    observe(events[0]).handle_many(events[1:])
    note = ev.NoteSet(uid=record.uid, writer="other", q=1, t=1.0, text="late")
    slow.handle_many([*events[11:21], note])
    run = assert_kept(database, [*events, note])
    assert (run["status"], run["anew"]["note"]) == ("COMPLETED", "late")


def test_a_chunk_that_another_has_made_longer_or_shorter_loses_nothing(database: Db) -> None:
    record = a_record()
    events = points(record, 10)
    first, second = (Journal(database, record.uid, is_new=True) for _ in range(2))
    first.keep(events[:3])
    second.keep(events[:5])
    assert [q for _, q in kept_events(database, record.uid)] == [1, 2, 3, 4, 5]
    longer = chunk_documents(events[:8])[0]
    database["anew_journal"].replace_one({"_id": longer["_id"]}, longer)
    first.keep(events[3:7])
    assert sorted(q for _, q in kept_events(database, record.uid)) == [1, 2, 3, 4, 5, 6, 7, 8]
    first.keep(events)
    second.keep(events)
    assert str(sorted(kept_events(database, record.uid).values(), key=lambda event: event.q)) == str(events)


def test_a_run_that_logs_a_little_all_the_time_makes_few_documents(observe: Observe, database: Db) -> None:
    record = a_record()
    observer = observe(start_of(record))
    events = points(record, 300)
    for event in events:
        observer.handle(event)
    assert database["anew_journal"].count_documents({"w": "main"}) < 10
    observer.handle(end_of(record))
    assert_kept(database, [start_of(record), *events, end_of(record)])


COMMANDS = ("find", "insert", "update", "findAndModify", "distinct", "delete", "createIndexes")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reply_that_is_lost_loses_and_doubles_nothing(
    faulty_wire: FaultyProxy, database: Db, store: FolderStore, command: str
) -> None:
    """Twice in a row, so that the driver's own second try does not help."""
    events = whole_run(store, seed=3, count=150)
    url = with_database(faulty_wire.url, database.name)

    def is_meant(request: Message) -> bool:
        return request.command == command

    faulty_wire.lose_replies(2, when=is_meant)
    observer_count = 0

    def build() -> MongoObserver:
        nonlocal observer_count
        observer_count += 1
        if observer_count % 3 == 0:
            faulty_wire.lose_replies(2, when=is_meant)
        return MongoObserver(url, timeout_s=20)

    deliver(build, events, store=store, seed=3, batch=20, restarts=0.3)
    assert faulty_wire.faults
    assert {fault.split()[1] for fault in faulty_wire.faults} == {command}
    faulty_wire.heal()
    assert_kept(database, events)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_wire_that_fails_at_random_loses_and_doubles_nothing(
    mongo_server: MongoServer, database: Db, store: FolderStore, seed: int
) -> None:
    """Requests dropped or cut, replies lost or cut: with ANEW_TEST_SEEDS=6 a hundred faults and more in all."""
    events = whole_run(store, seed=seed, count=45)
    with FaultyProxy(mongo_server, seed=seed) as wire:
        wire.fail_at_random(0.25)
        url = with_database(wire.url, database.name)
        deliver(lambda: MongoObserver(url, timeout_s=20), events, store=store, seed=seed, batch=10, repeats=0.1)
        # how many there are depends on how much is sent at a time, which on a busy machine is more
        assert len(wire.faults) > 5
    assert_kept(database, events)


@pytest.mark.slow
def test_a_server_that_is_killed_again_and_again_loses_and_doubles_nothing(
    fresh_mongo: MongoServer, store: FolderStore
) -> None:
    events = whole_run(store, seed=8, count=200)
    url = with_database(fresh_mongo.url, "x")
    done = threading.Event()

    def kill() -> None:
        while not done.wait(0.7):
            fresh_mongo.kill()
            time.sleep(0.1)
            fresh_mongo.start()

    killer = threading.Thread(target=kill)
    observer = MongoObserver(url)
    observer.handle(events[0])
    observer.close()
    killer.start()
    try:
        deliver(lambda: MongoObserver(url, timeout_s=2), events, store=store, seed=8, batch=4, repeats=0.1)
    finally:
        done.set()
        killer.join()
    with fresh_mongo.client() as client:
        assert_kept(client["x"], events)


def test_a_run_that_began_without_a_server_is_delivered_when_there_is_one(tmp_path: Path, store: FolderStore) -> None:
    server = MongoServer(tmp_path / "server")
    observer = MongoObserver(with_database(server.url, "x"), timeout_s=0.3)
    observer.begin(store)
    events = whole_run(store, seed=2, count=30)
    for _ in range(2):
        with pytest.raises(UnavailableError, match=r"MongoDB at 127\.0\.0\.1:\d+/x cannot be reached"):
            observer.handle(events[0])
    with server:
        observer.close()
        observer = MongoObserver(with_database(server.url, "x"))
        observer.begin(store)
        observer.handle(events[0])
        observer.handle_many(events[1:])
        observer.close()
        with server.client() as client:
            assert_kept(client["x"], events)


# --- the document -----------------------------------------------------------------------------------------------


def test_a_run_that_was_deleted_is_not_brought_back(observe: Observe, database: Db) -> None:
    record = a_record()
    observer = observe(start_of(record))
    observer.handle_many(points(record, 10))
    database["runs"].delete_many({})
    database["metrics"].delete_many({})
    observer.handle_many([*points(record, 10, after=10), end_of(record)])
    again = observe(start_of(record))
    again.handle_many([*points(record, 20), end_of(record)])
    assert database["runs"].count_documents({}) == 0
    assert database["metrics"].count_documents({}) == 0
    assert again.sink.startswith("deleted from ")
    database["anew_journal"].delete_many({"run": record.uid})
    observe(start_of(record)).handle_many([*points(record, 20), end_of(record)])
    assert_kept(database, [start_of(record), *points(record, 20), end_of(record)])


def test_what_omniboards_users_write_stays(observe: Observe, database: Db) -> None:
    record = a_record(tags=("mine",))
    observer = observe(start_of(record))
    assert run_of(database, record.uid)["omniboard"] == {"tags": ["mine"]}
    theirs = {"tags": ["theirs"], "notes": "why"}
    database["runs"].update_one({"_id": 1}, {"$set": {"omniboard": theirs}})
    later = [
        ev.TagsChanged(uid=record.uid, writer="main", q=1, t=1, added=("b",), removed=("mine",)),
        ev.NoteSet(uid=record.uid, writer="main", q=2, t=1, text="a note"),
    ]
    observer.handle_many([*later, end_of(record)])
    observe(start_of(record)).handle_many([*later, end_of(record)])
    run = run_of(database, record.uid)
    assert run["omniboard"] == theirs
    assert (run["anew"]["tags"], run["anew"]["note"], run["meta"]["comment"]) == (["b"], "a note", "a note")


def test_the_heartbeat_moves_with_the_events_and_the_document_is_not_written_for_each_batch(
    observe: Observe, database: Db
) -> None:
    record = a_record()
    observer = observe(start_of(record))
    beats = [ev.Heartbeat(uid=record.uid, writer="main", q=number, t=10.0 * number) for number in range(1, 31)]
    revs = set()
    for beat in beats:
        observer.handle(beat)
        revs.add(run_of(database, record.uid)["anew"]["rev"])
    assert len(revs) < 10
    observer.handle(ev.NoteSet(uid=record.uid, writer="main", q=31, t=301.0, text="at once"))
    run = run_of(database, record.uid)
    assert run["heartbeat"] == STARTED + timedelta(seconds=301)
    assert run["status"] == "RUNNING"
    observer.handle(end_of(record, t=400.0))
    assert run_of(database, record.uid)["heartbeat"] == STARTED + timedelta(seconds=400)


def test_what_lags_is_made_up_for_when_the_observer_is_closed(observe: Observe, database: Db) -> None:
    record = a_record()
    observer = observe(start_of(record))
    events = points(record, 50)
    for event in events:
        observer.handle(event)
    observer.handle_many(pieces(record, ["a line\n"]))
    observer.close()
    run = run_of(database, record.uid)
    assert run["anew"]["at"] == {"main": 50}
    assert run["captured_out"] == "a line\n"
    assert len(kept_points(database, 1)["loss"]) == 50


def test_output_that_came_since_the_document_was_written_is_made_up_for_as_well(observe: Observe, database: Db) -> None:
    record = a_record()
    observer = observe(start_of(record))
    observer.handle_many(pieces(record, ["one\n"]))
    observer.handle(ev.InfoSet(uid=record.uid, writer="main", q=1, t=0.1, values={"k": 1}))  # shown at once
    assert run_of(database, record.uid)["captured_out"] == "one\n"
    observer.handle_many(pieces(record, ["two\n"], offset=4, after=1))
    observer.close()
    assert run_of(database, record.uid)["captured_out"] == "one\ntwo\n"


def test_a_document_that_somebody_spoiled_is_made_anew_from_the_journal(observe: Observe, database: Db) -> None:
    record = a_record()
    events: list[ev.Event] = [start_of(record), *points(record, 20), end_of(record)]
    observer = observe(events[0])
    observer.handle_many(events[1:11])
    observer.close()
    for spoiled in (b"no zlib", "text", serial.dumps({}).encode(), None):
        database["runs"].update_one({"_id": 1}, {"$set": {"anew.record": spoiled, "status": "odd"}})
        observe(start_of(record)).close()
        assert run_of(database, record.uid)["status"] == "RUNNING"
    observe(start_of(record)).handle_many(events[11:])
    assert_kept(database, events)


# --- captured output --------------------------------------------------------------------------------------------


def test_long_output_is_shown_in_part_and_kept_whole(observe: Observe, database: Db, mongo_server: MongoServer) -> None:
    record = a_record()
    texts = [f"line {number} é {'x' * 90}\n" for number in range(20_000)]
    together = ["".join(texts[at : at + 500]) for at in range(0, 20_000, 500)]
    observer = observe(start_of(record))
    events = pieces(record, together)
    for at in range(0, len(events), 4):
        observer.handle_many(events[at : at + 4])
    observer.handle(end_of(record))
    assert kept_output(database, record.uid) == "".join(texts)
    shown = run_of(database, record.uid)["captured_out"]
    head, line, tail = re.split(r"(\[\.\.\. .*\]\n)", shown)
    assert "".join(texts).startswith(head)
    assert "".join(texts).endswith(tail)
    assert 500_000 < len(shown.encode()) < MOST_SHOWN_BYTES + 1000
    left_out = len("".join(texts).encode()) - len((head + tail).encode())
    assert f"{left_out:,} bytes are left out here" in line
    assert f"anew logs 1 --store mongodb://127.0.0.1:{mongo_server.port}/{database.name}]" in line
    database["runs"].update_one({"_id": 1}, {"$set": {"captured_out": ""}})
    observe(start_of(record)).handle(ev.NoteSet(uid=record.uid, writer="main", q=1, t=1, text="again"))
    assert run_of(database, record.uid)["captured_out"] == shown


def test_one_long_line_is_shown_in_part_too(observe: Observe, database: Db) -> None:
    record = a_record()
    text = "é" * 1_500_000
    observe(start_of(record)).handle_many([*pieces(record, [text]), end_of(record)])
    assert kept_output(database, record.uid) == text
    shown = run_of(database, record.uid)["captured_out"]
    assert re.fullmatch(r"é{131072}\n\[\.\.\. .*\]\né{131072}", shown)


def test_output_that_is_rewritten_is_kept_as_it_is_at_last(observe: Observe, database: Db) -> None:
    record = a_record()
    first = pieces(record, ["a\n", "progress 10%\n", "progress 50%\n"])
    again = pieces(record, ["progress 100%\n", "done\n"], offset=2, after=3)
    cut = pieces(record, [""], offset=len("a\nprogress 100%\n"), after=5)
    observer = observe(start_of(record))
    observer.handle_many(first)
    observer.handle_many(again)
    assert kept_output(database, record.uid) == "a\nprogress 100%\ndone\n"
    observer.handle_many(again)
    assert kept_output(database, record.uid) == "a\nprogress 100%\ndone\n"
    observer.handle_many([*cut, end_of(record)])
    observe(start_of(record)).handle_many([*cut, end_of(record)])
    assert kept_output(database, record.uid) == "a\nprogress 100%\n"
    assert run_of(database, record.uid)["captured_out"] == "a\nprogress 100%\n"


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
def test_output_that_another_delivers_in_other_pieces_is_kept_once(observe: Observe, database: Db, size: int) -> None:
    """As after the loss of a cursor: the pieces are cut otherwise, and their numbers begin at 1 again."""
    record = a_record()
    text = "".join(f"line {number}\n" for number in range(300))
    half = len(text) // 2
    observe(start_of(record)).handle_many(pieces(record, [text[at : at + 20] for at in range(0, half, 20)]))
    other = observe(start_of(record))
    for event in pieces(record, [text[at : at + size] for at in range(0, len(text), size)]):
        other.handle(event)
    other.handle(end_of(record))
    assert kept_output(database, record.uid) == text
    assert run_of(database, record.uid)["captured_out"] == text


def test_output_is_not_sent_again_and_again(observe: Observe, database: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a run that prints all the time, the half megabyte in the document is written now and then only."""
    monkeypatch.setattr(mongo_module.MongoObserver, "_is_due", lambda *_: True)
    record = a_record()
    observer = observe(start_of(record))
    observer.handle_many(pieces(record, ["x" * 99 + "\n"] * 4000))
    shown = set()
    revs = set()
    for event in pieces(record, ["y" * 99 + "\n"] * 100, offset=400_000, after=4000):
        observer.handle(event)
        run = run_of(database, record.uid)
        shown.add(run["captured_out"])
        revs.add(run["anew"]["rev"])
    assert len(revs) > 50
    assert len(shown) <= 3
    observer.handle(end_of(record))
    assert len(run_of(database, record.uid)["captured_out"]) == 410_000


@pytest.mark.slow
def test_more_than_a_hundred_megabytes_of_output_fit(observe: Observe, database: Db) -> None:
    record = a_record()
    line = "".join(f"{number:>9}" for number in range(110))
    block = (line + "\n") * 60
    count = 115_000_000 // len(block)
    observer = observe(start_of(record))
    digest = hashlib.sha256()
    events = pieces(record, (f"{number:>8}{block}" for number in range(count)))
    for at in range(0, count, 8):
        observer.handle_many(events[at : at + 8])
    observer.handle(end_of(record))
    for event in events:
        digest.update(event.text.encode())
    assert hashlib.sha256(kept_output(database, record.uid).encode()).hexdigest() == digest.hexdigest()
    assert len(run_of(database, record.uid)["captured_out"]) < MOST_SHOWN_BYTES + 1000
    assert len(printed(events[:2])) > 100_000


# --- content ----------------------------------------------------------------------------------------------------


def test_content_is_kept_once_but_an_artifact_belongs_to_its_run(
    observe: Observe, database: Db, store: FolderStore
) -> None:
    """Omniboard deletes a run's artifacts with it, and sources that no other run has."""
    shared, model = put(store, "train.py", b"x = 1\n" * 100_000), put(store, "model.pt", b"weights")
    for number in range(3):
        source = SourceFacts(root="/project", files=(shared, replace(shared, path="copy.py")))
        record = a_record(source=source)
        observer = observe(start_of(record), store=store)
        used = ev.InputUsed(uid=record.uid, writer="main", q=1, t=1, input=replace(shared, path="data.py"))
        added = ev.ArtifactAdded(uid=record.uid, writer="main", q=2, t=1, artifact=model)
        again = ev.ArtifactAdded(uid=record.uid, writer="main", q=3, t=1, artifact=replace(model, path="best.pt"))
        observer.handle_many([used, added, again, end_of(record)])
        run = run_of(database, record.uid)
        ids_ = {file_id for _, file_id in (*run["experiment"]["sources"], *run["resources"])}
        assert ids_ == {shared_id(shared.sha256)}
        assert database["fs.files"].count_documents({"metadata.sha256": shared.sha256}) == 1
        assert database["fs.files"].count_documents({"metadata.sha256": model.sha256}) == 2 * number + 2
    assert gridfs.GridFS(database).get(shared_id(shared.sha256)).read() == b"x = 1\n" * 100_000
    assert database["fs.chunks"].count_documents({"files_id": shared_id(shared.sha256)}) == -(-600_000 // CHUNK_BYTES)


def test_an_artifact_that_was_replaced_is_taken_away(observe: Observe, database: Db, store: FolderStore) -> None:
    record = a_record()
    observer = observe(start_of(record), store=store)
    for q, data in enumerate([b"one" * 200_000, b"two", b"three"], 1):
        artifact = put(store, "model.pt", data)
        observer.handle(ev.ArtifactAdded(uid=record.uid, writer="main", q=q, t=1, artifact=artifact))
        [shown] = run_of(database, record.uid)["artifacts"]
        assert gridfs.GridFS(database).get(shown["file_id"]).read() == data
        assert database["fs.files"].count_documents({}) == 1
    last = ev.ArtifactAdded(uid=record.uid, writer="main", q=4, t=1, artifact=put(store, "model.pt", b"four"))
    observe(start_of(record), store=store).handle_many([last, end_of(record)])
    assert [each["filename"] for each in database["fs.files"].find()] == ["model.pt"]
    assert database["fs.chunks"].count_documents({}) == 1


def test_content_that_is_missing_or_damaged_is_left_out_and_said(
    observe: Observe, database: Db, store: FolderStore
) -> None:
    good, damaged = put(store, "good.py", b"good"), put(store, "damaged.bin", b"y" * 3_000_000)
    late = ContentRef(path="late.py", sha256=hashlib.sha256(b"late").hexdigest(), size=4)
    unknown = ContentRef(path="huge.bin", sha256="ab" * 32, size=5, kept=False)
    path = store.objects.path(damaged.sha256)
    path.chmod(0o644)
    path.write_bytes(b"z" * 3_000_000)
    record = a_record(source=SourceFacts(root="/project", files=(good, late, unknown)))
    observer = observe(start_of(record), store=store)
    observer.handle(ev.ArtifactAdded(uid=record.uid, writer="main", q=1, t=1, artifact=damaged))
    run = run_of(database, record.uid)
    assert [name for name, _ in run["experiment"]["sources"]] == ["good.py"]
    assert run["artifacts"] == []
    assert run["anew"]["warnings"] == [
        "The content of 'late.py' was not kept: the run's store does not have it.",
        "The content of 'damaged.bin' was not kept: it is damaged in the run's store.",
    ]
    assert database["fs.chunks"].count_documents({"files_id": {"$ne": shared_id(good.sha256)}}) == 0
    put(store, "late.py", b"late")
    observer.handle(end_of(record))
    run = run_of(database, record.uid)
    assert [name for name, _ in run["experiment"]["sources"]] == ["good.py", "late.py"]
    assert len(run["anew"]["warnings"]) == 1


def test_without_a_store_all_but_content_is_kept(observe: Observe, database: Db, store: FolderStore) -> None:
    record = a_record(source=SourceFacts(root="/project", files=(put(store, "train.py", b"x"),)))
    observe(start_of(record)).handle_many([*points(record, 3), end_of(record)])
    run = run_of(database, record.uid)
    assert run["experiment"]["sources"] == []
    assert run["anew"]["warnings"] == ["The content of files was not kept: there was no store to read it from."]
    assert len(kept_points(database, 1)["loss"]) == 3


@pytest.mark.parametrize("part", [1, 3])
def test_an_upload_that_broke_off_is_no_content_and_goes_on_where_it_was(
    faulty_wire: FaultyProxy, database: Db, store: FolderStore, part: int
) -> None:
    data = bytes(range(256)) * 40_000
    artifact = put(store, "model.pt", data)
    record = a_record()
    observer = MongoObserver(with_database(faulty_wire.url, database.name))
    observer.begin(store)
    observer.handle(start_of(record))
    seen = 0

    def is_meant(request: Message) -> bool:
        nonlocal seen
        seen += request.command == "insert" and b"fs.chunks" in request.raw
        return seen > part

    faulty_wire.drop_requests(1000, when=is_meant)
    added = ev.ArtifactAdded(uid=record.uid, writer="main", q=1, t=1, artifact=artifact)
    with pytest.raises(UnavailableError):
        observer.handle(added)
    uploaded = database["fs.chunks"].count_documents({})
    assert 0 < uploaded < -(-len(data) // CHUNK_BYTES)
    assert database["fs.files"].count_documents({}) == 0
    assert run_of(database, record.uid)["artifacts"] == []
    faulty_wire.heal()
    before = {chunk["_id"] for chunk in database["fs.chunks"].find({}, {"_id": 1})}
    observer.handle(added)
    observer.close()
    [shown] = run_of(database, record.uid)["artifacts"]
    assert gridfs.GridFS(database).get(shown["file_id"]).read() == data
    assert before <= {chunk["_id"] for chunk in database["fs.chunks"].find({}, {"_id": 1})}


@dataclass
class Endless:
    """A store with one object that is made as it is read."""

    size: int
    url: str = "made"

    def open_object(self, sha256: str) -> BinaryIO:
        if sha256 != self.sha256:
            raise ObjectNotFoundError("no such object")
        return io.BufferedReader(Zeros(self.size))

    @property
    def sha256(self) -> str:
        digest = hashlib.sha256()
        for _ in range(self.size // 2**20):
            digest.update(bytes(2**20))
        return digest.hexdigest()


class Zeros(io.RawIOBase):
    def __init__(self, size: int) -> None:
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._left)
        buffer[:count] = bytes(count)
        self._left -= count
        return count


def test_an_artifact_that_is_larger_than_memory_is_streamed(observe: Observe, database: Db) -> None:
    made = Endless(96 * 2**20)
    artifact = ContentRef(path="huge.bin", sha256=made.sha256, size=made.size)
    record = a_record()
    observer = observe()
    observer.begin(made)  # type: ignore[arg-type]
    observer.handle(start_of(record))
    gc.collect()
    tracemalloc.start()
    try:
        observer.handle(ev.ArtifactAdded(uid=record.uid, writer="main", q=1, t=1, artifact=artifact))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 24 * 2**20
    [shown] = run_of(database, record.uid)["artifacts"]
    stream = gridfs.GridFS(database).get(shown["file_id"])
    assert stream.length == made.size
    digest = hashlib.sha256()
    while data := stream.read(2**20):
        digest.update(data)
    assert digest.hexdigest() == made.sha256


def test_a_run_shows_signs_of_life_while_something_large_is_uploaded(
    observe: Observe, database: Db, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_module, "_BEAT_S", 0.0)
    record = a_record(started_at=datetime.now(timezone.utc) - timedelta(seconds=50))
    observer = observe(start_of(record), store=store)
    seen: list[datetime] = []
    find_chunks = mongo_client.insert_missing

    def spy(*given: Any, **options: Any) -> Any:
        seen.append(run_of(database, record.uid)["heartbeat"])
        return find_chunks(*given, **options)

    monkeypatch.setattr(mongo_content, "insert_missing", spy)
    artifact = put(store, "model.pt", bytes(6_000_000))
    observer.handle(ev.ArtifactAdded(uid=record.uid, writer="main", q=1, t=1, artifact=artifact))
    assert max(seen) - record.started_at > timedelta(seconds=40)
    assert run_of(database, record.uid)["heartbeat"] - record.started_at < timedelta(seconds=2)


# --- servers and errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{}, {"standalone": True}, {"auth": True}, {"tls": True}, {"auth": True, "tls": True, "standalone": True}],
    ids=str,
)
def test_every_kind_of_server_will_do(tmp_path: Path, store: FolderStore, options: dict[str, bool]) -> None:
    if options.get("tls") and not HAS_OPENSSL:
        pytest.skip("the command openssl is not here")
    events = whole_run(store, count=40)
    with MongoServer(tmp_path / "server", **options) as server:  # type: ignore[arg-type]
        url = with_database(server.url, "lab")
        deliver(lambda: MongoObserver(url), events, store=store, repeats=0.2)
        with server.client() as client:
            assert_kept(client["lab"], events)
            everything = repr([list(client["lab"][name].find()) for name in client["lab"].list_collection_names()])
        observer = MongoObserver(url)
        observer.handle(events[0])
        shown = [everything, repr(observer), str(observer), observer.sink]
        observer.close()
        if server.password:
            assert not [text for text in shown if server.password in text or "p%40ss" in text]
            assert server.user not in "".join(shown[1:])


@pytest.mark.parametrize("name", ["database", "url", "neither"])
def test_the_database_is_named_apart_or_in_the_url_or_is_anew(mongo_server: MongoServer, name: str) -> None:
    given = {"database": ("/odd", "lab"), "url": ("/lab", None), "neither": ("/", None)}[name]
    observer = MongoObserver(mongo_server.url.rstrip("/") + given[0], given[1])
    assert repr(observer) == f"MongoObserver('127.0.0.1:{mongo_server.port}/{'anew' if name == 'neither' else 'lab'}')"
    observer.close()


def test_a_wrong_password_is_something_to_be_mended_and_is_not_shown(tmp_path: Path) -> None:
    with MongoServer(tmp_path / "server", auth=True) as server:
        url = f"mongodb://somebody:s3cret-word@127.0.0.1:{server.port}/lab?authSource=admin"
        observer = MongoObserver(url)
        with pytest.raises(UnavailableError) as caught:
            observer.handle(start_of(a_record()))
        observer.close()
        shown = "".join(traceback.format_exception(caught.value)) + repr(observer) + str(vars(observer))
        assert "s3cret-word" not in shown


@pytest.mark.parametrize("url", ["http://x", "mongodb://", "mongodb://u:s3cret-word@:99999/x", 5])
def test_a_url_that_is_none_is_said_when_the_observer_is_built(url: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        MongoObserver(url)
    assert "s3cret-word" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("code", [10107, 91, 13, 262])
def test_a_server_that_cannot_do_it_now_is_tried_again(fresh_mongo: MongoServer, code: int) -> None:
    record = a_record()
    observer = MongoObserver(with_database(fresh_mongo.url, "x"), timeout_s=1)
    observer.handle(start_of(record))
    with fresh_mongo.client() as client:
        for command in ("insert", "update"):
            fault = {"failCommands": [command], "errorCode": code}
            mode = {"times": 4}
            client.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": fault})
            with pytest.raises(UnavailableError):
                observer.handle_many([*points(record, 5), end_of(record)])
            client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
        # a driver that was told that its server is no primary asks for some seconds whether it is one again
        deadline = time.monotonic() + 60
        while True:
            try:
                observer.handle_many([*points(record, 5), end_of(record)])
                break
            except UnavailableError:
                assert time.monotonic() < deadline
        assert_kept(client["x"], [start_of(record), *points(record, 5), end_of(record)])
    observer.close()


def test_what_a_server_refuses_for_good_is_no_outage(fresh_mongo: MongoServer) -> None:
    """Then the event is set aside in the end, in place of being delivered for ever."""
    observer = MongoObserver(with_database(fresh_mongo.url, "x"))
    record = a_record()
    observer.handle(start_of(record))
    with fresh_mongo.client() as client:
        fault = {"failCommands": ["insert"], "errorCode": 2}
        client.admin.command({"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": fault})
        with pytest.raises((OperationFailure, BulkWriteError)):
            observer.handle_many(points(record, 100))
    observer.handle_many([*points(record, 100), end_of(record)])
    observer.close()
    with fresh_mongo.client() as client:
        assert_kept(client["x"], [start_of(record), *points(record, 100), end_of(record)])


def test_closing_never_raises_and_does_not_take_long(tmp_path: Path) -> None:
    with MongoServer(tmp_path / "server") as server:
        record = a_record()
        observer = MongoObserver(with_database(server.url, "x"), timeout_s=0.3)
        observer.handle(start_of(record))
        observer.handle_many(points(record, 5))
    observer.close()
    observer.close()
    never = MongoObserver(f"mongodb://127.0.0.1:{free_port()}/x", timeout_s=0.3)
    never.close()


def test_writes_survive_the_death_of_the_server_unless_the_url_says_otherwise() -> None:
    url = "mongodb://127.0.0.1:1/x?readPreference=secondary"
    for more, expected in (("", {"w": "majority", "j": True}), ("&w=1", {"w": 1}), ("&journal=true", {"j": True})):
        observer = MongoObserver(url + more)
        assert observer._database.write_concern.document == expected
        assert observer._database.read_preference.name == "Primary"
        observer.close()


def test_without_the_library_the_error_names_the_extra() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "MongoDB needs the library pymongo: pip install 'anew[mongo]'", done.stderr


def test_a_record_without_any_facts_is_a_run_that_omniboard_takes(observe: Observe, database: Db) -> None:
    record = RunRecord(uid=ids.new_uid(), experiment="", started_at=STARTED, command=CommandFacts(argv=(), cwd=""))
    observe(start_of(record)).handle(end_of(record, Status.INTERRUPTED, result=None))
    run = run_of(database, record.uid)
    assert isinstance(run["artifacts"], list)
    for name in ("config", "host", "experiment", "meta", "info"):
        assert isinstance(run[name], dict), name
    assert "fail_trace" not in run
    assert run["result"] is None
