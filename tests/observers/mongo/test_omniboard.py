"""
Omniboard reads what Sacred writes: which documents it needs, found out with documents written by hand.

At the end: what MongoObserver writes of real events is shown, and what people write in Omniboard stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import gridfs
import pytest
from bson import ObjectId
from pymongo.database import Database

from anew.observers.mongo.observer import MongoObserver
from anew.runner import events as ev
from anew.runner.records import RunRecord, SourceFacts, Status
from anew.runner.store.folder import FolderStore
from tests.helpers.mongo_events import a_record, end_of, pieces, points, put, start_of
from tests.helpers.omniboard import Expected, Omniboard, RunsPage, assert_omniboard_shows
from tests.helpers.stores import make_store
from tests.helpers.wire import MongoServer, artifacts_folder, with_database

pytest_plugins = ("tests.helpers.wire", "tests.helpers.omniboard")
pytestmark = pytest.mark.slow

TRACE = ["Traceback (most recent call last):\n", '  File "train.py", line 3\n', "ValueError: diverged\n"]
SOURCES = {"train.py": "import helper\nprint('training')\n", "pkg/helper.py": "LIMIT = 3\n"}
ARTIFACTS = {"table.csv": b"epoch,loss\n1,2.5\n", "model/weights.bin": bytes(range(256)) * 2000}
METRICS = {"loss": [3.0, 2.0, 1.5], "val.acc": [0.1, 0.2, 0.3]}


def sacred_like_run(db: Database[dict[str, Any]], run_id: int = 1, **changes: Any) -> dict[str, Any]:
    """Write what Sacred's MongoObserver writes of a run; *changes* go into the document in `runs`. Return that."""
    now = datetime.now(timezone.utc)
    fs = gridfs.GridFS(db)
    metrics: Mapping[str, Sequence[Any]] = changes.pop("metrics", METRICS)
    sources = [[name, fs.put(text.encode(), filename=f"/project/{name}")] for name, text in SOURCES.items()]
    artifacts = [
        {"name": name, "file_id": fs.put(data, filename=f"artifact://runs/{run_id}/{name}")}
        for name, data in ARTIFACTS.items()
    ]
    run = {
        "_id": run_id,
        "format": "MongoObserver-0.7.0",
        "command": "main",
        "status": "COMPLETED",
        "start_time": now - timedelta(seconds=90),
        "heartbeat": now,
        "stop_time": now,
        "result": 0.25,
        "config": {"lr": 0.1, "optimizer": {"name": "sgd"}, "seed": 7},
        "host": {"hostname": "node1", "os": ["Linux", "6.1"], "python_version": "3.11.7"},
        "meta": {"command": "main", "options": {}},
        "experiment": {
            "name": "digits",
            "base_dir": "/project",
            "mainfile": "train.py",
            "sources": sources,
            "dependencies": ["numpy==2.0"],
            "repositories": [],
        },
        "resources": [],
        "artifacts": artifacts,
        "captured_out": "first line\nsecond line\n",
        "info": {"metrics": [write_metric(db, run_id, name, values) for name, values in metrics.items()]},
        **changes,
    }
    db.runs.insert_one(run)
    return run


def write_metric(db: Database[dict[str, Any]], run_id: int, name: str, values: Sequence[Any]) -> dict[str, str]:
    """Write a metric's document; return what refers to it in a run's `info.metrics`."""
    points = {"steps": list(range(len(values))), "values": list(values)}
    times = [datetime.now(timezone.utc)] * len(values)
    written = db.metrics.insert_one({"run_id": run_id, "name": name, **points, "timestamps": times})
    return {"name": name, "id": str(written.inserted_id)}


def points_of(values: Sequence[float | None]) -> list[tuple[float, float | None]]:
    return list(enumerate(values))


@pytest.fixture
def board(
    omniboard: Callable[[str, str], AbstractContextManager[Omniboard]],
    mongo_server: MongoServer,
    database: Database[dict[str, Any]],
) -> Iterator[Omniboard]:
    """Omniboard on the test's own database."""
    with omniboard(mongo_server.url, database.name) as board:
        yield board


