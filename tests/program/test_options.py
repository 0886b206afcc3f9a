"""Options of one `dest`, and those that add to a default: what argparse makes of the words is what the run has."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from anew.runner.errors import ConfigError
from anew.runner.program.found import find_parameters
from anew.runner.program.parameters import command_line
from tests.helpers.scripts import Project, anew

SOURCE = """\
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--feature", action="store_true")
parser.add_argument("--no-feature", dest="feature", action="store_false")
parser.set_defaults(feature=True)
parser.add_argument("--quiet", dest="loud", action="store_false")
parser.add_argument("--loud", dest="loud", action="store_true")
parser.add_argument("-v", dest="verbosity", action="count", default=1)
parser.add_argument("--tag", action="append", default=["base"])
parser.add_argument("--pair", action="append", nargs=2)
parser.add_argument("--sgd", action="store_const", dest="method", const="sgd", default="adam")
parser.add_argument("--rms", action="store_const", dest="method", const="rms")
parser.add_argument("--always", action="store_true", default=True)
commands = parser.add_subparsers(dest="command")
commands.add_parser("fit").add_argument("data", nargs="?", default="none")
parser.add_argument_group("more").add_argument("--seed", type=int, default=0)
"""


def _parsed(words: list[str]) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(SOURCE, names)
    parser: argparse.ArgumentParser = names["parser"]
    return vars(parser.parse_args(words))


@pytest.mark.parametrize(
    "values",
    [
        {"feature": False},
        {"feature": True, "loud": False},
        {"loud": True},
        {"verbosity": 3},
        {"verbosity": 1, "tag": ["base"]},
        {"tag": ["base", "b", "c"]},
        {"pair": [["a", "b"], ["c", "d"]]},
        {"method": "rms"},
        {"method": "sgd", "seed": 4},
        {"command": "fit", "data": "x.csv"},
    ],
    ids=str,
)
def test_the_program_is_given_the_values(values: dict[str, Any]) -> None:
    found = find_parameters(SOURCE)
    parsed = _parsed(command_line(found.parameters, values))
    assert {name: parsed[name] for name in values} == values
    assert {"fit"} == set(found.by_name["command"].choices)
    assert found.by_name["data"].only == ("fit",)
    assert found.by_name["method"].choices == ("adam", "sgd", "rms")


@pytest.mark.parametrize("values", [{"verbosity": 0}, {"tag": ["other"]}])
def test_what_no_words_can_give_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"cannot be given to the program.*what is typed is added to"):
        command_line(find_parameters(SOURCE).parameters, values)


def test_a_run_never_says_what_the_program_was_not_given(project: Path) -> None:
    (project / "train.py").write_text(f"{SOURCE}print(parser.parse_args())\n")
    trial = Project(project)
    assert "feature=False" in anew(trial, "run", "train.py", "feature=false").stdout
    line = next(at for at, each in enumerate(SOURCE.splitlines(), 1) if "--always" in each)
    refused = anew(trial, "run", "train.py", "always=false", code=2).stderr
    assert f"it takes one of: True ({project}/train.py:{line})" in refused
    assert "tag=['x'] cannot be given" in anew(trial, "run", "train.py", "tag=[x]", code=2).stderr
    assert trial.record().error is not None
