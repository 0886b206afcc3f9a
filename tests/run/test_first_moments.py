"""A signal in the first moments of a run, or the last: where there is a record, there is an outcome."""

from __future__ import annotations

from pathlib import Path

import pytest

from anew.runner.errors import EXIT_SIGINT, EXIT_SIGTERM
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


# signals the process between the claim of a number and the record
CLAIMED = """
import signal
import anew
from anew.runner.{module} import {kind}
real = {kind}.{name}
def signalled(*args, **values):
    os.kill(os.getpid(), signal.{signal})
    return real(*args, **values)
{kind}.{name} = signalled
"""
PLACES = [("session", "Session", "_claimed"), ("store.folder", "FolderStore", "start")]
MAIN = """
@experiment.main
def main(lr: float = 0.1):
    return lr
"""


@pytest.mark.parametrize(("signal", "code"), [("SIGINT", EXIT_SIGINT), ("SIGTERM", EXIT_SIGTERM)])
@pytest.mark.parametrize(("module", "kind", "name"), PLACES)
@pytest.mark.parametrize("words", [(), ("hydra.job.name=other",), ("-m", "lr=1,2")])
def test_a_signal_that_comes_before_the_record_leaves_no_folder(
    trial: Project, signal: str, code: int, module: str, kind: str, name: str, words: tuple[str, ...]
) -> None:
    trial.write(CLAIMED.format(signal=signal, module=module, kind=kind, name=name) + MAIN)
    trial.run(*words, code=code)

    assert [path.name for path in (trial.folder / "runs").iterdir() if path.name.isdigit()] == []


@pytest.mark.parametrize(("signal", "code"), [("SIGINT", -2), ("SIGTERM", EXIT_SIGTERM)])
@pytest.mark.parametrize(("module", "kind", "name"), PLACES)
def test_nor_does_one_that_comes_before_the_record_of_a_run_without_a_main(
    trial: Project, signal: str, code: int, module: str, kind: str, name: str
) -> None:
    claimed = CLAIMED.format(signal=signal, module=module, kind=kind, name=name)
    (trial.folder / "train.py").write_text(f"import os\n{claimed}anew.start('loop')\n")
    trial.run(code=code)

    assert [path.name for path in (trial.folder / "runs").iterdir() if path.name.isdigit()] == []


def test_what_sigterm_does_is_what_it_was_after_a_run_and_in_its_children(trial: Project) -> None:
    trial.write("""
        import signal
        @experiment.main
        def main(lr: float = 0.1):
            if (child := os.fork()) == 0:
                os._exit(signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        assert main.run().result == 0
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    """)
    trial.run()
