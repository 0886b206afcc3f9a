"""What a search compares: what main returns, a key of it, or a metric; without one it ends with the first job."""

from __future__ import annotations

from pathlib import Path

import pytest

from anew.runner.errors import ConfigError
from anew.runner.search.outcomes import NotComparableError, objectives
from anew.runner.search.settings import read_settings
from tests.helpers.scripts import Project

BODY = """
@experiment.main
def main(lr: float = 0.1, how: str = "number", *, run: Run):
    run.log({"loss": lr})
    return {"none": None, "dict": {"acc": lr, "time": 1.0}, "tuple": (lr, 1.0), "text": "x", "number": lr}[how]
"""
SEARCH = ("-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "lr=interval(0,1)")


@pytest.fixture
def trial(project: Path) -> Project:
    pytest.importorskip("optuna")
    trial = Project(project)
    trial.write(BODY)
    return trial


@pytest.mark.parametrize(("how", "named"), [("none", "NAME1"), ("dict", "acc"), ("tuple", "NAME1"), ("text", "NAME1")])
def test_the_first_job_without_a_number_ends_the_search(trial: Project, how: str, named: str) -> None:
    done = trial.run(*SEARCH, f"how={how}", code=1)
    assert "The search has ended with job 0: main returned" in done.stderr
    assert "a search needs a number to minimize" in done.stderr
    assert f"hydra.sweeper.value={named}" in done.stderr
    assert len(trial.store.sweep(1).jobs) == 1, "the budget is not spent"


@pytest.mark.parametrize(
    "words",
    [
        ["how=dict", "hydra.sweeper.value=acc"],
        ["how=none", "hydra.sweeper.value=loss"],
        ["how=dict", "hydra.sweeper.value=[acc,loss]", "hydra.sweeper.direction=[minimize,maximize]"],
    ],
)
def test_a_key_or_a_metric_is_searched_by(trial: Project, words: list[str]) -> None:
    trial.run(*SEARCH, *words)
    assert len(trial.store.sweep(1).jobs) == 3
    results = (trial.folder / "runs/sweeps/1/optimization_results.yaml").read_text()
    assert "best_value: " in results or "solutions:" in results


def test_a_name_that_is_neither_is_told_with_those_there_are(trial: Project) -> None:
    done = trial.run(*SEARCH, "how=dict", "hydra.sweeper.value=accuracy", code=1)
    assert "hydra.sweeper.value=accuracy is no key of what main returned, and no metric" in done.stderr
    assert "There are: acc, time, loss." in done.stderr


def test_numbers_are_picked_in_the_order_of_the_directions() -> None:
    one, two = ("minimize",), ("minimize", "maximize")
    assert objectives({"a": 1}, one, names=("a",)) == (1.0,)
    assert objectives(None, two, names=("x", "y"), metrics={"y": 2, "x": 3}) == (3.0, 2.0)
    assert objectives({"a": 1}, two, names=("a", "m"), metrics={"a": 9, "m": 4}) == (1.0, 4.0), "main's own first"
    with pytest.raises(NotComparableError, match=r"hydra.sweeper.value=\[a,b\]"):
        objectives({"a": 1, "b": 2}, two)


@pytest.mark.parametrize(("value", "direction"), [(3, "minimize"), ("", "minimize"), ("a", ["minimize", "maximize"])])
def test_what_is_no_name_is_refused(value: object, direction: object) -> None:
    values = {
        "sampler": "random",
        "direction": direction,
        "n_trials": 3,
        "pruner": None,
        "max_failure_rate": 1.0,
        "study_name": None,
        "storage": None,
        "value": value,
    }
    with pytest.raises(ConfigError, match=r"hydra.sweeper.value is .*; it takes"):
        read_settings(values, [])


REPORTS = """
@experiment.main
def main(lr: float = 0.1, told: str = "loss", *, run: Run):
    values = {"loss": 1 - lr, "accuracy": lr}
    for step in range(3):
        run.report(values[told], step)
        if run.should_stop():
            break
    return values
"""


@pytest.mark.parametrize(
    ("told", "value", "direction", "warns"),
    [
        ("loss", "accuracy", "maximize", True),
        ("accuracy", "loss", "minimize", True),
        ("accuracy", "accuracy", "maximize", False),
        ("loss", "loss", "minimize", False),
    ],
)
def test_reports_that_go_against_the_search_are_warned_of_once(
    trial: Project, told: str, value: str, direction: str, warns: bool
) -> None:
    trial.write(REPORTS)
    words = [f"told={told}", f"hydra.sweeper.value={value}", f"hydra.sweeper.direction={direction}"]
    done = trial.run(*SEARCH, *words, "hydra.sweeper.pruner=median")
    said = done.stdout + done.stderr
    assert said.count("stops its good jobs") == warns
    assert (f"Jobs report {told} by run.report, and the search is to {direction} {value}" in said) == warns
    without = trial.run(*SEARCH, *words)
    assert "stops its good jobs" not in without.stdout + without.stderr, "without a pruner nothing is stopped"
