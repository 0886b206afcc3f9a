"""
Records of Sacred in MongoDB, read as ours.

The runs are real ones: Sacred itself makes them, in processes of its own, against a real server. What Sacred would not
write (and what somebody hostile would) is put into the database by hand.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import sys
import threading
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, BinaryIO

import gridfs
import pytest
from bson import Binary, Code, Decimal128, Int64, MaxKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.database import Database

from anew.observers.mongo import chunks as mongo_chunks
from anew.observers.mongo.read import members, sacred_files, sacred_series
from anew.observers.mongo.read import sacred as mongo_sacred
from anew.runner import events as ev
from anew.runner.errors import StoreError
from anew.runner.format import serial
from anew.runner.format.ids import ByUid, parse_ref
from anew.runner.format.replay import replay
from anew.runner.records import RunRecord, Status
from tests.helpers.sacred import START, Sacred, a_run
from tests.helpers.wire import FaultyProxy, MongoServer, client_of, free_port

pytest_plugins = ("tests.helpers.wire",)


class ChangingWire:
    """A way to a server on which some bytes of what it answers become others, as many."""

    def __init__(self, server: MongoServer, old: bytes, new: bytes) -> None:
        assert len(old) == len(new)
        self._server, self._old, self._new = server, old, new
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = server.url_at(self._listener.getsockname()[1], directConnection="true")
        self._sockets = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._server.port))
                self._sockets += [client, server]
                for source, target, changes in ((client, server, False), (server, client, True)):
                    self._threads.append(threading.Thread(target=self._pass, args=(source, target, changes)))
                    self._threads[-1].start()

    def _pass(self, source: socket.socket, target: socket.socket, changes: bool) -> None:
        with suppress(OSError):
            while data := source.recv(2**20):
                target.sendall(data.replace(self._old, self._new) if changes else data)
            target.shutdown(socket.SHUT_RDWR)


class Kept:
    """Where content goes."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}

    def put(self, stream: BinaryIO) -> tuple[str, int]:
        data = b"".join(iter(lambda: stream.read(1000), b""))
        digest = hashlib.sha256(data).hexdigest()
        self.content[digest] = data
        return digest, len(data)


@pytest.fixture
def sacred(tmp_path: Path, mongo_server: MongoServer, database: Database[dict[str, Any]]) -> Sacred:
    return Sacred(tmp_path, mongo_server.url, database)


def told(database: Database[dict[str, Any]], document: Any, kept: Kept | None = None) -> list[ev.Event]:
    return list(mongo_sacred.events(database, document, (kept or Kept()).put))


def record_of(happened: list[ev.Event]) -> RunRecord:
    first = happened[0]
    assert isinstance(first, ev.RunStarted)
    return replay(first.record, happened[1:])


def points_of(happened: list[ev.Event], name: str) -> list[tuple[int, float | int]]:
    return [
        (event.step, event.values[name])
        for event in happened
        if isinstance(event, ev.MetricsLogged) and name in event.values
    ]


def output_of(happened: list[ev.Event]) -> str:
    return "".join(event.text for event in happened if isinstance(event, ev.OutputCaptured))


# --- what Sacred writes -----------------------------------------------------------------------------------------


def test_a_run_that_sacred_recorded_is_told_whole(sacred: Sacred) -> None:
    document = sacred.run("with", "lr=0.5", "model.name=large", "seed=123", "--comment", "a try", "--name", "other")
    kept = Kept()
    happened = told(sacred.database, document, kept)
    record = record_of(happened)
    assert record.status is Status.COMPLETED
    assert record.experiment == "other"
    assert record.id == document["_id"] == 1
    assert record.config == {**document["config"], "model": {"name": "large", "password": "<redacted>"}}
    assert (record.config["lr"], record.config["seed"]) == (0.5, 123)
    assert record.overrides == ("lr=0.5", "model.name=large", "seed=123")
    assert record.seed == 123
    assert record.seeds is not None
    assert record.note == "a try"
    assert record.started_at == document["start_time"]
    assert record.ended_at == document["stop_time"]
    assert record.duration_s == (document["stop_time"] - document["start_time"]).total_seconds()
    assert record.command.target == "trial.py"
    assert record.command.function == ""
    assert record.environment is not None
    assert record.environment.python == ".".join(map(str, sys.version_info[:3]))
    assert record.environment.packages["sacred"]
    assert record.environment.packages["numpy"]
    assert record.hardware is not None
    assert record.hardware.hostname == os.uname().nodename
    assert record.hardware.os.startswith(os.uname().sysname)
    assert record.error is None
    assert record.result["accuracy"] == document["result"]["accuracy"]


