"""Which job of a sweep is best: the one that a known direction makes it, or none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from anew.runner.records import Status
from anew.runner.sweep_records import SweepJob, aim_of, best_of, direction_of
from tests.helpers.scripts import Project, anew

RESULTS = """
@experiment.main
def main(i: int = 0, name: str = "", *, run: Run):
    value = [0.3, float("nan"), 1e9, 0.1, None, True, float("-inf"), 0.1][i]
    if name:
        run.log({name: value if value is not None else 0.5})
    return value
"""
ALL = "i=0,1,2,3,4,5,6,7"


@pytest.fixture
def trial(project: Path) -> Project:
    trial = Project(project)
    trial.write(RESULTS)
    return trial


def shown(trial: Project, *args: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(anew(trial, "sweep", "show", "--json", *args).stdout)
    return found


def test_without_a_direction_no_job_is_best_anywhere(trial: Project) -> None:
    done = trial.run("-m", ALL)
    assert "8 COMPLETED\n" in done.stderr
    assert "best" not in done.stderr
    assert trial.store.sweep(1).best is None
    assert (shown(trial)["best"], shown(trial)["direction"]) == (None, None)
    text = anew(trial, "sweep", "show")
    assert [line.split()[0] for line in text.stdout.splitlines()[3:]] == list("01234567")
    assert "--min or --max" in text.stderr
    assert "1e+09" not in anew(trial, "sweep", "list").stdout


@pytest.mark.parametrize(
    ("setting", "words", "best"),
    [
        ("anew.sweep.direction=minimize", "smallest", 3),
        ("anew.sweep.direction=maximize", "largest", 2),
        ("name=val/loss", "smallest val/loss", 3),
        ("name=testAcc", "largest testAcc", 2),
    ],
)
def test_a_setting_or_the_name_of_a_metric_says_it_everywhere_the_same(
    trial: Project, setting: str, words: str, best: int
) -> None:
    done = trial.run("-m", ALL, setting)
    assert f"best ({words})" in done.stderr
    assert f"run {best + 1} " in next(line for line in done.stderr.splitlines() if "best (" in line)
    sweep = trial.store.sweep(1)
    assert sweep.best is not None
    assert sweep.best.index == best
    assert shown(trial)["best"] == best
    text = anew(trial, "sweep", "show").stdout
    assert f"best first: {words}" in text
    assert text.splitlines()[3].split()[0] == str(best)
    assert f"({words})" in anew(trial, "sweep", "list").stdout


def test_what_a_search_told_to_stop_is_not_best(trial: Project) -> None:
    trial.run("-m", ALL, "anew.sweep.direction=minimize")
    folder = trial.store.layout.sweep(1).search
    folder.mkdir()
    (folder / "3.stopped").touch()
    assert shown(trial)["best"] == 7
    assert shown(trial)["jobs"][3]["pruned"] is True
    assert "run 4 " not in anew(trial, "sweep", "list").stdout


def test_the_name_of_what_is_ordered_by_says_it_and_an_option_overrules(trial: Project) -> None:
    trial.run("-m", "i=0,2,3", "name=loss", "anew.sweep.direction=maximize")
    order = [line.split()[0] for line in anew(trial, "sweep", "show", "--by", "loss").stdout.splitlines()[3:]]
    assert order == ["2", "0", "1"]
    order = [line.split()[0] for line in anew(trial, "sweep", "show", "--by", "loss", "--max").stdout.splitlines()[3:]]
    assert order == ["1", "0", "2"]


def test_a_job_that_was_pruned_or_did_not_end_is_never_best() -> None:
    done = SweepJob(index=0, status=Status.COMPLETED, overrides=(), result=2)
    pruned = SweepJob(index=1, status=Status.COMPLETED, overrides=(), result=1, pruned=True)
    failed = SweepJob(index=2, status=Status.FAILED, overrides=(), result=0)
    huge = SweepJob(index=3, status=Status.COMPLETED, overrides=(), result=10**400)
    jobs = [pruned, failed, huge, done]
    assert best_of(jobs, aim_of(jobs, "minimize")) is done
    assert best_of(jobs, aim_of(jobs, "maximize")) is huge


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("loss", "minimize"),
        ("train/log_loss", "minimize"),
        ("top1_error", "minimize"),
        ("valRMSE", "minimize"),
        ("f1_loss", None),
        ("acc@1", "maximize"),
        ("f1", "maximize"),
        ("test.accuracy", "maximize"),
        ("top5acc", "maximize"),
        ("neg_mean_squared_error", None),
        ("lossless", None),
        ("w", None),
    ],
)
def test_names_that_say_which_is_best(name: str, direction: str | None) -> None:
    assert direction_of(name) == direction
