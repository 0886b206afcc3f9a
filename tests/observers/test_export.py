"""Exported files: what pandas, pyarrow and csv read from them is what was logged."""

from __future__ import annotations

import csv
import json
import math
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import anew.configs
from anew.observers.export import ExportObserver
from anew.runner import events as ev
from anew.runner.config.build import build_observer
from anew.runner.contracts import Batching, Beginning, Observer
from anew.runner.errors import ConfigError, MissingExtraError, RunStateError
from anew.runner.format import serial
from anew.runner.format.values import from_iso
from anew.runner.records import Status, Verdict
from anew.runner.store.folder import FolderStore
from anew.runner.store.journal import JournalWriter
from tests.helpers.stores import add_run, make_store

METRICS: dict[str, Sequence[float | int]] = {
    "train/loss": [0.1, 1e-300, -0.0, 1 / 3],
    'odd, "name"\nof two lines': [1, 2.0],
    "größe": [math.nan, math.inf, -math.inf],
    "nan": [0.5],
    "count": [0, -7, 2**53, 2**53 + 1, -(2**70), 10**400],
}


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return make_store(tmp_path / "runs")


def export(store: FolderStore, events: Sequence[ev.Event], *args: Any, batch: int = 1000) -> Path:
    """Hand over events as a follower does that begins anew, and return the run's folder."""
    observer = ExportObserver(*args)
    observer.begin(store)
    for begin in range(0, len(events), batch):
        observer.handle_many(events[begin : begin + batch])
    observer.close()
    return Path(observer.sink)


def events_of(store: FolderStore, number: int) -> list[ev.Event]:
    return list(store.events(number))


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".anew-")}


def rows_in(folder: Path) -> list[list[str]]:
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names_in(folder)}


def change(store: FolderStore, number: int, kind: type[ev.Event], writer: str = "later", **values: Any) -> None:
    """Write something into a run's journal after its end, as `anew tag` does."""
    journal = JournalWriter(store.layout.run(number).journal(writer), clock=lambda: 60.0)
    journal.append(*serial.body(kind, **values))
    journal.close()


# --- values -----------------------------------------------------------------------------------------------------


def number_of(text: str) -> float | int:
    return int(text) if text.lstrip("-").isdigit() else float(text)


def same(one: float | int, other: float | int) -> bool:
    return (one != one and other != other) or (type(one) is type(other) and repr(one) == repr(other))


def test_csv_has_every_point_exactly(store: FolderStore) -> None:
    number = add_run(store, metrics=METRICS)

    folder = export(store, events_of(store, number))

    started = store.get(number).started_at
    head, *rows = rows_in(folder)
    assert head == ["name", "step", "value", "t", "time"]
    assert [row[0] for row in rows] == [name for name, values in METRICS.items() for _ in values]
    assert [int(row[1]) for row in rows] == [step for values in METRICS.values() for step in range(len(values))]
    values = [value for values in METRICS.values() for value in values]
    assert all(same(number_of(row[2]), value) for row, value in zip(rows, values, strict=True))
    assert [float(row[3]) for row in rows] == [t for name in METRICS for t in store.metrics(number, name).times]
    assert [from_iso(row[4]) - started for row in rows] == [timedelta(seconds=float(row[3])) for row in rows]
    assert all(row[4].endswith("Z") for row in rows)


def test_pandas_reads_the_csv(store: FolderStore) -> None:
    metrics = {name: values for name, values in METRICS.items() if name != "count"}
    number = add_run(store, metrics=metrics)

    folder = export(store, events_of(store, number))

    table = pd.read_csv(folder / "metrics.csv", parse_dates=["time"], engine="python")
    values = [float(value) for values in metrics.values() for value in values]
    assert [repr(value) for value in table["value"]] == [repr(value) for value in values]
    assert table["time"].dt.tz is not None
    assert (table["time"] - store.get(number).started_at).dt.total_seconds().tolist() == table["t"].tolist()