def test_files_of_a_run_of_sacred_come_along(sacred: Sacred) -> None:
    kept = Kept()
    record = record_of(told(sacred.database, sacred.run(), kept))
    assert record.source.root == str(sacred.root)
    files = {file.path: kept.content[file.sha256] for file in record.source.files}
    assert files == {name: (sacred.root / name).read_bytes() for name in ("helper.py", "trial.py")}
    assert all(file.size == len(files[file.path]) for file in record.source.files)
    artifacts = {file.path: kept.content[file.sha256] for file in record.artifacts}
    assert artifacts == {"model.bin": bytes(range(256)) * 4000, "notes/remark.txt": b"new"}
    # Sacred keeps no more of a resource than its name and digest
    digest = hashlib.md5((sacred.work / "data.csv").read_bytes()).hexdigest()
    assert record.inputs == ()
    assert any("data.csv" in warning and digest in warning for warning in record.warnings)


def test_metrics_output_and_info_of_a_run_of_sacred_come_along(sacred: Sacred) -> None:
    happened = told(sacred.database, sacred.run())
    record = record_of(happened)
    assert points_of(happened, "count") == [(0, 0), (10, 1), (20, 2), (30, 3), (40, 4)]
    assert all(type(value) is int for _, value in points_of(happened, "count"))
    *losses, last = points_of(happened, "loss")
    assert losses == [(10 * step, 1 / (1 + step)) for step in range(5)]
    assert last[0] == 50
    assert last[1] != last[1]
    assert record.metrics["loss"].count == 6
    assert "training with 0.1\n" in output_of(happened)
    assert "\ndone, äö\n" in output_of(happened)
    assert "\r" not in output_of(happened)
    assert set(record.info) == {"matrix", "remark"}
    assert record.info["remark"] == {"all": ["is", "well"]}
    assert "py/" in str(record.info["matrix"])


def test_the_state_of_the_repository_comes_along_without_a_password(sacred: Sacred) -> None:
    git = record_of(told(sacred.database, sacred.run())).source.git
    assert git is not None
    assert git.commit == sacred.git("rev-parse", "HEAD")
    assert git.dirty is False
    assert git.remote == "https://someone:<redacted>@example.org/trial.git"


def test_a_run_of_sacred_that_failed_says_how(sacred: Sacred) -> None:
    happened = told(sacred.database, sacred.run("with", "how=badly"))
    record = record_of(happened)
    assert record.status is Status.FAILED
    assert record.error is not None
    assert (record.error.type, record.error.message) == ("ValueError", "it went badly:\nreally")
    assert record.error.traceback.startswith("Traceback (most recent call last):\n")
    assert 'raise ValueError("it went badly' in record.error.traceback
    assert len(points_of(happened, "loss")) == 6


def test_a_run_of_sacred_that_took_too_long_counts_as_interrupted(sacred: Sacred) -> None:
    document = sacred.run("with", "how=slowly")
    assert document["status"] == "TIMEOUT"
    record = record_of(told(sacred.database, document))
    assert record.status is Status.INTERRUPTED
    assert record.state == "TIMEOUT"


def test_a_run_of_sacred_that_was_killed_has_no_end(sacred: Sacred) -> None:
    with sacred.start("with", "how=forever") as process:
        assert process.stderr is not None
        while (line := process.stderr.readline()) and "READY" not in line:
            pass
        process.send_signal(signal.SIGKILL)
    document = sacred.newest()
    assert document["status"] == "RUNNING"
    assert mongo_sacred.light_record(sacred.database, document).status is Status.RUNNING
    happened = told(sacred.database, document)
    assert not any(isinstance(event, ev.RunEnded) for event in happened)
    record = record_of(happened)
    assert record.heartbeat_at is not None
    assert record.heartbeat_at >= document["heartbeat"]
    assert len(points_of(happened, "loss")) == 6
    later = {**document, "heartbeat": document["heartbeat"] - timedelta(seconds=121)}
    later["start_time"] = later["heartbeat"] - timedelta(seconds=1)
    assert mongo_sacred.light_record(sacred.database, later).status is Status.LOST


def test_what_sacred_does_not_record_is_said_to_be_unknown(sacred: Sacred) -> None:
    record = record_of(told(sacred.database, sacred.run()))
    [sentence] = [warning for warning in record.warnings if "recorded by Sacred" in warning]
    assert "the main function" in sentence
    assert "its seed" not in sentence
    assert "the commit" not in sentence


# --- what becomes of it -----------------------------------------------------------------------------------------


