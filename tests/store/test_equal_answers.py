"""The same question has the same answer, in the same order: of the records one by one, and of the index."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from anew.runner.records import RunRecord, Status
from anew.runner.store import folder
from anew.runner.store.curate import delete, restore, tag
from anew.runner.store.folder import FolderStore
from anew.runner.store.more import Beside
from anew.runner.store.stored import StoredRuns
from tests.helpers.questions import QUERY, SORT, one_by_one, some_runs
from tests.helpers.stores import add_run, make_store

QUESTIONS = ["config.lr < 1 and not tag == paper", "has(loss) or status == FAILED", "model == mlp", "pkg.torch >= 2.1"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FolderStore:
    store = make_store(tmp_path_factory.mktemp("many") / "runs")
    some_runs(store, 60)
    return store


@pytest.fixture(scope="module")
def records(store: FolderStore) -> list[RunRecord]:
    """All of them, whole, read out of their folders."""
    return [store.get(number) for number in store.numbers()]


@pytest.fixture(autouse=True)
def asks_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few the runs are; an answer that is not the index's fails."""
    monkeypatch.setattr(folder, "FEW", 0)
    monkeypatch.setattr(FolderStore, "records", None)


# the records are many words, which hypothesis would rather not print beside the question that failed
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=QUERY, sort=SORT, limit=st.sampled_from([None, 3]))
@example(where="not (tag < 1)", sort="lr", limit=None)  # of some runs records have to be asked what they are sorted by
def test_the_index_and_the_records_answer_alike(
    store: FolderStore, records: list[RunRecord], where: str, sort: str | None, limit: int | None
) -> None:
    found = FolderStore.open(store.root).find(where, sort=sort, limit=limit)
    assert [record.uid for record in found] == one_by_one(records, Beside(store), where, sort, limit)


def answers(store: FolderStore) -> list[list[int | None]]:
    return [[record.id for record in store.find(question)] for question in QUESTIONS]


@pytest.fixture
def copy(store: FolderStore, tmp_path: Path) -> FolderStore:
    shutil.copytree(store.root, tmp_path / "runs", symlinks=True)
    return FolderStore.open(tmp_path / "runs")


def test_the_answers_are_the_same_whatever_becomes_of_the_index(copy: FolderStore, records: list[RunRecord]) -> None:
    whole = answers(copy)
    assert any(whole)
    index = copy.layout.index
    index.unlink()
    assert answers(copy) == whole
    assert answers(FolderStore.open(copy.root)) == whole
    with pytest.MonkeyPatch.context() as patch:
        # what is damaged may have to be asked of the records, once
        patch.setattr(FolderStore, "records", StoredRuns.records)
        for harm in (b"", b"rubbish" * 1000, index.read_bytes()[:8000], b"SQLite format 3\0" + bytes(4000)):
            index.write_bytes(harm)
            assert answers(copy) == whole
            assert answers(FolderStore.open(copy.root)) == whole
    assert answers(copy) == whole


def test_what_is_done_to_runs_later_is_found_at_once(copy: FolderStore) -> None:
    reader = FolderStore.open(copy.root)
    before = [record.id for record in reader.find("tag == late")]
    tag(copy, 5, ["late"])
    assert before == []
    assert [record.id for record in reader.find("tag == late")] == [5]
    delete(copy, 5, force=True)
    assert reader.find("tag == late") == []
    restore(copy, 5)
    assert [record.id for record in reader.find("tag == late")] == [5]
    number = add_run(copy, tags=["late"], status=None)
    assert [record.id for record in reader.find("tag == late and status == RUNNING")] == [number]
    copy.layout.run(number).outcome.write_bytes(b"torn")
    assert [record.id for record in reader.find("tag == late", sort="-id")] == [number, 5]


def test_a_store_that_cannot_be_written_is_asked_all_the_same(
    copy: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its index lies in the user's cache; permissions would not keep root from writing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    whole = answers(copy)
    copy.layout.index.unlink()
    monkeypatch.setattr("os.access", lambda path, mode: path != copy.root)
    reader = FolderStore.open(copy.root)
    assert answers(reader) == whole
    assert not copy.layout.index.exists()
    assert [*(tmp_path / "cache").rglob("*.sqlite")]


def test_readers_and_writers_at_the_same_time(copy: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FolderStore, "records", StoredRuns.records)  # while the index is written to, it may be busy
    wrong: list[object] = []
    done = threading.Event()

    def write(number: int) -> None:
        try:
            made = add_run(copy, config={"lr": 0.5}, tags=["crowd"], status=Status.COMPLETED)
            tag(copy, made, [f"of{number}"])
            if [record.id for record in copy.find(f"tag == of{number}")] != [made]:
                wrong.append(number)
        except Exception as error:
            wrong.append(error)

    def look() -> None:
        reader, least = FolderStore.open(copy.root), 0
        while not done.is_set():
            found = len(reader.find("tag == crowd and config.lr == 0.5"))
            if found < least:
                wrong.append((found, least))
            least = found

    readers = [threading.Thread(target=look) for _ in range(2)]
    writers = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert not wrong
    assert len(FolderStore.open(copy.root).find("tag == crowd")) == 20


HUGE: dict[str, list[float | int]] = {
    "up": [10**400, 1.0],
    "down": [-(10**400)],
    "both": [10**400, -(10**400)],
    "plain": [1, 2**60, 3.5],
    "nan": [float("nan")],
}
ASKED_OF_SERIES = [
    *(f"loss.{part} {order} 5" for part in ("mean", "first", "last", "min", "max", "at(0)") for order in "<>"),
    "loss.first == 1",
    "loss.mean > 1e300",
    "not loss.first < 5",
    "loss.first in [1, nan]",
    "loss.mean == nan",
]


def test_numbers_beyond_any_float_are_found_as_others(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    for name, values in HUGE.items():
        add_run(store, metrics={"loss": values}, config={"name": name})
    records = [store.get(number) for number in store.numbers()]
    for question in ASKED_OF_SERIES:
        for sort in (None, "loss.mean", "-loss.first", "loss"):
            found = [record.uid for record in FolderStore.open(store.root).find(question, sort=sort)]
            assert found == one_by_one(records, Beside(store), question, sort, None), (question, sort)
    assert [record.config["name"] for record in store.find("loss.mean > 1e300")] == ["up"]
