"""A signal in the first moments of a run, or the last: where there is a record, there is an outcome."""

from __future__ import annotations

from pathlib import Path

import pytest

from anew.runner.errors import EXIT_SIGTERM
from anew.runner.records import Status
from tests.helpers.scripts import Project

# signals the process as soon as the record of the run of this number is there, before the store returns
SIGNAL = """
import ctypes, signal
import anew.runner.store.folder as folder
real = folder.sync_folder
def sync_folder(path):
    real(path)
    if path.name == "runs" and (path / "{number}" / "run.json").exists():
        folder.sync_folder = real
        os.kill(os.getpid(), signal.SIGTERM)
        {then}
folder.sync_folder = sync_folder
@experiment.main
def main(lr: float = 0.1, *, run: Run):
    return lr
"""
STUCK = "ctypes.PyDLL(None).sleep(30)"


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


@pytest.mark.parametrize("then", ["pass", STUCK])
def test_a_signal_that_comes_with_the_record_leaves_an_outcome(trial: Project, then: str) -> None:
    trial.write(SIGNAL.format(number=1, then=then))
    trial.run(code=EXIT_SIGTERM)
    record = trial.record(1)

    assert (record.status, record.signal) == (Status.INTERRUPTED, "SIGTERM")


def test_a_signal_that_comes_with_the_record_of_a_job_leaves_an_outcome(trial: Project) -> None:
    trial.write(SIGNAL.format(number=2, then="pass"))
    trial.run("-m", "lr=1,2,3", code=EXIT_SIGTERM)

    assert [trial.record(number).status for number in (1, 2)] == [Status.COMPLETED, Status.INTERRUPTED]


def test_a_signal_that_comes_while_a_job_ends_waits_for_its_outcome(trial: Project) -> None:
    trial.write(
        "import signal\nfrom anew.runner.store.folder import FolderStore\nreal = FolderStore.settle\n"
        "def settle(self, number, told=None):\n"
        "    real(self, number, told)\n    if number == 2: os.kill(os.getpid(), signal.SIGTERM)\n"
        "FolderStore.settle = settle\n"
        "@experiment.main\ndef main(lr: float = 0.1, *, run: Run):\n    return lr\n"
    )
    trial.run("-m", "lr=1,2,3", code=EXIT_SIGTERM)

    assert [trial.record(number).status for number in trial.store.numbers()] == [Status.COMPLETED] * 2


def test_a_signal_that_comes_before_the_record_leaves_no_run(trial: Project) -> None:
    trial.write(
        "import signal\nfrom anew.runner.guard import reserve\nreal = reserve.set_aside\n"
        "def set_aside(path):\n    real(path); os.kill(os.getpid(), signal.SIGTERM)\n"
        "reserve.set_aside = set_aside\n"
        "@experiment.main\ndef main(lr: float = 0.1, *, run: Run):\n    return lr\n"
    )
    trial.run(code=EXIT_SIGTERM)

    assert trial.store.numbers() == []
