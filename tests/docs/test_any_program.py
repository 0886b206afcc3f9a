"""The page on programs that know nothing of Anew: its commands run, and do what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.helpers.places import ROOT
from tests.helpers.scripts import ANEW, WAIT_S

PAGE, _, WITHIN = (ROOT / "docs" / "any-program.md").read_text().partition("## A run from within")


def test_its_commands_run(project: Path) -> None:
    # a file begins with its name
    for text, name in re.findall(r"^```\w+\n(# (\S+\.\w+)\n.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        (project / name).write_text(text)
    shown = []
    for line in re.findall(r"^\$ anew (.*)$", PAGE, re.MULTILINE):
        words = [*ANEW, *shlex.split(line, comments=True)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=WAIT_S)
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
        shown.append(done.stdout)
    assert "train.py:8" in shown[3]
    assert "is a re-run of 1: identical" in "".join(shown)


def test_a_run_from_within_is_as_it_says(project: Path) -> None:
    (project / "tune.py").write_text(re.findall(r"```python\n(.*?)```", WITHIN, re.DOTALL)[0])
    programs = {"python": [sys.executable], "anew": ANEW}
    for line in re.findall(r"^\$ (.*)$", WITHIN.partition("## Notebooks")[0], re.MULTILINE):
        first, *words = shlex.split(line, comments=True)
        command = [*programs[first], *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT_S)
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    assert "lr=0.3 was given on top" in done.stdout
