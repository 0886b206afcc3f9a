"""Searches as a user sees them: the sweeper, the launcher, the record and the run handle together."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from anew.runner.format import serial
from anew.runner.records import Status
from tests.helpers.scripts import Project, anew
from tests.helpers.waiting import until
from tests.sweep.test_sweeps import marks, sweep_of

BOWL = """
from pathlib import Path
@experiment.main
def main(x: float = 0.0, kind: str = "a", nap: float = 0.0, *, run: Run):
    Path("marks").mkdir(exist_ok=True)
    Path("marks", f"{x}{kind}-{time.time_ns()}").touch()
    time.sleep(nap)
    value = (x - 2) ** 2 + (kind == "b")
    for step in range(4):
        run.report(value + 3 - step, step)
        if run.should_stop():
            return value
    return value
"""
SEARCH = ("-m", "hydra/sweeper=optuna", "x=interval(-5,5)", "kind=a,b", "hydra.sweeper.sampler.seed=3")


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


def values(trial: Project, number: int) -> list[float]:
    return [job.result for job in sweep_of(trial, number).jobs]


def test_a_search_is_a_sweep_that_names_its_best_job(trial: Project) -> None:
    trial.write(BOWL)
    trial.run(*SEARCH, "hydra.sweeper.n_trials=12", "anew.sweep.workers=2")
    sweep = sweep_of(trial)
    assert sweep.status is Status.COMPLETED
    assert len(sweep.jobs) == 12
    assert sweep.start.direction == "minimize"
    assert sweep.best is not None
    assert sweep.best.result == min(values(trial, 1))

    shown = json.loads(anew(trial, "sweep", "show", "--json").stdout)["search"]
    assert shown["best"][0]["values"] == [sweep.best.result]
    assert shown["best"][0]["index"] == sweep.best.index
    assert shown["trials"] == {"COMPLETE": 12}
    assert set(shown["importance"]) == {"x", "kind"}
    text = anew(trial, "sweep", "show").stdout
    assert "search by tpe, seed 3" in text
    assert f"job {sweep.best.index}" in text
    record = trial.store.get("last")
    assert record.metrics["objective"].count == 4


@pytest.mark.long
@pytest.mark.parametrize("workers", [(), ("anew.sweep.workers=1",)], ids=["here", "worker"])
def test_a_search_that_was_killed_comes_to_the_same_end(trial: Project, workers: tuple[str, ...]) -> None:
    trial.write(BOWL)
    words = (*SEARCH, "hydra.sweeper.n_trials=10", "nap=0.15", *workers)
    trial.run(*words)
    before = marks(trial)
    with trial.start(*words) as process:
        until(lambda: marks(trial) >= before + 4)
        process.kill()
    anew(trial, "sweep", "resume", "2")
    whole, resumed = (sweep_of(trial, number) for number in (1, 2))
    assert resumed.status is Status.COMPLETED
    assert [job.overrides for job in resumed.jobs] == [job.overrides for job in whole.jobs]
    assert values(trial, 2) == values(trial, 1)
    trials = [json.loads(anew(trial, "sweep", "show", n, "--json").stdout)["search"]["trials"] for n in ("1", "2")]
    assert trials[0] == trials[1] == {"COMPLETE": 10}


def test_a_job_that_promises_nothing_is_told_to_stop(trial: Project) -> None:
    trial.write(BOWL)
    trial.run(*SEARCH, "hydra.sweeper.n_trials=14", "hydra.sweeper.pruner=median")
    shown = json.loads(anew(trial, "sweep", "show", "--json").stdout)["search"]
    assert shown["trials"]["PRUNED"] > 0
    counts = Counter(trial.store.get(job.run or 0).metrics["objective"].count for job in sweep_of(trial).jobs)
    assert counts[4] == shown["trials"]["COMPLETE"]


def test_failed_jobs_do_not_end_a_search(trial: Project) -> None:
    trial.write("""
    @experiment.main
    def main(x: float = 0.0, *, run: Run):
        if x < 0:
            raise ValueError("below")
        return x
    """)
    trial.run(*SEARCH[:3], "hydra.sweeper.sampler=random", "hydra.sweeper.n_trials=12", code=1)
    states = Counter(job.status for job in sweep_of(trial).jobs)
    shown = json.loads(anew(trial, "sweep", "show", "--json").stdout)["search"]["trials"]
    assert shown == {"COMPLETE": states[Status.COMPLETED], "FAIL": states[Status.FAILED]}
    assert sum(states.values()) == 12


def test_outside_a_search_a_report_is_a_metric(trial: Project) -> None:
    trial.write(BOWL)
    trial.run("x=1")
    trial.run("-m", "x=1,2")
    assert [record.metrics["objective"].count for record in trial.store.find()] == [4, 4, 4]


def test_optuna_is_asked_for_by_name_when_it_is_missing(trial: Project) -> None:
    trial.write(BOWL)
    code = "import sys, runpy; sys.modules['optuna'] = None; sys.argv[:] = sys.argv[1:]; "
    code += "runpy.run_path('train.py', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code, "train.py", *SEARCH], cwd=trial.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "anew[optuna]" in done.stderr
    assert "Traceback" not in done.stderr


SHOW = """
import sys
from anew.runner.cli import main
main(sys.argv[1:])
print("optuna" in sys.modules, file=sys.stderr)
"""


@pytest.mark.long
def test_what_a_search_found_is_shown_without_optuna_once_it_has_ended_and_worked_out_again_when_it_went_on(
    trial: Project,
) -> None:
    def shown() -> tuple[str, bool]:
        command = [sys.executable, "-c", SHOW, "sweep", "show", "--json"]
        done = subprocess.run(command, cwd=trial.folder, capture_output=True, text=True, check=True)
        return done.stdout, done.stderr.endswith("True\n")

    trial.write(BOWL)
    trial.run(*SEARCH, "hydra.sweeper.n_trials=8")
    kept = trial.folder / "runs/sweeps/1/search/summary.json"
    quick, used = shown()
    assert not used
    whole = kept.read_bytes()
    told = serial.unseal(whole)
    odd = [
        serial.seal({**told, "found": {**told["found"], name: "x"}})
        for name in ("n_trials", "importance", "best", "seed")
    ]
    for spoilt in (whole.replace(b'"wanted":8', b'"wanted":9'), b"{}", b"", *odd, None):
        kept.unlink() if spoilt is None else kept.write_bytes(spoilt)
        assert shown() == (quick, True)
    kept.write_bytes(whole)
    journal = trial.folder / "runs/sweeps/1/search/journal.log"
    journal.write_bytes(journal.read_bytes()[:-1])
    assert shown()[1]
