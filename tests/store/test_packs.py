"""Finished runs in packs: each can be read at every instant, once, and as it was."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import sys
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from anew.runner.attached.damage import Severity
from anew.runner.dispatch.transfer import to_folder
from anew.runner.errors import RunNotFoundError, StoreError, StoreFormatError
from anew.runner.format.serial import seal
from anew.runner.records import RunRecord
from anew.runner.store import columns, packing, packs
from anew.runner.store.curate import purge, tag
from anew.runner.store.folder import FolderStore
from anew.runner.store.format_file import check_format
from anew.runner.store.integrity import check_store
from anew.runner.store.packs import TABLES
from tests.helpers.stores import add_run, make_store

NUMBERS = [1, 2, 3]


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return filled(tmp_path / "runs")


def filled(folder: Path) -> FolderStore:
    store = make_store(folder)
    for number in NUMBERS:
        add_run(store, metrics={"loss": [1.0 / number, float("nan"), 0.25]}, output=f"hello {number}\n")
        files = store.layout.run(number).files
        (files / "deep" / "empty").mkdir(parents=True)
        (files / "deep" / "notes.txt").write_text("x" * 5000)
        (files / "deep" / "notes.txt").chmod(0o640)
        (files / "latest").symlink_to("deep/notes.txt")
    return store


def again(store: FolderStore) -> FolderStore:
    """Return the store as another process opens it."""
    return FolderStore.open(store.root)


def records(store: FolderStore) -> list[RunRecord]:
    opened = again(store)
    return [opened.get(number) for number in opened.numbers()]


def tree(folder: Path) -> dict[str, tuple[int, int, bytes | str | None]]:
    found: dict[str, tuple[int, int, bytes | str | None]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        when = 0 if path.is_symlink() else status.st_mtime_ns
        found[str(path.relative_to(folder))] = (stat.S_IFMT(status.st_mode) | status.st_mode & 0o777, when, content)
    return found


def test_packed_runs_are_what_they_were(store: FolderStore) -> None:
    before, listed = records(store), again(store).find("loss.min > 0", sort="loss.min")
    trees = [tree(store.layout.run(number).folder) for number in NUMBERS]
    packed = packing.pack(store, NUMBERS)
    assert (packed.runs, packed.left) == ((1, 2, 3), {})
    assert not any(store.layout.run(number).folder.exists() for number in NUMBERS)
    for opened in (store, again(store)):
        assert [opened.get(number) for number in opened.numbers()] == before
        assert opened.find("loss.min > 0", sort="loss.min") == listed
        assert "".join(opened.output(2)) == "hello 2\n"
        assert opened.metrics(3, "loss").exact[0] == 1.0 / 3
        assert opened.has(2)
        assert opened.resolve(before[0].uid) == 3
    store.layout.index.unlink()
    assert again(store).find("loss.min > 0", sort="loss.min") == listed
    assert tree(store.present(2).folder) == trees[1]
    assert not list(check_store(again(store), deep=True))
    assert packing.unpack(again(store), NUMBERS) == NUMBERS
    assert [tree(store.layout.run(number).folder) for number in NUMBERS] == trees
    assert (records(store), list(store.layout.packs.iterdir())) == (before, [])
    assert not list(check_store(again(store), deep=True))


def test_the_index_knows_packed_runs_without_reading_them(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    before = again(store).find("loss.min > 0", sort="loss.min")
    packing.pack(store, NUMBERS)
    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "_read", lambda *_: pytest.fail("a run was read"))
        assert {run.number for run in again(store).all_runs()} == set(NUMBERS)
    assert again(store).find("loss.min > 0", sort="loss.min") == before


def test_columns_of_runs_in_packs_are_kept_beside_those_of_others(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "LEAST_BYTES", 0)

    def kept() -> list[int]:
        with closing(sqlite3.connect(store.layout.index)) as database:
            return [run for (run,) in database.execute("SELECT DISTINCT run FROM columns ORDER BY run")]

    for number in NUMBERS[:2]:
        again(store).metrics(number, "loss")
    packing.pack(store, [2])
    again(store).metrics(2, "loss")
    assert kept() == [1, 2]
    again(store).metrics(3, "loss")
    assert kept() == [1, 2, 3]
    again(store).delete(2)
    again(store).delete(1)
    another = add_run(store, metrics={"loss": [1.0]})
    again(store).metrics(another, "loss")
    assert kept() == [3, another]


def test_what_is_not_finished_is_left(store: FolderStore) -> None:
    add_run(store, status=None)
    layout = store.layout.run(1)
    layout.observers.mkdir(exist_ok=True)
    layout.spec("other").write_bytes(seal({"_target_": "other.Observer"}))
    packed = packing.pack(store, [*NUMBERS, 4])
    assert packed.runs == (2, 3)
    assert packed.left[1] == "Observers wait for events of run 1: other. First: anew sync 1"
    assert "Run 4 is going on, or was killed" in packed.left[4]
    assert store.numbers() == [4, 3, 2, 1]


def test_runs_are_packed_from_python_by_what_names_them(store: FolderStore) -> None:
    tag(store, 3, ["paper"])
    assert store.pack(1, "tag:paper").runs == (1, 3)
    assert store.pack("1-3").runs == (2,)
    assert store.unpack("loss.min > 0 and not tag == paper", 3) == NUMBERS
    with pytest.raises(RunNotFoundError):
        store.pack(1, 99)
    assert store.unpack(1) == []  # of one word that names none nothing is done


def test_curating_gives_a_run_its_folder_back(store: FolderStore) -> None:
    packing.pack(store, NUMBERS)
    assert again(store).tag(2, "paper").tags == ("paper",)
    assert [record.tags for record in records(store)] == [(), ("paper",), ()]
    assert again(store).find("tag == paper")[0].id == 2
    assert store.layout.run(2).folder.exists()
    assert packing.pack(store, NUMBERS).runs == (2,)
    assert again(store).get(2).tags == ("paper",)
    again(store).note(2, "so")
    assert [record.note for record in records(store)] == [None, "so", None]


def test_deleting_and_purging(store: FolderStore) -> None:
    before = records(store)
    packing.pack(store, NUMBERS)
    assert again(store).delete(2) == 2
    assert again(store).numbers() == [3, 1]
    with pytest.raises(RunNotFoundError):
        again(store).get(2)
    again(store).restore(2)
    assert records(store) == before
    again(store).delete(2)
    assert purge(again(store)).runs == (2,)
    assert (again(store).numbers(), records(store)) == ([3, 1], [before[0], before[2]])
    assert again(store).claim()[0] == 4
    assert not [each for each in check_store(again(store), deep=True) if "claimed" not in each.what]


def test_content_of_packed_runs_is_not_purged(store: FolderStore) -> None:
    number = add_run(store, artifacts={"model.bin": b"weights"})
    [kept] = [file.sha256 for file in store.get(number).artifacts]
    packing.pack(store, [number])
    for sha256 in store.objects.all():
        os.utime(store.objects.path(sha256), (0, 0))
    purge(again(store))
    assert store.objects.has(kept)


def test_a_run_that_is_written_to_meanwhile_stays(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    written = packing._written

    def slow(store: FolderStore, runs: list[packing._Run]) -> tuple[Path, Sequence[packing._Run]]:
        found = written(store, runs)
        shutil.rmtree(store.layout.run(2).files)
        again(store).tag(3, "late")
        return found

    monkeypatch.setattr(packing, "_written", slow)
    packed = packing.pack(store, NUMBERS)
    assert (packed.runs, sorted(packed.left)) == ((1,), [2, 3])
    assert [record.tags for record in records(store)] == [("late",), (), ()]
    assert again(store).delete(2) == 2
    assert again(store).numbers() == [3, 1]


@pytest.mark.parametrize("step", ["written", "looked at", "moved"])
@pytest.mark.parametrize("how", ["tag", "delete", "unpack", "pack"])
def test_no_run_is_lost_between_a_packing_and_another_command(
    how: str, step: str, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one comes when the pack has its place, when the run was compared, or when its folder was moved."""
    steps = {"written": "_written", "looked at": "_is_as_it_was", "moved": "move_marker"}
    other = again(store)
    real, moved = getattr(packing, steps[step]), shutil.rmtree
    acts: dict[str, Callable[[], object]] = {
        "tag": lambda: other.tag(2, "late"),
        "delete": lambda: other.delete(2),
        "unpack": lambda: packing.unpack(other, [2]),
        "pack": lambda: packing.pack(other, [2]),
    }

    def beside(*given: Any) -> Any:
        found = real(*given)
        if not done and (step != "looked at" or given[1].number == 2):
            done.append(step)
            acts[how]()
        return found

    def remove(path: Path, **how_to: Any) -> None:
        if not done and path.parent == store.layout.trash and "-2-" in path.name:
            done.append(step)
            acts[how]()
        moved(path, **how_to)

    done: list[str] = []
    if step == "moved":
        monkeypatch.setattr(shutil, "rmtree", remove)
    else:
        monkeypatch.setattr(packing, steps[step], beside)
    packing.pack(store, NUMBERS)
    assert done
    opened = again(store)
    assert opened.numbers() == ([3, 1] if how == "delete" else [3, 2, 1])
    if how == "delete":
        opened.restore(2)
    assert opened.get(2).tags == (("late",) if how == "tag" else ())
    assert opened.metrics(2, "loss").exact[0] == 0.5
    assert not [each for each in check_store(again(store), deep=True) if each.severity is not Severity.NOTE]
    packing.pack(opened, NUMBERS)
    packing.unpack(again(store), NUMBERS)
    assert again(store).metrics(2, "loss").exact[0] == 0.5


