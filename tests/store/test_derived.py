"""What is derived gives the answers that the journals give, whatever becomes of it, of them, and in whatever order."""

from __future__ import annotations

import copy
import json
import math
import multiprocessing
import os
import pickle
import random
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from anew.runner import events as ev
from anew.runner.errors import MetricNotFoundError
from anew.runner.format import light, serial
from anew.runner.format.replay import replay
from anew.runner.records import RunRecord, Status
from anew.runner.store import column_rows, columns, folder, further, summed
from anew.runner.store.curate import note, tag
from anew.runner.store.folder import FolderStore
from anew.runner.store.reading import read_run
from tests.helpers.stores import add_run, make_store

NAMES = ("loss", "acc/größe", 'odd "name"', "m" * 40)
WRITERS = ("main", "child-1", "child-2")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderStore:
    monkeypatch.setattr(columns, "LEAST_BYTES", 0)
    monkeypatch.setattr(summed, "LEAST_BYTES", 0)
    # more than the steps that a file's times are counted in
    monkeypatch.setattr(summed, "YOUNG_NS", 20_000_000)
    for each in (columns, column_rows):
        monkeypatch.setattr(each, "MOST_POINTS", 16)
    return make_store(tmp_path / "runs")


class Scene:
    """A store that things happen to, by chance."""

    def __init__(self, store: FolderStore, chance: random.Random) -> None:
        self.store = store
        self.chance = chance
        self.numbers: list[int] = []
        self.ends: dict[tuple[int, str], int] = {}
        self.clock = 0.0

    def happen(self) -> None:
        """Have one thing happen."""
        weights = {self.begin: 2, self.log: 12, self.end: 1, self.harm: 1, self.harm_the_index: 1, self.curate: 1}
        [what] = self.chance.choices([*weights], [*weights.values()])
        if self.numbers or what == self.begin:
            what()

    def begin(self) -> None:
        """Have a run begin."""
        config = {"lr": self.chance.random(), "model": {"name": self.chance.choice("abc")}}
        self.numbers.append(add_run(self.store, status=None, config=config))

    def _some(self) -> Path:
        return self.store.layout.run(self.chance.choice(self.numbers)).events

    def log(self) -> None:
        """Have some lines written, by any writer, sometimes late, sometimes odd, sometimes not to their end."""
        events, writer = self._some(), self.chance.choice(WRITERS)
        path = events / f"{writer}.jsonl"
        with open(path, "ab") as file:
            for _ in range(self.chance.randrange(1, 40)):
                self.clock += self.chance.choice((0.0, 0.001, 0.001, 0.001, 1.0))
                number = self.ends.get((int(events.parent.name), writer), 0) + 1
                self.ends[int(events.parent.name), writer] = number
                file.write(serial.seal({"q": number, **self._body()}))
            if self.chance.random() < 0.05:
                file.write(self.chance.choice((b'{"q":1', b"\0" * 50, b'{"q":99999,"k":"m","t":1.0,"s":0,"m":{}')))

    def _body(self) -> dict[str, Any]:
        late = 5.0 if self.chance.random() < 0.01 else 0.0
        t = self.clock - late
        kind = self.chance.random()
        if kind < 0.04:
            return {"k": "i", "t": t, "v": {"note": self.chance.random()}}
        if kind < 0.08:
            return {"k": "g", "t": t, "add": [self.chance.choice("xyz")], "remove": []}
        if kind < 0.1:
            return {"k": "from-later", "t": t}
        if kind < 0.11:
            return {"k": "m", "t": t, "s": 0.5, "m": {"loss": 1.0}}
        numbers: Sequence[Any] = (0.5, 1e-300, 3, 2**70, -1, "NaN", "Infinity", self.chance.random())
        names = NAMES[:1] if self.chance.random() < 0.5 else NAMES[: self.chance.randrange(1, 5)]
        return {
            "k": "m",
            "t": t,
            "s": self.chance.randrange(-5, 1000),
            "m": {name: self.chance.choice(numbers[-1:] if self.chance.random() < 0.9 else numbers) for name in names},
        }

    def end(self) -> None:
        """Have a run end."""
        number = self.chance.choice(self.numbers)
        record = read_run(self.store.layout.run(number), number)
        assert record is not None
        ended = ev.RunEnded(
            uid=record.uid,
            writer="outcome",
            q=0,
            t=9.0,
            status=Status.COMPLETED,
            ended_at=record.started_at,
            duration_s=9.0,
            result=1,
        )
        self.store.finish(number, ended)

    def harm(self) -> None:
        """Have a byte of a journal changed, or its end cut off, or all of it gone."""
        paths = sorted(self._some().iterdir())
        if not paths:
            return
        path = self.chance.choice(paths)
        how = self.chance.randrange(6)
        size = path.stat().st_size
        if how == 0:
            path.unlink()
        elif how == 1:
            os.truncate(path, size // 2)
        elif size:
            data = bytearray(path.read_bytes())
            data[self.chance.randrange(size)] ^= 1 << self.chance.randrange(7)
            path.write_bytes(data)

    def harm_the_index(self) -> None:
        """Have the index changed, cut short, of another version or gone."""
        path = self.store.layout.index
        if not path.exists():
            return
        how = self.chance.randrange(5)
        if how == 0:
            path.unlink()
        elif how == 1:
            os.truncate(path, path.stat().st_size // 2)
        elif how == 2:
            with closing(sqlite3.connect(path)) as database:
                database.execute("PRAGMA user_version = 3")
        elif how == 3:
            with closing(sqlite3.connect(path)) as database, database:
                database.execute("DELETE FROM columns WHERE part > 0 AND part % 2 = 0")
        else:
            data = bytearray(path.read_bytes())
            for _ in range(20):
                data[self.chance.randrange(len(data))] ^= 1 << self.chance.randrange(8)
            path.write_bytes(data)

    def curate(self) -> None:
        """Have a tag or a note given."""
        number = self.chance.choice(self.numbers)
        if self.chance.random() < 0.5:
            tag(self.store, number, [self.chance.choice("pq")])
        else:
            note(self.store, number, f"note {self.chance.random()}")


def as_text(record: RunRecord) -> str:
    """Return all of a light record, as text."""
    return json.dumps(serial.light_to_json(record), sort_keys=True)


def assert_same(store: FolderStore) -> None:
    """Compare what is derived with what the journals say."""
    found = {record.id: as_text(record) for record in store.find()}
    plain = FolderStore(store.root)
    plain.index_file = None
    for number in store.numbers():
        assert store.get(number) == plain.get(number)
        layout = store.layout.run(number)
        whole = read_run(layout, number)
        assert whole is not None
        assert found[number] == as_text(whole)
        for name in NAMES:
            points = [*store.points(number, name)]
            try:
                series = store.metrics(number, name)
            except MetricNotFoundError:
                assert not points
                continue
            assert [repr(value) for value in series.exact] == [repr(value) for _, _, value in points]
            assert series.steps.tolist() == [step for _, step, _ in points]
            assert series.times.tolist() == [t for t, _, _ in points]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_the_answers_are_those_of_the_journals(store: FolderStore, seed: int) -> None:
    scene = Scene(store, random.Random(seed))
    for turn in range(50):
        scene.happen()
        if turn % 3 == 0:
            # of one that was open all the time, and of a new one
            assert_same(scene.chance.choice((store, FolderStore.open(store.root))))
    assert_same(store)


def test_a_run_that_goes_on_is_followed_from_where_it_was_read_to(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = add_run(store, status=None)
    path = store.layout.run(number).journal("main")
    lines = [serial.seal({"q": q, "k": "m", "t": 1.0 * q, "s": q, "m": {"loss": 1 / q}}) for q in range(1, 301)]
    path.write_bytes(b"".join(lines[:200]))
    assert store.find()[0].metrics["loss"].count == 200
    assert len(store.metrics(number, "loss").exact) == 200
    taken: list[int] = []
    read = serial.points_of

    def note_it(entry: dict[str, Any]) -> Any:
        taken.append(entry["q"])
        return read(entry)

    monkeypatch.setattr(serial, "points_of", note_it)
    for further_module in (folder, further):
        monkeypatch.setattr(further_module, "read_run", pytest.fail, raising=False)
    with path.open("ab") as file:
        file.write(b"".join(lines[200:]))
    again = FolderStore.open(store.root)

    assert again.find()[0].metrics["loss"].count == 300
    assert taken == [*range(201, 301)]
    assert again.metrics(number, "loss").exact == tuple(1 / q for q in range(1, 301))


def test_a_line_that_is_changed_in_a_run_that_goes_on_is_said(store: FolderStore) -> None:
    number = add_run(store, status=None, metrics={"loss": [1.0] * 50})
    assert not store.find()[0].damage
    path = store.layout.run(number).journal("main")
    path.write_bytes(path.read_bytes().replace(b'"s":7,', b'"s":8,'))

    assert "damaged line" in store.find()[0].damage[0].what


def test_columns_are_read_in_place_of_a_journal(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    add_run(store, metrics={"loss": [1.0, 2, math.nan, 2**70], "acc": [1, 2]})
    before = store.metrics(1, "loss")
    monkeypatch.setattr(columns, "Following", pytest.fail)
    monkeypatch.setattr(FolderStore, "points", pytest.fail)
    after = FolderStore.open(store.root).metrics(1, "loss")

    assert repr(after.exact) == repr(before.exact) == "(1.0, 2, nan, 1180591620717411303424)"
    assert FolderStore.open(store.root).metrics(1, "acc").exact == (1, 2)


def test_columns_of_a_run_that_is_deleted_are_not_kept(store: FolderStore) -> None:
    for _ in range(2):
        add_run(store, metrics={"loss": [1.0, 2.0]})
    store.metrics(1, "loss")
    store.delete(1)
    store.metrics(2, "loss")

    with closing(sqlite3.connect(store.layout.index)) as database:
        assert database.execute("SELECT DISTINCT run FROM columns").fetchall() == [(2,)]


def test_a_store_that_cannot_be_written_has_its_index_in_the_cache(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    access = os.access
    refused = str(store.root)
    monkeypatch.setattr(os, "access", lambda path, how: str(path) != refused and access(path, how))
    add_run(store, metrics={"loss": [0.5]})
    assert [record.id for record in store.find()] == [1]
    assert store.metrics(1, "loss").exact == (0.5,)
    assert not store.layout.index.exists()
    monkeypatch.setattr(folder, "read_further", pytest.fail)

    assert [record.metrics["loss"].last for record in FolderStore.open(store.root).find()] == [0.5]
    assert len([*(tmp_path / "cache").rglob("*.sqlite")]) == 1


def log_and_look(root: Path, number: int, count: int) -> None:
    """Write lines of a run, and read others', in a process."""
    store = FolderStore.open(root)
    for begin in range(0, count, 10):
        with store.layout.run(number).journal("main").open("ab") as file:
            for q in range(begin + 1, begin + 11):
                file.write(serial.seal({"q": q, "k": "m", "t": 1.0 * q, "s": q, "m": {"loss": 1.0 * q, "i": q}}))
        for record in store.find():
            for name in record.metrics:
                exact = store.metrics(record.id or 0, name).exact
                assert [*exact] == [*range(1, len(exact) + 1)]


def test_several_processes_read_and_write_at_once(store: FolderStore) -> None:
    numbers = [add_run(store, status=None) for _ in range(3)]
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=log_and_look, args=(store.root, number, 200)) for number in numbers]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert_same(store)
    assert [len(store.metrics(number, "loss").exact) for number in numbers] == [200, 200, 200]


def test_several_threads_ask_one_store(store: FolderStore) -> None:
    for lr in range(20):
        add_run(store, config={"lr": lr}, metrics={"loss": [lr, 1.0]})
    found: list[list[int | None]] = []

    def ask() -> None:
        for _ in range(5):
            found.append([record.id for record in store.find("config.lr >= 10", sort="-config.lr")])
            assert store.metrics(7, "loss").exact == (6, 1.0)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [[*range(20, 10, -1)]] * 20


def test_what_is_done_to_a_record_that_was_found_is_nobody_elses(store: FolderStore) -> None:
    add_run(store, config={"lr": 1, "of": {"a": [1]}})
    record = store.find("config.lr == 1")[0]
    record.config["of"]["a"].append(2)
    record.config["lr"] = 5  # type: ignore[index]  # what users do all the same

    assert store.find("config.lr == 1")[0].config == {"lr": 1, "of": {"a": [1]}}


def test_a_record_whose_parts_are_read_later_is_as_any_other(store: FolderStore) -> None:
    add_run(store, config={"lr": 1}, metrics={"loss": [1.0]}, tags=["a"], artifacts={"x.bin": b"x"})
    store.find()
    whole = serial.from_json(RunRecord, serial.light_to_json(store.get(1)))
    for make in (copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each)), replace):
        assert make(store.find()[0]) == whole
    assert store.find()[0] == whole
    assert repr(store.find()[0]) == repr(whole)
    with store.find()[0].artifacts[0].open() as content:
        assert content.read() == b"x"
    with pytest.raises(AttributeError, match="'RunRecord' object has no attribute 'metric'"):
        store.find()[0].metric  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("text", ["", "{}", "{}\n{}\n{}\n{}", "null\nnull\nnull\nnull", '{"metrics":5}\n\n\n'])
def test_a_text_that_is_no_record_is_read_in_another_way(store: FolderStore, text: str) -> None:
    number = add_run(store, config={"lr": 1}, metrics={"loss": [1.0]})
    whole = store.get(number)
    found = light.of_text(text, lambda: whole)

    assert (found.uid, found.config, found.command) == (whole.uid, whole.config, whole.command)


@pytest.mark.parametrize("seed", range(20))
def test_a_record_folded_in_two_goes_is_the_same(store: FolderStore, seed: int) -> None:
    chance = random.Random(seed)
    scene = Scene(store, chance)
    scene.begin()
    start = store.get(1)
    bodies = [{"q": q, **scene._body()} for q in range(1, 60)]
    events: list[ev.Event] = []
    for body in bodies:
        try:
            event = serial.event_from_entry(start.uid, "main", body)
        except serial.DamagedError:
            continue
        events += [event] if event else []
    cut = chance.randrange(len(events))

    assert replay(replay(start, events[:cut]), events[cut:]) == replay(start, events)
