"""Sweeps by a real Slurm of one node."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from anew.runner.records import Status
from tests.helpers.scripts import Project, anew
from tests.helpers.waiting import until
from tests.sweep.test_sweeps import FATES, executions, marks, sweep_of

pytest_plugins = ("tests.helpers.slurm",)
LAUNCHER = ("hydra/launcher=anew_slurm", "hydra.launcher.poll_s=0.2", "hydra.launcher.ask_s=2")


@pytest.fixture
def trial(project: Path, slurm: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Project:
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    return Project(project)


def jobs_of_slurm(state: str) -> list[str]:
    done = subprocess.run(["squeue", "-h", "-t", state, "-o", "%A"], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_each_job_of_slurm_comes_to_an_end_of_its_own(trial: Project) -> None:
    trial.write(FATES)
    done = trial.run("-m", "how=ok,raise,exit,leave,SIGKILL,ok", *LAUNCHER, code=1)
    sweep = sweep_of(trial)
    lost = Status.LOST
    assert [job.status for job in sweep.jobs] == [
        Status.COMPLETED,
        Status.FAILED,
        Status.FAILED,
        lost,
        lost,
        Status.COMPLETED,
    ]
    assert executions(trial) == Counter({"ok0": 2, "raise0": 1, "exit0": 1, "leave0": 1, "SIGKILL0": 1})
    assert "ValueError: boom" in done.stderr
    assert sweep.jobs[3].error == "left by os._exit(3)"
    assert sweep.start.launcher == "anew_slurm"
    runs = [trial.store.get(job.run or 0) for job in sweep.jobs]
    assert len({run.process.pid for run in runs if run.process}) == 6
    assert {run.source.root for run in runs} == {str(trial.folder)}


def test_jobs_run_the_source_that_was_recorded(trial: Project) -> None:
    script = trial.write("""
    @experiment.main
    def main(i: int = 0, nap: float = 0.0):
        time.sleep(nap)
        return 'old'
    """)
    with trial.start("-m", "i=range(4)", "nap=2", *LAUNCHER) as process:
        until(lambda: list((trial.folder / "runs/sweeps/1/taken").glob("*.json")))
        script.write_text(script.read_text().replace("'old'", "'new'"))
        _, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    assert [job.result for job in sweep_of(trial).jobs] == ["old"] * 4


def test_a_job_that_slurm_cancels_is_interrupted_and_the_others_go_on(trial: Project) -> None:
    trial.write(FATES)
    with trial.start("-m", "i=range(3)", "nap=4", *LAUNCHER) as process:
        until(lambda: marks(trial) == 2)
        victim = jobs_of_slurm("running")[0]
        subprocess.run(["scancel", victim], check=True)
        _, err = process.communicate(timeout=90)
    assert process.returncode in (0, 1), err
    states = Counter(job.status for job in sweep_of(trial).jobs)
    assert states in (
        Counter({Status.COMPLETED: 2, Status.INTERRUPTED: 1}),
        Counter({Status.COMPLETED: 2, Status.LOST: 1}),
    )
    assert executions(trial) == Counter({f"ok{i}": 1 for i in range(3)})


def test_ctrl_c_cancels_what_runs_and_what_waits(trial: Project) -> None:
    trial.write(FATES)
    with trial.start("-m", "i=range(5)", "nap=60", *LAUNCHER) as process:
        until(lambda: marks(trial) == 2)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    states = Counter(job.status for job in sweep_of(trial).jobs)
    assert states == Counter({Status.INTERRUPTED: 2, Status.QUEUED: 3})
    until(lambda: not jobs_of_slurm("pending,running"))


def test_a_sweep_whose_conductor_was_killed_is_resumed(trial: Project) -> None:
    trial.write(FATES)
    with trial.start("-m", "i=range(5)", "nap=1.5", *LAUNCHER) as process:
        until(lambda: marks(trial) >= 1)
        process.kill()
    anew(trial, "sweep", "resume", "1")
    assert sweep_of(trial).status is Status.COMPLETED
    assert executions(trial) == Counter({f"ok{i}": 1 for i in range(5)})


def test_a_job_that_slurm_puts_back_into_its_queue_does_not_run_twice(trial: Project) -> None:
    trial.write(FATES)
    with trial.start("-m", "i=0,1", "nap=4", *LAUNCHER) as process:
        until(lambda: marks(trial) == 2)
        victim = jobs_of_slurm("running")[0]
        subprocess.run(["scontrol", "requeue", victim], check=True)
        until(lambda: victim in jobs_of_slurm("pending"))
        subprocess.run(["scontrol", "update", f"JobId={victim}", "StartTime=now"], check=True)
        _, err = process.communicate(timeout=120)
    assert process.returncode in (0, 1), err
    assert executions(trial) == Counter({"ok0": 1, "ok1": 1})
    assert Counter(job.status.final for job in sweep_of(trial).jobs) == Counter({True: 2})


def test_mistakes_are_told(trial: Project) -> None:
    trial.write(FATES)
    refused = trial.run("-m", "i=0,1", *LAUNCHER, "hydra.launcher.partition=nope", code=2)
    assert "Slurm did not take job 0" in refused.stderr
    wrong = trial.run("-m", "i=0,1", *LAUNCHER, "hydra.launcher.timeout_min=0", code=2)
    assert "above 0" in wrong.stderr
    environment = {"PATH": "/nowhere"}
    missing = trial.run("-m", "i=0,1", *LAUNCHER, env=environment, code=2)
    assert "sbatch" in missing.stderr
    code = "import sys, runpy; sys.modules['submitit'] = None; sys.argv[:] = sys.argv[1:]; "
    code += "runpy.run_path('train.py', run_name='__main__')"
    extra = subprocess.run(
        [sys.executable, "-c", code, "train.py", "-m", "i=0,1", *LAUNCHER],
        cwd=trial.folder,
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert extra.returncode == 2
    assert "anew[slurm]" in extra.stderr
    for each in (refused, wrong, missing, extra):
        assert "Traceback" not in each.stderr
