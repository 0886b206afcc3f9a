"""Observers that can never work: refused before main where that is known, said at once, and given up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from anew.runner.dispatch import possible
from anew.runner.dispatch.arguments import unfit_arguments
from anew.runner.errors import MissingExtraError
from anew.runner.settings import COMMON, ObserverSettings
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

class Mine(Good):
    def __init__(self, path, *, pause=0.0):
        pass

class Child(Mine):
    pass

class Any(Good):
    def __init__(self, **options):
        pass

def make(path):
    return Good()

def function(event, factor=1):
    pass

if True:
    class Odd(Good):
        def __init__(self, whatever=1):
            pass
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


@pytest.mark.parametrize(
    ("target", "words", "why"),
    [
        ("mine.Mine", ["path=a", "paus=1"], "takes no argument 'paus'. Did you mean anew.observers.mine.pause?"),
        ("mine.Mine", [], "missing a required argument: 'path'"),
        ("mine.Child", ["path=a", "zzz=1"], "takes no argument 'zzz'. It takes: path, pause."),
        ("mine.Good", ["pth=x"], "takes no argument 'pth'. It takes: nothing."),
        ("mine.make", ["pth=x"], "takes no argument 'pth'. Did you mean anew.observers.mine.path?"),
        ("mine.function", ["_partial_=true", "factr=2"], "Did you mean anew.observers.mine.factor?"),
        ("anew.observers.mongo.MongoObserver", ["ulr=x"], "Did you mean anew.observers.mine.url?"),
    ],
)
def test_arguments_that_the_target_does_not_take_are_refused_before_main(
    trial: Project, target: str, words: list[str], why: str
) -> None:
    done = trial.run(f"{TARGET}={target}", *(f"+anew.observers.mine.{word}" for word in words), code=2)
    assert "The observer 'mine' cannot work" in done.stderr
    assert why in done.stderr
    assert not trial.has_runs


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("mine.Mine", {"path": 1, "pause": 2}),
        ("mine.Mine", {"_args_": [1]}),
        ("mine.Child", {"path": 1}),
        ("mine.Any", {"whatever": 1}),
        ("mine.make", {"path": 1, "_convert_": "all"}),
        ("mine.function", {"_partial_": True, "factor": 2}),
        ("mine.Odd", {"nobody": "knows"}),
        ("functools.partial", {"_args_": [print]}),
    ],
)
def test_arguments_that_fit_or_of_which_nobody_knows_are_not_refused(
    trial: Project, monkeypatch: pytest.MonkeyPatch, target: str, options: dict[str, Any]
) -> None:
    monkeypatch.syspath_prepend(str(trial.folder))
    unfit_arguments.__globals__["_written"].cache_clear()
    assert unfit_arguments("mine", {"_target_": target, **options}) == ""


def test_every_observer_of_ours_takes_what_its_configuration_gives() -> None:
    for path in sorted((Path(__file__).parents[2] / "configs" / "anew" / "observers").glob("*.yaml")):
        spec = yaml.safe_load(path.read_text())
        spec = spec.get(path.stem, spec)
        if isinstance(spec, dict) and "_target_" in spec:
            given = {key: value for key, value in spec.items() if key not in COMMON}
            assert unfit_arguments(path.stem, given) == "", path
            assert "takes no argument" in unfit_arguments(path.stem, {**given, "no_such": 1}), path


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
