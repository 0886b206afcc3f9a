"""`anew.source.keep=digest`: code that must not be copied, whose changes are seen all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.scripts import Project, anew

BY_DIGEST = "anew.source.keep=digest"


@pytest.fixture
def trial(project: Path) -> Project:
    found = Project(project)
    (project / "helper.py").write_text("X = 2\n")
    (project / "late.py").write_text("Y = 3\n")
    found.write("""
    import helper

    @experiment.main
    def main(lr: float = 1.0):
        import late
        return lr * helper.X * late.Y
    """)
    found.run(BY_DIGEST)
    return found


def contents(trial: Project) -> set[bytes]:
    return {path.read_bytes() for path in (trial.folder / "runs" / "objects").rglob("*") if path.is_file()}


def test_nothing_of_the_code_is_copied(trial: Project) -> None:
    record = trial.record()
    assert {"helper.py", "late.py", "train.py"} <= {file.path for file in record.source.files}
    assert not any(file.kept for file in record.source.files)
    assert record.source.git is None or not record.source.git.diff
    assert not any(b"X = 2" in data or b"Y = 3" in data or b"def main" in data for data in contents(trial))
    assert "known by their digests alone" in anew(trial, "show", "1").stdout
    anew(trial, "check", "--deep")


def test_a_re_run_uses_todays_files_while_they_are_the_same(trial: Project) -> None:
    done = anew(trial, "rerun", "1")
    assert "identical" in done.stdout
    assert "by its digests alone" in done.stderr
    assert not any(b"X = 2" in data for data in contents(trial))


def test_a_re_run_says_what_it_cannot_restore(trial: Project) -> None:
    (trial.folder / "helper.py").write_text("X = 3\n")
    (trial.folder / "late.py").unlink()
    said = anew(trial, "rerun", "1", code=2).stderr
    assert "anew.source.keep=digest" in said
    assert "helper.py, late.py" in said
    assert "anew rerun 1 --code current" in said
    assert trial.store.numbers() == [1]


def test_changes_are_seen(trial: Project) -> None:
    (trial.folder / "helper.py").write_text("X = 3\n")
    trial.run(BY_DIGEST)
    source = json.loads(anew(trial, "diff", "1", "2", "--json").stdout)["source"]
    assert source.keys() == {"helper.py"}
    assert source["helper.py"]["a"] != source["helper.py"]["b"]
    done = anew(trial, "rerun", "1", "--code", "current", code=3)
    assert "The source is another: helper.py" in done.stdout