def test_the_same_run_is_told_the_same_each_time(sacred: Sacred) -> None:
    document = sacred.run()
    once, again = told(sacred.database, document), told(sacred.database, document)
    assert [mongo_chunks.line_of(event) for event in once] == [mongo_chunks.line_of(event) for event in again]


def test_a_runs_events_are_numbered_for_each_writer(sacred: Sacred) -> None:
    happened = told(sacred.database, sacred.run())
    assert isinstance(happened[0], ev.RunStarted)
    assert isinstance(happened[-1], ev.RunEnded)
    for writer in ("sacred", "output"):
        own = [event.q for event in happened if event.writer == writer]
        assert own == list(range(1, len(own) + 1))
        assert own
    assert {event.writer for event in happened} == {"run", "sacred", "output", "outcome"}


def test_a_runs_uid_depends_on_its_database_and_number_and_start(database: Database[dict[str, Any]]) -> None:
    uid = mongo_sacred.light_record(database, a_run()).uid
    assert parse_ref(uid) == ByUid(uid)
    assert len(uid) == 26
    assert mongo_sacred.light_record(database, a_run(status="FAILED", stop_time=None)).uid == uid
    other = database.client[database.name + "2"]
    another = [
        mongo_sacred.light_record(other, a_run()),
        mongo_sacred.light_record(database, a_run(_id=2)),
        mongo_sacred.light_record(database, a_run(_id="1")),
        mongo_sacred.light_record(database, a_run(start_time=START + timedelta(milliseconds=1))),
    ]
    assert len({uid, *(record.uid for record in another)}) == 5
    assert another[-1].uid > uid


def test_a_light_record_needs_no_server() -> None:
    with client_of(f"mongodb://127.0.0.1:{free_port()}/", connect=False, serverSelectionTimeoutMS=50) as client:
        record = mongo_sacred.light_record(client["nowhere"], a_run(captured_out=5, info={"a": 1}))
        assert record.status is Status.COMPLETED
        assert record.info == {"a": 1}
        with pytest.raises(StoreError):
            told(client["nowhere"], a_run())


def test_a_light_record_says_what_the_events_say(sacred: Sacred) -> None:
    document = sacred.run("with", "how=badly")
    light = mongo_sacred.light_record(sacred.database, document)
    whole = record_of(told(sacred.database, document))
    assert whole.artifacts
    assert whole.metrics
    assert whole.source.files
    fetched: dict[str, Any] = {"source": light.source, "artifacts": (), "metrics": {}, "inputs": ()}
    assert replace(whole, heartbeat_at=light.heartbeat_at, warnings=light.warnings, **fetched) == light


def test_a_server_that_breaks_off_is_no_run_with_less_in_it(
    faulty_wire: FaultyProxy, database: Database[dict[str, Any]]
) -> None:
    file_id = gridfs.GridFS(database).put(b"content", filename="a")
    document = a_run(artifacts=[{"name": "a", "file_id": file_id}])
    with faulty_wire.client(retryReads=False) as client:
        faulty_wire.lose_replies(when=lambda request: b"fs.chunks" in request.raw)
        with pytest.raises(StoreError):
            told(client[database.name], document)
        assert record_of(told(client[database.name], document)).artifacts


def test_a_store_that_cannot_keep_content_is_heard(database: Database[dict[str, Any]]) -> None:
    file_id = gridfs.GridFS(database).put(b"content", filename="a")

    def put(stream: BinaryIO) -> tuple[str, int]:
        stream.read()
        raise StoreError("The disk is full.")

    with pytest.raises(StoreError, match="disk is full"):
        list(mongo_sacred.events(database, a_run(artifacts=[{"name": "a", "file_id": file_id}]), put))


# --- metrics ----------------------------------------------------------------------------------------------------


def put_metric(database: Database[dict[str, Any]], name: Any, points: Any, **members: Any) -> None:
    database["metrics"].insert_one(
        {
            "run_id": 1,
            "name": name,
            "steps": [point[0] for point in points],
            "values": [point[1] for point in points],
            "timestamps": [START + timedelta(seconds=point[2]) for point in points],
            **members,
        }
    )


def logged(happened: list[ev.Event]) -> list[tuple[float, int, dict[str, Any]]]:
    return [(event.t, event.step, dict(event.values)) for event in happened if isinstance(event, ev.MetricsLogged)]


