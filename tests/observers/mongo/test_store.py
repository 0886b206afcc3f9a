"""Real runs in MongoDB: recorded there, read from there, moved there and back, through outages; over the wire."""

from __future__ import annotations

import json
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import bson
import pytest
from pymongo.database import Database

from anew.observers.mongo.fold import unpack
from anew.observers.mongo.read.store import MongoStore, open_url
from anew.observers.mongo.view import pack
from anew.runner.contracts import RunStore
from anew.runner.errors import AnewError, ConfigError, RunNotFoundError, StoreError
from anew.runner.format import serial
from anew.runner.records import RunRecord, Status
from anew.runner.store import curate
from anew.runner.store.folder import FolderStore
from anew.runner.store.locate import open_store
from tests.helpers.scripts import ANEW, Project, anew
from tests.helpers.waiting import until
from tests.helpers.wire import FaultyProxy, MongoServer, with_database

pytest_plugins = ("tests.helpers.wire",)

SCRIPT = """\
import math
@experiment.main
def main(n: int = 100, pause: float = 0.0, fail: bool = False, *, run: Run):
    for step in range(n):
        run.log({"loss": 1 / (step + 1), "acc": step}, step=step)
        time.sleep(pause)
    run.log({"odd.$name": math.nan, "huge": 2**70, "inf": math.inf})
    open("model.bin", "wb").write(bytes(range(256)) * 100)
    run.log_artifact("model.bin")
    run.info({"a.b": {"$c": [1, 2**70, math.nan]}})
    print("the end is near, ü")
    if fail:
        raise ValueError("it diverged")
    return {"n": n}
"""
Db = Database[dict[str, Any]]


