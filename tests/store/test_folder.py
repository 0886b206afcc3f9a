"""The embedded store: numbers, references and what is read back. Faults are in test_store_faults.py."""

from __future__ import annotations

import io
import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anew.runner import events as ev
from anew.runner.errors import (
    AmbiguousRefError,
    FilterError,
    MetricNotFoundError,
    MissingExtraError,
    ObjectNotFoundError,
    RefSyntaxError,
    RunNotFoundError,
    StoreError,
    StoreFormatError,
)
from anew.runner.format import ids
from anew.runner.format.replay import replay
from anew.runner.guard.store_format import NEWEST
from anew.runner.records import ContentRef, RunRecord, Status, SweepMembership
from anew.runner.store import format_file, liveness
from anew.runner.store.curate import delete, purge, restore
from anew.runner.store.folder import FolderStore
from anew.runner.store.journal import JournalWriter
from anew.runner.store.locate import default_store_path, open_store
from tests.format.test_serial import a_record
from tests.helpers.stores import add_run, make_store
from tests.helpers.waiting import until

DEADLINE_S = 20


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return make_store(tmp_path / "runs")


def started(store: FolderStore, **changes: Any) -> RunRecord:
    """Start a run in this process and leave it so."""
    number, _ = store.claim()
    now = datetime.now(timezone.utc)
    record = a_record(**{"started_at": now, "process": liveness.process_facts(), "id": number, **changes})
    store.start(number, record)
    return record


def ending(record: RunRecord, **changes: Any) -> ev.RunEnded:
    ended = ev.RunEnded(
        uid=record.uid,
        writer="outcome",
        q=0,
        t=3.0,
        status=Status.COMPLETED,
        ended_at=record.started_at + timedelta(seconds=3),
        duration_s=3.0,
    )
    return replace(ended, **changes)


# --- a place for runs -------------------------------------------------------------------------------------------


def test_a_new_store_is_a_format_and_a_folder_that_git_passes_over(tmp_path: Path) -> None:
    store = FolderStore.open(tmp_path / "deep" / "down" / "runs", create=True)
    assert {path.name: path.read_text() for path in store.root.iterdir()} == {"FORMAT": "1\n", ".gitignore": "*\n"}
    assert store.find() == []
    assert store.numbers() == []


