"""Observers of a sweep's jobs: who is behind is said, who is required is asked once, and a spool is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from anew.runner.dispatch.spool import remove_delivered_sweep, spool_folder
from anew.runner.records import Status
from anew.runner.store.folder import FolderStore
from tests.helpers.scripts import Project, anew

MINE = """\
from pathlib import Path

class Mine:
    def __init__(self, down=""):
        self.down = Path(down)

    def check(self):
        if self.down.exists():
            raise ConnectionError("the other side is away")
        return "there"

    def handle(self, event):
        self.check()

    def close(self):
        pass
"""
SCRIPT = """\
@experiment.main
def main(n: int = 1, *, run: Run):
    run.log({"loss": 1.0})
    if n == 3:
        raise ValueError("three")
    return n
"""


@pytest.fixture
def trial(project: Path) -> Project:
    (project / "mine.py").write_text(MINE)
    made = Project(project)
    made.write(SCRIPT)
    return made


@pytest.fixture
def spool(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(project / "cache"))
    return spool_folder()


def mine(trial: Project, *more: str) -> list[str]:
    down = f"anew.observers.mine.down={trial.folder / 'down'}"
    return ["anew.observers.mine._target_=mine.Mine", down, "anew.drain_s=0.5", *more]


def test_a_sweep_with_workers_says_at_once_and_at_its_end_who_is_behind(trial: Project) -> None:
    (trial.folder / "down").touch()
    done = trial.run("-m", "n=1,2,4", "anew.sweep.workers=2", *mine(trial))
    lines = done.stderr.splitlines()
    first = [index for index, line in enumerate(lines) if "the observer 'mine' is behind" in line]
    assert len(first) == 1
    assert any("job" in line for line in lines[first[0] :])
    (last,) = [line for line in lines if "of 3 runs are still to be delivered to 'mine'" in line]
    assert "To deliver them: anew sync" in last
    (trial.folder / "down").unlink()
    anew(trial, "sync")
    assert {trial.record(number).observers["mine"].state for number in (1, 2, 3)} == {"delivered"}


@pytest.mark.parametrize("workers", ["anew.sweep.workers=2", "anew.quiet=false"])
def test_an_observer_that_is_required_is_asked_once_and_jobs_stay_queued(trial: Project, workers: str) -> None:
    (trial.folder / "down").touch()
    done = trial.run("-m", "n=1,2,4", workers, *mine(trial, "anew.observers.mine.required=true"), code=2)
    assert done.stderr.count("the other side is away") == 1
    assert "No job was begun." in done.stderr
    sweep = trial.store.sweep(1)
    assert [job.status for job in sweep.jobs] == [Status.QUEUED] * 3
    assert not trial.store.numbers()
    (trial.folder / "down").unlink()
    anew(trial, "sweep", "resume", "1")
    assert trial.store.sweep(1).status is Status.COMPLETED


@pytest.mark.parametrize("workers", ["anew.sweep.workers=2", "anew.quiet=false"])
def test_a_sweep_that_no_folder_keeps_leaves_the_spool_with_its_runs(trial: Project, spool: Path, workers: str) -> None:
    trial.run("-m", "n=1,2", workers, "anew/observers=[sql]")
    store = FolderStore.open(spool)
    assert (store.numbers(), store.sweep_numbers()) == ([], [])


def test_one_that_waits_leaves_it_as_a_whole_once_it_is_delivered(trial: Project, spool: Path) -> None:
    (trial.folder / "down").touch()
    done = trial.run("-m", "n=1,2", "anew.sweep.workers=2", "anew/observers=[sql]", *mine(trial))
    assert "To deliver them: anew sync\n" in done.stderr
    store = FolderStore.open(spool)
    anew(trial, "sync", "1", "--store", str(spool), code=1)
    (trial.folder / "down").unlink()
    anew(trial, "sync", "1", "--store", str(spool))
    # what became of its jobs is read from their runs
    assert store.sweep(1).status is Status.COMPLETED
    anew(trial, "sync")
    assert (store.numbers(), store.sweep_numbers()) == ([], [])


def test_one_that_can_be_resumed_waits_for_that(trial: Project, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial.run("-m", "n=1,3", "anew/observers=[sql]", code=1)
    store = FolderStore.open(spool)
    anew(trial, "sync")
    assert [job.status for job in store.sweep(1).jobs] == [Status.COMPLETED, Status.FAILED]
    trial.write(SCRIPT.replace("n == 3", "n == 5"))
    anew(trial, "sweep", "resume", "1", "--code", "current", "--store", str(spool))
    anew(trial, "sync")
    assert (store.numbers(), store.sweep_numbers()) == ([], [])


def test_one_that_nobody_resumes_is_gone_after_a_month(
    trial: Project, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.run("-m", "n=1,3", "anew/observers=[sql]", code=1)
    store = FolderStore.open(spool)
    assert not remove_delivered_sweep(store, 1)
    monkeypatch.setattr("anew.runner.dispatch.spool._RESUMABLE", 0 * store.sweep(1).ended_at.resolution)  # type: ignore
    assert remove_delivered_sweep(store, 1)
    assert not store.numbers()
