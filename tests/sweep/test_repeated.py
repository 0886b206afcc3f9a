"""A repetition that was killed goes on with what it began with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from anew.runner.format import serial
from anew.runner.records import RerunOf, Status
from anew.runner.relaunch import basis
from anew.runner.sweep import vouching
from anew.runner.sweep.remote import EXPECT
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
    sweep = killed(trial, tmp_path).store.sweep(1)
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


def killed(trial: Project, tmp_path: Path) -> Project:
    """Have run 1 repeated, and the repetition killed in its second job."""
    trial.write(SCRIPT.format(mark=str(tmp_path / "killed")))
    (trial.folder / "data.txt").write_text("was")
    trial.run("seed=0")
    anew(trial, "repeat", "1", "--seeds", "3", code=137)
    return trial


def _other_paths(trial: Project, tmp_path: Path) -> None:
    """Have the record of run 1 say that modules were found in a folder of somebody's."""
    (tmp_path / "sitecustomize.py").write_text(f"open({str(tmp_path / 'evil')!r}, 'w')")
    path = trial.store.layout.run(1).record
    data = serial.unseal(path.read_bytes())
    data["environment"]["variables"]["PYTHONPATH"] = str(tmp_path)
    path.chmod(0o644)
    path.write_bytes(serial.seal(data))


def _other_input(trial: Project, tmp_path: Path) -> None:
    """Have run 1 read something else, by an entry that nobody has marked."""
    content = b"else"
    sha256 = trial.store.objects.put_bytes(content)
    file = {"path": "data.txt", "sha256": sha256, "size": len(content), "mode": 0o644, "kept": True, "link": None}
    line = {"q": 1, "k": "u", "t": 99.0, "f": file}
    (trial.store.layout.run(1).events / "other.jsonl").write_bytes(serial.seal(line))


@pytest.mark.parametrize("change", [_other_paths, _other_input])
def test_what_is_laid_out_of_the_run_that_is_repeated_needs_the_users_word_as_well(
    trial: Project, tmp_path: Path, change: Callable[[Project, Path], None]
) -> None:
    store = killed(trial, tmp_path).store
    start, job, repeated = store.sweep(1).start, store.sweep_folder(1).planned()[2], store.get(1)
    expected = f"{EXPECT}{vouching.digest(start, job, repeated)}"
    change(trial, tmp_path)
    words = [str(store.root), "1", "2", "1", "anew.quiet=true"]
    for given in ([], [expected]):
        command = [sys.executable, "-m", "anew.runner.sweep.remote", *given, *words]
        assert subprocess.run(command, cwd=trial.folder, check=False, stdin=subprocess.DEVNULL).returncode == 4
    refused = anew(trial, "sweep", "resume", "1", code=4)
    assert "anew sweep resume 1 --trust" in refused.stderr
    assert not (tmp_path / "evil").exists()
    anew(trial, "sweep", "resume", "1", "--trust")
    assert trial.store.sweep(1).jobs[2].status is Status.COMPLETED


def test_which_run_a_sweep_repeats_is_part_of_what_is_trusted(trial: Project, tmp_path: Path) -> None:
    start = killed(trial, tmp_path).store.sweep(1).start
    other = replace(start, repeats=RerunOf(id=2, uid="another"))
    assert basis.digest_of(basis.of_sweep(start)) != basis.digest_of(basis.of_sweep(other))
    assert "repeats" not in basis.of_sweep(replace(start, repeats=None))
