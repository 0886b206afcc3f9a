"""Which runs the words of a command name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest

from anew.runner.errors import FilterError, RefSyntaxError, RunNotFoundError, StoreError
from anew.runner.records import Status, SweepMembership
from anew.runner.store.choosing import choose, leading
from anew.runner.store.curate import Trash
from anew.runner.store.folder import FolderStore
from anew.runner.store.stored import Point, StoredRun, StoredRuns
from tests.helpers.stores import add_run, make_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FolderStore:
    """Five runs: 1 and 3 tagged, 2 failed, 4 and 5 of sweep 7."""
    store = make_store(tmp_path_factory.mktemp("choosing") / "runs")
    for index in range(5):
        add_run(
            store,
            config={"lr": index},
            tags=["paper", "a b"] if index in (0, 2) else [],
            status=Status.FAILED if index == 1 else Status.COMPLETED,
            sweep=SweepMembership(id=7, index=index) if index > 2 else None,
        )
    return store


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["2"], [2]),
        (["3", "1", "3"], [3, 1]),
        (["last"], [5]),
        (["last~2"], [3]),
        (["sweep:7/4"], [5]),
        (["2-4"], [2, 3, 4]),
        (["4-99"], [4, 5]),
        (["tag:paper"], [1, 3]),
        (["tag:a b"], [1, 3]),
        (["sweep:7"], [4, 5]),
        (["sweep:last"], [4, 5]),
        (["status == FAILED"], [2]),
        (["lr>=3"], [4, 5]),
        (["not tag == paper and lr < 3"], [2]),
        (["5", "tag:paper", "1-2"], [5, 1, 3, 2]),
    ],
)
def test_words_name_runs_each_once(store: FolderStore, words: list[str], numbers: list[int]) -> None:
    chosen = choose(store, words)
    assert chosen.numbers == numbers
    assert not chosen.refused


@pytest.mark.parametrize(
    ("word", "error", "said"),
    [
        ("9", RunNotFoundError, "No run '9'"),
        ("8-9", RunNotFoundError, "from 8 to 9"),
        ("4-2", RefSyntaxError, "2-4"),
        ("0-3", RefSyntaxError, "does not name a run"),
        ("tag:nope", RunNotFoundError, "tag 'nope'"),
        ("sweep:8", RunNotFoundError, "sweep:8"),
        ("lr > 99", RunNotFoundError, "matches 'lr > 99'"),
        ("statu == FAILED", FilterError, "status"),
        ("statu != FAILED", FilterError, "status"),
        ("lrr < 3", FilterError, "'lrr'"),
        ("status ==", FilterError, ""),
        ("x!", RefSyntaxError, "does not name a run"),
    ],
)
def test_a_word_that_names_none_is_refused_and_the_others_are_not(
    store: FolderStore, word: str, error: type[Exception], said: str
) -> None:
    chosen = choose(store, ["1", word, "2"])
    assert chosen.numbers == [1, 2]
    [(refused, why)] = chosen.refused
    assert refused == word
    assert isinstance(why, error)
    assert said in str(why)


def test_one_run_is_told_from_several(store: FolderStore) -> None:
    assert choose(store, ["1"]).is_one
    assert choose(store, ["9"]).is_one
    assert not choose(store, ["1-1"]).is_one
    assert not choose(store, ["1", "9"]).is_one


def test_a_beginning_of_a_uid_names_its_run(store: FolderStore) -> None:
    uid = store.get(3).uid
    assert choose(store, [uid, uid[:-1]]).numbers == [3]


def test_names_follow_references(store: FolderStore) -> None:
    assert leading(["1", "2-3", "tag:x", "last~1", "paper", "4"]) == (["1", "2-3", "tag:x", "last~1"], ["paper", "4"])
    assert leading(["1", "best"]) == (["1"], ["best"])
    assert leading(["status == FAILED", "lr=0.1", "a/b.png"]) == (["status == FAILED"], ["lr=0.1", "a/b.png"])
    assert leading(["1", "2", "3"], {"2"}.__contains__) == (["1"], ["2", "3"])


def test_the_trash_is_chosen_from_in_the_same_way(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    for index in range(3):
        add_run(store, config={"lr": index}, tags=["x"] * (index == 0))
        store.delete(index + 1)
    assert choose(Trash(store), ["2-9", "tag:x", "lr == 0"]).numbers == [2, 3, 1]
    assert not choose(store, ["1-3"]).numbers


def test_runs_are_curated_from_python(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    add_run(store, tags=["old"])
    assert store.tag("last", "paper", "best", remove=["old"]).tags == ("paper", "best")
    assert store.note(1, "why").note == "why"
    assert not store.note(1, "").note
    assert store.delete(1) == 1
    assert store.numbers() == []
    assert store.restore(1) == 1
    with pytest.raises(RunNotFoundError):
        store.restore(1)


class OneRun(StoredRuns):
    """A store that can be read, and no more."""

    url = "one://run"

    def __init__(self, run: StoredRun) -> None:
        self._run = run

    def all_runs(self) -> Iterator[StoredRun]:
        yield self._run

    def read(self, number: int) -> StoredRun | None:
        return self._run if number == 1 else None

    def points(self, number: int, name: str) -> Iterable[Point]:
        return ()

    def output(self, ref: str | int, *, follow: bool = False) -> Iterator[str]:
        return iter(())

    def open_object(self, sha256: str) -> BinaryIO:
        return BytesIO(b"weights")


def test_a_store_that_only_reads_gives_artifacts_and_says_that_it_cannot_be_changed(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "runs")
    add_run(folder, artifacts={"model.pt": b"weights"})
    store = OneRun(folder.look_up(1))
    assert store.artifact(1, "model.pt") == b"weights"
    assert store.get(1).artifacts[0].open().read() == b"weights"
    for change in (lambda: store.tag(1, "x"), lambda: store.note(1, "x"), lambda: store.delete(1)):
        with pytest.raises(StoreError, match="not be changed"):
            change()
