"""One job ended before its time, and one begun again: what the others of its sweep notice of that is nothing."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import psutil
import pytest

from anew.runner.records import Status
from tests.helpers.scripts import Project, anew
from tests.helpers.waiting import until

WAIT_S = 180.0
# where jobs run in turn, in a worker, and in a process of another machine
ENGINES = {
    "in turn": (),
    "workers": ("anew.sweep.workers=2",),
    "dask": ("hydra/launcher=anew_dask", "anew.sweep.workers=2"),
}
LONG = """
import subprocess

@experiment.main
def main(i: int = 0, how: str = "sleep"):
    if i == 2:
        return "other"
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    with open(f"child-{i}.tmp", "w") as file:
        file.write(str(child.pid))
    os.rename(file.name, f"child-{i}")
    while how == "stubborn":
        try:
            time.sleep(600)
        except SystemExit:
            break
    if how == "stuck":
        import ctypes
        ctypes.PyDLL(None).sleep(600)
    try:
        time.sleep(600)
    finally:
        print("cleaned up")
"""


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


def child(trial: Project, index: int) -> int:
    """The process that a job has started; waited for."""
    until(lambda: list(trial.folder.rglob(f"child-{index}")), "the job has begun", seconds=WAIT_S)
    path = next(iter(trial.folder.rglob(f"child-{index}")))
    return int(path.read_text())


def ended(process: subprocess.Popen[str], code: int) -> str:
    _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == code, said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("engine", ENGINES)
def test_a_job_that_takes_too_long_fails_and_its_children_end(trial: Project, engine: str) -> None:
    trial.write(LONG)
    with trial.start("-m", "i=1,2", "anew.sweep.job_timeout=4s", *ENGINES[engine]) as process:
        started = child(trial, 1)
        said = ended(process, 1)

    long, other = trial.store.sweep(1).jobs
    assert (long.status, other.result) == (Status.FAILED, "other"), said
    assert long.error == "TimeoutError: the job took longer than anew.sweep.job_timeout=4s"
    record = trial.record(long.run or 0)
    assert record.error is not None
    assert record.error.traceback.endswith("TimeoutError: the job took longer than anew.sweep.job_timeout=4s\n")
    assert "time.sleep(600)" in record.error.traceback
    assert "anew/runner" not in record.error.traceback
    assert record.signal is None
    assert "cleaned up" in "".join(str(each) for each in trial.store.output(long.run or 0))
    until(lambda: not psutil.pid_exists(started), "its child has ended", seconds=WAIT_S)


def test_a_job_that_holds_the_interpreter_is_ended_all_the_same(trial: Project) -> None:
    trial.write(LONG)
    with trial.start("-m", "i=1,2", "how=stuck", "anew.sweep.job_timeout=2", "anew.sweep.workers=1") as process:
        started = child(trial, 1)
        ended(process, 1)

    long, other = trial.store.sweep(1).jobs
    assert (long.status, long.error) == (
        Status.FAILED,
        "TimeoutError: the job took longer than anew.sweep.job_timeout=2",
    )
    assert other.result == "other"
    until(lambda: not psutil.pid_exists(started), "its child has ended", seconds=WAIT_S)


@pytest.mark.parametrize("engine", ENGINES)
def test_one_job_is_stopped_and_the_others_go_on(trial: Project, engine: str) -> None:
    trial.write(LONG)
    with trial.start("-m", "i=1,3,2", *ENGINES[engine]) as process:
        started = child(trial, 1)
        wrong = anew(trial, "sweep", "stop", "1/7", code=2)
        assert "has no job '7'; it has 3" in wrong.stderr
        if engine == "in turn":
            assert "will not be begun" in anew(trial, "sweep", "stop", "last/1").stdout
        assert "job 1/0 was asked to stop" in anew(trial, "sweep", "stop", "1/0").stdout
        if engine != "in turn":
            until(lambda: (trial.folder / "runs/sweeps/1/taken/1.1.json").exists(), seconds=WAIT_S)
            anew(trial, "sweep", "stop", "1/1")
        ended(process, 1)

    first, second, other = trial.store.sweep(1).jobs
    assert (first.status, first.error) == (Status.INTERRUPTED, "Stopped: by anew sweep stop 1/0")
    assert second.status is (Status.QUEUED if engine == "in turn" else Status.INTERRUPTED)
    assert other.result == "other"
    until(lambda: not psutil.pid_exists(started), "its child has ended", seconds=WAIT_S)
    assert "nobody hands out its jobs" in anew(trial, "sweep", "stop", "1/0").stdout


FLAKY = """
import signal
from pathlib import Path