OpenPage = Callable[[Omniboard], RunsPage]
EXPECTED = Expected(
    row={
        "Id": "1",
        "Experiment Name": "digits",
        "Hostname": "node1",
        "Command": "main",
        "Status": "COMPLETED",
        "Duration": "1m 30s",
        "Result": "0.25",
        "C Lr": "0.1",
        "C Optimizer": '{"name":"sgd"}',
        "C Seed": "7",
    },
    metrics={name: points_of(values) for name, values in METRICS.items()},
    output="first line\nsecond line\n",
    sources=SOURCES,
    artifacts={"table.csv": "epoch,loss", "model/weights.bin": None},
    texts={
        "Config": ['"lr":0.1'],
        "Host Info": ['"hostname":"node1"'],
        "Experiment Details": ['"name":"digits"', '"base_dir":"/project"'],
        "Run Info": ['"metrics":'],
        "Meta Info": ['"command":"main"'],
    },
)


def test_everything_of_a_run_is_shown(
    board: Omniboard, runs_page: OpenPage, database: Database[dict[str, Any]], tmp_path: Path
) -> None:
    sacred_like_run(database)
    page = runs_page(board)
    view = assert_omniboard_shows(page, 1, EXPECTED)
    view.tab("Metrics Plot")
    shot = page.screenshot(artifacts_folder(tmp_path) / "omniboard-sacred.png")
    assert shot.stat().st_size > 20_000


def test_a_failed_run_has_a_fail_trace(
    board: Omniboard, runs_page: OpenPage, database: Database[dict[str, Any]]
) -> None:
    sacred_like_run(database, status="FAILED", fail_trace=TRACE)
    expected = Expected(row={"Status": "FAILED"}, fail_trace="ValueError: diverged")
    assert_omniboard_shows(runs_page(board), 1, expected)


def test_the_table_has_every_run_the_newest_first_and_says_how_it_is(
    board: Omniboard, runs_page: OpenPage, database: Database[dict[str, Any]]
) -> None:
    """A run that says that it is going on counts as dead two minutes after its last sign of life."""
    now = datetime.now(timezone.utc)
    sacred_like_run(database, 1, status="COMPLETED")
    sacred_like_run(database, 2, status="RUNNING", heartbeat=now, stop_time=None)
    sacred_like_run(database, 3, status="RUNNING", heartbeat=now - timedelta(seconds=121), stop_time=None)
    sacred_like_run(database, 4, status="RUNNING", heartbeat=None, start_time=now - timedelta(seconds=121))
    sacred_like_run(database, 5, status="INTERRUPTED")
    sacred_like_run(database, 11, status="QUEUED", heartbeat=None, start_time=None, stop_time=None)
    rows = runs_page(board).rows()
    assert [(row["Id"], row["Status"]) for row in rows] == [
        ("11", "QUEUED"),
        ("5", "INTERRUPTED"),
        ("4", "PROBABLY_DEAD"),
        ("3", "PROBABLY_DEAD"),
        ("2", "RUNNING"),
        ("1", "COMPLETED"),
    ]


def test_a_metric_has_a_column_when_somebody_wants_it(
    board: Omniboard, runs_page: OpenPage, database: Database[dict[str, Any]]
) -> None:
    sacred_like_run(database, 1)
    sacred_like_run(database, 2, metrics={"loss": [9, 8]})
    page = runs_page(board)
    page.add_metric_column("final_loss", "loss", "last")
    page.add_metric_column("best_acc", "val.acc", "max")
    rows = page.rows()
    assert [(row["Id"], row["Final Loss"], row["Best Acc"]) for row in rows] == [("2", "8", ""), ("1", "1.5", "0.3")]
    assert not page.page.exceptions


def test_tags_and_notes_are_written_below_omniboard_and_nothing_else_is(
    board: Omniboard, runs_page: OpenPage, database: Database[dict[str, Any]]
) -> None:
    run = sacred_like_run(database, 1)
    sacred_like_run(database, 2)
    page = runs_page(board)
    page.add_tag(1, "baseline")
    page.add_tag(1, "good one")
    page.set_notes(1, "first try")
    page.set_notes(1, "kept for the paper")
    kept = database.runs.find_one({"_id": 1}) or {}
    assert kept.pop("omniboard") == {"tags": ["baseline", "good one"], "notes": "kept for the paper"}
    assert kept.keys() == run.keys()
    assert kept["config"] == run["config"]
    assert "omniboard" not in (database.runs.find_one({"_id": 2}) or {})
    page.reload_page()
    row = page.row(1)
    assert row["Tags"].split("\n") == ["baseline", "good one"]
    assert row["Notes"] == "kept for the paper"