@pytest.fixture
def trial(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = Project(project)
    made.write(SCRIPT)
    return made


@pytest.fixture
def url(mongo_server: MongoServer, database: Db) -> str:
    return with_database(mongo_server.url, database.name)


@pytest.fixture
def store(trial: Project, url: str) -> Callable[[], MongoStore]:
    return lambda: open_url(url)


def to(url: str) -> list[str]:
    return ["anew/observers=[files,mongo]", f"anew.observers.mongo.url={url}"]


def told(record: RunRecord) -> str:
    """Return what of a record has to be equal wherever it is, as text, since NaN is not equal to itself."""
    return serial.dumps(serial.to_json(replace(record, id=None, observers={})))


def assert_equal(there: RunStore, here: RunStore, ref: str) -> None:
    one, other = there.get(ref), here.get(ref)
    assert told(one) == told(other)
    for name in other.metrics:
        mine, yours = there.metrics(ref, name), here.metrics(ref, name)
        assert [repr(value) for value in mine.exact] == [repr(value) for value in yours.exact]
        assert mine.steps.tolist() == yours.steps.tolist()
        assert mine.times.tolist() == yours.times.tolist()
    assert "".join(there.output(ref)) == "".join(here.output(ref))
    for content in (*other.source.files, *other.inputs, *other.artifacts):
        if content.kept:
            with there.open_object(content.sha256) as first, here.open_object(content.sha256) as second:
                assert first.read() == second.read()


def arrays(database: Db, number: int, name: str) -> list[tuple[int, float]]:
    """Return a metric as Sacred's readers see it."""
    found = database["metrics"].find({"run_id": number, "name": name}).sort("anew.part", 1)
    return [pair for each in found for pair in zip(each["steps"], each["values"], strict=True)]


# --- there and back ---------------------------------------------------------------------------------------------


def test_a_run_that_was_sent_there_reads_as_it_does_here(
    trial: Project, url: str, store: Callable[[], MongoStore], database: Db
) -> None:
    trial.run(*to(url), "n=300")
    trial.run(*to(url), "fail=true", code=1)
    for number in (1, 2):
        assert_equal(store(), trial.store, trial.record(number).uid)
    assert arrays(database, 1, "acc") == [(step, float(step)) for step in range(300)]
    assert [each.id for each in store().find()] == [2, 1]
    assert [each.id for each in store().find("status == FAILED")] == [2]
    light = store().find(limit=1)[0]
    assert repr((light.metrics, light.config)) == repr((trial.record(2).metrics, trial.record(2).config))


def test_whole_runs_go_there_and_back_without_loss(trial: Project, url: str, store: Callable[[], MongoStore]) -> None:
    for args in (["n=3"], ["n=4", "anew.tags=[a,b]", "anew.note=hello"]):
        trial.run(*args)
    trial.run("fail=true", code=1)
    anew(trial, "tag", "1", "later")
    assert "3 runs copied" in anew(trial, "sync", "runs/", url).stdout
    assert "3 were there already" in anew(trial, "sync", "runs/", url).stdout
    assert "3 runs copied" in anew(trial, "sync", url, "back/").stdout
    back = FolderStore.open(trial.folder / "back")
    for number in (1, 2, 3):
        assert_equal(back, trial.store, trial.record(number).uid)
        assert back.get(number).uid == trial.record(number).uid
    assert "All is well" in anew(trial, "check", "--store", "back", "--deep").stdout
    anew(trial, "tag", "1", "still later")
    anew(trial, "sync", "runs/", url)
    assert "still later" in store().get(1).tags


def test_what_an_observer_has_sent_is_not_said_to_be_copied(trial: Project, url: str) -> None:
    trial.run("n=3")
    trial.run(*to(url), "n=4")
    trial.run(*to(url), "n=5")
    anew(trial, "tag", "3", "later")
    done = anew(trial, "sync", "runs/", url).stdout
    assert "2 runs copied; 1 were there already." in done
    assert "run 2 ->" not in done
    assert ": updated" in next(line for line in done.splitlines() if line.startswith("run 3 ->"))
    assert "0 runs copied; 3 were there already" in anew(trial, "sync", "runs/", url).stdout


def test_a_store_that_is_out_of_reach_is_told_in_sentences(trial: Project) -> None:
    url = "mongodb://127.0.0.1:1/x"
    for words in (("list",), ("check",)):
        said = anew(trial, "--store", url, *words, code=2).stderr
        assert ". Once it answers, type the same command again." in said
        assert "anew check" not in said


def test_check_says_that_an_observer_answers(trial: Project, url: str) -> None:
    said = anew(trial, "check", "anew/observers=[mongo]", f"anew.observers.mongo.url={url}").stdout
    assert "it answers: " in said


def test_every_command_reads_it(trial: Project, url: str) -> None:
    trial.run(*to(url))
    trial.run(*to(url), "n=50")
    assert "loss" in anew(trial, "--store", url, "list").stdout
    assert "Configuration" in anew(trial, "--store", url, "show", "1").stdout
    assert "50" in anew(trial, "--store", url, "diff", "1", "2").stdout
    said, printed = anew(trial, "--store", url, "logs", "1").stdout.splitlines()
    assert said.startswith("anew: at step 0 ")
    assert printed == "the end is near, ü"
    assert len(anew(trial, "--store", url, "metrics", "1", "loss", "--csv").stdout.splitlines()) == 101
    anew(trial, "--store", url, "plot", "1", "2", "loss")
    shown = json.loads(anew(trial, "--store", url, "show", "last", "--json").stdout)
    assert shown["config"]["n"] == 50


def test_a_run_is_run_again_from_there_though_everything_else_is_gone(
    trial: Project, url: str, store: Callable[[], MongoStore]
) -> None:
    trial.run("anew/observers=[mongo]", f"anew.observers.mongo.url={url}")
    (trial.folder / "train.py").unlink()
    assert not (trial.folder / "runs").exists()
    done = anew(trial, "--store", url, "rerun", "1")
    assert "identical" in done.stdout
    again = store().get(2)
    assert again.verdict is not None
    assert again.verdict.verdict == "identical"
    assert again.rerun_of is not None
    assert again.rerun_of.uid == store().get(1).uid


def test_tags_and_notes_can_be_given_there_and_are_shown_with_omniboards(
    trial: Project, url: str, store: Callable[[], MongoStore], database: Db
) -> None:
    trial.run(*to(url))
    curate.tag(store(), 1, ["mine"])
    curate.note(store(), 1, "so it is")
    database["runs"].update_one({"_id": 1}, {"$set": {"omniboard": {"tags": ["theirs"], "notes": "seen"}}})
    for record in (store().get(1), store().find()[0]):
        assert record.tags == ("mine", "theirs")
        assert record.note == "so it is\nseen"
    assert store().find("tag == theirs")


def test_what_cannot_be_done_there_is_said(trial: Project, url: str) -> None:
    trial.run(*to(url))
    assert "Omniboard" in anew(trial, "--store", url, "delete", "1", code=2).stderr
    assert "anew/observers" in trial.run("--store", url, code=2).stderr
    assert "No run '9'" in anew(trial, "--store", url, "show", "9", code=2).stderr


def test_a_run_that_goes_on_is_followed_and_one_that_was_killed_is_lost(
    trial: Project, url: str, store: Callable[[], MongoStore]
) -> None:
    with trial.start(*to(url), "n=100000", "pause=0.005") as process:
        until(lambda: [each for each in store().find() if each.metrics.get("loss") and each.metrics["loss"].count > 20])
        first = len(store().metrics(1, "loss").exact)
        assert store().get(1).status is Status.RUNNING
        until(lambda: len(store().metrics(1, "loss").exact) > first)
        process.send_signal(signal.SIGKILL)
    until(lambda: store().get(1).status is Status.LOST)
    until(lambda: list(store().metrics(1, "loss").exact) == list(trial.store.metrics(1, "loss").exact))
    assert store().find()[0].status is Status.LOST


# --- outages ----------------------------------------------------------------------------------------------------


def test_without_a_server_main_runs_and_sync_delivers_later(trial: Project, fresh_mongo: MongoServer) -> None:
    url = with_database(fresh_mongo.url, "outage")
    fresh_mongo.stop()
    begun = time.monotonic()
    done = trial.run(*to(url), "anew.observers.mongo.timeout_s=0.5")
    assert time.monotonic() - begun < 30
    assert "anew sync 1" in done.stderr
    fresh_mongo.start()
    anew(trial, "sync")
    assert_equal(open_url(url), trial.store, trial.record().uid)


@pytest.mark.parametrize("when", ["before it began", "while it went on"])
def test_a_server_that_refuses_connections_costs_the_end_little(
    trial: Project, fresh_mongo: MongoServer, when: str
) -> None:
    """The driver waits for a server for 5 s each time it is asked, which is for one that does not answer at all."""
    url = with_database(fresh_mongo.url, "outage")
    if when == "before it began":
        fresh_mongo.stop()
    # what was under way when the server died waits for another one, as that may be a moment's matter: 5 s
    n = 50 if when == "before it began" else 900
    with trial.start(*to(url), f"n={n}", "pause=0.01") as process:
        if when == "while it went on":
            with fresh_mongo.client() as client:
                until(lambda: client["outage"]["runs"].count_documents({}) == 1)
            fresh_mongo.kill()
        _, err = process.communicate(timeout=60)
        gone = datetime.now(timezone.utc)
    assert process.returncode == 0, err
    assert "Connection refused" in err
    assert "anew sync 1" in err
    ended = trial.record().ended_at
    assert ended is not None
    # some 2 s, and what a busy machine adds to the exit of a process; 10 s were too much
    assert (gone - ended).total_seconds() < 6


def test_a_name_that_is_not_found_and_a_socket_are_left_to_the_driver() -> None:
    for url in ("mongodb://no.such.host.invalid/x", "mongodb://%2Ftmp%2Fnone.sock/x"):
        begun = time.monotonic()
        with pytest.raises(StoreError, match="cannot be reached"):
            open_store(f"{url}?serverSelectionTimeoutMS=300")
        assert time.monotonic() - begun > 0.25


def test_a_name_that_stands_for_servers_is_said_as_it_was_given() -> None:
    with pytest.raises(StoreError, match=r"MongoDB at some\.nowhere\.invalid/x cannot be reached"):
        open_store("mongodb+srv://some.nowhere.invalid/x")


def test_a_server_that_is_killed_in_the_middle_costs_nothing(trial: Project, fresh_mongo: MongoServer) -> None:
    url = with_database(fresh_mongo.url, "outage")
    with trial.start(*to(url), "n=1500", "pause=0.005", "anew.observers.mongo.timeout_s=1") as process:
        with fresh_mongo.client() as client:
            until(lambda: arrays(client["outage"], 1, "acc"), "a first point")
        fresh_mongo.kill()
        until(lambda: trial.record().observers["mongo"].state == "failing", "a failed delivery")
        fresh_mongo.start()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    anew(trial, "sync")
    assert_equal(open_url(url), trial.store, trial.record().uid)
    with fresh_mongo.client() as client:
        assert arrays(client["outage"], 1, "acc") == [(step, float(step)) for step in range(1500)]


def test_a_server_that_is_stuck_at_the_end_does_not_hold_the_run(
    trial: Project, faulty_wire: FaultyProxy, database: Db
) -> None:
    url = with_database(faulty_wire.url, database.name)
    with trial.start(*to(url), "n=400", "pause=0.005", "anew.drain_s=2") as process:
        until(lambda: database["runs"].count_documents({}) == 1)
        faulty_wire.stall()
        begun = time.monotonic()
        _, err = process.communicate(timeout=60)
        assert time.monotonic() - begun < 20
    assert process.returncode == 0, err
    assert "anew sync 1" in err
    faulty_wire.heal()
    until(
        lambda: (
            "pending"
            not in subprocess.run(
                [*ANEW, "sync"], cwd=trial.folder, capture_output=True, text=True, check=False
            ).stdout.replace("Nothing is pending", "")
        )
    )
    assert arrays(database, 1, "acc") == [(step, float(step)) for step in range(400)]


def test_a_wire_that_fails_again_and_again_neither_loses_nor_doubles(
    trial: Project, faulty_wire: FaultyProxy, database: Db
) -> None:
    url = with_database(faulty_wire.url, database.name)
    with trial.start(*to(url), "n=2000", "pause=0.002", "anew.observers.mongo.timeout_s=1") as process:
        faulty_wire.fail_at_random(0.2)
        _, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    faulty_wire.heal()
    anew(trial, "sync")
    assert arrays(database, 1, "acc") == [(step, float(step)) for step in range(2000)]
    assert_equal(open_url(url), trial.store, trial.record().uid)


def test_a_password_with_odd_letters_is_nowhere(trial: Project, tmp_path: Path) -> None:
    with MongoServer(tmp_path / "guarded", auth=True) as server:
        url = with_database(server.url, "guarded")
        done = trial.run(
            "anew/observers=[files,mongo]", "anew.observers.mongo.url=${oc.env:MONGO_URL}", env={"MONGO_URL": url}
        )
        found = open_url(url)
        assert found.get(1).status is Status.COMPLETED
        texts = [done.stdout, done.stderr, found.url, repr(found)]
        texts += [anew(trial, "--store", url, *args).stdout for args in (["list"], ["show", "1"])]
        assert not [text for text in texts if server.password in text]
        files = [path for path in (*trial.folder.rglob("*"), *(tmp_path / "cache").rglob("*")) if path.is_file()]
        assert not [path for path in files if server.password.encode() in path.read_bytes()]


# --- a server that may answer anything --------------------------------------------------------------------------

NONSENSE: list[dict[str, Any]] = [
    {"anew": {"uid": {"$gt": ""}, "record": b"x"}},
    {"anew": {"uid": "0" * 26, "record": b"\x00" * 100}},
    {"anew": {"uid": "../" * 8 + "ab", "record": 7, "rev": "x"}},
    {"anew": {"uid": "1" * 26, "rev": {"$inc": 1}}, "heartbeat": "yesterday", "omniboard": {"tags": {"a": 1}}},
    {"anew": [1, 2], "status": 7, "config": "text", "start_time": "now", "experiment": []},
    {"config": {"$where": "sleep(1)"}, "info": {"py/object": "os.system"}, "status": {"$ne": 1}},
    {},
]


def test_documents_that_are_nonsense_cost_themselves_alone(
    trial: Project, url: str, store: Callable[[], MongoStore], database: Db
) -> None:
    trial.run(*to(url), "n=3")
    database["runs"].insert_many([{"_id": 10 + index, **each} for index, each in enumerate(NONSENSE)])
    database["runs"].insert_many([{"_id": "seven"}, {"_id": -3}, {"_id": 2.5}, {"_id": 2**62}])
    chunk = {"run": "0" * 26, "q": 0, "last": 0, "part": 0, "parts": 1, "m": False}
    for index, writer in enumerate(["run", "../../../../etc/x", "main", "output", "outcome"]):
        database["anew_journal"].insert_one({**chunk, "_id": f"odd{index}", "w": writer, "z": b"no zlib"})
    assert 1 in [record.id for record in store().find()]
    assert store().get(1).metrics["loss"].count == 3
    anew(trial, "--store", url, "list")
    for number in range(10, 10 + len(NONSENSE)):
        try:
            store().get(number)
        except AnewError:
            continue
    assert not (Path("/etc") / "x.jsonl").exists()


def test_a_chunk_that_unpacks_to_too_much_is_passed_over(
    trial: Project, url: str, store: Callable[[], MongoStore], database: Db
) -> None:
    import zlib

    trial.run(*to(url), "n=3")
    uid = trial.record().uid
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(200)) + packer.flush()
    key = {"run": uid, "w": "p1-bomb", "q": 1, "last": 9, "part": 0, "parts": 1, "m": False}
    database["anew_journal"].insert_one({**key, "_id": f"{uid}:p1-bomb:1:0", "z": bomb})
    assert store().get(uid).metrics["loss"].count == 3


