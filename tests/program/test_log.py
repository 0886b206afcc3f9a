"""`anew log`: a shell script logs metrics into the run that it is started by."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from anew.runner.records import Status
from tests.helpers.scripts import ANEW, Project, anew

LOG = f"""\
#!/bin/sh
anew() {{ {sys.executable} -c '{ANEW[2]}' "$@"; }}
"""


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


def _script(trial: Project, body: str) -> None:
    path = trial.folder / "fit.sh"
    path.write_text(LOG + body)
    path.chmod(0o755)


def _points(trial: Project, name: str) -> tuple[list[int], list[float]]:
    series = trial.store.metrics(1, name)
    return [int(step) for step in series.steps], [float(value) for value in series.values]


def test_a_script_logs_into_its_run(trial: Project) -> None:
    _script(trial, "anew log loss=0.5 acc=1\nanew log loss=0.25\nanew log loss=1e-3 --step 10\nanew log loss=nan\n")
    anew(trial, "run", "--", "./fit.sh")
    record = trial.record()
    assert record.status is Status.COMPLETED
    assert not record.damage
    steps, values = _points(trial, "loss")
    assert steps == [0, 1, 10, 11]
    assert values[:3] == [0.5, 0.25, 0.001]
    assert _points(trial, "acc") == ([0], [1])


@pytest.mark.parametrize("words", [("loss",), ("loss=fast",), ("=1",), ("42",), ("loss=1", "--step", "x")])
def test_what_is_no_number_is_refused_and_the_rest_not_logged(trial: Project, words: tuple[str, ...]) -> None:
    _script(trial, f"anew log acc=1 {' '.join(words)}; echo code $?\n")
    assert "code 2" in anew(trial, "run", "--", "./fit.sh").stdout
    assert not trial.record().metrics


@pytest.mark.parametrize("variables", [{}, {"ANEW_RUN": "/nowhere/1"}])
def test_outside_of_a_run_it_is_said(trial: Project, variables: dict[str, str]) -> None:
    done = anew(trial, "log", "loss=1", code=2, **variables)
    assert done.stderr.startswith("anew: ")
    assert "Traceback" not in done.stderr


def test_a_run_that_has_ended_takes_none(trial: Project) -> None:
    _script(trial, "exit 0\n")
    anew(trial, "run", "--", "./fit.sh")
    assert "has ended" in anew(trial, "log", "loss=1", code=2, ANEW_RUN=str(trial.folder / "runs/1")).stderr
    assert not trial.record().metrics
