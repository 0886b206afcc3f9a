"""Jobs of a sweep of a program: each has an interpreter to itself, as the program takes for granted."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from anew.runner.guard.forked import run_forked
from anew.runner.records import Status
from tests.helpers.scripts import ANEW, Project, anew

STATE = "print('imported')\nseen = []\n"
PROGRAM = """\
import atexit, decimal, os, signal, sys
import state
HOW = "ok"
atexit.register(lambda: open("ends.txt", "a").write(HOW + "\\n"))
state.seen.append(HOW)
print(state.seen, decimal.getcontext().prec)
decimal.getcontext().prec = 7
if HOW == "exit":
    os._exit(3)
if HOW == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if HOW == "exec":
    os.execvp("true", ["true"])
if HOW == "raise":
    raise ValueError("so it is")
"""
HOWS = "ok,exit,kill,exec,raise,ok"


@pytest.fixture
def trial(project: Path) -> Project:
    (project / "state.py").write_text(STATE)
    (project / "train.py").write_text(PROGRAM)
    return Project(project)


@pytest.mark.parametrize("workers", [(), ("anew.sweep.workers=1",)])
def test_a_job_finds_nothing_of_the_one_before_and_takes_no_other_with_it(
    trial: Project, workers: tuple[str, ...]
) -> None:
    done = anew(trial, "run", "train.py", "-m", f"HOW={HOWS}", *workers, code=1)
    records = [trial.record(number) for number in range(1, 7)]
    assert [each.status for each in records] == [
        Status.COMPLETED, Status.LOST, Status.LOST, Status.LOST, Status.FAILED, Status.COMPLETED,
    ]  # fmt: skip
    for record, how in zip(records, HOWS.split(","), strict=True):
        lines = anew(trial, "logs", str(record.id)).stdout.splitlines()
        assert lines[:2] == ["imported", f"['{how}'] 28"]
    said = done.stderr
    assert all(each in said for each in ("left by os._exit(3)", "killed by SIGKILL", "ValueError: so it is"))
    # what it told `atexit` is done where a program comes to its end
    assert (trial.folder / "ends.txt").read_text().split() == ["ok", "raise", "ok"]
    assert "is a re-run of 6: identical" in anew(trial, "rerun", "6").stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_ends_a_sweep_ends_its_job_too(trial: Project, number: signal.Signals, code: int) -> None:
    (trial.folder / "slow.py").write_text("import time\nN = 1\nprint('begun', flush=True)\ntime.sleep(100)\n")
    command = [*ANEW, "run", "slow.py", "-m", "N=1,2"]
    with subprocess.Popen(command, cwd=trial.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as (
        process
    ):
        assert process.stdout is not None
        try:
            # Hydra says before it what is launched
            assert any(line == "begun\n" for line in process.stdout)
            process.send_signal(number)
            assert process.wait(60) == code
        finally:
            process.kill()
    assert trial.record(1).status is Status.INTERRUPTED
    sweep = anew(trial, "sweep", "show").stdout
    assert all(each in sweep for each in ("INTERRUPTED", "QUEUED"))


def test_threads_are_waited_for_and_idle_workers_of_a_pool_are_not(trial: Project) -> None:
    (trial.folder / "train.py").write_text(
        "import threading, time\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "HOW = 'ok'\n"
        "pool = ThreadPoolExecutor(2)\n"
        "pool.submit(print, 'in a pool').result()\n"
        "threading.Thread(target=lambda: (time.sleep(0.3), open('late.txt', 'a').write(HOW))).start()\n"
    )
    anew(trial, "run", "train.py", "-m", "HOW=a,b")
    for number in (1, 2):
        assert trial.record(number).status is Status.COMPLETED
        assert anew(trial, "logs", str(number)).stdout.splitlines()[0] == "in a pool"
    assert (trial.folder / "late.txt").read_text() == "ab"


def test_work_in_a_forked_process_says_how_it_ended() -> None:
    assert run_forked(lambda: {"a": 1}).value == {"a": 1}
    refused = run_forked(lambda: int("x"))
    assert (type(refused.error), refused.code) == (ValueError, 1)
    # what cannot be sent is told by its text
    local = type("LocalError", (Exception,), {})

    def fail() -> None:
        raise local("of here")

    assert str(run_forked(fail).error) == "LocalError: of here"
    assert not run_forked(lambda: signal.raise_signal(signal.SIGKILL)).is_told
