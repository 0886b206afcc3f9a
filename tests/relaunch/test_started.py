"""Programs that are started in a roundabout way, or change what they were told: re-run and resumed as they were."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from anew.runner.records import Status
from tests.helpers.scripts import HEADER, Project, anew, checked

MAIN = """
@experiment.main
def main(lr: float = 0.1):
    return lr
"""
END = '\nif __name__ == "__main__":\n    main()\n'
PLAIN = HEADER + MAIN + END
SHORTENED = f"""{HEADER}{MAIN}
import argparse
if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--gpu", required=True)
    sys.argv[1:] = parser.parse_known_args()[1]
    main()
"""
BY_RUNPY = """
import runpy, sys
sys.argv = ["plain.py", *sys.argv[1:]]
runpy.run_path("plain.py", run_name="__main__")
"""
STARTS = {
    "shortened": ["shortened.py", "--gpu", "3"],
    "cProfile": ["-m", "cProfile", "-o", "profile.out", "plain.py"],
    "trace": ["-X", "utf8", "-m", "trace", "--count", "-C", "counts", "plain.py"],
    "pdb": ["-m", "pdb", "-c", "continue", "-c", "quit", "plain.py"],
    "folder": ["folder/"],
    "archive": ["app.zip"],
    "package": ["-Bm", "package"],
    "runpy": ["by_runpy.py"],
    "command": ["-c", "import runpy; runpy.run_path('plain.py', run_name='__main__')"],
}
OPTIONS = {"package": ("-B",)}


@pytest.fixture
def trial(project: Path) -> Project:
    (project / "pyproject.toml").touch()  # whatever is started, the project is this folder
    for name, text in {"plain.py": PLAIN, "shortened.py": SHORTENED, "by_runpy.py": BY_RUNPY}.items():
        (project / name).write_text(text)
    for folder in ("folder", "package"):
        (project / folder).mkdir()
        (project / folder / "__main__.py").write_text(PLAIN)
    (project / "package/__init__.py").touch()
    with zipfile.ZipFile(project / "app.zip", "w") as archive:
        archive.writestr("__main__.py", PLAIN)
    return Project(project)


def start(trial: Project, *words: str, code: int = 0) -> None:
    command = [sys.executable, *words]
    done = subprocess.run(
        command, cwd=trial.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    checked(done, code)


@pytest.mark.parametrize("how", STARTS)
def test_it_is_run_again_as_it_was_started(trial: Project, how: str) -> None:
    start(trial, *STARTS[how], "lr=0.5")
    record = trial.record(1)
    assert record.config == {"lr": 0.5}
    assert record.command.options == OPTIONS.get(how, ())
    if how == "shortened":
        assert record.command.argv == ("shortened.py", "--gpu", "3", "lr=0.5"), "as it was typed"
    assert "identical" in anew(trial, "rerun", "1").stdout
    assert trial.record(2).result == 0.5


@pytest.mark.parametrize("how", ["shortened", "cProfile", "folder", "archive", "package", "runpy"])
def test_its_sweep_is_taken_up_again(trial: Project, how: str) -> None:
    start(trial, *STARTS[how], "-m", "lr=0.1,0.2", "anew.sweep.workers=1", "anew.sweep.max_jobs=1")
    anew(trial, "sweep", "resume", "1")
    assert [job.status for job in trial.store.sweep(1).jobs] == [Status.COMPLETED] * 2
