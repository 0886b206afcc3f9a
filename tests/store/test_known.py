"""The record of a run that has just ended, by what its process knows: what a reader of its folder finds."""

from __future__ import annotations

import dataclasses
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import anew
from anew import Experiment, Run, RunRecord
from anew.runner.attached.unread import reader_of
from anew.runner.errors import RunNotFoundError
from anew.runner.store.folder import FolderStore

experiment = Experiment("known")


def plain(run: Run) -> Any:
    return (1, [2.5], float("nan"))


def busy(run: Run) -> Any:
    for step in range(3):
        run.log({"a": step / 3, "b": float("inf")}, step=step)
    run.info({"some": {"thing": [1, 2]}})
    run.tag("one", "two")
    run.note("a note")
    (run.dir / "kept.txt").write_text("kept")
    run.log_artifact(run.dir / "kept.txt")
    return {"x": 1}


def talking(run: Run) -> Any:
    print("printed")
    return "done"


def telling_much(run: Run) -> Any:
    for step in range(900):
        run.info({f"key{step}": "x" * 100})


def with_child(run: Run) -> Any:
    if (child := os.fork()) == 0:
        run.log({"child": 1.0})
        os._exit(0)
    os.waitpid(child, 0)


MAINS = [plain, busy, talking, telling_much, with_child]


def recorded(function: Callable[[Run], Any], store: Path) -> RunRecord:
    """Run once, into a store."""

    @experiment.main
    def main(x: int = 1, *, run: Run) -> Any:
        return function(run)

    # what the tests themselves read meanwhile is none of it, and may be much
    return main.run("x=2", "anew.inputs.notice=false", store=store)


@pytest.mark.parametrize("function", MAINS, ids=lambda each: each.__name__)
def test_the_record_that_a_call_returns_is_the_one_that_the_store_has(
    function: Callable[[Run], Any], tmp_path: Path
) -> None:
    record = recorded(function, tmp_path / "runs")
    read = anew.open_store(str(tmp_path / "runs")).get(record.id or 0)
    for field in dataclasses.fields(RunRecord):
        assert repr(getattr(record, field.name)) == repr(getattr(read, field.name)), field.name
    assert not record.damage
    if function is not plain:  # where NaN is none of its values
        assert record == read
        assert pickle.loads(pickle.dumps(record)) == read


def test_the_files_of_a_run_of_which_all_is_known_are_not_read_again(tmp_path: Path) -> None:
    record = recorded(busy, tmp_path / "runs")
    assert reader_of(record) is not None
    for path in (tmp_path / "runs" / "1").rglob("*.json*"):
        path.unlink()
    assert record.result == {"x": 1}
    assert record.metrics["a"].count == 3
    assert record.tags == ("one", "two")


@pytest.mark.parametrize("function", [telling_much, with_child], ids=lambda each: each.__name__)
def test_of_a_run_that_told_much_or_had_children_the_files_are_read(
    function: Callable[[Run], Any], tmp_path: Path
) -> None:
    assert reader_of(recorded(function, tmp_path / "runs")) is None


def test_artifacts_of_the_record_can_be_opened(tmp_path: Path) -> None:
    record = recorded(busy, tmp_path / "runs")
    with record.artifacts[0].open() as file:
        assert file.read() == b"kept"


def test_a_run_that_is_gone_when_its_record_is_asked_for_is_not_made_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "runs"

    before = FolderStore.just_ended

    def just_ended(self: FolderStore, number: int, known: Any) -> RunRecord:
        shutil.rmtree(store / str(number))
        return before(self, number, known)

    monkeypatch.setattr(FolderStore, "just_ended", just_ended)
    with pytest.raises(RunNotFoundError):
        recorded(plain, store)