def test_tags_and_notes_that_a_program_wrote_are_shown(
    board: Omniboard, runs_page: OpenPage, database: Database[dict[str, Any]]
) -> None:
    sacred_like_run(database, 1, omniboard={"tags": ["mine"], "notes": "why not"})
    sacred_like_run(database, 2, config={"tags": ["of", "config"]}, meta={"comment": "of meta"})
    rows = {row["Id"]: row for row in runs_page(board).rows()}
    assert (rows["1"]["Tags"], rows["1"]["Notes"]) == ("mine", "why not")
    assert (rows["2"]["Tags"].split("\n"), rows["2"]["Notes"]) == (["of", "config"], "of meta")


def test_what_a_program_has_beside_sacreds_fields_is_in_nobodys_way(
    board: Omniboard, runs_page: OpenPage, database: Database[dict[str, Any]]
) -> None:
    sacred_like_run(database, 1, anew={"uid": "u1", "cursor": {"main": 12}, "list": [{"a": ObjectId()}]})
    page = runs_page(board)
    assert_omniboard_shows(page, 1, EXPECTED)
    assert not [title for title in page.row(1) if "Anew" in title]


BROKEN: dict[str, dict[str, Any]] = {
    "a config that is null": {"config": None},
    "a host that is null": {"host": None},
    "an experiment that is null": {"experiment": None},
    "meta that is null": {"meta": None},
    "a heartbeat that is a text": {"heartbeat": "2026-01-01T00:00:00"},
    "a heartbeat that is a number": {"heartbeat": 1767225600.0},
    "tags that are a text": {"omniboard": {"tags": "baseline"}},
}


def test_one_run_can_take_the_table_from_all(
    board: Omniboard, runs_page: OpenPage, database: Database[dict[str, Any]]
) -> None:
    """Whoever writes such a document keeps everybody who comes for the first time from seeing any run."""
    sacred_like_run(database, 1)
    for what, changes in BROKEN.items():
        sacred_like_run(database, 2, **changes)
        page = runs_page(board)
        assert page.error() or page.is_blank(), what
        database.runs.delete_one({"_id": 2})
    assert [row["Id"] for row in runs_page(board).rows()] == ["1"]


def test_a_metric_reference_that_is_no_object_id_takes_the_table_once_there_is_a_metric_column(
    board: Omniboard, runs_page: OpenPage, database: Database[dict[str, Any]]
) -> None:
    database["omniboard.metric.columns"].insert_one({"name": "final", "metric_name": "loss", "extrema": "last"})
    sacred_like_run(database, 1)
    page = runs_page(board)
    assert page.row(1)["Final"] == "1.5"
    database.runs.update_one({"_id": 1}, {"$set": {"info.metrics": [{"name": "loss", "id": "1/loss"}]}})
    page.reload_table()
    assert "objectId" in page.error()


def test_what_json_has_no_number_for_is_a_gap_and_a_large_integer_a_text(
    board: Omniboard, runs_page: OpenPage, database: Database[dict[str, Any]]
) -> None:
    metrics = {"loss": [1.0, float("nan"), float("inf"), None, 2.0], "big": [2**53 - 1, 2**60], "none": []}
    sacred_like_run(database, 1, metrics=metrics, config={"nan": float("nan"), "big": 2**60, "none": None})
    page = runs_page(board)
    row = page.row(1)
    assert (row["C Nan"], row["C Big"], row["C None"]) == ("", str(2**60), "")
    shown = {"loss": points_of([1, None, None, None, 2]), "none": []}
    plotted = page.open_run(1).plotted()
    assert plotted == {**shown, "big": [(0, 2**53 - 1), (1, str(2**60))]}
    assert not page.page.exceptions