def test_parquet_has_doubles_and_large_ints_as_text_beside_them(store: FolderStore) -> None:
    number = add_run(store, metrics=METRICS)

    folder = export(store, events_of(store, number), None, "parquet")

    assert names_in(folder) == {"metrics.parquet", "run.json"}
    table = pq.read_table(folder / "metrics.parquet")
    assert table.schema.names == ["name", "step", "value", "t", "time", "exact"]
    assert table.schema.types == [
        pa.string(),
        pa.int64(),
        pa.float64(),
        pa.float64(),
        pa.timestamp("us", tz="UTC"),
        pa.string(),
    ]
    rows = table.to_pylist()
    values = [value for values in METRICS.values() for value in values]
    assert [row["name"] for row in rows] == [name for name, values in METRICS.items() for _ in values]
    for row, value in zip(rows, values, strict=True):
        large = isinstance(value, int) and abs(value) > 2**53
        assert row["exact"] == (str(value) if large else None)
        assert same(
            row["value"], float(value) if abs(value) < 10**300 or value != value else float(f"{value:+}"[0] + "inf")
        )
    started = store.get(number).started_at
    assert [row["time"] for row in rows] == [started + timedelta(seconds=row["t"]) for row in rows]
    assert [row["step"] for row in rows] == [step for values in METRICS.values() for step in range(len(values))]


def test_parquet_without_large_ints_has_no_column_for_them(store: FolderStore) -> None:
    """A float beyond 2**53 is no int, and infinity neither."""
    number = add_run(store, metrics={"x": [1e300, 2**53, -math.inf], "y": [1]})

    folder = export(store, events_of(store, number), None, "parquet")

    table = pd.read_parquet(folder / "metrics.parquet")
    assert list(table.columns) == ["name", "step", "value", "t", "time"]
    assert table["value"].tolist() == [1e300, 2.0**53, -math.inf, 1.0]


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_a_run_that_logged_nothing_has_an_empty_table(store: FolderStore, format: str) -> None:
    number = add_run(store)

    folder = export(store, events_of(store, number), None, format)

    table = pd.read_csv(folder / "metrics.csv") if format == "csv" else pd.read_parquet(folder / "metrics.parquet")
    assert list(table.columns) == ["name", "step", "value", "t", "time"]
    assert len(table) == 0


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_a_name_that_is_no_text_does_not_keep_a_run_from_being_exported(store: FolderStore, format: str) -> None:
    number = add_run(store, metrics={"no\udc80text": [1.5]})

    folder = export(store, events_of(store, number), None, format)

    table = pd.read_csv(folder / "metrics.csv") if format == "csv" else pd.read_parquet(folder / "metrics.parquet")
    assert table["name"].tolist() == ["no\\udc80text"]


def test_the_record_is_the_one_that_the_store_shows(store: FolderStore) -> None:
    number = add_run(
        store,
        config={"lr": 0.1, "odd": math.nan, "name": "ä"},
        metrics=METRICS,
        source={"train.py": "print(1)\n"},
        status=Status.FAILED,
        note="n",
    )

    folder = export(store, events_of(store, number))

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no strict JSON")

    exported = json.loads((folder / "run.json").read_bytes(), parse_constant=refuse)
    assert exported == serial.record_to_json(store.get(number))
    assert exported["status"] == "FAILED"
    assert exported["source"]["files"]


# --- when -------------------------------------------------------------------------------------------------------


def test_nothing_is_written_before_the_end(store: FolderStore) -> None:
    number = add_run(store, metrics={"loss": [1, 2]}, status=None)
    change(store, number, ev.NoteSet, text="so far so good")
    observer = ExportObserver()
    observer.begin(store)

    for event in events_of(store, number):
        observer.handle(event)
        assert names_in(Path(observer.sink)) == set()


@pytest.mark.parametrize("batch", [1, 2, 1000])
@pytest.mark.parametrize("missed", [0, 3, 1000])
def test_whoever_sees_the_end_writes_the_whole_run(store: FolderStore, batch: int, missed: int) -> None:
    """An instance may have taken up the run midway, or at its very end."""
    number = add_run(store, metrics=METRICS)
    started, *between, ended = events_of(store, number)

    folder = export(store, [started, *between[missed:], ended], batch=batch)

    assert len(rows_in(folder)) == 1 + sum(map(len, METRICS.values()))
    assert names_in(folder) == {"metrics.csv", "run.json"}


