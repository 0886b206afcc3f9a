"""What a program writes for TensorBoard becomes metrics, without a line of code."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.helpers.scripts import ANEW, Project, anew
from tests.helpers.waiting import until

pytest.importorskip("tensorboard")

# the writer that torch's SummaryWriter hands its events to
WRITER = """\
import sys
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

RATE = 0.5

def write(writer, tag, value, step):
    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
    writer.add_event(Event(step=step, wall_time=1.0, summary=summary))

if __name__ == "__main__":
    writer = EventFileWriter("logs/train")
    for step in range(3):
        write(writer, "loss", RATE * step, step)
    valid = EventFileWriter("logs/valid")
    write(valid, "loss", 9.0, 2)
    valid.close()
"""
TORCH = """\
from torch.utils.tensorboard import SummaryWriter

writer = SummaryWriter()
for step in range(3):
    writer.add_scalar("loss", 0.5 * step, step)
    writer.add_scalar("acc", 0.25, step, new_style=True)
    writer.add_scalars("both", {"a": step}, step)
writer.add_text("text", "no number")
"""
LOGGING = """\
import anew
from train import EventFileWriter, write

run = anew.current_run()
writer = EventFileWriter("logs")
for step in range(4):
    write(writer, "loss", step, step)
    if step < 2:
        run.log({"loss": step + 0.125}, step)
writer.close()
"""
LIVE = """\
from train import EventFileWriter, write

writer = EventFileWriter("logs")
for step in range(3):
    write(writer, "loss", step, step)
writer.flush()
input()
"""


@pytest.fixture
def trial(project: Path) -> Project:
    (project / "train.py").write_text(WRITER)
    (project / "logged.py").write_text(LOGGING)
    (project / "live.py").write_text(LIVE)
    return Project(project)


def _points(trial: Project, name: str, run: int = 1) -> tuple[list[int], list[float]]:
    series = trial.store.metrics(run, name)
    return [int(step) for step in series.steps], [float(value) for value in series.values]


def _names(trial: Project) -> set[str]:
    return {name for name in trial.record().metrics if not name.startswith("system/")}


def test_a_program_writes_them_and_is_run_again(trial: Project) -> None:
    anew(trial, "run", "train.py", "RATE=0.25")
    assert _points(trial, "loss") == ([0, 1, 2], [0, 0.25, 0.5])
    assert _points(trial, "valid/loss") == ([2], [9])
    assert "identical" in anew(trial, "rerun", "1").stdout
    assert _points(trial, "loss", 2) == _points(trial, "loss")
    told = anew(trial, "rerun", "1", "RATE=0.5").stdout
    assert "metric loss at step 1: 0.25 -> 0.5" in told


def test_so_does_a_command_and_what_was_there_is_none_of_it(trial: Project) -> None:
    subprocess.run([ANEW[0], "train.py"], cwd=trial.folder, check=True)
    anew(trial, "run", "--", ANEW[0], "train.py")
    # the file that was there has the same tags: it would double them
    assert _points(trial, "valid/loss") == ([2], [9])


@pytest.mark.long
def test_torch_writes_them(trial: Project) -> None:
    pytest.importorskip("torch")
    (trial.folder / "fit.py").write_text(TORCH)
    anew(trial, "run", "fit.py")
    assert _points(trial, "loss") == ([0, 1, 2], [0, 0.5, 1])
    assert _points(trial, "acc") == ([0, 1, 2], [0.25] * 3)
    assert _names(trial) == {"loss", "acc", "both_a/both"}


def test_what_the_program_logs_itself_counts_once(trial: Project) -> None:
    anew(trial, "run", "logged.py")
    assert sorted(zip(*_points(trial, "loss"), strict=True)) == [(0, 0.125), (1, 1.125), (2, 2), (3, 3)]


def test_those_of_the_observer_are_not_read(trial: Project) -> None:
    anew(trial, "run", "logged.py", "anew/observers=[files,tensorboard]", "anew.observers.tensorboard.dir=logs")
    assert sorted(_points(trial, "loss")[0]) == [0, 1, 2, 3]


def test_switched_off_there_are_none(trial: Project) -> None:
    anew(trial, "run", "train.py", "anew.tensorboard=false")
    assert not _names(trial)


def test_they_are_there_while_it_goes_on(trial: Project) -> None:
    words = [*ANEW, "run", "live.py"]
    with subprocess.Popen(words, cwd=trial.folder, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        until(lambda: (trial.folder / "runs/1/run.json").exists())
        # of each the last point waits for the next
        until(lambda: "loss" in trial.record().metrics and trial.record().metrics["loss"].count == 2)
        process.communicate(b"\n", timeout=60)
    assert _points(trial, "loss") == ([0, 1, 2], [0, 1, 2])
