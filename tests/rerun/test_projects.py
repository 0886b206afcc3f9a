"""Three projects on record, and everything around them is changed: the same comes out, or it is said why not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import anew
from tests.helpers.needs import needs
from tests.helpers.projects import copy_project, environments_with
from tests.helpers.scripts import ANEW

pytestmark = pytest.mark.long


class Recorded:
    """A project of tests/projects, copied, with a run on record."""

    def __init__(self, name: str, script: str, where: Path, python: str = sys.executable) -> None:
        self.folder = where / name
        self.runs = where / "runs"
        self.python = python
        copy_project(name, self.folder)
        self.environment = {**os.environ, "ANEW_STORE": str(self.runs), "LABEL": "then"}
        subprocess.run([python, script, "-q"], cwd=self.folder, check=True, timeout=120, env=self.environment)
        self.was = anew.open_store(self.runs).get(1)

    def again(self, *args: str, code: int = 0, python: str | None = None, **env: str) -> dict[str, Any]:
        """`anew rerun 1 --json`; an identical one is compared once more, bit for bit, by hand."""
        words = [python or self.python, *ANEW[1:], "rerun", "1", "--json", *args]
        variables = {**self.environment, **env}
        done = subprocess.run(words, cwd=self.runs.parent, capture_output=True, text=True, check=False, env=variables)
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        shown: dict[str, Any] = json.loads(done.stdout)
        if shown["verdict"] == "identical":
            self.compare(shown["run"])
        return shown

    def compare(self, number: int) -> None:
        store = anew.open_store(self.runs)
        now = store.get(number)
        assert now.result == self.was.result
        assert now.config == self.was.config
        assert {file.path: file.sha256 for file in now.artifacts} == {
            file.path: file.sha256 for file in self.was.artifacts
        }
        names = [name for name in self.was.metrics if not name.startswith("system/")]
        assert names
        for name in names:
            old, new = store.metrics(1, name), store.metrics(number, name)
            assert (list(old.exact), old.steps.tolist()) == (list(new.exact), new.steps.tolist())


def edit_sources(project: Recorded) -> dict[str, str]:
    for path in project.folder.rglob("*.py"):
        path.write_text("raise SystemExit('of today')\n")
    return {}


def edit_yaml(project: Recorded) -> dict[str, str]:
    for path in project.folder.rglob("*.yaml"):
        path.write_text("of: today\n")
    return {}


def change_data(project: Recorded) -> dict[str, str]:
    for path in project.folder.rglob("*"):
        if path.suffix in (".csv", ".npy", ".txt"):
            path.write_text("1 2\n")
    return {}


def change_variables(project: Recorded) -> dict[str, str]:
    return {"LABEL": "today", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "5", "TZ": "Asia/Tokyo"}


def move(project: Recorded) -> dict[str, str]:
    project.folder.rename(project.folder.parent / "moved")
    return {}


def delete(project: Recorded) -> dict[str, str]:
    shutil.rmtree(project.folder.parent / "moved")
    return {}


CHANGES: tuple[Callable[[Recorded], dict[str, str]], ...] = (
    edit_sources,
    edit_yaml,
    change_data,
    change_variables,
    move,
    delete,
)


@pytest.mark.parametrize(
    ("name", "script", "inputs"),
    [
        ("digits", "train.py", ["data/labels.csv", "data/pixels.csv"]),
        ("orbit", "orbit.py", ["start.txt"]),
        pytest.param("net", "train.py", ["rows.npy"], marks=pytest.mark.torch),
    ],
)
def test_whatever_is_changed_around_it_a_run_comes_out_identical(
    name: str, script: str, inputs: list[str], tmp_path: Path
) -> None:
    if name == "net":
        needs("torch", "torch==2.13.0")
    project = Recorded(name, script, tmp_path)
    assert [ref.path for ref in project.was.inputs] == inputs
    for change in CHANGES:
        variables = change(project)
        shown = project.again(**variables)  # type: ignore[arg-type]  # none of them is called code
        assert shown["verdict"] == "identical", (change.__name__, shown)
        if change is change_data:
            assert list(shown["differences"]["inputs"]) == inputs


def test_another_version_of_a_package_is_named_and_the_recorded_ones_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real environments, built by uv from wheels of what is installed here, without a network."""
    pythons = environments_with("pull", {"1.0": "PULL = 1.0\n", "2.0": "PULL = 1.5\n"}, tmp_path, monkeypatch)
    project = Recorded("orbit", "orbit.py", tmp_path, pythons[0])
    assert project.again()["verdict"] == "identical"
    shown = project.again(python=pythons[1], code=3)
    assert shown["differences"]["packages"]["pull"] == {
        "recorded": "1.0",
        "now": "2.0",
        "restored": False,
        "imported": True,
    }
    assert "The package pull was 1.0, now 2.0." in shown["causes"]
    assert project.again("--env", "recorded", "--strict", python=pythons[1])["verdict"] == "identical"
    refused = subprocess.run(
        [pythons[1], *ANEW[1:], "rerun", "1", "--strict"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=project.environment,
    )
    assert refused.returncode == 4
    assert "pull (packages)" in refused.stderr