def test_repeats_write_the_same_again(store: FolderStore) -> None:
    number = add_run(store, metrics=METRICS)
    events = events_of(store, number)
    folder = export(store, events)
    before = contents(folder)

    assert export(store, [*events, events[-1]], batch=1) == folder
    export(store, [events[0], *events[-3:]])

    assert contents(folder) == before


def test_what_is_said_after_the_end_comes_into_the_record(store: FolderStore) -> None:
    """By the instance that saw the end, or by one that comes days later."""
    number = add_run(store, metrics={"loss": [1.0]})
    observer = ExportObserver()
    observer.begin(store)
    observer.handle_many(events_of(store, number))
    folder = Path(observer.sink)
    (folder / "metrics.csv").write_text("mine now")

    change(store, number, ev.TagsChanged, added=("paper",))
    observer.handle(events_of(store, number)[-2])
    assert json.loads((folder / "run.json").read_bytes())["tags"] == ["paper"]
    change(store, number, ev.NoteSet, "note", text="used in fig. 3")
    change(store, number, ev.Judged, "verdict", verdict=Verdict(verdict="identical"))
    started, *others = events_of(store, number)
    export(store, [started, *(event for event in others if event.writer in ("note", "verdict"))])

    exported = json.loads((folder / "run.json").read_bytes())
    assert exported == serial.record_to_json(store.get(number))
    assert (exported["note"], exported["verdict"]["verdict"]) == ("used in fig. 3", "identical")
    assert (folder / "metrics.csv").read_text() == "mine now"


@pytest.mark.parametrize("same_instance", [True, False])
def test_points_of_a_process_that_outlived_the_run_are_added(store: FolderStore, same_instance: bool) -> None:
    number = add_run(store, metrics={"loss": [1.0]})
    events = events_of(store, number)
    observer = ExportObserver()
    observer.begin(store)
    observer.handle_many(events)

    journal = JournalWriter(store.layout.run(number).journal("child"), clock=lambda: 99.0)
    journal.log({"late": 5}, 1)
    journal.close()
    [late] = [event for event in events_of(store, number) if event.writer == "child"]
    if same_instance:
        observer.handle(late)
    else:
        export(store, [events[0], late])

    assert [row[0] for row in rows_in(Path(observer.sink))] == ["name", "loss", "late"]
    assert "late" in json.loads((Path(observer.sink) / "run.json").read_bytes())["metrics"]


def test_points_from_before_the_end_are_no_reason_to_write_it_all_anew(store: FolderStore) -> None:
    """A run that was exported may be delivered from its start again; its end alone writes the files."""
    number = add_run(store, metrics={"loss": list(range(12))})
    *events, ended = events_of(store, number)
    folder = export(store, [*events, ended])
    before = contents(folder)
    for name in before:
        (folder / name).write_bytes(before[name] + b" ")

    export(store, events, batch=5)
    assert contents(folder) == {name: data + b" " for name, data in before.items()}

    export(store, [*events, ended], batch=5)
    assert contents(folder) == before


def test_a_run_without_a_store_is_refused(tmp_path: Path, store: FolderStore) -> None:
    """Nobody can tell what an earlier instance was handed; half a run must not look like a whole one."""
    number = add_run(store, metrics={"loss": [1.0]})
    observer = ExportObserver(str(tmp_path / "out"))

    with pytest.raises(RunStateError, match=r"begin\(store\)"):
        observer.handle(events_of(store, number)[0])
    assert not (tmp_path / "out").exists()


# --- where and how ----------------------------------------------------------------------------------------------


def test_files_lie_in_a_folder_named_by_number_and_experiment(tmp_path: Path, store: FolderStore) -> None:
    number = add_run(store, experiment="my exp/7")
    events = events_of(store, number)

    assert export(store, events) == tmp_path / "runs" / "export" / f"{number}-my_exp_7"
    assert export(store, events, str(tmp_path / "a" / "b")) == tmp_path / "a" / "b" / f"{number}-my_exp_7"


