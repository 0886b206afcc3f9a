"""Jobs that differ in the seed alone are one thing measured several times; and what was deleted is not lost."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import pytest

from anew.runner.records import Status
from anew.runner.sweep.groups import groups_of
from anew.runner.sweep_records import Aim, SweepJob
from tests.helpers.scripts import Project, anew


def job(
    index: int, *overrides: str, result: object = 1.0, status: Status = Status.COMPLETED, **more: object
) -> SweepJob:
    return SweepJob(index=index, status=status, overrides=overrides, result=result, **more)  # type: ignore[arg-type]


def test_only_what_came_to_its_end_with_a_number_counts() -> None:
    jobs = [
        job(0, "lr=1", "seed=1", result=1),
        job(1, "lr=1", "seed=2", result=3.0, metrics={"a": 1.0, "b": math.nan}),
        job(2, "lr=1", "model.seed=3", result=100.0, pruned=True),
        job(3, "lr=1", "seed=4", result=None, status=Status.FAILED),
        job(4, "lr=2", "seed=1", result=10**400),
        job(5, "lr=0", "seed=1", result=-1.0),
    ]
    worst, best, none = groups_of(jobs, aim=Aim("minimize"))[::-1][1:] + groups_of(jobs, aim=Aim("minimize"))[-1:]
    assert (worst.jobs, best.jobs, none.jobs) == ((0, 1, 2, 3), (5,), (4,))
    assert worst.result is not None
    assert worst.result.to_json() == {"mean": 2.0, "std": math.sqrt(2), "n": 2, "min": 1.0, "max": 3.0}
    assert best.result is not None
    assert best.result.std is None
    assert none.result is None
    assert list(worst.metrics) == ["a"]
    assert groups_of([jobs[0], jobs[4]]) == []


@pytest.fixture
def trial(project: Path) -> Project:
    trial = Project(project)
    trial.write("""
    @experiment.main
    def main(lr: float = 0.1, seed: int = 0, *, run: Run):
        run.log({"acc": lr + seed})
        return lr * 10
    """)
    return trial


def test_a_sweep_is_shown_over_its_seeds(trial: Project) -> None:
    trial.run("-q", "-m", "lr=0.5,2", "seed=1,3", "anew.sweep.direction=minimize")
    text = anew(trial, "sweep", "show").stdout
    assert [line.split() for line in text.splitlines()[-2:]] == [
        ["0.5", "2", "5.0", "0.0", "5.0", "5.0"],
        ["2", "2", "20.0", "0.0", "20.0", "20.0"],
    ]
    by = anew(trial, "sweep", "show", "--by", "acc", "--max").stdout.splitlines()
    assert by[-2].split() == ["2", "2", "4.0", "1.4142", "3.0", "5.0"]
    [first, second] = json.loads(anew(trial, "sweep", "show", "--json").stdout)["groups"]
    assert (first["overrides"], first["jobs"], second["result"]["mean"]) == (["lr=0.5"], [0, 1], 20.0)
    assert first["metrics"]["acc"] == {"mean": 2.5, "std": math.sqrt(2), "n": 2, "min": 1.5, "max": 3.5}

    rows = list(csv.DictReader(io.StringIO(anew(trial, "sweep", "show", "--csv").stdout)))
    assert [(row["job"], row["lr"], row["seed"], row["result"], row["acc"]) for row in rows] == [
        ("0", "0.5", "1", "5.0", "1.5"),
        ("1", "0.5", "3", "5.0", "3.5"),
        ("2", "2", "1", "20.0", "3.0"),
        ("3", "2", "3", "20.0", "5.0"),
    ]
    assert {row["result.mean"] for row in rows} == {"5.0", "20.0"}


def test_what_is_done_with_a_sweep_is_done_with_all_of_its_runs_and_a_deleted_one_is_gone(trial: Project) -> None:
    trial.run("-q", "-m", "lr=1,2,3")
    trial.run("-q")
    for words in (("tag", "sweep:1", "paper"), ("note", "sweep:1", "hi"), ("comment", "sweep:last", "so")):
        anew(trial, *words)
    assert [(each.id, each.tags, each.note, len(each.comments)) for each in trial.store.find()] == [
        (4, (), None, 0),
        *((number, ("paper",), "hi", 1) for number in (3, 2, 1)),
    ]
    anew(trial, "delete", "2")
    shown = anew(trial, "sweep", "show").stdout
    assert "2 COMPLETED, 1 DELETED" in shown
    assert "anew restore 2" in shown
    [sweep] = json.loads(anew(trial, "sweep", "list", "--json").stdout)
    assert sweep["status"] == "INTERRUPTED"
    anew(trial, "delete", "sweep:1", "--yes")
    assert json.loads(anew(trial, "sweep", "list", "--json").stdout) == []
    anew(trial, "restore", "sweep:1")
    assert trial.store.sweep(1).status is Status.COMPLETED
