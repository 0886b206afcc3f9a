"""A signal that comes while a command still imports what it needs ends it without a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from anew.runner.errors import EXIT_SIGINT, EXIT_SIGTERM

# signals the process as soon as a module is about to be imported
HOOK = """
import os, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["SIGNAL_AT"]:
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))

sys.meta_path.insert(0, Finder())
"""
PLACES = [
    ("list", "anew.runner.cli"),
    ("list", "anew.runner.errors"),
    ("list", "click"),
    ("list", "anew.runner.cli.group"),
    ("--store runs list", "anew.runner.query.filters"),
    ("rerun 1", "anew.runner.rerun.conduct"),
    ("nothing-like-it", "anew.runner.cli.group"),
    ("run train.py", "anew.runner.errors"),
    ("run train.py", "anew.runner.program.start"),
    ("run train.py --params", "anew.runner.cli.run"),
]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, EXIT_SIGINT), (signal.SIGTERM, EXIT_SIGTERM)])
@pytest.mark.parametrize(("typed", "module"), PLACES)
def test_a_signal_while_a_command_is_imported_ends_it_without_a_word(
    project: Path, tmp_path: Path, typed: str, module: str, number: int, code: int
) -> None:
    (project / "train.py").write_text("print('begun')\n")
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(HOOK)
    variables = {**os.environ, "PYTHONPATH": str(site), "SIGNAL_AT": module, "SIGNAL": str(int(number))}
    done = subprocess.run(
        [sys.executable, "-m", "anew", *typed.split()], cwd=project, env=variables, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    assert not (project / "runs").exists()


def test_a_signal_that_is_ignored_is_ignored_from_the_start(project: Path, tmp_path: Path) -> None:
    """As after `nohup`, or in the background of a shell script."""
    (tmp_path / "sitecustomize.py").write_text(f"import signal; signal.signal(2, signal.SIG_IGN)\n{HOOK}")
    variables = {**os.environ, "PYTHONPATH": str(tmp_path), "SIGNAL_AT": "click", "SIGNAL": "2"}
    command = [sys.executable, "-m", "anew", "--version"]
    done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
