"""Runs of Sacred in a store: asked about, called by whatever their `_id` is, and copied into a folder."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from bson import Binary, Decimal128, Int64, ObjectId
from pymongo.database import Database

from anew.observers.mongo.client import connect
from anew.observers.mongo.read.store import MongoStore, open_url
from anew.runner.errors import AmbiguousRefError, ConfigError
from anew.runner.query.filters import value_of
from anew.runner.records import Status
from anew.runner.store.folder import FolderStore
from tests.helpers.sacred import START, Sacred, a_run
from tests.helpers.scripts import Project, anew
from tests.helpers.wire import MongoServer, with_database

pytest_plugins = ("tests.helpers.wire",)

Db = Database[dict[str, Any]]


@pytest.fixture
def place(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Project(project)


@pytest.fixture
def url(mongo_server: MongoServer, database: Db) -> str:
    return with_database(mongo_server.url, database.name)


@pytest.fixture
def store(place: Project, url: str) -> Callable[[], MongoStore]:
    return lambda: open_url(url)


@pytest.fixture
def sacred(tmp_path: Path, mongo_server: MongoServer, database: Db) -> Sacred:
    return Sacred(tmp_path / "sacred", mongo_server.url, database)


def put_metric(database: Db, run_id: Any, name: str, values: list[Any], **members: Any) -> None:
    moments = [START + timedelta(seconds=second) for second in range(len(values))]
    document = {"run_id": run_id, "name": name, "steps": list(range(len(values))), "values": values}
    database["metrics"].insert_one({**document, "timestamps": moments, **members})


# --- what is asked ----------------------------------------------------------------------------------------------


def test_metrics_that_sacred_wrote_are_asked_like_ours(place: Project, sacred: Sacred, url: str) -> None:
    for lr in ("0.1", "0.5"):
        sacred.run("with", f"lr={lr}", "seed=1")
    found = open_url(url).find("count > 3 and loss != 0 and config.lr == 0.5", sort="-count")
    assert [record.id for record in found] == [2]
    assert found[0].metrics["count"].last == 4
    assert (found[0].metrics["loss"].count, found[0].metrics["loss"].min) == (6, 0.2)
    assert math.isnan(found[0].metrics["loss"].last)
    listed = json.loads(anew(place, "--store", url, "list", "--json").stdout)
    assert [run["metrics"]["count"]["last"] for run in listed] == [4, 4]
    assert "count" in anew(place, "--store", url, "list").stdout.splitlines()[0]
    pytest.importorskip("pandas")
    assert list(open_url(url).table()["count"]) == [4, 4]


def odd_series(database: Db) -> None:
    put_metric(database, 1, "plain", [3, 1.5, 2**60])
    put_metric(database, 1, "nan", [math.nan, 2.0, math.nan])
    put_metric(database, 1, "all nan", [math.nan])
    put_metric(database, 1, "endless", [math.inf, -math.inf])
    put_metric(database, 1, "ends in text", [1, 2, "three"])
    put_metric(database, 1, "bools", [True, False])
    put_metric(database, 1, "steps", [1, 2, 3], steps=[0.0, 10.0, 20.0])
    put_metric(database, 1, "short", [1, 2, 3], steps=[0, 1])
    database["metrics"].insert_one({"run_id": 1, "name": "no list", "values": 7, "steps": {"a": 1}})
    put_metric(database, 1, "nothing", [])
    put_metric(database, 1, "decimal", [1, Decimal128("2.5")])
    put_metric(database, 1, "no time", [1, 2], timestamps=["soon", None])
    later = [START + timedelta(hours=1)] * 2
    put_metric(database, 1, "plain", [7, -7], timestamps=later, steps=[3, 4])


def test_a_summary_says_what_the_points_say(store: Callable[[], MongoStore], database: Db) -> None:
    database["runs"].insert_one(a_run())
    odd_series(database)
    whole, light = store().get(1), store().find()[0]
    assert {name: repr(each) for name, each in light.metrics.items()} == {
        name: repr(each) for name, each in whole.metrics.items()
    }
    database["metrics"].delete_many({"name": {"$nin": ["plain", "nan", "all nan", "endless"]}})
    again = store().find()[0].metrics
    assert {name: repr(each) for name, each in again.items()} == {
        name: repr(whole.metrics[name]) for name in ("plain", "nan", "all nan", "endless")
    }


def test_a_list_fetches_no_series(
    store: Callable[[], MongoStore], database: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 6):
        database["runs"].insert_one(a_run(_id=number))
        put_metric(database, number, "loss", [number, number / 2])
    monkeypatch.setattr("anew.observers.mongo.read.sacred_summary.all_series", lambda *_: pytest.fail("fetched"))
    found = store().find("loss < 2", sort="loss")
    assert [(record.id, record.metrics["loss"].last) for record in found] == [(1, 0.5), (2, 1.0), (3, 1.5)]


def test_a_status_of_sacreds_is_asked_and_shown(place: Project, url: str, database: Db) -> None:
    statuses = ["QUEUED", "TIMEOUT", "INTERRUPTED", "FAILED", "DIED", "RUNNING"]
    for number, status in enumerate(statuses, start=1):
        ended = {} if status not in ("QUEUED", "DIED", "RUNNING") else {"stop_time": None}
        database["runs"].insert_one(a_run(_id=number, status=status, **ended))
    store = open_url(url)
    shown = [*statuses[:5], "LOST"]
    assert [store.get(number).state for number in range(1, 7)] == shown
    assert [record.state for record in reversed(store.find())] == shown
    assert [record.id for record in store.find("status == TIMEOUT")] == [2]
    assert [record.id for record in store.find('status == "DIED"')] == [5]
    assert [record.id for record in store.find("status == QUEUED")] == [1]
    told = anew(place, "--store", url, "list").stdout
    assert [word for word in shown if word not in told] == []
    assert "TIMEOUT" in anew(place, "--store", url, "show", "2").stdout


def test_a_run_that_sacred_queued_is_queued_until_it_starts(
    store: Callable[[], MongoStore], sacred: Sacred, place: Project, url: str, tmp_path: Path
) -> None:
    sacred.run("--queue")
    assert store().get(1).status is Status.QUEUED
    done = anew(place, "sync", url, "copied/", code=1)
    assert "0 runs copied; 1 left out: 1 (queued)" in done.stdout


# --- whatever the `_id` -------------------------------------------------------------------------------------------

ODD: list[Any] = [
    "seven",
    "a b=c/../d 'e' \u00fc",
    "last",
    "12",
    "--help",
    "",
    ObjectId("65f0c0ffee0123456789abcd"),
    2.5,
    -3,
    0,
    2**62,
    10**14,
    Int64(9),
    11.0,
    True,
    None,
    b"bytes",
    Binary(b"0123456789abcdef", 4),
    {"day": 3, "of": {"a": 1}},
    datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
]


def fill(database: Db) -> None:
    for index, identity in enumerate(ODD):
        database["runs"].insert_one(a_run(_id=identity, config={"place": index}, start_time=START))
        put_metric(database, identity, "loss", [index, index + 0.5])
    database["runs"].insert_many([a_run(_id=1, config={"place": 100}), a_run(_id=12, config={"place": 101})])


def test_every_identifier_is_a_run_and_one_number_stands_for_it(store: Callable[[], MongoStore], database: Db) -> None:
    fill(database)
    found = store().find()
    assert len(found) == len(ODD) + 2
    assert [record.id for record in found] == store().numbers() == sorted((r.id or 0 for r in found), reverse=True)
    places = {record.config["place"]: record for record in found}
    for index in range(len(ODD)):
        record = places[index]
        whole = store().get(record.id or 0)
        assert (whole.id, whole.uid, whole.config["place"]) == (record.id, record.uid, index)
        assert whole.metrics["loss"].last == record.metrics["loss"].last == index + 0.5
        assert list(store().metrics(record.id or 0, "loss").exact) == [index, index + 0.5]
        assert record.foreign is not None
        assert value_of(record, "_id") == record.foreign.id
        named = store().of_foreign_id(record.foreign.id)
        assert record.id in named
        if record.foreign.id and named == [record.id]:
            assert store().get(f"_id:{record.foreign.id}").uid == record.uid
    assert places[ODD.index(9)].id == 9
    assert places[ODD.index(11.0)].id == 11


def test_a_run_is_found_by_what_sacred_calls_it(place: Project, url: str, database: Db) -> None:
    fill(database)
    for word, index in [
        ("seven", 0),
        ("a b=c/../d 'e' \u00fc", 1),
        ("_id:last", 2),
        ("65f0c0ffee0123456789abcd", 6),
        ("2.5", 7),
        ("_id:-3", 8),
        (str(2**62), 10),
        ("9", 12),
        ("12", 101),
    ]:
        shown = json.loads(anew(place, "--store", url, "show", word, "--json").stdout)
        assert shown["config"]["place"] == index, word
    with pytest.raises(AmbiguousRefError, match="called elsewhere"):
        open_url(url).get("_id:12")
    assert "_id" in anew(place, "--store", url, "list", "--all").stdout.splitlines()[0]


def test_every_run_is_copied_whatever_it_is_called(place: Project, url: str, database: Db) -> None:
    fill(database)
    done = anew(place, "sync", url, "copied/")
    assert f"{len(ODD) + 2} runs copied." in done.stdout
    here = FolderStore.open(place.folder / "copied")
    assert sorted(record.config["place"] for record in here.find()) == [*range(len(ODD)), 100, 101]
    assert max(here.numbers()) < 100
    assert here.get("seven").config["place"] == 0
    assert here.get("_id:last").config["place"] == 2
    assert here.get("65f0c0ffee0123456789abcd").config["place"] == 6
    assert here.get("_id:-3").metrics["loss"].last == 8.5
    assert (here.get(9).config["place"], here.get(12).config["place"]) == (12, 101)
    again = anew(place, "sync", url, "copied/")
    assert f"0 runs copied; {len(ODD) + 2} were there already." in again.stdout


def test_what_is_no_run_is_named_and_the_exit_says_so(place: Project, url: str, database: Db) -> None:
    database["runs"].insert_many(
        [a_run(_id=1), a_run(_id="going", status="RUNNING", heartbeat=datetime.now(timezone.utc))]
    )
    database["runs"].insert_one({"_id": "odd", "anew": {"uid": "0" * 26, "record": b"x"}})
    done = anew(place, "sync", url, "copied/", code=1)
    assert "1 runs copied; 2 left out: going (going on); what is no run (failed)" in done.stdout
    assert "'odd'" in done.stdout


def test_runs_with_odd_names_go_to_another_database_under_numbers(
    place: Project, url: str, database: Db, mongo_server: MongoServer
) -> None:
    fill(database)
    other = with_database(mongo_server.url, f"{database.name[:40]}_two")
    anew(place, "sync", url, other)
    there = open_url(other)
    assert len(there.numbers()) == len(ODD) + 2
    assert max(there.numbers()) < 100
    assert there.get("seven").config["place"] == 0


# --- a prefix -----------------------------------------------------------------------------------------------------


def test_the_prefix_of_sacreds_collections_is_an_option_of_the_url(
    place: Project, url: str, sacred: Sacred, database: Db
) -> None:
    script = sacred.root / "trial.py"
    script.write_text(
        script.read_text().replace(
            'db_name=os.environ["SACRED_DATABASE"]', 'db_name=os.environ["SACRED_DATABASE"], collection_prefix="vision"'
        )
    )
    with sacred.start("with", "lr=0.5") as process:
        errors = process.communicate(timeout=240)[1]
    assert database["vision_runs"].count_documents({}) == 1, errors
    prefixed = f"{url}{'&' if '?' in url else '?'}collection_prefix=vision"
    found = open_url(prefixed)
    assert [record.config["lr"] for record in found.find("count == 4")] == [0.5]
    assert found.url.endswith("?collection_prefix=vision")
    assert open_url(url).find() == []
    anew(place, "sync", prefixed, "copied/")
    assert FolderStore.open(place.folder / "copied").get(1).metrics["count"].count == 5
    # and the other way round
    back = f"{url}{'&' if '?' in url else '?'}collection_prefix=back"
    anew(place, "sync", "copied/", back)
    assert [record.config["lr"] for record in open_url(back).find()] == [0.5]
    assert database["back_runs"].count_documents({}) == 1
    assert database["runs"].count_documents({}) == 0


@pytest.mark.parametrize("prefix", ["$x", "a%00b", "system", "x" * 200])
def test_a_prefix_that_cannot_be_one_is_said(prefix: str) -> None:
    with pytest.raises(ConfigError, match="collection_prefix"):
        connect(f"mongodb://127.0.0.1:1/x?collection_prefix={prefix}")
