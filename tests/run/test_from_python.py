"""Runs that are started from Python: values in place of texts, and what an interactive shell is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    ("call", "is_said"),
    [
        ("main.run()", True),
        ("main.sweep('lr=1,2')", True),
        ("anew.start('fit')", True),
        ("anew.open_store('runs')", True),
        ("artifact.run()", True),
        ("given.run()", True),
        ("anew.open_store(STORE).find()", False),
        ("anew.rerun(1, store=STORE)", False),
    ],
)
def test_a_working_directory_that_is_gone_is_said_in_a_sentence_where_one_is_needed(
    project: Path, call: str, is_said: bool
) -> None:
    code = """
import os, sys
import anew

STORE = os.environ["ANEW_STORE"] = os.path.abspath("runs")

@anew.Experiment("fit").main
def main(lr: float = 0.1) -> float:
    return lr

@anew.Experiment("artifact").main
def artifact(*, run: anew.Run) -> None:
    leave()
    run.log_artifact("model.txt")

@anew.Experiment("given").main
def given(*, run: anew.Run) -> None:
    leave()
    run.input("data.csv")

def leave():
    os.mkdir("gone")
    os.chdir("gone")
    os.rmdir("../gone")

if __name__ == "__main__":
    main.run()
    if sys.argv[1] not in ("artifact.run()", "given.run()"):
        leave()
    try:
        eval(sys.argv[1])
    except anew.AnewError as error:
        print(f"{type(error).__name__}: {error}")
"""
    (project / "fit.py").write_text(code)
    done = subprocess.run([sys.executable, "fit.py", call], cwd=project, capture_output=True, text=True, check=True)
    said = "NowhereError: The working directory is gone. Go to one that is there: cd .. or cd; from Python: os.chdir("
    assert done.stdout.startswith(said) if is_said else done.stdout == ""


def test_without_a_cache_all_of_a_run_is_on_record(project: Path) -> None:
    """What is kept there saves time, or says what earlier runs have written: a home that cannot be written is none."""
    code = """
from pathlib import Path
from anew import Experiment

@Experiment("fit").main
def main(lr: float = 0.1) -> float:
    Path("out.txt").write_text("1")
    return float(Path("data.csv").read_text()) * lr

main()
"""
    (project / "train.py").write_text(code)
    (project / "data.csv").write_text("2")
    (project / "file").touch()
    home = {**os.environ, "HOME": str(project / "file" / "home")}
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        home.pop(name, None)
    done = subprocess.run([sys.executable, "train.py"], cwd=project, env=home, capture_output=True, text=True)
    assert done.returncode == 0
    record = Project(project).record()
    assert (record.status.value, record.result) == ("COMPLETED", 0.2)
    assert [each.path for each in record.inputs] == ["data.csv"]
    assert record.warnings == ()
