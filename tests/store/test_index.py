"""The index is derived: whatever becomes of it, the runs are listed as they are."""

from __future__ import annotations

import errno
import os
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from anew.runner.records import Status
from anew.runner.store import columns, folder
from anew.runner.store.curate import delete, note, restore, tag
from anew.runner.store.folder import FolderStore
from anew.runner.store.index_file import IndexFile, is_remote
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
    monkeypatch.setattr(folder, "read_further", pytest.fail)
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


@pytest.mark.parametrize("ask", [
    lambda store: store.find(),
    lambda store: store.find("loss > 0.15", sort="loss"),
    lambda store: store.series(1, "loss"),
    lambda store: store.metrics(1, "loss"),
    lambda store: store._index.lacking(),
])  # fmt: skip
def test_an_index_that_is_locked_while_it_is_read_is_kept(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, ask: Callable[[FolderStore], Any]
) -> None:
    """A writer may take longer than a reader waits; that others know much of the store is in the same file."""
    monkeypatch.setattr(columns, "LEAST_BYTES", 1)
    expected = ask(store)
    before = store.layout.index.stat().st_ino
    writer = sqlite3.connect(store.layout.index, check_same_thread=False, isolation_level=None)
    unlocked = IndexFile.open

    def opened(file: IndexFile) -> sqlite3.Connection:
        if writer.in_transaction:
            writer.rollback()
        database = unlocked(file)
        database.execute("PRAGMA busy_timeout = 1")
        writer.execute("BEGIN EXCLUSIVE")
        return database

    with closing(writer), monkeypatch.context() as locked:
        locked.setattr(IndexFile, "open", opened)
        assert repr(ask(FolderStore.open(store.root))) == repr(expected) or ask.__code__.co_names[-1] == "lacking"
    assert store.layout.index.stat().st_ino == before
    assert repr(ask(FolderStore.open(store.root))) == repr(expected)


@pytest.mark.parametrize(
    "name", ["run.json", "outcome.json", "events", "events/main.jsonl", "output.log", "curated.json"]
)
def test_what_could_not_be_read_once_is_read_again(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A process that had no descriptor left has some again, and no file has changed by that."""
    expected = repr(store.find("loss > 0", sort="loss"))
    store.layout.index.unlink()
    server = FolderStore.open(store.root)
    refused = str(store.layout.run(2).folder / name)
    with monkeypatch.context() as out_of_descriptors:
        for module, call in ((os, "open"), (os, "listdir"), (os, "scandir")):
            out_of_descriptors.setattr(module, call, _refusing(getattr(module, call), refused))
        server.find("loss > 0", sort="loss")
        found = server.find("id == 2")
    assert all("look again" in damage.mend for run in found for damage in run.damage if "cannot be read" in damage.what)
    assert repr(server.find("loss > 0", sort="loss")) == expected
    assert listed(store) == [(3, 0.3), (2, 0.2), (1, 0.1)]


def _refusing(call: Callable[..., Any], refused: str) -> Callable[..., Any]:
    def called(path: Any, *args: Any, **options: Any) -> Any:
        if str(path) == refused:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), refused)
        return call(path, *args, **options)

    return called


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


def test_no_flipped_bit_shows_another_value(store: FolderStore) -> None:
    whole = store.layout.index.read_bytes()
    chance = random.Random(8)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 1, 1, 20))):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        store.layout.index.write_bytes(data)
        assert listed(store) == [(3, 0.3), (2, 0.2), (1, 0.1)]
        fresh = FolderStore.open(store.root)
        assert fresh.get(store.get(2).uid).id == 2


def test_a_row_that_is_odd_is_read_afresh_and_the_file_is_replaced(store: FolderStore) -> None:
    with sqlite3.connect(store.layout.index) as database:
        database.execute("UPDATE runs SET record = replace(record, '0.2', '0.9') WHERE id = 2")
    database.close()

    assert listed(store) == [(3, 0.3), (2, 0.2), (1, 0.1)]
    assert not store.layout.index.exists()
    assert listed(store) == [(3, 0.3), (2, 0.2), (1, 0.1)]
    assert store.layout.index.exists()


@pytest.mark.parametrize("column", ["uid", "stamp", "record", "follow", "crc"])
@pytest.mark.parametrize("value", ["NULL", "'x'", "x'ff'", "1.5", "-9223372036854775808"])
def test_a_value_of_any_type_in_any_column(store: FolderStore, column: str, value: str) -> None:
    with sqlite3.connect(store.layout.index) as database:
        database.execute(f"UPDATE runs SET {column} = {value}")
    database.close()

    assert listed(store) == [(3, 0.3), (2, 0.2), (1, 0.1)]


def test_a_schema_that_is_not_ours_is_not_run(store: FolderStore) -> None:
    """A view without end would hold every reader up."""
    with closing(sqlite3.connect(store.layout.index)) as database:
        version = database.execute("PRAGMA user_version").fetchone()[0]
    store.layout.index.unlink()
    with sqlite3.connect(store.layout.index) as database:
        database.execute(
            "CREATE VIEW runs AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
            "SELECT x AS id, 'u' AS uid, 1 AS stamp, '{}' AS record, 1 AS crc FROM n"
        )
        database.execute(f"PRAGMA user_version = {version}")
    database.close()

    assert listed(store) == [(3, 0.3), (2, 0.2), (1, 0.1)]


@pytest.mark.parametrize("suffix", ["", "-journal", "-wal"])
def test_a_pipe_in_its_place_is_not_waited_for(store: FolderStore, suffix: str) -> None:
    path = Path(f"{store.layout.index}{suffix}")
    path.unlink(missing_ok=True)
    os.mkfifo(path)

    assert listed(store) == [(3, 0.3), (2, 0.2), (1, 0.1)]


def test_a_journal_that_was_cut_short_is_read_afresh(store: FolderStore) -> None:
    os.truncate(store.layout.run(2).journal("main"), 3)

    assert [record.metrics.keys() for record in FolderStore.open(store.root).find()] == [{"loss"}, set(), {"loss"}]


def test_a_network_file_system_is_told_from_a_disk(tmp_path: Path) -> None:
    """There the index lies in the user's cache, a file for each host."""
    (inner := tmp_path / "in side" / "runs").mkdir(parents=True)
    mounts = tmp_path / "mounts"
    escaped = str(tmp_path / "in side").replace(" ", "\\040")
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nserver:/x {escaped} nfs4 rw 0 0\n")

    assert is_remote(inner, str(mounts))
    assert not is_remote(tmp_path, str(mounts))
    assert not is_remote(inner, str(tmp_path / "none"))
