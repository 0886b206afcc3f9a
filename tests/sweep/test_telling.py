"""What is said of a run and of a sweep while they go on, and at their end."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from anew.runner.wording import without_noise
from tests.helpers.scripts import Project

MAIN = """
@experiment.main
def main(rate: float = 0.1, mode: str = "fine", *, run: Run):
    if mode == "fail":
        raise ValueError("boom")
    print(mode, end="" if mode == "open" else "\\n", flush=True)
    return rate
"""


@pytest.fixture
def fit(project: Path) -> Project:
    made = Project(project)
    made.write(MAIN)
    return made


def both(fit: Project, *words: str) -> str:
    """What a script says on stdout and stderr, where both lead to one place."""
    done = subprocess.run(
        [sys.executable, "train.py", *words],
        cwd=fit.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_line_at_the_end_begins_a_line_of_its_own(fit: Project) -> None:
    assert "open\nanew: run 1 COMPLETED" in both(fit, "mode=open")
    assert "fine\nanew: run 2 COMPLETED" in both(fit)
    assert both(fit, "mode=open", "-q") == "open"
    assert "\n\n" not in fit.run("mode=open").stderr


def test_one_job_is_one_job_and_floats_are_told_without_their_noise(fit: Project) -> None:
    said = fit.run("-m", "rate=0.012733411188215032", "anew.sweep.workers=1").stderr
    assert "sweep 1 of trial: 1 job\n" in said
    assert "rate=0.0127334" in said
    assert "0.0127334111" not in said
    assert fit.record().overrides == ("rate=0.012733411188215032",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lr=1.2345678901e-05", "lr=1.23457e-05"),
        ("lr=-0.123456789", "lr=-0.123457"),
        ("opt=[0.1,0.30000000000000004]", "opt=[0.1,0.3]"),
        ("name=v1.23456789x", "name=v1.23456789x"),
        ("ip=1.2.3456789012", "ip=1.2.3456789012"),
        ("n=12345678901 lr=0.125", "n=12345678901 lr=0.125"),
    ],
)
def test_noise_is_what_floats_have_beyond_six_digits(text: str, told: str) -> None:
    assert without_noise(text) == told


@pytest.mark.parametrize("engine", [(), ("anew.sweep.workers=1",)], ids=["here", "workers"])
def test_quiet_leaves_out_all_but_what_failed(fit: Project, engine: tuple[str, ...]) -> None:
    said = fit.run("-q", "-m", "mode=fine,fail", *engine, code=1).stderr
    assert "job 1  run 2  FAILED  mode=fail  ValueError: boom" in said
    assert "to see why: anew show sweep:1/1" in said
    assert "anew: run " not in said
    assert "anew:" not in fit.run("-q", "-m", "mode=fine,other", *engine).stderr


def test_a_failure_is_told_without_the_hint_at_a_variable(fit: Project) -> None:
    said = fit.run("mode=fail", code=1).stderr
    assert said.endswith("ValueError: boom\n")
    assert "HYDRA_FULL_ERROR" not in said


def test_on_a_terminal_jobs_are_told_as_they_end_above_the_bar(fit: Project) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "train.py", "-m", "rate=1,2", "anew.sweep.workers=1"],
        cwd=fit.folder,
        stderr=theirs,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "200"},
    )
    os.close(theirs)
    said = b""
    try:
        while piece := os.read(ours, 65536):
            said += piece
    except OSError:
        pass  # how Linux says that the other end is closed
    assert process.wait() == 0
    os.close(ours)
    for number in (1, 2):
        assert f"sweep 1 [{number}/2]  job {number - 1}  run {number}  COMPLETED".encode() in said