def test_points_of_one_moment_and_step_are_one_event(database: Database[dict[str, Any]]) -> None:
    put_metric(database, "a", [(1, 1.5, 1), (2, 2.5, 2), (1, 7, 2)])
    put_metric(database, "b", [(1, 10, 1), (1, 20, 2), (2, 30, 2)])
    assert logged(told(database, a_run())) == [
        (1.0, 1, {"a": 1.5, "b": 10}),
        (2.0, 2, {"a": 2.5}),
        (2.0, 1, {"a": 7, "b": 20}),
        (2.0, 2, {"b": 30}),
    ]


def test_a_metric_in_several_documents_is_one(database: Database[dict[str, Any]]) -> None:
    put_metric(database, "a", [(3, 3, 3), (4, 4, 4)])
    put_metric(database, "a", [(1, 1, 1), (2, 2, 2)])
    put_metric(database, "a", [(9, 9, 9)], run_id=2)
    assert points_of(told(database, a_run()), "a") == [(1, 1), (2, 2), (3, 3), (4, 4)]


def test_a_clock_that_was_set_back_changes_no_order(database: Database[dict[str, Any]]) -> None:
    put_metric(database, "a", [(0, 0, 5), (1, 1, 2), (2, 2, 6), (3, 3, -9)])
    assert points_of(told(database, a_run()), "a") == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_a_metric_whose_arrays_do_not_fit_gives_what_they_share(database: Database[dict[str, Any]]) -> None:
    put_metric(database, "a", [(1, 1, 1), (2, 2, 2), (3, 3, 3)], values=[1, 2])
    happened = told(database, a_run())
    assert points_of(happened, "a") == [(1, 1), (2, 2)]
    assert any("3 steps, 2 values and 3 times" in warning for warning in record_of(happened).warnings)


def test_points_of_wrong_types_are_left_out_alone(database: Database[dict[str, Any]]) -> None:
    members = {
        "steps": [0, 1.0, "2", 3, None, 5, 6, 1.5, 8],
        "values": [True, Int64(2**62), 2, "3", 4, {"$numberInt": "5"}, float("inf"), 7, 8],
        "timestamps": [START] * 8 + ["now"],
    }
    put_metric(database, "a", [], **members)
    put_metric(database, "b", [], steps="no", values={"0": 1}, timestamps=None)
    put_metric(database, {"$gt": ""}, [(1, 1, 1)])
    put_metric(database, "", [(1, 1, 1)])
    happened = told(database, a_run())
    assert points_of(happened, "a") == [(0, 1), (1, 2**62), (6, float("inf")), (8, 8)]
    assert set(record_of(happened).metrics) == {"a"}
    assert any("5 have a step or a value that is no number" in text for text in record_of(happened).warnings)


def test_a_time_beyond_all_calendars_harms_no_point(
    mongo_server: MongoServer, database: Database[dict[str, Any]]
) -> None:
    moments = [START + timedelta(seconds=1), datetime(9999, 12, 31), datetime(1, 1, 1), START + timedelta(seconds=5)]
    put_metric(database, "a", [], steps=[1, 2, 3, 4], values=[1, 2, 3, 4], timestamps=moments)
    milliseconds = (START + timedelta(seconds=5) - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(
        milliseconds=1
    )
    wire = ChangingWire(mongo_server, milliseconds.to_bytes(8, "little"), (2**62).to_bytes(8, "little"))
    with closing(wire), client_of(wire.url) as client:
        document = a_run(heartbeat=DatetimeMS(2**62), stop_time=datetime(9999, 12, 31))
        happened = told(client[database.name], document)
    assert logged(happened) == [(1.0, step, {"a": step}) for step in (1, 2, 3, 4)]
    assert record_of(happened).duration_s == 0
    assert any("3 points of metric 'a' have no time" in warning for warning in record_of(happened).warnings)


def test_there_are_limits_to_points(database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sacred_series, "MOST_POINTS", 5)
    put_metric(database, "a", [(step, step, step) for step in range(3)])
    put_metric(database, "b", [(step, step, step) for step in range(10)])
    put_metric(database, "c", [(step, step, step) for step in range(10)])
    happened = told(database, a_run())
    assert len(points_of(happened, "a")) + len(points_of(happened, "b")) + len(points_of(happened, "c")) == 5
    assert any("more than 5" in warning for warning in record_of(happened).warnings)


def test_many_points_of_one_moment_come_in_order(database: Database[dict[str, Any]]) -> None:
    count = 25_000
    for name in "ab":
        put_metric(database, name, [(step, step, 1) for step in range(count)])
    happened = told(database, a_run())
    for name in "ab":
        assert points_of(happened, name) == [(step, step) for step in range(count)]
    assert len(logged(happened)) < count + 10


# --- output -----------------------------------------------------------------------------------------------------


def test_output_comes_in_pieces_with_offsets_in_bytes(database: Database[dict[str, Any]]) -> None:
    text = "".join(f"line {number} äöü 深い 🦉\n" for number in range(20_000))
    pieces = [event for event in told(database, a_run(captured_out=text)) if isinstance(event, ev.OutputCaptured)]
    assert "".join(piece.text for piece in pieces) == text
    assert len(pieces) > 5
    offset = 0
    for piece in pieces:
        assert piece.offset == offset
        assert 0 < len(piece.text.encode()) <= 64 * 1024
        offset += len(piece.text.encode())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("10 %\r50 %\rdone\n", "done\n"),
        ("a long line\rshort\n", "shortg line\n"),
        ("a long line\rshort\x1b[K\r\n", "short\n"),
        ("|\b/\b-\b ok\n", " ok\n"),
        ("\x1b[31mred\x1b[0m\0 \x1b]0;title\x07text", "red text"),
        ("\x1b[999999999Cfar\x1b[99999Aup", "farup"),
        ("x\r" * 100_000 + "y", "y"),
        ("\ud800", "\\ud800"),
        ("", ""),
    ],
)
def test_output_is_what_a_terminal_shows_in_the_end(database: Database[dict[str, Any]], text: str, shown: str) -> None:
    assert output_of(told(database, a_run(captured_out=text))) == shown


