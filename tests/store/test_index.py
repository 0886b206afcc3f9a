"""The index is derived: whatever becomes of it, the runs are listed as they are."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from anew.runner.records import Status
from anew.runner.store import folder
from anew.runner.store.curate import delete, note, restore, tag
from anew.runner.store.folder import FolderStore
from tests.helpers.stores import add_run, make_store


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    store = make_store(tmp_path / "runs")
    for lr in (0.1, 0.2, 0.3):
        add_run(store, config={"lr": lr}, metrics={"loss": [lr]})
    assert listed(store) == [(3, 0.3), (2, 0.2), (1, 0.1)]
    return store


def listed(store: FolderStore) -> list[tuple[int | None, float]]:
    return [(record.id, record.metrics["loss"].last) for record in FolderStore.open(store.root).find()]


def test_a_finished_run_is_read_once(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "read_run", pytest.fail)
    assert listed(store) == [(3, 0.3), (2, 0.2), (1, 0.1)]


@pytest.mark.parametrize("content", [b"", b"rubbish" * 1000, b"SQLite format 3\0" + bytes(4000)])
def test_a_damaged_index_is_built_anew(store: FolderStore, content: bytes) -> None:
    store.layout.index.write_bytes(content)
    assert listed(store) == [(3, 0.3), (2, 0.2), (1, 0.1)]
    assert listed(store) == [(3, 0.3), (2, 0.2), (1, 0.1)]


def test_an_index_of_another_version_or_a_folder_in_its_place(store: FolderStore) -> None:
    with sqlite3.connect(store.layout.index) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    assert listed(store) == [(3, 0.3), (2, 0.2), (1, 0.1)]
    store.layout.index.unlink()
    store.layout.index.mkdir()
    assert listed(store) == [(3, 0.3), (2, 0.2), (1, 0.1)]


def test_a_locked_index_does_not_hold_up_a_reader(store: FolderStore) -> None:
    database = sqlite3.connect(store.layout.index)
    database.execute("BEGIN EXCLUSIVE")
    assert listed(store) == [(3, 0.3), (2, 0.2), (1, 0.1)]
    database.rollback()
    database.close()


def test_what_is_curated_later_is_seen(store: FolderStore) -> None:
    tag(store, 2, ["good"])
    note(store, 1, "so")
    assert [(record.tags, record.note) for record in store.find()] == [((), None), (("good",), None), ((), "so")]
    delete(store, 2)
    assert [record.id for record in store.find()] == [3, 1]
    restore(store, 2)
    assert [record.tags for record in store.find("id == 2")] == [("good",)]


def test_a_run_without_outcome_is_looked_at_every_time(store: FolderStore) -> None:
    number = add_run(store, status=None)
    assert store.find(limit=1)[0].status is Status.RUNNING
    record = store.layout.run(number).record
    record.with_name("outcome.json").write_bytes(b"torn")
    found = store.find(limit=1)[0]
    assert found.status is Status.LOST
    assert any("outcome.json is damaged" in text for text in found.warnings)
