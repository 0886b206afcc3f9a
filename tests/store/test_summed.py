"""The points of a run that has ended are read once; whatever becomes of its journals is seen all the same."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from anew.runner import events as ev
from anew.runner.format import serial
from anew.runner.guard import shrinking
from anew.runner.guard.shrinking import shrink
from anew.runner.records import RunRecord, Status
from anew.runner.store import columns, following, journal_forms, lines, summed
from anew.runner.store.folder import FolderStore
from anew.runner.store.index_file import sealed
from anew.runner.store.integrity import check_store
from tests.helpers.stores import add_run, make_store

POINTS = 4_000
LOSS = [0.5 + step / POINTS for step in range(POINTS)]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderStore:
    # a run that was written just now is as good as any other, but for what may have become of it in the same moment
    monkeypatch.setattr(summed, "YOUNG_NS", 0)
    monkeypatch.setattr(summed, "LEAST_BYTES", 10_000)
    monkeypatch.setattr(shrinking, "LONG_BYTES", 100_000)
    store = make_store(tmp_path / "runs")
    add_run(store, metrics={"loss": LOSS, "odd": [1, float("nan"), 2**70]}, artifacts={"a": b"content"}, result=3)
    return store


@pytest.fixture(params=["lines", "compressed"])
def ended(store: FolderStore, request: pytest.FixtureRequest) -> FolderStore:
    """A store with a long run, whose journal has either form."""
    if request.param == "compressed":
        shrink(str(store.layout.run(1).folder))
    assert journal_forms.forms(store.layout.run(1).journal("main"))[0].exists() == (request.param == "compressed")
    return store


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The journals of which lines are read, whoever reads them."""
    found: list[str] = []

    def noting(path: Path, **options: Any) -> Any:
        found.append(path.stem.partition("-")[0])
        return journal_forms.open_journal(path, **options)

    for reader in (lines, following):
        monkeypatch.setattr(reader, "open_journal", noting)
    return found


def read_plainly(store: FolderStore, number: int = 1) -> RunRecord:
    """Return a run as it is read where nothing is kept."""
    plain = FolderStore(store.root)
    plain.index_file = None
    return plain.get(number)


def again(store: FolderStore) -> FolderStore:
    """Return the store as another process has it."""
    return FolderStore.open(store.root)


def test_a_run_is_read_in_whole_once(ended: FolderStore, opened: list[str]) -> None:
    whole = read_plainly(ended)
    opened.clear()
    assert ended.get(1) == whole
    assert opened == ["main"]

    for _ in range(2):
        assert again(ended).get(1) == whole
        [light] = again(ended).find()
        assert (light.metrics, light.result) == (whole.metrics, 3)
    assert opened == ["main"]


def test_a_list_reads_it_for_all_that_come_later(ended: FolderStore, opened: list[str]) -> None:
    assert ended.find()[0].metrics["loss"].count == POINTS
    assert opened == ["main"]

    assert again(ended).get(1).metrics["odd"].last == 2**70
    assert opened == ["main"]


def test_what_is_said_of_a_run_later_is_all_that_is_read_then(ended: FolderStore, opened: list[str]) -> None:
    ended.find()
    opened.clear()

    ended.tag(1, "paper")
    again(ended).note(1, "the best")
    again(ended).comment(1, "so far")
    again(ended).find()
    record = again(ended).get(1)

    assert {*opened} == {"curate"}
    assert (record.tags, record.note, len(record.comments)) == (("paper",), "the best", 1)
    assert record == read_plainly(ended)
    assert again(ended).find("tag == paper")[0].metrics == record.metrics


def test_a_tag_that_is_gone_is_missed(ended: FolderStore) -> None:
    ended.tag(1, "paper")
    ended.get(1)
    [path] = ended.layout.run(1).events.glob("curate-*")
    path.unlink()

    assert "is missing" in again(ended).get(1).damage[0].what
    assert "is missing" in again(ended).find()[0].damage[0].what


def test_a_journal_that_was_changed_is_read_whatever_its_size_and_time_say(store: FolderStore) -> None:
    store.get(1)
    path = store.layout.run(1).journal("main")
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b'"s":7,', b'"s":8,'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)

    for _ in range(2):
        assert "damaged line" in again(store).get(1).damage[0].what
        assert again(store).get(1) == read_plainly(store)