@pytest.mark.parametrize("text", ["x" * 300_000, "\U0001f989" * 100_000, "x\n" * 100_000])
def test_long_lines_are_cut_between_characters(database: Database[dict[str, Any]], text: str) -> None:
    pieces = [event.text for event in told(database, a_run(captured_out=text)) if isinstance(event, ev.OutputCaptured)]
    assert "".join(pieces) == text
    assert all(0 < len(piece.encode()) <= 64 * 1024 for piece in pieces)


# --- files ------------------------------------------------------------------------------------------------------


def put_file(database: Database[dict[str, Any]], data: bytes, **members: Any) -> ObjectId:
    """Put a file of several chunks into GridFS, with what is to be wrong about it."""
    file_id: ObjectId = gridfs.GridFS(database).put(data, filename="file", chunk_size=1000)
    if members:
        database["fs.files"].update_one({"_id": file_id}, {"$set": members})
    return file_id


DATA = os.urandom(3500)


def artifacts_of(database: Database[dict[str, Any]], *pairs: tuple[Any, Any]) -> tuple[dict[str, bytes], RunRecord]:
    kept = Kept()
    items = [{"name": name, "file_id": file_id} for name, file_id in pairs]
    record = record_of(told(database, a_run(artifacts=items), kept))
    return {file.path: kept.content[file.sha256] for file in record.artifacts}, record


@pytest.mark.parametrize("length", [3499, 3501, 0, -1, 2**62, "3500", None, {"$gt": 0}, 3500.5, float("nan")])
def test_a_file_that_lies_about_its_length_is_left_out(database: Database[dict[str, Any]], length: Any) -> None:
    pairs = ("bad", put_file(database, DATA, length=length)), ("good", put_file(database, DATA))
    found, record = artifacts_of(database, *pairs)
    assert found == {"good": DATA}
    assert any("artifact 'bad' is not known" in warning for warning in record.warnings)


@pytest.mark.parametrize(
    "change",
    [
        {"n": 7},
        {"n": 0},
        {"n": "1"},
        {"data": b""},
        {"data": "text" * 250},
        {"data": None},
        {"data": b"x" * 1001},
        {"files_id": ObjectId()},
    ],
)
def test_a_file_with_a_damaged_chunk_is_left_out(database: Database[dict[str, Any]], change: dict[str, Any]) -> None:
    file_id = put_file(database, DATA)
    if change.get("n") == 0:
        database["fs.chunks"].drop_indexes()
    database["fs.chunks"].update_one({"files_id": file_id, "n": 1}, {"$set": change})
    found, record = artifacts_of(database, ("bad", file_id), ("good", put_file(database, DATA)))
    assert found == {"good": DATA}
    assert any("artifact 'bad' is not known" in warning for warning in record.warnings)


def test_members_that_say_how_to_read_a_file_are_not_believed(database: Database[dict[str, Any]]) -> None:
    file_id = put_file(database, DATA, chunkSize=0, md5="0" * 32, filename={"$where": "1"}, uploadDate="never")
    assert artifacts_of(database, ("a", file_id), ("empty", put_file(database, b"")))[0] == {"a": DATA, "empty": b""}


