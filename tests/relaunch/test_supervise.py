"""Whoever stops a re-run stops both processes of it, at any instant, and says so by the exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from anew.runner.records import Status
from tests.helpers.scripts import ANEW, Project, anew
from tests.helpers.waiting import until

SLOW = """
if os.environ.get("SLOW") == "import":
    print("begun", flush=True)
    time.sleep(60)

@experiment.main
def main(lr: float = 0.1):
    if os.environ.get("SLOW") == "main":
        print("begun", flush=True)
        time.sleep(60)
"""


@pytest.fixture
def trial(project: Path) -> Project:
    trial = Project(project)
    trial.write(SLOW)
    trial.run()
    return trial


@contextmanager
def slow_rerun(trial: Project, where: str) -> Iterator[subprocess.Popen[str]]:
    """A re-run that has come to where it is slow."""
    with subprocess.Popen(
        [*ANEW, "rerun", "1"],
        cwd=trial.folder,
        env={**os.environ, "SLOW": where},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process


def child_of(process: subprocess.Popen[str]) -> psutil.Process:
    """The process that runs main again."""
    child = next(each for each in psutil.Process(process.pid).children() if "child.py" in " ".join(each.cmdline()))
    assert child.is_running()
    return child


ALONE: Callable[[int, int], None] = os.kill
# as a terminal does it
TOGETHER: Callable[[int, int], None] = os.killpg


@pytest.mark.parametrize("where", ["import", "main"])
@pytest.mark.parametrize(
    ("number", "send"),
    [
        (signal.SIGINT, ALONE),
        (signal.SIGINT, TOGETHER),
        (signal.SIGTERM, ALONE),
        (signal.SIGHUP, ALONE),
        (signal.SIGQUIT, ALONE),
    ],
    ids=["INT alone", "INT to both", "TERM alone", "HUP alone", "QUIT alone"],
)
def test_a_signal_that_ends_a_rerun_ends_main_too(trial: Project, where: str, number: int, send: Any) -> None:
    with slow_rerun(trial, where) as process:
        child = child_of(process)
        send(process.pid, number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert not child.is_running()
    assert "Traceback" not in err
    if where == "main":
        again = trial.record(2)
        assert again.status is Status.INTERRUPTED
        assert again.verdict is not None
        assert again.verdict.verdict == "stopped"
        assert again.verdict.first_difference is None
        assert f"was stopped by {signal.Signals(number).name}" in again.verdict.causes[0]
    else:
        assert trial.store.numbers() == [1]


@pytest.mark.parametrize("where", ["import", "main"])
def test_main_ends_with_a_rerun_that_is_killed(trial: Project, where: str) -> None:
    with slow_rerun(trial, where) as process:
        child = child_of(process)
        process.kill()
        until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, seconds=10)
    if where == "main":
        until(lambda: trial.record(2).status is Status.INTERRUPTED)
        assert trial.record(2).signal == "SIGTERM"


def test_what_main_starts_is_none_of_the_lifeline(trial: Project) -> None:
    """A program that looks at its threads and descriptors sees the same, and its forks live on as they did."""
    trial.write(
        """
    import threading
    @experiment.main
    def main(lr: float = 0.1):
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:
            os.close(writer)
            os.read(reader, 1)  # until main's process has ended
            time.sleep(0.5)
            open("outlived", "w").close()
            os._exit(0)
        return sorted(re.sub("[0-9]", "", each.name) for each in threading.enumerate())
    """.replace("import threading", "import re, threading")
    )
    trial.run("anew.source.exclude=[outlived]")
    until((trial.folder / "outlived").exists)
    done = subprocess.run([*ANEW, "rerun", "2"], cwd=trial.folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"identical", done.stdout)


def test_a_rerun_that_is_killed_keeps_verify_from_no_other(trial: Project) -> None:
    """What was found is said, also when it is verify itself that is told to stop."""
    trial.run()
    trial.run()
    command = [*ANEW, "verify", "1", "2", "3", "--json"]
    kill = 'import os, signal; os.kill(os.getpid(), signal.SIGKILL if os.environ.get("SLOW") == "kill" else 0)'
    trial.write(SLOW.replace("def main(lr: float = 0.1):", f"def main(lr: float = 0.1):\n    {kill}"))
    trial.run("lr=0.2")
    done = anew(trial, "verify", "1", "4", "2", "--json", code=1, SLOW="kill")
    assert [row["verdict"] for row in json.loads(done.stdout)] == ["identical", "stopped", "identical"]

    with subprocess.Popen(
        command,
        cwd=trial.folder,
        env={**os.environ, "SLOW": "main"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        until(lambda: (trial.folder / "runs" / "8" / "run.json").exists(), seconds=60)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert [row["verdict"] for row in json.loads(out)] == ["stopped", None, None]
