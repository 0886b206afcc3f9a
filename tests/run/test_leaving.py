"""What a program leaves with, and what `main()` is to whoever calls it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from anew.runner.records import Status
from tests.helpers.scripts import HEADER, Project

MAIN = """
@experiment.main
def main(lr: float = 0.1, code: int = 0, bad: bool = False):
    if bad:
        raise ValueError("boom")
    if code:
        sys.exit(code)
    return 210
"""
CONSOLE = f'{HEADER}{MAIN}\nif __name__ == "__main__":\n    sys.exit(main())\n'


@pytest.fixture
def trial(project: Path) -> Project:
    (project / "train.py").write_text(CONSOLE)
    return Project(project)


def test_a_console_script_ends_well_when_main_does(trial: Project) -> None:
    trial.run()
    assert trial.record().result == 210
    trial.run("-m", "lr=1,2")
    trial.run("-m", "lr=1,2", "anew.sweep.workers=2")
    trial.run("-m", "bad=true,false", code=1)


@pytest.mark.parametrize(("given", "left"), [(3, 3), (256, 1), (512, 1), (-1, 255)])
def test_an_exit_that_a_shell_would_take_for_a_success_is_none(trial: Project, given: int, left: int) -> None:
    trial.run(f"code={given}", code=left)
    assert (trial.record().status, trial.record().exit_code) == (Status.FAILED, left)


def test_a_quiet_sweep_says_which_jobs_failed(trial: Project) -> None:
    done = trial.run("-q", "-m", "bad=true,false", "anew.sweep.workers=2", code=1)
    assert "job 0" in done.stderr
    assert "ValueError: boom" in done.stderr
    assert "COMPLETED" not in done.stderr
    assert trial.run("-q", "-m", "lr=1,2", "anew.sweep.workers=2").stderr == ""


def test_a_call_with_arguments_says_that_nothing_is_recorded(trial: Project) -> None:
    (trial.folder / "use.py").write_text("import train\nprint(train.main(lr=3.0), train.main(4.0))\n")
    done = trial.run(name="use.py")
    assert done.stdout == "210 210\n"
    assert done.stderr.count("nothing is recorded") == 1
    assert "main.run(lr=...)" in done.stderr
    assert not trial.has_runs


def test_a_method_is_refused(trial: Project) -> None:
    trial.write("class Trainer:\n    @experiment.main\n    def main(self, lr: float = 0.1):\n        return lr\n")
    done = trial.run(code=2)
    assert "Trainer.main" in done.stderr
    assert "it is a method" in done.stderr


@pytest.mark.parametrize("words", [["-c", "continue", "-c", "quit"], ["-c", "break main", "-c", "continue", "-c", "q"]])
def test_a_failure_of_main_is_the_debuggers_to_show(trial: Project, words: list[str]) -> None:
    if words[1] != "continue" and sys.version_info[:3] == (3, 13, 0):
        pytest.skip("the debugger of Python 3.13.0 itself fails at: break main")
    command = [sys.executable, "-m", "pdb", *words, "train.py", "bad=true"]
    done = subprocess.run(
        command, cwd=trial.folder, input="q\nq\n", capture_output=True, text=True, timeout=60, check=False
    )
    assert "fault in anew" not in done.stdout + done.stderr
    if words[1] == "continue":
        assert "post mortem" in done.stdout
    assert trial.record().status is Status.FAILED