def test_of_a_metric_in_several_documents_the_last_written_is_shown(
    board: Omniboard, runs_page: OpenPage, database: Database[dict[str, Any]]
) -> None:
    """Thus a metric that is too long for one document needs its parts to be kept where Omniboard does not look."""
    sacred_like_run(database, 1, metrics={"loss": [4, 3]})
    more = write_metric(database, 1, "loss", [2, 1])
    database.runs.update_one({"_id": 1}, {"$push": {"info.metrics": more}})
    page = runs_page(board)
    page.add_metric_column("final_loss", "loss")
    assert page.row(1)["Final Loss"] == "1"
    assert page.open_run(1).plotted() == {"loss": [(0, 2), (1, 1)]}


def test_a_config_key_with_a_dot_or_a_comma_has_a_column_that_is_empty_after_a_reload(
    board: Omniboard, runs_page: OpenPage, database: Database[dict[str, Any]]
) -> None:
    sacred_like_run(database, 1, config={"a.b": 1, "c,d": 2, "nested": {"e.f": 3, "$g": 4}})
    page = runs_page(board)
    first = page.row(1)
    page.reload_table()
    second = page.row(1)
    assert [first["C A.b"], first["C C,d"]] == ["1", "2"]
    assert [second["C A.b"], second["C C,d"]] == ["", ""]
    assert first["C Nested"] == second["C Nested"] == '{"e.f":3,"$g":4}'


def test_a_file_that_is_not_there_ends_the_server_when_somebody_downloads_all(
    board: Omniboard, runs_page: OpenPage, database: Database[dict[str, Any]]
) -> None:
    """Thus content has to be in GridFS, under an ObjectId, before a run refers to it."""
    sacred_like_run(database, 1, artifacts=[{"name": "a.txt", "file_id": "sha256:abc"}])
    page = runs_page(board)
    assert board.is_running
    view = page.open_run(1)
    assert "No response was received" in view.tab("Artifacts")
    assert not board.is_running


def test_a_run_that_is_deleted_takes_its_artifacts_along_also_those_that_others_share(
    board: Omniboard, runs_page: OpenPage, database: Database[dict[str, Any]]
) -> None:
    """Sources stay while another run has them; artifacts do not. A file that two runs refer to is lost for both."""
    first = sacred_like_run(database, 1)
    shared = {**first["experiment"], "name": "other"}
    sacred_like_run(database, 2, artifacts=first["artifacts"][:1], experiment=shared)
    page = runs_page(board)
    page.delete_run(2)
    assert [row["Id"] for row in page.rows()] == ["1"]
    assert database.metrics.count_documents({"run_id": 2}) == 0
    files = {file["_id"] for file in database["fs.files"].find()}
    assert {file_id for _, file_id in first["experiment"]["sources"]} <= files
    assert [artifact["file_id"] in files for artifact in first["artifacts"]] == [False, True]


# --- what MongoObserver writes ----------------------------------------------------------------------------------


class Recorded:
    """A run that is delivered to MongoDB while somebody looks at it."""

    def __init__(self, url: str, store: FolderStore, **changes: Any) -> None:
        files = tuple(put(store, name, text.encode()) for name, text in SOURCES.items())
        source = SourceFacts(root="/project", files=files)
        started = datetime.now(timezone.utc) - timedelta(seconds=90)
        self.record: RunRecord = a_record(started_at=started, source=source, **changes)
        self.store = store
        self._observer = MongoObserver(url)
        self._observer.begin(store)
        self._observer.handle(start_of(self.record))
        self._q = 0

    def log(self, **metrics: Sequence[float]) -> None:
        """Log points, one metric after the other."""
        for name, values in metrics.items():
            for event in points(self.record, len(values), after=self._q):
                value = {name: values[event.q - self._q - 1]}
                self._observer.handle(replace(event, step=event.q - self._q - 1, values=value))
            self._q += len(values)

    def happens(self, kind: type[ev.Event], **members: Any) -> None:
        self._q += 1
        self._observer.handle(kind(uid=self.record.uid, writer="main", q=self._q, t=80.0, **members))

    def print(self, *texts: str) -> None:
        self._observer.handle_many(pieces(self.record, texts))

    def end(self, status: Status = Status.COMPLETED) -> None:
        self._observer.handle(end_of(self.record, status))
        self._observer.close()