def test_a_relative_folder_is_below_the_working_directory(
    tmp_path: Path, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    number = add_run(store)

    assert export(store, events_of(store, number), "out") == tmp_path / "out" / f"{number}-digits"


def test_runs_of_two_stores_do_not_overwrite_each_other(tmp_path: Path, store: FolderStore) -> None:
    stores = [store, make_store(tmp_path / "others")]
    for value, each in enumerate(stores):
        assert add_run(each, metrics={"loss": [value]}) == 1
    for _ in range(2):
        folders = [export(each, events_of(each, 1), str(tmp_path / "out")) for each in stores]

    assert folders[0] == tmp_path / "out" / "1-digits"
    assert folders[1] == tmp_path / "out" / f"1-digits-{stores[1].get(1).uid}"
    assert [rows_in(folder)[1][2] for folder in folders] == ["0", "1"]


def test_many_runs_that_claim_one_name_at_once_each_get_a_folder(tmp_path: Path) -> None:
    stores = [make_store(tmp_path / str(index)) for index in range(12)]
    for each in stores:
        add_run(each, metrics={"loss": [1]})
    folders: list[Path] = []
    barrier = threading.Barrier(len(stores))

    def work(each: FolderStore) -> None:
        events = events_of(each, 1)
        barrier.wait()
        folders.append(export(each, events, str(tmp_path / "out")))

    threads = [threading.Thread(target=work, args=(each,)) for each in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    uids = {json.loads((folder / "run.json").read_bytes())["uid"] for folder in folders}
    assert len(set(folders)) == len(uids) == len(stores)


def test_readers_never_see_a_file_in_the_making(store: FolderStore) -> None:
    number = add_run(store, metrics={"loss": [0.5] * 3000})
    events = events_of(store, number)
    folder = export(store, events)
    wanted = contents(folder)
    done = threading.Event()

    def write() -> None:
        for _ in range(10):
            export(store, [events[0], events[-1]])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        for name in wanted:
            assert (folder / name).read_bytes() == wanted[name]
    writer.join()
    assert names_in(folder) == set(wanted)


def test_a_failure_leaves_the_old_files_and_nothing_half_made(store: FolderStore) -> None:
    number = add_run(store, metrics={"loss": [1.0]})
    events = events_of(store, number)
    folder = export(store, events)
    before = contents(folder)
    observer = ExportObserver()
    observer.begin(Failing(store))

    observer.handle(events[0])
    with pytest.raises(OSError, match="gone"):
        observer.handle(events[-1])

    assert contents(folder) == before


class Failing:
    """A store whose points cannot be read any more, after the first of them."""

    def __init__(self, store: FolderStore) -> None:
        self._store = store
        self.url = store.url
        self.root = store.root

    def metrics(self, ref: str | int, name: str) -> Any:
        series = self._store.metrics(ref, name)

        class Exact(list[float | int]):
            def __iter__(self) -> Any:
                raise OSError("gone")

        return replace(series, exact=Exact(series.exact))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_a_folder_that_cannot_be_made_counts_as_out_of_reach(tmp_path: Path, store: FolderStore) -> None:
    number = add_run(store)
    (tmp_path / "blocked").touch()

    with pytest.raises(OSError, match="blocked"):
        export(store, events_of(store, number), str(tmp_path / "blocked" / "out"))


def test_files_may_be_read_by_others_as_far_as_the_umask_allows(store: FolderStore) -> None:
    number = add_run(store)
    before = os.umask(0o027)
    try:
        folder = export(store, events_of(store, number))
    finally:
        os.umask(before)

    assert {path.stat().st_mode & 0o777 for path in (folder / "run.json", folder / "metrics.csv")} == {0o640}


# --- making one -------------------------------------------------------------------------------------------------


def test_the_observer_is_what_its_configuration_says() -> None:
    text = (Path(anew.configs.__file__).parent / "anew" / "observers" / "export.yaml").read_text()

    observer = build_observer("export", yaml.safe_load(text))

    assert isinstance(observer, ExportObserver)
    assert isinstance(observer, Observer)
    assert isinstance(observer, Beginning)
    assert isinstance(observer, Batching)


def test_an_unknown_format_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'xlsx'.*csv, parquet"):
        ExportObserver(format="xlsx")


def test_without_pyarrow_csv_works_and_parquet_names_its_extra(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    number = add_run(store, metrics={"loss": [1.0]})

    assert len(rows_in(export(store, events_of(store, number)))) == 2
    with pytest.raises(MissingExtraError, match=r"pip install 'anew\[parquet\]'"):
        ExportObserver(format="parquet")
