"""Runs that are asked for once are what a store says of them; the index hears of long ones alone."""

from __future__ import annotations

from pathlib import Path

from anew.runner.guard.shrinking import shrink
from anew.runner.records import Status
from anew.runner.store.folder import FolderStore
from anew.runner.store.once import ReadOnce
from tests.helpers.stores import add_run, make_store


def test_runs_that_are_asked_for_once_are_read_as_by_the_store(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    add_run(store, metrics={"loss": [1.0, 0.5]}, result=3)
    add_run(store, status=Status.FAILED)
    add_run(store, metrics={"loss": [0.1] * 20_000})
    store.claim()
    numbers = [1, 2, 3, 4, 9]

    found = ReadOnce(store).runs(numbers)

    assert FolderStore(tmp_path / "runs").unread() == [4, 2, 1], "a long journal is not read twice"
    assert found == store.runs(numbers)
    assert sorted(found) == [1, 2, 3]
    assert found[1].result == 3
    assert found[1].metrics["loss"].last == 0.5


def test_a_long_journal_that_is_compressed_already_is_long(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    add_run(store, metrics={"loss": [0.5] * 20_000})
    assert shrink(str(store.layout.run(1).folder)) == ["main"]

    [record] = ReadOnce(store).runs([1]).values()

    assert FolderStore(tmp_path / "runs").unread() == []
    assert record.metrics["loss"].count == 20_000
