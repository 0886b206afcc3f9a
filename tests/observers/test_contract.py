"""Every observer that ships passes the suite that ships."""

from __future__ import annotations

import csv
import io
import math
import sqlite3
import struct
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from pymongo.database import Database

from anew.observers.console import ConsoleObserver
from anew.observers.export import ExportObserver
from anew.observers.memory import MemoryObserver
from anew.observers.mongo.observer import MongoObserver
from anew.observers.mongo.read.store import open_url
from anew.observers.sql.observer import SQLObserver
from anew.observers.tensorboard import TensorBoardObserver
from anew.observers.webhook import WebhookObserver
from anew.runner import events as ev
from anew.runner.contracts import Observer
from anew.runner.format.replay import replay
from anew.runner.testing import ObserverContract
from tests.helpers.wire import MongoServer, with_database

pytest_plugins = ("tests.helpers.wire",)
Points = dict[str, list[tuple[int, float]]]


class TestMemory(ObserverContract):
    @pytest.fixture(autouse=True)
    def _one_for_all(self) -> None:
        self.memory = MemoryObserver()

    def make_observer(self) -> Observer:
        return self.memory

    def points(self, uid: str) -> Points:
        found: Points = {}
        for event in self.memory.of(ev.MetricsLogged):
            if event.uid == uid:
                for name, value in event.values.items():
                    found.setdefault(name, []).append((event.step, value))
        return found

    def status(self, uid: str) -> str:
        start, *rest = [event for event in self.memory.events if event.uid == uid]
        assert isinstance(start, ev.RunStarted)
        return replay(start.record, rest).status.value

    def output(self, uid: str) -> str:
        return self.memory.output(uid)


class TestConsole(ObserverContract):
    def make_observer(self) -> Observer:
        self.stream = io.StringIO()
        return ConsoleObserver(stream=self.stream)

    def test_it_says_how_it_ended(self) -> None:
        self.deliver(self.sample)
        assert "COMPLETED" in self.stream.getvalue().upper()


class TestWebhook(ObserverContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        bodies = self.bodies = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                return

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            self.port = server.server_port
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield
            server.shutdown()
            thread.join()

    bodies: list[bytes]

    def make_observer(self) -> Observer:
        return WebhookObserver(f"http://127.0.0.1:{self.port}/hook")

    def test_it_tells_of_start_and_end(self) -> None:
        self.deliver(self.sample)
        assert len(self.bodies) == 2


class TestExport(ObserverContract):
    def make_observer(self) -> Observer:
        return ExportObserver(dir=str(self.folder))

    def points(self, uid: str) -> Points:
        [mark] = self.folder.glob(f"*/.anew-{uid}")
        [file] = mark.parent.glob("*.csv")
        found: Points = {}
        with file.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                found.setdefault(row["name"], []).append((int(row["step"]), float(row["value"])))
        return found

    def snapshot(self, uid: str) -> Any:
        return sorted(path.name for path in self.folder.glob("*/*"))

    def assert_complete(self, sample: Any, ending: Any) -> None:
        # it reads the store, which holds no journal of the sample
        assert list(self.folder.glob(f"*/.anew-{sample.record.uid}"))

    def test_what_comes_after_the_end_is_taken(self) -> None:
        self.deliver(self.sample)


class TestSQL(ObserverContract):
    def make_observer(self) -> Observer:
        return SQLObserver(url=f"sqlite:///{self.folder}/runs.sqlite")

    def _ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / "runs.sqlite")) as base:
            return base.execute(query, values).fetchall()

    def points(self, uid: str) -> Points:
        found: Points = {}
        query = "SELECT name, step, value, value_text FROM anew_metrics WHERE uid = ? ORDER BY t, q"
        for name, step, value, text in self._ask(query, uid):
            found.setdefault(name, []).append((step, float(text) if text is not None else value))
        return found

    def status(self, uid: str) -> str:
        [(status,)] = self._ask("SELECT status FROM anew_runs WHERE uid = ?", uid)
        return str(status)

    def output(self, uid: str) -> str:
        return "".join(
            text for (text,) in self._ask("SELECT text FROM anew_output WHERE uid = ? ORDER BY offset_bytes", uid)
        )


class TestTensorBoard(ObserverContract):
    def make_observer(self) -> Observer:
        return TensorBoardObserver(dir=str(self.folder))

    def points(self, uid: str) -> Points:
        from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

        [mark] = self.folder.glob(f"*/.anew-{uid}")
        found = EventAccumulator(str(mark.parent), size_guidance={SCALARS: 0}).Reload()
        return {tag: [(each.step, each.value) for each in found.Scalars(tag)] for tag in found.Tags()["scalars"]}

    def assert_complete(self, sample: Any, ending: Any) -> None:
        points = self.points(sample.record.uid)
        # event files have floats of 32 bits
        wanted = {
            name: [(step, struct.unpack("f", struct.pack("f", value))[0]) for step, value in series]
            for name, series in sample.points.items()
        }
        assert _shown(points) == _shown(wanted)


class TestMongo(ObserverContract):
    @pytest.fixture(autouse=True)
    def _database(self, mongo_server: MongoServer, database: Database[dict[str, Any]]) -> None:
        self.url = with_database(mongo_server.url, database.name)

    def make_observer(self) -> Observer:
        return MongoObserver(self.url)

    def points(self, uid: str) -> Points:
        store = open_url(self.url)
        names = store.get(uid).metrics
        series = {name: store.metrics(uid, name) for name in names}
        return {name: list(zip(each.steps.tolist(), each.exact, strict=True)) for name, each in series.items()}

    def status(self, uid: str) -> str:
        return open_url(self.url).get(uid).status.value

    def output(self, uid: str) -> str:
        return "".join(open_url(self.url).output(uid))

    def artifact(self, uid: str, name: str) -> bytes:
        store = open_url(self.url)
        [found] = [each for each in store.get(uid).artifacts if each.path == name]
        with store.open_object(found.sha256) as file:
            return file.read()


def _shown(points: Points) -> dict[str, list[tuple[int, str]]]:
    return {
        name: [(step, "nan" if math.isnan(value) else repr(value)) for step, value in series]
        for name, series in points.items()
    }


class Forgetful(MemoryObserver):
    """An observer that keeps repeats."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[ev.Event] = []

    def handle(self, event: ev.Event, /) -> None:
        self.taken.append(event)


def test_an_observer_that_keeps_repeats_fails_the_suite(tmp_path: Any) -> None:
    class Suite(ObserverContract):
        def make_observer(self) -> Observer:
            return forgetful

        def points(self, uid: str) -> Points:
            found: Points = {}
            for event in forgetful.taken:
                if isinstance(event, ev.MetricsLogged):
                    for name, value in event.values.items():
                        found.setdefault(name, []).append((event.step, value))
            return found

    forgetful = Forgetful()
    suite = Suite()
    ObserverContract._prepared.__wrapped__(suite, tmp_path)  # type: ignore[attr-defined]  # what the fixture does
    with pytest.raises(AssertionError):
        suite.test_a_repeat_of_everything_leaves_the_same()