@experiment.main
def main(how: str = "ok"):
    times = len(list(Path(__file__).parent.glob(f"{how}-*")))
    Path(__file__).parent.joinpath(f"{how}-{times}").touch()
    if times < 2 and how != "ok":
        if how == "raise":
            raise ValueError("flaky")
        if how == "exit":
            sys.exit(75)
        os.kill(os.getpid(), signal.SIGKILL) if how == "kill" else os._exit(9)
    return times
"""


@pytest.mark.parametrize("engine", ["workers", "dask"])
def test_jobs_that_did_not_end_well_are_begun_again(trial: Project, engine: str) -> None:
    trial.write(FLAKY)
    hows = "how=ok,raise,exit,kill,leave"
    with trial.start("-m", hows, "anew.sweep.retries=2", *ENGINES[engine]) as process:
        said = ended(process, 0)
    jobs = trial.store.sweep(1).jobs
    assert [job.result for job in jobs] == [0, 2, 2, 2, 2]
    assert [job.attempts for job in jobs] == [1, 3, 3, 3, 3]
    assert "job 3 is LOST (killed by SIGKILL): begun again, 2 of 2" in said

    for path in trial.folder.glob("*-[0-9]"):
        path.unlink()
    settings = ["anew.sweep.retries=5", "anew.sweep.retry_on=[75,137]"]
    with trial.start("-m", hows, *settings, *ENGINES[engine]) as process:
        ended(process, 1)
    jobs = trial.store.sweep(2).jobs
    assert [job.attempts for job in jobs] == [1, 1, 3, 3, 1]
    assert [job.status for job in jobs if job.attempts == 1] == [Status.COMPLETED, Status.FAILED, Status.LOST]


def test_jobs_in_turn_and_in_a_launcher_of_hydras_are_begun_again(trial: Project) -> None:
    trial.write(FLAKY)
    trial.run("-m", "how=raise,ok,exit", "anew.sweep.retries=2")
    assert [job.result for job in trial.store.sweep(1).jobs] == [2, 0, 2]

    for path in trial.folder.glob("*-[0-9]"):
        path.unlink()
    trial.run("-m", "how=raise,ok,exit", "anew.sweep.retries=2", "hydra/launcher=basic")
    assert [job.result for job in trial.store.sweep(2).jobs] == [2, 0, 2]


def test_a_job_that_goes_on_failing_is_told_once(trial: Project) -> None:
    trial.write("@experiment.main\ndef main(i: int = 0):\n    raise ValueError(i)\n")
    done = trial.run("-m", "i=0,1", "anew.sweep.retries=1", "anew.sweep.stop_on_failure=true", code=1)
    jobs = trial.store.sweep(1).jobs
    assert Counter(job.status for job in jobs) == Counter({Status.FAILED: 1, Status.QUEUED: 1})
    assert jobs[0].attempts == 2
    assert done.stderr.count("begun again") == 1


@pytest.mark.parametrize("word", ["job_timeout=soon", "retries=-1", "retry_on=[never]", "retry_on=[256]"])
def test_settings_that_make_no_sense_are_refused(trial: Project, word: str) -> None:
    trial.write(FLAKY)
    done = trial.run("-m", "how=ok", f"anew.sweep.{word}", code=2)
    assert f"anew.sweep.{word.partition('=')[0]}" in done.stderr
    assert not trial.has_runs