def test_no_artifact_gets_out_of_where_it_belongs(database: Database[dict[str, Any]]) -> None:
    names: list[Any] = ["../../etc/passwd", "/abs/a", "a\0b", "..", "", "  ", "./x//y", {"$ne": 1}, None, "n" * 5000]
    found, record = artifacts_of(database, *((name, put_file(database, DATA)) for name in names))
    assert set(found) == {"etc/passwd", "abs/a", "ab", "x/y"}
    assert sum("artifact was left out" in warning for warning in record.warnings) == 6


def test_of_artifacts_with_one_name_the_last_counts(database: Database[dict[str, Any]]) -> None:
    pairs = [("a", put_file(database, b"1")), ("/a", put_file(database, b"2")), ("a", put_file(database, b"3"))]
    assert artifacts_of(database, *pairs)[0] == {"a": b"3"}


@pytest.mark.parametrize(
    "file_id", [{"$ne": None}, {"$gt": ""}, None, [ObjectId()], True, 1.5, Regex("."), Code("1"), b"x", "none", 2**70]
)
def test_a_reference_that_is_no_identifier_finds_nothing(database: Database[dict[str, Any]], file_id: Any) -> None:
    put_file(database, DATA)
    found, record = artifacts_of(database, ("a", file_id))
    assert found == {}
    assert any("'a'" in warning for warning in record.warnings)


def test_sources_are_named_from_the_projects_root(database: Database[dict[str, Any]]) -> None:
    names = ["a.py", "./b.py", "../lib/c.py", "/opt/d.py", "/home/a/project/e/f.py", "e/../g.py", "", "x\0", 5]
    pairs = [[name, put_file(database, str(name).encode())] for name in names]
    kept = Kept()
    experiment = {**a_run()["experiment"], "sources": [*pairs, "no pair", ["one"], {"a": 1}]}
    record = record_of(told(database, a_run(experiment=experiment), kept))
    assert {file.path: kept.content[file.sha256].decode() for file in record.source.files} == {
        "a.py": "a.py",
        "b.py": "./b.py",
        "/home/a/lib/c.py": "../lib/c.py",
        "/opt/d.py": "/opt/d.py",
        "e/f.py": "/home/a/project/e/f.py",
        "g.py": "e/../g.py",
    }


def test_sources_of_windows_are_named_alike(database: Database[dict[str, Any]]) -> None:
    facts = {**a_run()["experiment"], "base_dir": "C:\\work\\project"}
    names = ["sub\\a.py", "C:\\work\\project\\b.py", "..\\c.py"]
    facts["sources"] = [[name, put_file(database, b"")] for name in names]
    record = record_of(told(database, a_run(experiment=facts)))
    assert [file.path for file in record.source.files] == ["C:/work/c.py", "b.py", "sub/a.py"]


def test_an_input_that_an_older_sacred_kept_comes_along(database: Database[dict[str, Any]]) -> None:
    """It had the file in GridFS and referred to it by name and MD5, which GridFS worked out in those days."""
    digest = hashlib.md5(DATA).hexdigest()
    put_file(database, DATA, filename="/data/in.csv", md5=digest)
    kept = Kept()
    resources = [["/data/in.csv", digest], ["/data/other.csv", digest], ["/home/a/project/x", put_file(database, b"x")]]
    record = record_of(told(database, a_run(resources=resources), kept))
    assert {file.path: kept.content[file.sha256] for file in record.inputs} == {"/data/in.csv": DATA, "x": b"x"}
    assert any("/data/other.csv" in warning for warning in record.warnings)


def test_there_are_limits_to_files(database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sacred_files, "MOST_FILES", 2)
    monkeypatch.setattr(sacred_files, "MOST_CONTENT_BYTES", 5000)
    pairs = [(str(number), put_file(database, DATA)) for number in range(4)]
    found, record = artifacts_of(database, *pairs)
    assert set(found) == {"0"}
    assert any("more than 2" in warning for warning in record.warnings)
    assert any("larger than 5000 bytes" in warning for warning in record.warnings)


# --- members that are not what they should be -------------------------------------------------------------------


@pytest.mark.parametrize("identity", [[1], Regex(".")])
def test_a_document_without_an_identifier_is_no_run(database: Database[dict[str, Any]], identity: Any) -> None:
    put_metric(database, "a", [(1, 1, 1)])
    nameless = {key: value for key, value in a_run().items() if key != "_id"}
    for document in (a_run(_id=identity), nameless):
        with pytest.raises(StoreError):
            mongo_sacred.light_record(database, document)
        with pytest.raises(StoreError):
            told(database, document)


