"""A repetition that was killed goes on with what it began with."""

from __future__ import annotations

from pathlib import Path

import pytest

from anew.runner.records import Status
from tests.helpers.scripts import Project, anew

SCRIPT = """
from pathlib import Path

@experiment.main
def main(seed: int = 0):
    here = Path(__file__).parent
    if seed == 2 and not Path({mark!r}).exists():
        Path({mark!r}).touch()
        os.kill(os.getpid(), 9)
    return sorted(each.name for each in here.glob("*.py")), (here / "data.txt").read_text()
"""


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


def test_a_killed_repetition_is_taken_up_with_the_source_and_inputs_of_its_run(trial: Project, tmp_path: Path) -> None:
    """Files that are new in the project are none of what the run had; and data that was edited is as it was."""
    trial.write(SCRIPT.format(mark=str(tmp_path / "killed")))
    (trial.folder / "data.txt").write_text("was")
    trial.run("seed=0")
    anew(trial, "repeat", "1", "--seeds", "3", code=137)
    sweep = trial.store.sweep(1)
    assert [job.status for job in sweep.jobs] == [Status.COMPLETED, Status.LOST, Status.QUEUED]
    assert sweep.start.repeats is not None
    assert sweep.start.repeats.uid == trial.store.get(1).uid

    (trial.folder / "new.py").write_text("")
    (trial.folder / "data.txt").write_text("is")
    anew(trial, "sweep", "resume", "1")

    results = [job.result for job in trial.store.sweep(1).jobs]
    assert [(files, text) for files, text in results] == [(["train.py"], "was")] * 3
    for index in range(3):
        assert "new.py" not in [file.path for file in trial.store.get(f"sweep:1/{index}").source.files]