@pytest.fixture
def record_run(
    mongo_server: MongoServer, database: Database[dict[str, Any]], tmp_path: Path
) -> Callable[..., Recorded]:
    """`record_run(config=...)`: a run that has started; its number is one more than that of the one before."""
    store = make_store(tmp_path / "store")
    return lambda **changes: Recorded(with_database(mongo_server.url, database.name), store, **changes)


def test_what_anew_writes_of_a_run_is_shown_and_what_people_write_stays(
    board: Omniboard,
    runs_page: OpenPage,
    database: Database[dict[str, Any]],
    record_run: Callable[..., Recorded],
    tmp_path: Path,
) -> None:
    config = {"lr": 0.1, "optimizer": {"name": "sgd", "be.tas": [0.9, 0.999]}, "seed": 7, "data.path": "d.csv"}
    run = record_run(config=config, tags=("first",), note="as it was started")
    run.log(loss=METRICS["loss"][:2])
    while not (database.runs.find_one({"_id": 1}) or {})["info"]["metrics"]:
        run.happens(ev.Heartbeat)  # the run's document is written about once a second
        time.sleep(0.1)
    page = runs_page(board)
    page.add_metric_column("final_loss", "loss", "last")
    row = page.row(1)
    assert (row["Status"], row["Final Loss"]) == ("RUNNING", "2")
    assert (row["Tags"], row["Notes"]) == ("first", "as it was started")
    page.add_tag(1, "baseline")
    page.set_notes(1, "kept for the paper")
    run.log(**{"val.acc": METRICS["val.acc"]})
    run.print("first line\n", "second line\n")
    for name, data in ARTIFACTS.items():
        run.happens(ev.ArtifactAdded, artifact=put(run.store, name, data))
    run.happens(ev.InfoSet, values={"best": 3, "a.b": float("nan")})
    run.happens(ev.TagsChanged, added=("by anew",), removed=("first",))
    run.happens(ev.NoteSet, text="by anew")
    run.end()
    failed = record_run(config={"lr": 0.2})
    failed.log(loss=[9.0, float("nan"), 2**70])
    failed.print("diverging\n")
    failed.end(Status.FAILED)
    kept = database.runs.find_one({"_id": 1}) or {}
    assert kept["omniboard"] == {"tags": ["first", "baseline"], "notes": "kept for the paper"}
    page.reload_page()
    page.add_metric_column("best_acc", "val.acc", "max")
    rows = {row["Id"]: row for row in page.rows()}
    assert rows["1"]["Tags"].split("\n") == ["first", "baseline"]
    assert (rows["1"]["Notes"], rows["1"]["Best Acc"]) == ("kept for the paper", "0.3")
    shown = ("Status", "C Lr", "C Optimizer", "Best Acc", "Notes")
    assert [rows["2"][title] for title in shown] == ["FAILED", "0.2", "", "", "Enter Notes"]
    sources = dict(sorted(SOURCES.items()))
    expected = replace(
        EXPECTED,
        sources=sources,
        row={
            **EXPECTED.row,
            "C Optimizer": '{"name":"sgd","be.tas":[0.9,0.999]}',
            "C Data%2Epath": "d.csv",
            "Final Loss": "2",
        },
        metrics={"loss": points_of(METRICS["loss"][:2]), "val.acc": points_of(METRICS["val.acc"])},
        texts={**EXPECTED.texts, "Run Info": ['"best":3']},
    )
    view = assert_omniboard_shows(page, 1, expected)
    view.tab("Metrics Plot")
    shot = page.screenshot(artifacts_folder(tmp_path) / "omniboard-anew.png")
    assert shot.stat().st_size > 20_000
    trace = Expected(output="diverging", fail_trace="ValueError: diverged", sources=sources, artifacts={})
    assert_omniboard_shows(page, 2, trace)
    page.reload_table()
    assert page.row(1)["C Data%2Epath"] == "d.csv"
    page.delete_run(2)
    assert [row["Id"] for row in page.rows()] == ["1"]
    assert board.is_running