@pytest.mark.parametrize("identity", [{"$gt": ""}, {"$where": "sleep(1)"}, None, ""])
def test_an_identifier_means_itself_alone_in_a_query(database: Database[dict[str, Any]], identity: Any) -> None:
    put_metric(database, "a", [(1, 1, 1)])
    assert points_of(told(database, a_run(_id=identity)), "a") == []


@pytest.mark.parametrize(
    ("identity", "number"),
    [
        (5, 5),
        (5.0, 5),
        (Int64(5), 5),
        ("five", None),
        (ObjectId(), None),
        (0, None),
        (-5, None),
        (5.5, None),
        (True, None),
        (b"5", None),
        (10**14, None),
        (2**60, None),
    ],
)
def test_only_a_number_that_a_run_may_have_is_its_number(
    database: Database[dict[str, Any]], identity: Any, number: int | None
) -> None:
    put_metric(database, "a", [(1, 1, 1)], run_id=identity)
    happened = told(database, a_run(_id=identity))
    assert record_of(happened).id == number
    assert points_of(happened, "a") == [(1, 1)]


@pytest.mark.parametrize(
    ("members", "status", "shown"),
    [
        ({"status": "COMPLETED"}, Status.COMPLETED, "COMPLETED"),
        ({"status": "FAILED"}, Status.FAILED, "FAILED"),
        ({"status": "INTERRUPTED"}, Status.INTERRUPTED, "INTERRUPTED"),
        ({"status": "TIMEOUT"}, Status.INTERRUPTED, "TIMEOUT"),
        ({"status": "GAVE_UP"}, Status.INTERRUPTED, "GAVE_UP"),
        ({"status": "DIED", "stop_time": None}, Status.INTERRUPTED, "DIED"),
        ({"status": "RUNNING"}, Status.LOST, "LOST"),
        ({"status": "QUEUED", "start_time": None, "heartbeat": None}, Status.QUEUED, "QUEUED"),
        ({"status": {"$ne": 1}}, Status.LOST, "LOST"),
        ({"status": Code("COMPLETED", {})}, Status.LOST, "LOST"),
    ],
)
def test_every_status_means_one_of_ours_and_is_shown_as_what_it_is(
    database: Database[dict[str, Any]], members: dict[str, Any], status: Status, shown: str
) -> None:
    document = a_run(**members)
    record = mongo_sacred.light_record(database, document)
    assert (record.status, record.state) == (status, shown)
    has_end = any(isinstance(event, ev.RunEnded) for event in told(database, document))
    assert has_end is (status.final and status is not Status.LOST)


def test_a_word_of_its_own_for_a_run_that_just_gave_a_sign_of_life_is_no_end(
    database: Database[dict[str, Any]],
) -> None:
    record = mongo_sacred.light_record(
        database, a_run(status="PAUSED", stop_time=None, heartbeat=datetime.now(timezone.utc))
    )
    assert (record.status, record.state) == (Status.RUNNING, "PAUSED")


def test_a_run_that_gave_a_sign_of_life_just_now_is_running(database: Database[dict[str, Any]]) -> None:
    document = a_run(status="RUNNING", heartbeat=datetime.now(timezone.utc))
    assert mongo_sacred.light_record(database, document).status is Status.RUNNING
    assert not any(isinstance(event, ev.RunEnded) for event in told(database, document))


@pytest.mark.parametrize(
    ("trace", "kind", "message"),
    [
        (["Traceback:\n", "ValueError: no\n"], "ValueError", "no"),
        (["Traceback:\n", "package.module.OddError\n"], "package.module.OddError", ""),
        (["KeyError: 'a: b'\n", "a note of its own\n"], "KeyError", "'a: b'"),
        ("Traceback:\n  File\nTypeError: one text\n", "TypeError", "one text"),
        (["nothing of the kind ..."], "Exception", "nothing of the kind ..."),
        ([], "Exception", ""),
        (None, "Exception", ""),
        ({"$gt": 1}, "Exception", ""),
        ([1, None, ["x"]], "Exception", ""),
    ],
)
def test_an_error_is_read_from_the_last_line(
    database: Database[dict[str, Any]], trace: Any, kind: str, message: str
) -> None:
    error = mongo_sacred.light_record(database, a_run(status="FAILED", fail_trace=trace)).error
    assert error is not None
    assert (error.type, error.message) == (kind, message)