def test_to_another_store_and_from_there(store: FolderStore, tmp_path: Path) -> None:
    packing.pack(store, NUMBERS)
    other = FolderStore.open(tmp_path / "other", create=True)
    assert [moved.what for moved in to_folder(again(store), other)] == ["copied"] * 3
    assert [tree(other.layout.run(n).events) for n in NUMBERS] == [tree(store.present(n).events) for n in NUMBERS]
    packing.pack(other, NUMBERS)
    assert [moved.what for moved in to_folder(again(store), again(other))] == ["there already"] * 3
    assert again(other).layout.run(1).folder.exists() is False
    again(store).tag(1, "new")
    assert [moved.what for moved in to_folder(again(store), again(other))] == ["updated", *["there already"] * 2]
    assert again(other).get(1).tags == ("new",)


def test_earlier_versions_refuse_a_store_with_packs(store: FolderStore) -> None:
    check_format(store.root, 1)
    packing.pack(store, NUMBERS)
    with pytest.raises(StoreFormatError, match="has format 2"):
        check_format(store.root, 1)


def test_a_damaged_pack_is_said_and_nothing_else_suffers(store: FolderStore) -> None:
    packed = packing.pack(store, [1, 2])
    path = Path(packed.packs[0])
    path.chmod(0o644)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE sqlar SET data = ?, sz = 3 WHERE name = '1/output.log'", (b"bad",))
        database.execute("DELETE FROM sqlar WHERE name = '2/run.json'")
    found = [each.what for each in check_store(again(store), deep=True)]
    assert "1/output.log in it is not what was written" in found
    assert any("of run 2 it has" in what for what in found)
    assert again(store).numbers() == [3, 2, 1]
    assert again(store).get(2).damage
    path.write_bytes(b"nonsense")
    assert again(store).numbers() == [3]
    assert "is no pack of runs, or damaged" in next(again(store).left_out())
    assert any("is no pack" in each.what for each in check_store(again(store)))


