"""The page on why: its example is what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from anew.runner.why.deltas import KINDS
from tests.helpers.places import ROOT
from tests.helpers.scripts import Project, anew

PAGE = (ROOT / "docs/why.md").read_text()


@pytest.mark.slow
def test_the_example_comes_out_as_on_the_page(project: Path) -> None:
    trial = Project(project)
    [text] = re.findall(r"```python\n# fit.py\n(.*?)```", PAGE, re.DOTALL)
    script = project / "fit.py"
    script.write_text(text)
    first, second = re.findall(r"`python fit.py (.*?)`", PAGE)
    [changed] = re.findall(r"becomes `(return .*?)`", PAGE)
    trial.run(*first.split(), name="fit.py")
    script.write_text(text.replace("    return value\n", f"    {changed}\n"))
    trial.run(*second.split(), name="fit.py")
    [answer] = re.findall(r"^Of 3 differences.*$", PAGE, re.MULTILINE)
    assert anew(trial, "why", "1", "2").stdout.splitlines()[0] == answer


def test_every_kind_is_on_the_page() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert {group for _, group in rows} == set(KINDS)
    assert {kind for kind, _ in rows} == {
        "config",
        "choice",
        "hunk",
        "file",
        "input",
        "package",
        "seed",
        "variable",
        "python",
    }
