"""Runs that are started from Python: values in place of texts, and what an interactive shell is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.helpers.scripts import Project, anew


def test_values_are_given_by_name_and_by_mapping(project: Path) -> None:
    code = """
from dataclasses import dataclass, field
from anew import Experiment

@dataclass
class Opt:
    lr: float = 0.1

@Experiment("values").main
def main(opt: Opt = Opt(), model: str = "svm", layers: list[int] = [1], note: str | None = "x") -> str:
    return f"{opt.lr} {model} {layers} {note}"

r = main.run({"opt.lr": 3}, "model=first", model="m, 'l' = ${x}", layers=(2, 3), note=None)
print(r.result)
print(r.overrides)
print(main.run({"opt": {"lr": 7}}).result)
s = main.sweep({"opt.lr": [1, 2]}, model=["a b", "c"], layers=[[1, 2]])
print([job.result for job in s.jobs])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "3.0 m, 'l' = ${x} [2, 3] None",
        str(("opt.lr=3", "model=first", "model='m, \\'l\\' = \\${x}'", "layers=[2,3]", "note=null")),
        "7.0 svm [1] x",
        str(["1.0 a b [1, 2] x", "1.0 c [1, 2] x", "2.0 a b [1, 2] x", "2.0 c [1, 2] x"]),
    ]


def test_in_an_interactive_shell_main_says_what_runs_it(project: Path) -> None:
    typed = """
from anew import Experiment
@Experiment("shell").main
def main(lr: float = 0.1) -> float:
    return lr

main()
print("result", main.run(lr=0.5).result)
"""
    # Python keeps what was typed in the home folder
    home = {**os.environ, "HOME": str(project)}
    command = [sys.executable, "-i", "-q"]
    done = subprocess.run(command, cwd=project, input=typed, env=home, capture_output=True, text=True, check=True)
    assert "main.run()" in done.stderr
    assert "result 0.5" in done.stdout


def test_the_root_seed_can_be_typed_for_any_main(project: Path) -> None:
    trial = Project(project)
    trial.write(
        "@experiment.main\ndef main(lr: float = 1, seed: int = 3, *, run: Run) -> list:\n    return [seed, run.seed]\n"
    )
    trial.run("anew.seed=5")
    assert trial.record().result == [5, 5]
    trial.run("-m", "anew.seed=6", "lr=1,2")
    assert trial.record().result == [6, 6]
    assert "cannot both be the root seed" in trial.run("anew.seed=5", "seed=4", code=2).stderr
    assert "identical" in anew(trial, "rerun", "1").stdout
    anew(trial, "rerun", "1", "seed=9")
    assert trial.record().result == [9, 9]
    anew(trial, "rerun", "1", "anew.seed=8")
    assert trial.record().result == [8, 8]
    trial.write(
        "@experiment.main\ndef main(seed: int | None = None, *, run: Run) -> list:\n    return [seed, run.seed]\n"
    )
    trial.run("anew.seed=5")
    assert trial.record().result == [5, 5]
