"""Observers that can never work: refused before main where that is known, said at once, and given up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from anew.runner.dispatch import possible
from anew.runner.errors import MissingExtraError
from anew.runner.settings import ObserverSettings
from tests.helpers.scripts import Project, anew

BODY = """
@experiment.main
def main(lr: float = 0.1, wait: bool = False):
    while wait and "gets nothing" not in open("err.txt").read():
        time.sleep(0.05)
    print("main was called")
    return lr
"""
MODULE = """
class Good:
    def handle(self, event): pass
    def close(self): pass

class Bad(Good):
    def __init__(self):
        raise RuntimeError("never")
"""
TARGET = "anew.observers.mine._target_"


@pytest.fixture
def trial(project: Path) -> Project:
    (project / "mine.py").write_text(MODULE)
    trial = Project(project)
    trial.write(BODY)
    return trial


@pytest.mark.parametrize("words", [[], ["-m", "lr=1,2"], ["-m", "lr=1,2", "anew.sweep.workers=1"]])
@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("nomodule.Mine", "there is no module 'nomodule'"),
        ("mine.Nothing", "mine.py has no Nothing"),
        ("anew.observers.nothing.Mine", "there is no module 'anew.observers.nothing'"),
        ("anew.observers.mongo.Nothing", "has no Nothing"),
    ],
)
def test_a_target_that_is_not_there_is_refused_before_main(
    trial: Project, target: str, why: str, words: list[str]
) -> None:
    done = trial.run(*words, f"{TARGET}={target}", code=2)
    assert "The observer 'mine' cannot work" in done.stderr
    assert why in done.stderr
    assert not trial.has_runs


def test_a_library_that_is_not_installed_is_refused_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(possible, "version", lambda name: None)
    possible._lacking.cache_clear()
    mongo = ObserverSettings(name="mongo", spec={"_target_": "anew.observers.mongo.MongoObserver"}, written={})
    try:
        with pytest.raises(MissingExtraError, match=r"pip install 'anew\[mongo\]'"):
            possible.refuse_impossible([mongo])
    finally:
        possible._lacking.cache_clear()


def test_what_works_is_not_refused(trial: Project) -> None:
    trial.run(f"{TARGET}=mine.Good")
    assert "All is well" in anew(trial, "check").stdout


def test_one_that_cannot_be_built_is_said_at_once_and_can_be_given_up(trial: Project) -> None:
    with (trial.folder / "err.txt").open("w") as file:
        words = [sys.executable, "train.py", f"{TARGET}=mine.Bad", "wait=true"]
        subprocess.run(words, cwd=trial.folder, stderr=file, stdout=subprocess.DEVNULL, check=True, timeout=60)
    checked = anew(trial, "check", code=2).stdout
    assert "events wait for the observer 'mine'" in checked
    assert "--drop mine" in checked
    assert "All is well" not in checked
    anew(trial, "sync", code=1)
    assert "Nothing is pending" in anew(trial, "sync", "--drop", "other").stdout
    assert "given up" in anew(trial, "sync", "--drop", "mine").stdout
    anew(trial, "sync")
    assert "All is well" in anew(trial, "check", "--deep").stdout
