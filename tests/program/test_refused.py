"""What a program cannot be given by name, and the command that gives it; and in which order words may stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.scripts import ANEW, Project, anew, checked

FIT = """\
import argparse
STEPS = 2
parser = argparse.ArgumentParser()
parser.add_argument("--learning-rate", dest="lr", type=float, default=0.1)
parser.add_argument("--seed", type=int, default=0)
commands = parser.add_subparsers(dest="cmd")
commands.add_parser("fit").add_argument("data", nargs="?", default="none")
commands.add_parser("test")
args = parser.parse_args()
print(sorted(vars(args).items()), STEPS)
"""
BY_PLACE = """\
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("--lr", type=float, default=0.1)
print(parser.parse_args())
"""
PARSED_ELSEWHERE = "from options import parsed\nSTEPS = 2\nprint(parsed(), STEPS)\n"
OPTIONS = """\
import argparse
def parsed():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.1)
    return parser.parse_args()
"""
ARGV = "import sys\nSTEPS = 2\nprint(sys.argv[1:], STEPS)\n"


@pytest.fixture
def trial(project: Path) -> Project:
    for name, text in {
        "fit.py": FIT, "place.py": BY_PLACE, "elsewhere.py": PARSED_ELSEWHERE, "options.py": OPTIONS, "argv.py": ARGV,
    }.items():  # fmt: skip
        (project / name).write_text(text)
    return Project(project)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("fit.py", "fit", "seed=1"), ("'fit' is given by name: anew run fit.py cmd=fit seed=1.", "seed=1 -- fit")),
        (("place.py", "x.csv", "lr=0.2"), ("'x.csv' is given by name: anew run place.py data=x.csv lr=0.2.",)),
        (("argv.py", "0.2"), ("'0.2' is no NAME=VALUE.", "anew run argv.py -- 0.2")),
        (("argv.py", "lr=0.2"), ("it looks at sys.argv by itself. It has: STEPS.", "anew run argv.py -- lr=0.2")),
        (("elsewhere.py", "lr=0.2"), ("lr is no parameter of 'elsewhere.py'", "anew run elsewhere.py -- --lr=0.2")),
        (("fit.py", "learning_rate=1"), ("It is typed as lr=...",)),
        (("fit.py", "sed=1"), ("Did you mean seed?", "It has: lr, seed, cmd, data, STEPS.")),
        (("fit.py", "workers=2"), ("A setting of the recording is given in full: anew.sweep.workers=...",)),
        (("-m", "fit.py", "lr=1"), ("-m names a module here", "anew run fit.py -m NAME=1,2")),
    ],
)  # fmt: skip
def test_what_gives_it_nothing_is_refused_with_the_command_that_does(
    trial: Project, words: tuple[str, ...], told: tuple[str, ...]
) -> None:
    said = anew(trial, "run", *words, code=2).stderr
    assert all(each in said for each in told), said
    assert not trial.has_runs


def test_the_commands_that_are_told_are_those_that_work(trial: Project) -> None:
    assert "('cmd', 'fit')" in anew(trial, "run", "fit.py", "cmd=fit", "seed=1").stdout
    assert "('cmd', 'fit')" in anew(trial, "run", "fit.py", "--", "fit").stdout
    assert "lr=0.2" in anew(trial, "run", "elsewhere.py", "--", "--lr=0.2").stdout
    assert "['lr=0.2']" in anew(trial, "run", "argv.py", "--", "lr=0.2").stdout


@pytest.mark.parametrize(
    "words", [("-m", "lr=1,2", "seed=3"), ("seed=3", "-m", "lr=1,2"), ("lr=1,2", "seed=3", "--multirun")]
)
def test_a_flag_may_stand_before_among_and_after_values(trial: Project, words: tuple[str, ...]) -> None:
    anew(trial, "run", "fit.py", "cmd=test", *words)
    assert [trial.record(number).config["lr"] for number in (1, 2)] == [1.0, 2.0]
    assert trial.record().config["seed"] == 3


def test_a_flag_may_stand_among_the_values_of_a_main_too(trial: Project) -> None:
    trial.write("@experiment.main\ndef main(lr: float = 0.1, seed: int = 0) -> float:\n    return lr * seed\n")
    trial.run("seed=3", "-m", "lr=1,2")
    assert [trial.record(number).result for number in (1, 2)] == [3.0, 6.0]


def test_a_module_is_found_by_a_command_that_is_installed(trial: Project, tmp_path: Path) -> None:
    """Whose own folder, and not the working directory, is the first that Python looks for modules in."""
    package = trial.folder / "pk"
    package.mkdir()
    (package / "__init__.py").write_text("print('begun')\n")
    (package / "__main__.py").write_text("from . import other\nLR = 1\nprint(__name__, __package__, LR * other.TEN)\n")
    (package / "other.py").write_text("TEN = 10\n")
    command = tmp_path / "bin" / "anew"
    command.parent.mkdir()
    command.write_text("import sys\nfrom anew.runner.cli import main\nsys.exit(main())\n")
    done = subprocess.run(
        [sys.executable, command, "run", "-m", "pk", "-m", "LR=2,3"],
        cwd=trial.folder, env=os.environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    out = checked(done, 0).stdout
    assert [line for line in out.splitlines() if "HYDRA" not in line] == [
        "begun", "__main__ pk 20", "begun", "__main__ pk 30",
    ]  # fmt: skip
    refused = anew(trial, "run", "pk", code=2).stderr
    assert all(each in refused for each in ("anew run pk/__main__.py", "anew run -m pk"))


def test_it_goes_on_in_the_same_process_and_imports_no_hydra_for_a_program_that_does_not(trial: Project) -> None:
    (trial.folder / "looks.py").write_text(
        "import os, sys\nN = 1\nprint(os.getpid(), 'hydra' in sys.modules, 'click' in sys.modules, N, sys.argv[1:])\n"
    )
    anew(trial, "run", "looks.py")  # the first of an installation asks Hydra for what all have from it
    command = [*ANEW, "run", "looks.py", "N=2"]
    with subprocess.Popen(command, cwd=trial.folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.communicate(timeout=120)[0] == f"{process.pid} False False 2 []\n"
    assert trial.record().command.argv == ("looks.py", "N=2")


def test_a_program_that_imports_hydra_has_it_to_itself(trial: Project) -> None:
    (trial.folder / "composes.py").write_text(
        "N = 1\nfrom hydra import compose, initialize\nfrom hydra.core.global_hydra import GlobalHydra\n"
        "print(GlobalHydra.instance().is_initialized())\nwith initialize(version_base=None):\n    print(compose(), N)\n"
    )
    assert anew(trial, "run", "composes.py", "N=2").stdout == "False\n{} 2\n"
