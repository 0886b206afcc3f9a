"""A re-run or a resumed sweep runs the main that ran: its experiment, module, function and call, or none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from anew.runner.records import Status
from tests.helpers.scripts import HEADER, Project, anew

PREPARATION = """
from anew import Experiment
experiment = Experiment("prep")

@experiment.main
def main(rows: int = 3):
    with open("rows.txt", "a") as file:
        file.write("x" * rows)
    return -rows
"""


@pytest.fixture
def trial(project: Path) -> Project:
    (project / "pyproject.toml").touch()
    return Project(project)


def script(trial: Project, body: str) -> None:
    (trial.folder / "train.py").write_text(HEADER + body)


def again(trial: Project, ref: int, code: int = 0) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(anew(trial, "rerun", str(ref), "--json", code=code).stdout)
    return shown


def is_the_same(trial: Project, ref: int) -> None:
    before = len(trial.store.numbers())
    assert again(trial, ref)["verdict"] == "identical"
    assert len(trial.store.numbers()) == before + 1
    old, new = trial.record(ref), trial.record("last")
    assert (new.experiment, new.result, new.config) == (old.experiment, old.result, old.config)


def test_a_script_that_begins_with_a_run_of_another_experiment(trial: Project) -> None:
    (trial.folder / "prep.py").write_text(PREPARATION)
    script(
        trial,
        """
import prep
prep.main.run("rows=2")

@experiment.main
def main(lr: float = 0.1):
    return lr

main()
""",
    )
    trial.run("lr=0.5")
    assert [trial.record(number).experiment for number in (1, 2)] == ["prep", "trial"]
    is_the_same(trial, 2)
    is_the_same(trial, 1)


def test_two_mains_of_one_name_in_a_script(trial: Project) -> None:
    script(
        trial,
        """
@experiment.main
def main(x: int = 1):
    return x
first = main

@Experiment("other").main
def main(x: int = 2):
    return 10 * x

@Experiment("other").main
def main2(x: int = 3):
    return 100 * x

first.run("x=5")
main.run("x=6")
main2.run("x=7")
""",
    )
    trial.run()
    for number in (1, 2, 3):
        is_the_same(trial, number)


def test_mains_that_a_factory_makes_and_state_between_calls(trial: Project) -> None:
    script(
        trial,
        """
STATE = 0
def make(factor):
    @Experiment("made").main
    def main(x: int = 1):
        return factor * x + STATE
    return main

for factor in (1, 10, 100):
    STATE += 1
    make(factor).run("x=2")
""",
    )
    trial.run()
    assert [trial.record(number).result for number in (1, 2, 3)] == [3, 22, 203]
    for number in (3, 2, 1):
        is_the_same(trial, number)


def test_an_outer_main_that_calls_an_inner_one(trial: Project) -> None:
    script(
        trial,
        """
@Experiment("inner").main
def main(x: int = 1):
    return 2 * x
inner = main

@Experiment("outer").main
def main(x: int = 1):
    return inner(x) + 1

main()
""",
    )
    trial.run("x=4")
    assert trial.record(1).result == 9
    is_the_same(trial, 1)


def test_a_name_in_a_module_that_means_another_main_by_now_is_refused(trial: Project) -> None:
    (trial.folder / "mains.py").write_text(
        HEADER
        + """
@experiment.main
def main(x: int = 1):
    return x
first = main

@Experiment("second").main
def main(x: int = 1):
    return -x
"""
    )
    script(trial, "import mains\nmains.first.run('x=3')\nmains.main.run('x=3')\n")
    trial.run()
    done = anew(trial, "rerun", "1", code=2)
    assert "is of experiment 'second'" in done.stderr
    assert len(trial.store.numbers()) == 2
    is_the_same(trial, 2)


def test_a_call_that_does_not_come_any_more_is_refused(trial: Project) -> None:
    body = """
@experiment.main
def main(x: int = 1):
    return x

for x in range(int(os.environ.get("CALLS", "1"))):
    main.run(f"x={x}")
"""
    script(trial, body)
    trial.run(env={"CALLS": "2"})
    done = anew(trial, "rerun", "2", code=2)
    assert "call 2 of it," in done.stderr
    assert len(trial.store.numbers()) == 2


def test_a_sweep_that_a_script_begins_after_other_mains_is_resumed(trial: Project) -> None:
    (trial.folder / "prep.py").write_text(PREPARATION)
    script(
        trial,
        """
import prep
prep.main.run()

@experiment.main
def main(i: int = 0):
    if os.path.exists("stop"):
        raise ValueError
    return i

main.sweep("i=1,2")
prep.main.run()
""",
    )
    (trial.folder / "stop").touch()
    trial.run()
    assert trial.store.sweep(1).status is Status.FAILED
    (trial.folder / "stop").unlink()
    before = len(trial.store.numbers())
    anew(trial, "sweep", "resume", "1")
    assert [job.result for job in trial.store.sweep(1).jobs] == [1, 2]
    assert len(trial.store.numbers()) == before + 2
    is_the_same(trial, trial.store.sweep(1).jobs[1].run or 0)