def test_a_journal_that_is_cut_short_or_gone_is_missed(ended: FolderStore) -> None:
    whole = ended.get(1)
    [path] = ended.layout.run(1).events.iterdir()
    os.truncate(path, path.stat().st_size // 2)
    found = again(ended).get(1)
    assert found.damage
    assert found == read_plainly(ended) != whole

    path.unlink()
    assert "is missing, with its" in again(ended).get(1).damage[0].what


def test_damage_is_read_each_time(store: FolderStore, opened: list[str]) -> None:
    path = store.layout.run(1).journal("main")
    path.write_bytes(path.read_bytes().replace(b'"s":7,', b'"s":8,', 1))
    for _ in range(2):
        assert "damaged line" in store.get(1).damage[0].what

    assert opened == ["main", "main"]


def test_a_check_reads_all(store: FolderStore, monkeypatch: pytest.MonkeyPatch, opened: list[str]) -> None:
    store.get(1)
    path = store.layout.run(1).journal("main")
    # as a disk does it, of which no time tells
    before = journal_forms.state_of(path)
    path.write_bytes(path.read_bytes().replace(b'"s":7,', b'"s":8,', 1))
    monkeypatch.setattr(summed, "state_of", lambda path: before)
    assert not again(store).get(1).damage

    for deep in (False, True):
        opened.clear()
        assert "damaged line" in str([*check_store(store, deep=deep)])
        assert "main" in opened


def test_points_that_another_writer_brings_later_count(store: FolderStore) -> None:
    store.get(1)
    line = serial.seal({"q": 1, "k": ev.MetricsLogged.kind, "t": 10_000.0, "s": 9, "m": {"loss": -1.0}})
    store.layout.run(1).journal("child-9").write_bytes(line)

    for found in (again(store).find()[0], again(store).get(1)):
        assert (found.metrics["loss"].min, found.metrics["loss"].count) == (-1.0, POINTS + 1)


@pytest.mark.parametrize("status", [None, Status.LOST])
def test_of_a_run_without_an_outcome_nothing_is_kept(
    store: FolderStore, status: Status | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = add_run(store, status=None, metrics={"loss": LOSS})
    if status is Status.LOST:
        monkeypatch.setattr("anew.runner.store.living.process_alive", lambda process: False)
    store.find()
    store.get(number)

    assert store.index_file is not None
    assert columns.sums(store.index_file, number, store.layout.run(number)).read() is None
    assert store.get(number).status is (status or Status.RUNNING)


def test_a_run_that_was_written_just_now_is_read_once_more(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    """In the same moment a file may be written again, and have the same times."""
    monkeypatch.setattr(summed, "YOUNG_NS", 10**15)
    for _ in range(2):
        assert store.get(1).metrics["loss"].count == POINTS

    assert opened == ["main", "main"]


def test_of_a_run_of_which_points_are_the_least_nothing_is_kept(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = columns.sums(store._index.file, 1, store.layout.run(1))
    for name in ("_MOST_BYTES", "_MOST_ENTRIES"):
        with monkeypatch.context() as patched:
            patched.setattr(summed, name, 0)
            assert store.get(1) == read_plainly(store)
        assert kept.read() is None

    store.get(1)
    assert kept.read() is not None


def test_a_run_in_a_pack_is_what_it_was(ended: FolderStore) -> None:
    ended.tag(1, "paper")
    whole = ended.get(1)
    ended.pack(1)

    for _ in range(2):
        assert again(ended).get(1) == whole
        assert again(ended).find()[0].metrics == whole.metrics


@pytest.mark.parametrize("data", [b"", b"no such thing", b"\x78\x01\x01\x02\x00\xfd\xff[]\x01\x0b\x00\xb9"])
def test_what_is_no_row_of_ours_is_thrown_away(store: FolderStore, data: bytes) -> None:
    whole = store.get(1)

    with closing(sqlite3.connect(store.layout.index)) as database, database:
        changed = database.execute("UPDATE columns SET data = ?, crc = ?", (data, sealed(1, "", 0, data)[-1]))
        assert changed.rowcount == 1

    assert again(store).get(1) == whole
    assert again(store).get(1) == whole