def test_content_that_is_not_what_it_should_be_is_not_given(
    trial: Project, url: str, store: Callable[[], MongoStore], database: Db
) -> None:
    trial.run(*to(url), "n=3")
    [artifact] = trial.record().artifacts
    for file in database["fs.files"].find({"metadata.sha256": artifact.sha256}):
        database["fs.chunks"].update_many({"files_id": file["_id"]}, {"$set": {"data": b"something else"}})
    with pytest.raises(AnewError, match=artifact.sha256[:8]):
        store().open_object(artifact.sha256)


def test_a_run_whose_server_is_away_or_is_none_is_said_in_one_line(trial: Project) -> None:
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1/x cannot be reached") as caught:
        open_store("mongodb://ada:secret99@127.0.0.1:1/x?serverSelectionTimeoutMS=300")
    assert "secret99" not in str(caught.value)
    with pytest.raises(ConfigError, match="mongodb://"):
        open_store("mongodb://")


class Endless:
    """A server that never ends a list of runs."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"mongodb://127.0.0.1:{self._socket.getsockname()[1]}/x?directConnection=true"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            self._answer_all(connection, stream)

    def _answer_all(self, connection: socket.socket, stream: Any) -> None:
        while header := stream.read(16):
            length, request, _, code = struct.unpack("<iiii", header)
            data = stream.read(length - 16)
            body = bson.decode(data[5:]) if code == 2013 else {"hello": 1}
            answer = bson.encode(self._answer(next(iter(body))))
            if code == 2013:
                payload, kind = struct.pack("<iB", 0, 0) + answer, 2013
            else:
                payload, kind = struct.pack("<iqii", 0, 0, 0, 1) + answer, 1
            try:
                connection.sendall(struct.pack("<iiii", 16 + len(payload), 1, request, kind) + payload)
            except OSError:
                return

    @staticmethod
    def _answer(command: str) -> dict[str, Any]:
        if command in ("find", "getMore"):
            batch = [{"_id": {"a": index}} for index in range(1000)]
            name = "firstBatch" if command == "find" else "nextBatch"
            return {"ok": 1.0, "cursor": {"id": 7, "ns": "x.runs", name: batch}}
        return {"ok": 1.0, "isWritablePrimary": True, "maxWireVersion": 21, "minWireVersion": 0, "helloOk": True}

    def close(self) -> None:
        self._socket.close()


def test_a_cursor_without_end_ends(trial: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anew.observers.mongo.client._MOST_DOCUMENTS", 5_000)
    server = Endless()
    try:
        with pytest.raises(StoreError, match="goes on sending"):
            open_url(server.url).find()
        with pytest.raises((StoreError, RunNotFoundError)):
            open_url(server.url).get("last")
    finally:
        server.close()


def test_a_run_whose_observer_is_behind_is_never_said_to_be_lost(
    trial: Project, faulty_wire: FaultyProxy, database: Db
) -> None:
    """It is COMPLETED on its machine, and the database, which the last of it did not reach, cannot know that."""
    url = with_database(faulty_wire.url, database.name)
    with trial.start(*to(url), "n=400", "pause=0.005", "anew.drain_s=1", "anew.observers.mongo.timeout_s=1") as process:
        until(lambda: database["runs"].count_documents({}) == 1)
        faulty_wire.stall()
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert trial.record().status is Status.COMPLETED
    faulty_wire.heal()
    there = open_url(url)
    assert there.get(1).status is Status.UNKNOWN
    assert [record.status for record in there.find("status == UNKNOWN")] == [Status.UNKNOWN]
    assert "not heard of since" in anew(trial, "--store", url, "show", "1").stdout
    left = anew(trial, "sync", url, "copied/", code=1).stdout
    assert "0 runs copied; 1 left out: 1 (not heard of)" in left
    anew(trial, "sync")
    assert open_url(url).get(1).status is Status.COMPLETED
    anew(trial, "sync", url, "copied/")
    assert FolderStore.open(trial.folder / "copied").get(1).status is Status.COMPLETED


def test_a_run_of_another_host_is_unknown_once_it_is_silent_and_lost_once_that_is_said(
    trial: Project, url: str, store: Callable[[], MongoStore], database: Db
) -> None:
    trial.run(*to(url), "n=3")
    document = database["runs"].find_one({"_id": 1})
    assert document is not None
    record = unpack(document["anew"]["record"], document["anew"]["uid"])
    assert record is not None
    assert record.process is not None
    elsewhere = replace(record.process, boot_id="another", hostname="node9")
    going = replace(record, status=Status.RUNNING, ended_at=None, duration_s=None, process=elsewhere)
    now = datetime.now(timezone.utc)
    for beat, lost, status in [
        (now, None, Status.RUNNING),
        (now - timedelta(minutes=10), None, Status.UNKNOWN),
        (now - timedelta(minutes=10), now, Status.LOST),
        (now, now - timedelta(minutes=10), Status.RUNNING),
    ]:
        fields = {"anew.record": pack(going), "heartbeat": beat, "anew.lost": lost}
        database["runs"].update_one({"_id": 1}, {"$set": fields})
        [found] = store().find()
        assert found.status is status
        assert (found.duration_s is None) is (status is Status.RUNNING)