def test_forms_of_jsonpickle_stay_data(database: Database[dict[str, Any]]) -> None:
    form = {"py/object": "os.system", "py/reduce": [{"py/function": "os.abort"}, {"py/tuple": []}]}
    record = record_of(told(database, a_run(config={"a": form}, info={"b": form}, result=form)))
    assert record.config == {"a": form}
    assert record.info == {"b": form}
    assert record.result == form


def test_endless_nesting_and_endless_lists_are_cut(
    database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "_MOST_VALUES", 10_000)
    deep: Any = 1
    for _ in range(5000):
        deep = {"a": [deep]}
    happened = told(database, a_run(config={"deep": deep}, info={"long": list(range(20_000))}, result=[deep] * 100))
    for event in happened:
        mongo_chunks.line_of(event)
    assert any("too large or nested too deep" in warning for warning in record_of(happened).warnings)


LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.integers(5000, 6000).map(lambda digits: 10**digits),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["\ud800", "a\0b", "COMPLETED", "FAILED", "RUNNING", "../..", "numpy==1", "a" * 100_000, "~f"]),
    st.binary(max_size=8),
    st.datetimes(),
    st.sampled_from([DatetimeMS(2**62), datetime.min, datetime.max.replace(tzinfo=timezone.utc)]),
    st.sampled_from([datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), ObjectId(), Binary(b"x", 4)]),
    st.sampled_from([Decimal128("NaN"), Regex("(a+)+$"), Code("x", {}), MaxKey(), Timestamp(1, 1), Int64(2**63 - 1)]),
)
NAMES = """
    name base_dir mainfile sources dependencies repositories url commit dirty file_id metrics id seed options UPDATE
    COMMAND command comment queue_time hostname os cpu python_version gpus model total_memory ENV $gt password py/object
    ~f ~d a.b
"""
KEYS = st.one_of(st.text(max_size=5), st.sampled_from(NAMES.split()))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.fixed_dictionaries(
    {"_id": st.sampled_from([1, "one", ObjectId(b"x" * 12)])},
    optional=dict.fromkeys([name for name in a_run() if name != "_id"] + ["fail_trace", "omniboard"], VALUES),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=DOCUMENTS)
def test_whatever_is_in_a_document_there_are_events_that_can_be_kept(
    database: Database[dict[str, Any]], document: dict[str, Any]
) -> None:
    light = mongo_sacred.light_record(database, document)
    assert serial.from_json(RunRecord, serial.to_json(light)).uid == light.uid
    serial.dumps(serial.record_to_json(light))
    happened = told(database, document)
    for event in happened:
        mongo_chunks.line_of(event)
    record = record_of(happened)
    serial.dumps(serial.record_to_json(record))
    assert record.uid == light.uid


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"name\0\x04\0\0\0bad\0", b"name\0\x04\0\0\0\xff\xfe\xfd\0"),
        (b"\x02name\0\x04\0\0\0bad\0", b"\x02name\0\xff\xff\xff\x7fbad\0"),
        (b"\x02name\0\x04\0\0\0bad\0", b"\x7aname\0\x04\0\0\0bad\0"),
    ],
    ids=["text that is no Unicode", "a length beyond the end", "a type that there is not"],
)
def test_a_damaged_metric_does_not_stand_in_the_way_of_others(
    mongo_server: MongoServer, database: Database[dict[str, Any]], old: bytes, new: bytes
) -> None:
    """As no server stores it that checks what it is sent."""
    put_metric(database, "bad", [(1, 1, 1)])
    put_metric(database, "good", [(1, 1, 1)])
    wire = ChangingWire(mongo_server, old, new)
    with closing(wire), client_of(wire.url) as client:
        record = record_of(told(client[database.name], a_run()))
    assert "good" in record.metrics
    assert "bad" not in record.metrics
    assert len(record.metrics) == 2 or any("cannot be read" in warning for warning in record.warnings)


def test_warnings_do_not_grow_without_end(database: Database[dict[str, Any]]) -> None:
    record = artifacts_of(database, *((f"a{number}", None) for number in range(1000)))[1]
    assert 100 < len(record.warnings) < 300
    assert any("more warnings" in warning for warning in record.warnings)


def test_a_large_run_is_read_in_a_reasonable_time(database: Database[dict[str, Any]]) -> None:
    """No time is asserted; were it quadratic, this would not end."""
    for name in range(20):
        put_metric(database, f"m{name}", [(step, step / 7, step * 0.01) for step in range(10_000)])
    text = "a.a-" * 500_000 + "://" + "password_" * 100_000
    happened = told(database, a_run(captured_out=text, config={"text": text, text: 1}))
    assert record_of(happened).metrics["m19"].count == 10_000
