"""Commands that are given to be typed lead to the run that they are given for, wherever its store is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from anew.runner.store.typed import as_typed
from tests.helpers.scripts import Project, anew

MAIN = """
@experiment.main
def main(i: int = 0, *, run: Run):
    run.log({"loss": float(i)})
    if i == 3:
        raise ValueError("three")
    return i
"""
# up to where the sentence goes on
_HINT = re.compile(r"anew ((?:show|logs|list|metrics|plot|restore|sweep)\b[^\n;,]*?)(?=[.;,]?(?:\s\s|\n|; | To |$))")


@pytest.fixture
def trial(project: Path) -> Project:
    (project / "pyproject.toml").touch()
    trial = Project(project)
    trial.write(MAIN)
    return trial


def hints(text: str) -> list[list[str]]:
    return [shlex.split(found) for found in _HINT.findall(text)]


@pytest.mark.parametrize("named", ["setting", "option", "variable", "spaces"])
def test_they_work_after_runs_in_another_store(trial: Project, named: str) -> None:
    """A run of the same number is in the default store, which hints without the store would lead to."""
    trial.run("i=7")
    place = str(trial.folder / "else where" if named == "spaces" else trial.folder / "elsewhere")
    how = [f"anew.store='{place}'"] if named in ("setting", "spaces") else ["--store", place]
    env: Any = {"ANEW_STORE": place} if named == "variable" else {}
    shown = trial.run("i=1", *([] if env else how), env=env).stderr
    (hint,) = hints(shown)
    assert ("--store" in hint) is (named != "variable")
    assert "'i': 1" in anew(trial, *hint, "--json", **env).stdout.replace('"', "'")
    failed = trial.run("-m", "i=2,3", *([] if env else how), code=1, env=env).stderr
    to_see, to_resume = hints(failed[failed.index("to see why") :])
    assert "three" in anew(trial, *to_see, **env).stdout
    assert "run 4 of trial" in anew(trial, *to_resume, code=1, **env).stderr


def test_those_of_commands_name_the_store_that_they_were_given(trial: Project) -> None:
    trial.run("i=1", "anew.store=elsewhere")
    store = str(trial.folder / "elsewhere")
    shown = anew(trial, "show", "1", "--store", store).stdout
    for hint in hints(shown[shown.index("Next:") :]):
        assert hint[-2:] == ["--store", store]
        anew(trial, *hint)
    for words in (["show", "9"], ["metrics", "1", "nothing"], ["sweep", "show", "4"], ["show", "sweep:1/1"]):
        said = anew(trial, *words, "--store", store, code=2).stderr
        assert f"--store {store}" in said
    said = anew(trial, "delete", "1", "--store", store).stdout
    (hint,) = hints(said)
    anew(trial, *hint)
    assert f"anew list --store {store}" in anew(trial, "--store", store).stdout


def test_in_the_default_store_they_stay_short(trial: Project) -> None:
    assert hints(trial.run().stderr) == [["show", "1"]]
    assert "--store" not in anew(trial, "show", "1").stdout
    (trial.folder / "deep").mkdir()
    assert as_typed("anew show 1", trial.folder / "runs", trial.folder / "deep") == "anew show 1"


def test_a_place_is_quoted_and_a_url_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANEW_STORE", raising=False)
    assert as_typed("anew list", "/a b/c") == "anew list --store '/a b/c'"
    assert as_typed("anew list", "mongodb://host/runs") == "anew list --store mongodb://host/runs"
    monkeypatch.setenv("ANEW_STORE", "mongodb://host/runs")
    assert as_typed("anew list", "mongodb://host/runs") == "anew list"
    assert as_typed("anew list", "runs") == "anew list --store runs"