def test_without_leave_no_store_is_made(tmp_path: Path) -> None:
    for folder in (tmp_path / "missing", tmp_path):
        with pytest.raises(StoreError, match=r"no store of runs in .*To make one, run an experiment.*--store FOLDER"):
            FolderStore.open(folder)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_store_and_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "runs"
    path.write_text("mine")
    for create in (False, True):
        with pytest.raises(StoreError, match=r"runs' is a file; a store is a folder.*--store FOLDER"):
            FolderStore.open(path, create=create)
    with pytest.raises(StoreError, match="Cannot open the store"):
        FolderStore.open(path / "below", create=True)
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("file/runs", "A part of that path is a file; name another store: --store FOLDER"),
        ("x" * 300, "Name a store with a shorter path: --store FOLDER"),
        ("a\0b", r"has a NUL in it, as no path may: 'a\x00b'. Name a folder: --store FOLDER"),
        ("~nobody.is.called.so/runs", "There is no such home as in '~nobody.is.called.so/runs'. Name a folder"),
    ],
)
def test_a_place_where_no_store_can_be_made_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as said:
        open_store(name, create=True)
    assert why in str(said.value)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(StoreError, match=r"such as 'thesis.tex', and is left alone.*--store FOLDER"):
        FolderStore.open(tmp_path, create=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_store_of_a_newer_format_is_not_touched(store: FolderStore) -> None:
    add_run(store)
    store.layout.format.write_text(f"{NEWEST + 1}\n")
    told = rf"has format {NEWEST + 1}; this version.*up to {NEWEST}.*pip install --upgrade anew"
    with pytest.raises(StoreFormatError, match=told):
        FolderStore.open(store.root, create=True)


@pytest.mark.parametrize("text", ["", "one", "-1", "²", "1\n2"])
def test_a_format_that_makes_no_sense_is_refused(store: FolderStore, text: str) -> None:
    store.layout.format.write_text(text, encoding="utf-8")
    with pytest.raises(
        StoreFormatError, match="not the number of a format: it is damaged, or this is no store of anew"
    ):
        FolderStore.open(store.root)


def test_the_place_is_named_or_in_the_environment_or_in_the_project(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "deep").mkdir()
    assert default_store_path(project / "deep") == project / "runs"
    assert open_store(create=True).url == str(project / "runs")
    monkeypatch.setenv("ANEW_STORE", str(tmp_path / "other"))
    assert open_store(create=True).url == str(tmp_path / "other")
    assert open_store("here", create=True).url == str(project / "here")
    assert open_store(f"file://{project}/here").url == str(project / "here")
    with pytest.raises(StoreError, match=r"redis://.*opens folders and .*mongodb://.*--store FOLDER") as caught:
        open_store("redis://me:secret@host/db")
    assert "secret" not in str(caught.value)


def test_to_look_at_the_store_is_found_further_up_unless_a_project_begins_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / "experiment" / "sub" / "deep"
    deep.mkdir(parents=True)
    store = open_store(tmp_path / "experiment" / "runs", create=True)
    monkeypatch.chdir(deep)
    assert open_store().url == store.url
    monkeypatch.chdir(store.url)
    assert open_store().url == store.url
    monkeypatch.chdir(deep)
    assert open_store(create=True).url == str(deep / "runs")
    (deep.parent / "pyproject.toml").touch()
    (deep / "runs" / "FORMAT").unlink()
    with pytest.raises(StoreError, match=rf"There is no store of runs in '{deep.parent}/runs'"):
        open_store()


@pytest.mark.parametrize("name", ["", " "])
def test_a_store_without_a_name_is_refused(project: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(create=True)
    with pytest.raises(StoreError, match=r"name is empty.*--store FOLDER"):
        open_store(name)
    monkeypatch.setenv("ANEW_STORE", "")
    assert open_store().url == str(project / "runs")


# --- numbers ----------------------------------------------------------------------------------------------------


def test_numbers_are_counted_from_one_and_one_that_never_started_is_no_run(store: FolderStore) -> None:
    assert [store.claim()[0] for _ in range(3)] == [1, 2, 3]
    assert store.numbers() == [3, 2, 1]
    assert store.find() == []


def test_a_number_is_never_given_again(store: FolderStore) -> None:
    """Neither by the store that gave it, nor by another instance, whatever has become of the run meanwhile."""
    others = FolderStore.open(store.root)
    assert add_run(store) == 1
    assert add_run(others) == 2
    delete(others, 2)
    assert store.claim()[0] == 3, "2 is in the trash"
    assert add_run(others) == 4
    delete(others, 4)
    purge(others)
    assert store.claim()[0] == 5, "2 and 4 were purged"
    store.abandon(5)
    assert FolderStore.open(store.root).claim()[0] == 6, "5 was given to a run that did not come about"


def test_deleted_and_purged_while_another_was_about_to_claim(store: FolderStore) -> None:
    """The instance that knows only run 1 must not give out what others have used and thrown away since."""
    slow = FolderStore.open(store.root)
    slow.claim()
    for _ in range(3):
        delete(store, add_run(store))
    purge(store, [3])
    assert slow.claim()[0] == 5
    assert [restore(store, number) for number in (2, 4)] == [2, 4]
    assert store.numbers() == [5, 4, 2, 1]


def test_what_is_no_run_does_not_disturb_the_store(store: FolderStore) -> None:
    add_run(store)
    for name in ("notes.txt", "²", "007", "1e3", "٣", "2"):
        (store.root / name).write_text("mine")
    (store.root / "3").mkdir()
    assert [record.id for record in store.find()] == [1]
    assert store.get("last").id == 1
    assert store.claim()[0] == 4
    with pytest.raises(RunNotFoundError):
        store.get(2)


def test_a_run_is_started_once_and_ended_once(store: FolderStore) -> None:
    record = started(store)
    with pytest.raises(StoreError, match=r"Run 1 .* has started already"):
        store.start(1, a_record())
    assert store.finish(1, ending(record))
    assert not store.finish(1, ending(record, status=Status.FAILED))
    assert store.get(1).status is Status.COMPLETED
    assert not [path.name for path in store.layout.run(1).folder.iterdir() if path.name.startswith(".")]


def test_of_many_who_end_a_run_one_wins(store: FolderStore) -> None:
    record = started(store)
    won: list[int] = []

    def finish(number: int) -> None:
        if store.finish(1, ending(record, exit_code=number)):
            won.append(number)

    threads = [threading.Thread(target=finish, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.get(1).exit_code] == won


def test_an_abandoned_claim_leaves_nothing_to_read_and_a_run_is_not_abandoned(store: FolderStore) -> None:
    number, layout = store.claim()
    (layout.folder / "config.yaml").write_text("x: 1\n")
    layout.files.mkdir()
    (layout.files / "dangling").symlink_to("nowhere")
    store.abandon(number)
    assert store.find() == []
    assert not layout.files.exists()
    started(store)
    store.abandon(2)
    assert store.get(2).id == 2


def test_sweeps_have_numbers_of_their_own(store: FolderStore) -> None:
    add_run(store)
    assert [store.claim_sweep()[0] for _ in range(2)] == [1, 2]
    assert FolderStore.open(store.root).claim_sweep() == (3, store.root / "sweeps" / "3")


# --- references -------------------------------------------------------------------------------------------------


def test_runs_are_found_by_every_form_of_reference(store: FolderStore) -> None:
    for index in range(3):
        record = started(store, sweep=SweepMembership(id=7, index=index))
        store.finish(record.id or 0, ending(record))
    last = store.get(3)
    for ref in (3, "3", " 3 ", last.uid, last.uid.upper(), last.uid[:20], "last", "last~0", "sweep:7/2"):
        assert store.resolve(ref) == 3, ref
    assert store.resolve("last~2") == 1
    assert store.resolve("sweep:7/0") == 1


def test_last_passes_over_what_never_started(store: FolderStore) -> None:
    add_run(store)
    add_run(store)
    store.claim()
    assert [store.resolve(ref) for ref in ("last", "last~1")] == [2, 1]


def test_a_uid_is_found_before_and_after_its_run_is_in_the_index(store: FolderStore) -> None:
    going = started(store)
    ended = store.get(add_run(store))
    for _ in range(2):
        assert (store.resolve(going.uid), store.resolve(ended.uid)) == (1, 2)
        store.find()
    delete(store, 2)
    with pytest.raises(RunNotFoundError):
        store.resolve(ended.uid)


def test_the_index_is_not_believed_when_it_names_another_run(store: FolderStore) -> None:
    first, second = store.get(add_run(store)), store.get(add_run(store))
    store.find()
    store.layout.run(1).folder.rename(store.root / "aside")
    store.layout.run(2).folder.rename(store.layout.run(1).folder)
    assert store.resolve(second.uid) == 1
    with pytest.raises(RunNotFoundError):
        store.resolve(first.uid)


@pytest.mark.parametrize("ref", [9, "last~9", "sweep:7/3", "7zzz"])
def test_a_reference_to_nothing_says_what_there_is(store: FolderStore, ref: str | int) -> None:
    with pytest.raises(RunNotFoundError, match=r"it holds no runs.*anew list"):
        store.get(ref)
    add_run(store)
    with pytest.raises(RunNotFoundError, match=r"it holds one run, 1\)"):
        store.get(ref)
    add_run(store)
    with pytest.raises(RunNotFoundError) as caught:
        store.get(ref)
    way = f"To see them: anew list --store {store.url}"
    assert str(caught.value) == f"No run {str(ref)!r} in {store.url} (it holds 2 runs, 1 to 2). {way}"
    assert caught.value.fields == {"ref": str(ref), "store": store.url}


def test_a_deleted_run_is_offered_back(store: FolderStore) -> None:
    add_run(store)
    delete(store, 1)
    with pytest.raises(RunNotFoundError, match="Run 1 was deleted; to have it back: anew restore 1"):
        store.get(1)


def test_an_ambiguous_uid_names_the_runs_it_could_be(store: FolderStore) -> None:
    uids = [store.get(add_run(store)).uid for _ in range(7)]
    with pytest.raises(AmbiguousRefError, match=r"beginning of several uids: runs 1 \(") as caught:
        store.get(uids[0][:6])
    assert uids[0] in str(caught.value)
    assert "and 2 more. Give more of it, or the number." in str(caught.value)
    assert caught.value.fields["candidates"] == (1, 2, 3, 4, 5, 6, 7)


@pytest.mark.parametrize("ref", ["", "last~-1", "../1", "0", "sweep:7", "latest", "-1"])
def test_what_is_no_reference_is_refused(store: FolderStore, ref: str) -> None:
    """ "0" is the beginning of every uid, and of none in an empty store."""
    with pytest.raises((RefSyntaxError, RunNotFoundError)):
        store.get(ref)


# --- records ----------------------------------------------------------------------------------------------------


def test_a_record_is_the_replay_of_its_events(store: FolderStore) -> None:
    number = add_run(
        store,
        config={"lr": 0.1, "model": {"name": "mlp"}},
        metrics={"loss": [3.0, math.inf, 1.0], "n": [2**70]},
        result={"best": 0.5},
        artifacts={"model.bin": b"weights"},
        source={"train.py": "print()"},
        tags=["a"],
    )
    record = store.get(number)
    events = list(store.events(number))
    assert isinstance(events[0], ev.RunStarted)
    assert isinstance(events[-1], ev.RunEnded)
    assert replay(events[0].record, events[1:]) == record
    assert record.metrics["n"].last == 2**70
    assert record.result == {"best": 0.5}
    assert record.artifacts[0].path == "model.bin"
    assert record.duration_s == 12.5
    with store.open_object(record.artifacts[0].sha256) as file:
        assert file.read() == b"weights"
    with pytest.raises(ObjectNotFoundError, match="anew check"):
        store.open_object("ab" * 32)


def test_runs_are_listed_newest_first_by_number_and_sorted_by_what_is_asked(store: FolderStore) -> None:
    for loss in (0.3, 0.1, math.nan, 0.2):
        add_run(store, metrics={"loss": [loss]})
    add_run(store)
    assert [record.id for record in store.find()] == [5, 4, 3, 2, 1]
    assert [record.id for record in store.find(sort="loss")][:3] == [2, 4, 1]
    assert [record.id for record in store.find(sort="-loss", limit=2)] == [1, 4]
    assert [record.id for record in store.find("loss < 0.25")] == [4, 2]
    assert [record.id for record in store.find("loss < 0.25", limit=1)] == [4]
    assert store.find(limit=0) == []
    with pytest.raises(FilterError):
        store.find("loss <")


def test_a_limit_counts_runs_not_claims(store: FolderStore) -> None:
    for _ in range(3):
        add_run(store)
        store.claim()
    assert [record.id for record in store.find(limit=2)] == [5, 3]


# --- metrics ----------------------------------------------------------------------------------------------------


def test_a_series_is_merged_over_all_writers_in_order_of_time(store: FolderStore) -> None:
    record = started(store)
    layout = store.layout.run(1)
    times = {"main": (1.0, 4.0, 4.0), "worker-1": (2.0, 3.0, 9.0), "worker-2": (0.5,)}
    for name, moments in times.items():
        clock = iter(moments)
        journal = JournalWriter(layout.journal(name), clock=clock.__next__)
        for step, moment in enumerate(moments):
            journal.log({"loss": moment, f"{name}/x": step})
        journal.close()
    series = store.metrics(record.uid, "loss")
    assert series.times.tolist() == series.values.tolist() == [0.5, 1.0, 2.0, 3.0, 4.0, 4.0, 9.0]
    assert series.steps.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert (series.name, series.steps.dtype, series.values.dtype) == ("loss", np.dtype("int64"), np.dtype("float64"))
    summary = store.get(1).metrics["loss"]
    assert (summary.count, summary.last, summary.min, summary.max) == (7, 9.0, 0.5, 9.0)


def test_numbers_beyond_a_float_are_exact_beside_the_series(store: FolderStore) -> None:
    add_run(store, metrics={"n": [2**70, -(10**400), 1.5, math.nan]})
    series = store.metrics(1, "n")
    assert list(series.exact[:3]) == [2**70, -(10**400), 1.5]
    assert series.values.tolist()[:3] == [float(2**70), -math.inf, 1.5]
    assert math.isnan(series.values[3])


def test_a_name_is_not_taken_for_one_that_ends_alike(store: FolderStore) -> None:
    add_run(store, metrics={"loss": [1.0], "val/loss": [2.0], 'a"b': [3.0], "ü": [4.0]})
    assert [store.metrics(1, name).values.tolist() for name in ("loss", "val/loss", 'a"b', "ü")] == [
        [1.0],
        [2.0],
        [3.0],
        [4.0],
    ]


def test_a_metric_that_is_not_there_names_those_that_are(store: FolderStore) -> None:
    add_run(store, metrics={"loss": [1.0], "accuracy": [2.0]})
    add_run(store)
    with pytest.raises(MetricNotFoundError, match=r"no metric 'los'; it has: accuracy, loss. Did you mean 'loss'\?"):
        store.metrics(1, "los")
    with pytest.raises(MetricNotFoundError, match=r"it has none. To see them: anew metrics 2"):
        store.metrics("last", "loss")


# --- output -----------------------------------------------------------------------------------------------------


def test_output_is_read_as_it_was_written_and_what_is_no_text_is_escaped(store: FolderStore) -> None:
    add_run(store, output="one\ntwo ü\n")
    assert "".join(store.output(1)) == "one\ntwo ü\n"
    add_run(store)
    assert list(store.output(2)) == []
    store.layout.run(2).output.write_bytes(b"\xff ok \xc3")
    assert "".join(store.output(2)) == "\\xff ok \\xc3"
    with pytest.raises(RunNotFoundError):
        store.output(3)


def test_a_character_on_the_border_of_two_pieces_stays_whole(store: FolderStore) -> None:
    text = "x" * (2**20 - 1) + "ü" + "y" * 10
    add_run(store, output=text)
    assert "".join(store.output(1)) == text


def following(store: FolderStore, number: int) -> tuple[io.StringIO, threading.Thread]:
    """Follow a run's output in a thread; what came so far is in the buffer."""
    came = io.StringIO()
    pieces: Iterator[str] = store.output(number, follow=True)
    thread = threading.Thread(target=lambda: [came.write(piece) for piece in pieces])
    thread.start()
    return came, thread


def wait_for(came: io.StringIO, text: str) -> None:
    until(lambda: came.getvalue() == text, f"the end of {text[-100:]!r}", seconds=DEADLINE_S)


def test_output_is_followed_line_by_line_until_the_run_has_ended(store: FolderStore) -> None:
    record = started(store)
    came, thread = following(store, 1)
    with store.layout.run(1).output.open("a", buffering=1) as log:
        log.write("one\n")
        wait_for(came, "one\n")
        log.write("50 %")
        log.write("two\n")
        wait_for(came, "one\n50 %two\n")
        log.write("unfinished")
    store.finish(1, ending(record))
    thread.join(DEADLINE_S)
    assert came.getvalue() == "one\n50 %two\nunfinished"


def test_following_is_not_held_up_by_a_very_long_line(store: FolderStore) -> None:
    record = started(store)
    came, thread = following(store, 1)
    long = "x" * (3 * 2**20)
    with store.layout.run(1).output.open("a", buffering=1) as log:
        log.write(f"{long}\nnext\n")
        wait_for(came, f"{long}\nnext\n")
    store.finish(1, ending(record))
    thread.join(DEADLINE_S)


def test_following_ends_when_the_run_dies_without_an_outcome(store: FolderStore) -> None:
    script = """
import sys, time
from pathlib import Path
from tests.helpers.waiting import until
from tests.helpers.stores import add_run
from anew.runner.store.folder import FolderStore
add_run(FolderStore.open(Path(sys.argv[1])), status=None, output="last words\\n")
print(flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script, store.root], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        came, thread = following(store, 1)
        wait_for(came, "last words\n")
        assert thread.is_alive()
        process.kill()
        process.wait()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    assert store.get(1).status is Status.LOST


# --- tables -----------------------------------------------------------------------------------------------------


def test_a_table_has_a_row_per_run_and_a_column_per_thing(store: FolderStore) -> None:
    add_run(store, config={"lr": 0.1, "model": {"width": 3, "empty": {}}}, metrics={"loss": [2.0, 1.0]}, tags=["a"])
    add_run(store, config={"lr": 0.2}, metrics={"loss": [0.5]}, status=Status.FAILED)
    table = store.table()
    assert table["id"].tolist() == [2, 1]
    assert table["loss"].tolist() == [0.5, 1.0]
    assert table["status"].tolist() == ["FAILED", "COMPLETED"]
    assert table["config.model.width"].tolist()[1] == 3
    assert table["config.model.empty"].tolist()[1] == {}
    assert math.isnan(table["config.model.width"][0])
    assert table["tags"].tolist() == [[], ["a"]]
    assert str(table["started_at"].dtype).endswith("UTC]")
    assert store.table("lr > 0.15", sort="id", limit=1)["id"].tolist() == [2]


def test_a_table_of_nothing_has_its_columns_all_the_same(store: FolderStore) -> None:
    table = store.table()
    assert list(table.columns) == ["id", "uid", "experiment", "status", "started_at", "duration_s", "result", "tags"]
    assert len(table) == 0


def test_a_metric_does_not_take_the_place_of_a_column(store: FolderStore) -> None:
    add_run(store, metrics={"status": [3.0], "duration_s": [4.0]})
    table = store.table()
    assert table["status"].tolist() == ["COMPLETED"]
    assert table["duration_s"].tolist() == [12.5]
    assert table["metrics.status"].tolist() == [3.0]


def test_without_pandas_a_table_names_the_extra(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'anew\[pandas\]'"):
        store.table()


# --- threads and forks ------------------------------------------------------------------------------------------


def test_threads_share_a_store(store: FolderStore) -> None:
    numbers: list[int] = []

    def work() -> None:
        for _ in range(5):
            numbers.append(add_run(store, metrics={"loss": [1.0]}))
            assert store.get(numbers[-1]).status is Status.COMPLETED
            store.find(limit=3)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 21))
    assert len(store.find("status == COMPLETED")) == 20


def test_reading_changes_no_file_but_the_index(store: FolderStore) -> None:
    add_run(store, metrics={"loss": [1.0]}, output="x\n", artifacts={"a": b"b"})
    started(store, process=replace(liveness.process_facts(), boot_id="elsewhere", hostname="elsewhere"))

    def state() -> dict[str, tuple[int, int]]:
        return {
            str(path): (path.stat().st_mtime_ns, path.stat().st_size)
            for path in store.root.rglob("*")
            if not path.name.startswith("index.sqlite")
        }

    before = state()
    for _ in range(2):
        store.find()
        store.get(2)
        store.table()
        list(store.output(1))
        list(store.events(1))
        store.metrics(1, "loss")
    assert state() == before
    assert os.listdir(store.root).count("index.sqlite") == 1


def test_content_can_be_referred_to_by_many_runs(store: FolderStore) -> None:
    shas = {store.get(add_run(store, source={"train.py": "same"})).source.files[0].sha256 for _ in range(3)}
    assert len(shas) == 1
    assert list(store.objects.all()) == list(shas)
    assert ContentRef(path="train.py", sha256=shas.pop(), size=4, mode=0o644) in store.get(1).source.files


def test_uids_of_runs_sort_as_their_numbers(store: FolderStore) -> None:
    uids = [store.get(add_run(store)).uid for _ in range(5)]
    assert uids == sorted(uids)
    assert all(len(uid) == ids.UID_LENGTH for uid in uids)


def test_of_two_who_think_a_number_free_one_gets_it(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is made exclusively: that nobody seems to have a number says nothing."""
    monkeypatch.setattr(FolderStore, "_greatest", lambda self: 0)

    assert [FolderStore.open(store.root).claim()[0] for _ in range(3)] == [1, 2, 3]


def test_a_format_is_read_again_once_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run of a process asks whether the store is still one that it can write."""
    store = FolderStore.open(tmp_path / "runs", create=True)
    monkeypatch.setattr(format_file, "YOUNG_NS", 0)
    format_file.check_format(store.root, 1)
    with monkeypatch.context() as patch:
        patch.setattr(format_file, "read_regular", None)
        format_file.check_format(store.root, 1)
    store.layout.format.write_text("2\n")

    with pytest.raises(StoreFormatError, match="has format 2"):
        format_file.check_format(store.root, 1)