def spoilt(store: FolderStore) -> str:
    """Put the first two runs in a pack which cannot be read any more; return that."""
    path = Path(packing.pack(store, [1, 2]).packs[0])
    path.chmod(0o644)
    path.write_bytes(b"nonsense")
    return str(path)


@pytest.mark.parametrize("ask", ["find", "filter", "newest", "table", "points", "pack", "unpack"])
def test_what_a_damaged_pack_held_is_said_once_to_whoever_looks_for_runs_from_python(
    store: FolderStore, ask: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """They would be missing without a word, and an average over the rest be taken for one over all."""
    pack = spoilt(store)
    opened = again(store)
    calls: dict[str, Callable[[], object]] = {
        "find": opened.find,
        "filter": lambda: opened.find("loss < 10", sort="-loss"),
        "newest": lambda: opened.find(limit=1),
        "table": opened.table,
        "points": lambda: opened.table(points=["loss"]),
        "pack": lambda: opened.pack("loss < 10"),
        "unpack": lambda: opened.unpack("1-3"),
    }
    if "table" in ask or "points" in ask:
        pytest.importorskip("pandas")
    for _ in range(2):
        calls[ask]()
    said = capfd.readouterr().err
    assert said.count(f"anew: {pack!r} is no pack of runs, or damaged") == 1
    assert f"To see all of it, and how to mend it: anew check --store {opened.root}" in said


def test_a_pack_that_could_not_be_read_once_is_read_again(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A process that had no descriptor left has some again: a page is served for days."""
    before = records(store)
    packing.pack(store, [1, 2])
    server = again(store)
    with monkeypatch.context() as out_of_descriptors:
        refuse = Mock(side_effect=sqlite3.OperationalError("unable to open database file"))
        out_of_descriptors.setattr(packs, "opened", refuse)
        assert not {1, 2} & {record.id for record in server.find()}
    assert "unable to open database file" in capsys.readouterr().err
    assert [server.get(number) for number in server.numbers()] == before


def test_asking_for_one_run_by_its_number_says_nothing_of_a_pack_that_does_not_hold_it(
    store: FolderStore, capfd: pytest.CaptureFixture[str]
) -> None:
    spoilt(store)
    assert again(store).get(3).id == 3
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["1/../../escaped", "1//escaped", "1/files/../../../escaped"])
def test_names_in_a_pack_lead_nowhere(store: FolderStore, tmp_path: Path, name: str) -> None:
    folder = store.layout.packs
    folder.mkdir()
    with closing(sqlite3.connect(folder / "x.sqlar")) as database, database:
        for text in TABLES:
            database.execute(text)
        database.execute("INSERT INTO runs VALUES (9, 'k' || hex(randomblob(8)), 2)")
        data = zlib.compress(b"out" * 100)
        rows = [(name.replace("1/", "9/", 1), stat.S_IFREG | 0o644, 0, 300, data), ("9/files", 0o120777, 0, -1, "/tmp")]
        database.executemany("INSERT INTO sqlar VALUES (?, ?, ?, ?, ?)", rows)
    again(store).get(9)
    packing.unpack(again(store), [9])
    assert not list(tmp_path.rglob("escaped"))


def _killed_at(count: int, action: Callable[[], object]) -> bool:
    """Do something in a process that is killed before the *count*-th time that it touches a file; False if it ended."""
    child = os.fork()
    if child == 0:
        left = [count]

        def hook(event: str, _: object) -> None:
            if event.startswith(("os.", "open", "sqlite3.connect", "shutil.")) and event != "os.kill":
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(hook)
            action()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("what", ["pack", "unpack", "tag", "delete"])
def test_killed_at_any_instant(tmp_path: Path, what: str) -> None:
    original = filled(tmp_path / "original")
    before = records(original)
    if what != "pack":
        packing.pack(original, NUMBERS)
    actions: dict[str, Callable[[FolderStore], object]] = {
        "pack": lambda store: packing.pack(store, NUMBERS),
        "unpack": lambda store: packing.unpack(store, NUMBERS),
        "tag": lambda store: store.tag(2, "paper"),
        "delete": lambda store: store.delete(2),
    }
    count, killed = 0, 0
    while True:
        folder = tmp_path / "copy"
        shutil.copytree(original.root, folder, symlinks=True)
        store = FolderStore.open(folder)
        if not _killed_at(count, lambda store=store: actions[what](store)):  # type: ignore[misc]
            break
        killed += 1
        there = [record for record in records(store) if not record.tags]
        trash = len(list(store.layout.trash.glob("[1-9]*")))
        assert there == before or what in ("tag", "delete"), f"killed at {count}"
        assert len(records(store)) + trash == len(before)
        assert {record.uid for record in there} <= {record.uid for record in before}
        assert all(not record.damage for record in records(store))
        packing.pack(again(store), NUMBERS)
        assert len(records(store)) + trash == len(before)
        shutil.rmtree(folder)
        count += 3 + count // 8
    assert killed > 5


@pytest.mark.parametrize("name", ["packs", "trash"])
def test_where_a_folder_of_the_store_is_a_file_nothing_is_packed_and_that_is_said(
    name: str, store: FolderStore
) -> None:
    before = records(store)
    if (store.root / name).exists():
        shutil.rmtree(store.root / name)
    (store.root / name).touch()
    with pytest.raises(StoreError, match=r"Cannot (write|read|remove) "):
        packing.pack(store, NUMBERS)
    assert records(store) == before
