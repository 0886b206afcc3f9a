"""`anew run --metric`: what a program prints becomes metrics, without a line of code."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from anew.runner.records import Status
from tests.helpers.scripts import ANEW, Project, anew
from tests.helpers.waiting import until

ACC = r"acc=accuracy: (\S+)"


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


def _points(trial: Project, name: str, run: int = 1) -> tuple[list[int], list[float]]:
    series = trial.store.metrics(run, name)
    return [int(step) for step in series.steps], [float(value) for value in series.values]


def test_a_program_prints_its_metrics(trial: Project) -> None:
    (trial.folder / "train.py").write_text(
        "N = 3\nfor i in range(N):\n    print(f'accuracy: {i / 4}')\n    print(f'step: {10 * i} loss: {1 / (i + 1)}')\n"
    )
    anew(trial, "run", "--metric", ACC, "--metrics=auto", "train.py", "N=4")
    assert _points(trial, "acc") == ([0, 1, 2, 3], [0, 0.25, 0.5, 0.75])
    assert _points(trial, "loss") == ([0, 10, 20, 30], [1, 0.5, 1 / 3, 0.25])
    assert "identical" in anew(trial, "rerun", "1").stdout
    assert _points(trial, "acc", 2) == _points(trial, "acc")


def test_so_does_a_command_to_its_last_line(trial: Project) -> None:
    script = (
        "i=0; while [ $i -lt 500 ]; do echo accuracy: $i; i=$((i+1)); done; echo accuracy: odd; printf 'accuracy: 7'"
    )
    anew(trial, "run", "--metric", ACC, "--metric", r"b=no(t)", "--", "sh", "-c", script)
    assert _points(trial, "acc") == ([*range(501)], [*range(500), 7])
    assert "b" not in trial.record().metrics


def test_a_sweep_has_them_in_each_job(trial: Project) -> None:
    anew(trial, "run", "--metric", ACC, "-m", "--", "echo", "accuracy: {x}", "x=1,2", "anew.sweep.workers=2")
    assert sorted(record.metrics["acc"].last for record in trial.store.find()) == [1, 2]


def test_without_being_asked_for_nothing_is_read(trial: Project) -> None:
    anew(trial, "run", "--", "echo", "step: 3 loss: 0.2")
    assert not trial.record().metrics


def test_what_is_drawn_over_counts_once_as_it_stays(trial: Project) -> None:
    anew(trial, "run", "--metric", ACC, "--", "printf", r"accuracy: 1\raccuracy: 2\raccuracy: 3\n")
    assert _points(trial, "acc") == ([0], [3])


def test_they_are_there_while_it_goes_on(trial: Project) -> None:
    script = "for i in $(seq 200); do echo accuracy: $i; done; read line"
    with subprocess.Popen(
        [*ANEW, "run", "--metric", ACC, "--", "sh", "-c", script],
        cwd=trial.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        until(lambda: (trial.folder / "runs/1/run.json").exists())
        until(lambda: "acc" in trial.record().metrics)
        assert trial.record().status is Status.RUNNING
        process.communicate(b"\n", timeout=60)
    assert _points(trial, "acc") == ([*range(200)], [*range(1, 201)])


def test_what_the_log_has_no_place_for_is_said(trial: Project) -> None:
    words = ("--metric", ACC, "anew.output.limit_bytes=4000", "--", "sh", "-c", "seq -f 'accuracy: %g' 5000")
    anew(trial, "run", *words)
    record = trial.record()
    assert record.metrics["acc"].last == 5000
    assert any("limit_bytes" in text for text in record.warnings)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--metric", "acc=accuracy", "--", "true"), "no group"),
        (("--metric", "acc=(", "--", "true"), "the pattern '('"),
        (("--metric", "acc", "--", "true"), "NAME=PATTERN"),
        (("--metrics", "all", "--", "true"), "--metrics takes auto"),
        (("--metric",), "--metric takes"),
        (("--metric", ACC, "anew.output.mode=off", "--", "true"), "anew.output.mode is off"),
    ],
)
def test_a_mistake_gets_one_message_and_no_run(trial: Project, words: tuple[str, ...], said: str) -> None:
    done = anew(trial, "run", *words, code=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not trial.has_runs
