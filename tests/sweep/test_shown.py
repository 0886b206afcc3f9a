"""What `anew sweep` says of sweeps and searches: counted in one way, in order, and with what people said of them."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from anew.runner.errors import ConfigError
from anew.runner.settings import SweepSettings
from tests.helpers.scripts import Project, anew
from tests.helpers.waiting import until

MAIN = """
@experiment.main
def main(rate: float = 0.1, nap: float = 0.0, *, run: Run):
    run.log({"loss": rate})
    open("begun", "w").close()
    time.sleep(nap)
    return {"loss": rate, "size": 7}
"""
SEARCH = ("-m", "hydra/sweeper=optuna", "hydra.sweeper.sampler.seed=1", "rate=interval(0,1)")


@pytest.fixture
def trial(project: Path) -> Project:
    trial = Project(project)
    trial.write(MAIN)
    return trial


def test_a_sweep_without_its_runs_is_deleted_wherever_it_is_named(trial: Project) -> None:
    trial.run("-m", "rate=1,2")
    anew(trial, "tag", "sweep:1", "paper")
    anew(trial, "note", "sweep:1", "of all jobs")
    shown = anew(trial, "sweep", "show", "1").stdout
    assert "  tags  paper\n  note  of all jobs\n" in shown
    anew(trial, "tag", "1", "mine")
    assert "mine" not in anew(trial, "sweep", "show", "1").stdout, "that was said of one job"

    anew(trial, "delete", "sweep:1", "--yes")
    shown_without = anew(trial, "sweep", "show", "1")
    assert shown_without.stdout.startswith("sweep 1 of ")
    assert "  DELETED  " in shown_without.stdout.splitlines()[0]
    assert "INTERRUPTED" not in shown_without.stdout
    assert "anew restore sweep:1" in shown_without.stderr
    assert "No sweeps" in anew(trial, "sweep", "list").stderr
    anew(trial, "sweep", "resume", "1")
    assert trial.store.numbers() == [], "nothing was run again"
    anew(trial, "restore", "sweep:1")
    assert [job.runs for job in trial.store.sweep(1).jobs] == [(1,), (2,)]
    assert "  COMPLETED  " in anew(trial, "sweep", "show", "1").stdout.splitlines()[0]


def test_a_search_shows_objectives_as_given_and_which_jobs_miss_its_constraints(trial: Project) -> None:
    pytest.importorskip("optuna")
    several = ("hydra.sweeper.value=[loss,size]", "hydra.sweeper.direction=[minimize,maximize]")
    trial.run(*SEARCH, *several, "hydra.sweeper.n_trials=5", "hydra.sweeper.constraints=['loss <= 0.5']")
    done = anew(trial, "sweep", "show", "1")
    jobs = trial.store.sweep(1).jobs
    rows = {int(line.split()[0]): line for line in done.stdout.splitlines()[3:] if line[0].isdigit()}
    assert {index for index, row in rows.items() if " size=7 !" in row} == {
        job.index for job in jobs if job.result["loss"] > 0.5
    }
    assert 0 < sum("!" in row for row in rows.values()) < 5
    assert "! does not meet loss <= 0.5" in done.stderr
    best = next(line for line in done.stdout.splitlines() if line.startswith("  best"))
    assert best.split()[2] == "7", "a whole number is shown as one"
    assert "mean over loss, size" in done.stdout
    assert "5 of 5 jobs begun" in done.stdout


def test_a_search_that_was_stopped_counts_its_jobs_in_one_way(trial: Project) -> None:
    pytest.importorskip("optuna")
    with trial.start(*SEARCH, "hydra.sweeper.value=loss", "hydra.sweeper.n_trials=3", "nap=30") as process:
        until((trial.folder / "begun").exists)
        live = anew(trial, "sweep", "show", "1").stdout
        process.send_signal(signal.SIGINT)
        process.wait(60)
    stopped = anew(trial, "sweep", "show", "1").stdout
    for text, state in ((live, "RUNNING"), (stopped, "INTERRUPTED")):
        assert f"1 {state}" in text.splitlines()[0]
        assert "seed 1: 1 of 3 jobs begun" in text
        assert "COMPLETE" not in text
    assert "RUNNING" not in stopped


def test_what_a_search_cannot_compare_is_not_called_failed(trial: Project) -> None:
    pytest.importorskip("optuna")
    done = trial.run(*SEARCH, "hydra.sweeper.value=los", "hydra.sweeper.n_trials=3", code=1)
    said = done.stdout + done.stderr
    assert "Job 0 came to nothing that the search can compare" in said
    assert "failed" not in said
    assert "1 COMPLETED" in anew(trial, "sweep", "list").stdout
    wrong = anew(trial, "sweep", "resume", "1", "hydra.sweeper.n_trial=4", code=2).stderr
    assert "Did you mean hydra.sweeper.n_trials" in wrong


@pytest.mark.parametrize("name", ["max_time", "job_timeout"])
@pytest.mark.parametrize("time", ["0", "0s", "0.0h"])
def test_a_time_in_which_nothing_is_done_is_refused(name: str, time: str) -> None:
    with pytest.raises(ConfigError, match=f"anew.sweep.{name} is '{time}'.* above 0"):
        SweepSettings(**{name: time}).check()  # type: ignore[arg-type]


def test_a_sweep_that_was_cut_short_says_so_and_goes_on_quietly(trial: Project) -> None:
    done = trial.run("-m", "rate=1,2,3", "anew.sweep.max_jobs=1")
    assert "sweep 1 was cut short: 2 of its 3 jobs never began" in done.stderr
    resumed = anew(trial, "sweep", "resume", "1", "-q", "anew.sweep.max_jobs=null")
    assert [job.result["loss"] for job in trial.store.sweep(1).jobs] == [1, 2, 3]
    assert "anew:" not in resumed.stderr


def test_sweeps_are_listed_by_when_they_began(trial: Project) -> None:
    trial.run("-m", "rate=1,2")
    shutil.move(trial.folder / "runs", trial.folder / "old")
    trial.run("-m", "rate=3,4")
    anew(trial, "sync", "old", "runs")
    listed = json.loads(anew(trial, "sweep", "list", "--json").stdout)
    assert [sweep["id"] for sweep in listed] == [1, 2]
    assert listed[0]["started_at"] > listed[1]["started_at"]


def test_the_hint_for_an_unknown_key_of_a_search_is_no_value_of_ours(trial: Project) -> None:
    pytest.importorskip("optuna")
    trial.write(
        """
        @experiment.main(config_path="conf", config_name="config")
        def main(cfg):
            return float(cfg.rate)
        """
    )
    (trial.folder / "conf").mkdir()
    (trial.folder / "conf/config.yaml").write_text("rate: 0.1\n")
    said = trial.run("-m", "hydra/sweeper=optuna", "rat=interval(0,1)", code=2).stderr
    assert "Did you mean rate" in said
    assert "+rat=..." in said
    assert "rat=0.0" not in said
