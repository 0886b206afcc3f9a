"""A program's parameters: what reading finds is what the program's own parser takes, with the real libraries."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from anew.runner.program.found import find_parameters
from anew.runner.program.parameters import MISSING, Assigned, command_line

ARGPARSE = """
import argparse, json
from pathlib import Path
MODELS = {"mlp": object, "cnn": object}
RATE = 1e-3
def common(p):
    p.add_argument("--seed", type=int, default=0)
parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("--lr", "-l", type=float, default=RATE * 2, help="rate")
parser.add_argument("--model", choices=sorted(MODELS), default="mlp")
group = parser.add_argument_group("more")
group.add_argument("--layers", nargs="+", type=int, default=[1, 2])
group.add_argument("--tag", action="append")
group.add_argument("--no-cuda", action="store_true")
group.add_argument("--keep", action="store_false", dest="drop")
group.add_argument("--aug", action=argparse.BooleanOptionalAction, default=True)
group.add_argument("--verbose", "-v", action="count", default=0)
group.add_argument("--fast", dest="mode", action="store_const", const="fast", default="slow")
group.add_argument("--out", type=Path, default=Path("out"))
group.add_argument("--workers", type=int, default=len([1, 2]))
group.add_argument("--opts", type=json.loads, default={})
group.add_argument("--flip", type=bool, default=True)
group.add_argument("-n", type=int)
group.add_argument("--size", type=int, choices=range(1, 4), default=1)
common(parser)
print(json.dumps(vars(parser.parse_args()), default=str))
"""

SUBPARSERS = """
import argparse, json
base = argparse.ArgumentParser(add_help=False)
base.add_argument("--verbose", action="store_true")
def common(p):
    p.add_argument("--seed", type=int, default=0)
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", default=".")
    commands = parser.add_subparsers(dest="command", required=True)
    fit = commands.add_parser("fit", parents=[base])
    common(fit)
    fit.add_argument("--epochs", type=int, default=3)
    fit.add_argument("data")
    score = commands.add_parser("score")
    common(score)
    score.add_argument("--metrics", nargs="*", default=[])
    commands.add_parser("clean")
    print(json.dumps(vars(parser.parse_args())))
main()
"""

CLICK = """
import click, json
@click.command()
@click.argument("data")
@click.option("--lr", "-l", default=0.1, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=3)
@click.option("--model", "kind", type=click.Choice(["mlp", "cnn"]), default="mlp")
@click.option("--cuda/--no-cuda", default=True)
@click.option("--dry", is_flag=True)
@click.option("--tag", multiple=True)
@click.option("--size", nargs=2, type=int, default=(1, 2))
@click.option("-v", "--verbose", count=True)
@click.option("--note", type=str)
def main(**given):
    print(json.dumps(given))
main()
"""

CLICK_GROUP = """
import click, json
@click.group()
@click.option("--root", default=".")
def cli(root): pass
@cli.command()
@click.option("--lr", default=0.1)
def fit_all(lr): print(json.dumps({"lr": lr}))
@cli.command("check")
@click.option("--deep", is_flag=True)
def check_it(deep): print(json.dumps({"deep": deep}))
if __name__ == "__main__":
    cli()
"""

TYPER = """
import json
from enum import Enum
from typing import Annotated, List, Optional
import typer
class Kind(str, Enum):
    mlp = "mlp"
    cnn = "cnn"
def main(data: str, learning_rate: float = 0.1, epochs: int = typer.Option(3, "--epochs", "-e"), cuda: bool = True,
         note: Optional[str] = None, tag: Optional[List[str]] = None, kind: Kind = Kind.mlp,
         width: Annotated[int, typer.Option("--size")] = 8):
    print(json.dumps({"data": data, "learning_rate": learning_rate, "epochs": epochs, "cuda": cuda, "note": note,
                      "tag": list(tag or []), "kind": kind.value, "width": width}))
typer.run(main)
"""

ABSL = """
import json
from absl import app, flags
FLAGS = flags.FLAGS
flags.DEFINE_float("lr", 0.1, "rate")
flags.DEFINE_integer("epochs", 3, "how many", lower_bound=1)
flags.DEFINE_bool("cuda", True, "on a GPU")
flags.DEFINE_enum("kind", "mlp", ["mlp", "cnn"], "which")
flags.DEFINE_list("names", ["a"], "whose")
flags.DEFINE_multi_integer("size", [1, 2], "how large")
flags.DEFINE_string("note", None, "said")
def main(argv):
    names = ("lr", "epochs", "cuda", "kind", "names", "size", "note")
    print(json.dumps({name: getattr(FLAGS, name) for name in names}))
app.run(main)
"""

CLASSES = """
import json
from dataclasses import asdict, dataclass, field
from typing import List, Literal, Optional
@dataclass
class Optim:
    learning_rate: float = 0.1
    kind: Literal["sgd", "adam"] = "sgd"
@dataclass
class Base:
    seed: int = 0
@dataclass
class Config(Base):
    epochs: int = 3
    cuda: bool = False
    note: Optional[str] = None
    layers: List[int] = field(default_factory=lambda: [1, 2])
    optim: Optim = field(default_factory=Optim)
"""
TYRO = CLASSES + "import tyro\nprint(json.dumps(asdict(tyro.cli(Config))))\n"
JSONARGPARSE = CLASSES + "from jsonargparse import CLI\nprint(json.dumps(asdict(CLI(Config))))\n"
SIMPLE = CLASSES + "from simple_parsing import parse\nprint(json.dumps(asdict(parse(Config))))\n"
HUGGING_FACE = """
import argparse, json
from dataclasses import dataclass, field
from typing import Optional
from transformers import HfArgumentParser
@dataclass
class Model:
    model_name: str = field(default="tiny", metadata={"help": "which"})
    learning_rate: float = 0.1
@dataclass
class Data:
    path: str
    limit: Optional[int] = None
parser = HfArgumentParser((Model, Data))
"""
FIRE = """
import fire, json
def train(lr=0.1, epochs=3, name="x", sizes=(1, 2), cuda=False):
    print(json.dumps([lr, epochs, name, list(sizes), cuda]))
if __name__ == "__main__":
    fire.Fire(train)
"""


def _ran(tmp_path: Path, source: str, words: list[str]) -> Any:
    program = tmp_path / "program.py"
    program.write_text(source)
    done = subprocess.run([sys.executable, str(program), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stderr)
    return json.loads(done.stdout)


def _options(source: str) -> dict[str, tuple[str, Any]]:
    found = find_parameters(source).parameters
    return {each.name: (each.type, each.default) for each in found if not isinstance(each.way, Assigned)}


def _given(source: str, **values: Any) -> list[str]:
    return command_line(find_parameters(source).parameters, values)


def _needs(*modules: str) -> None:
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
        # some take what is private in Python, which is gone in a newer one
        python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
        pytest.importorskip(module, reason=f"{module} itself fails on {python}", exc_type=ImportError)


def test_argparse_is_read_as_it_stands() -> None:
    assert _options(ARGPARSE) == {
        "seed": ("int", 0),
        "data": ("str", MISSING),
        "lr": ("float", 2e-3),
        "model": ("str", "mlp"),
        "layers": ("list[int]", [1, 2]),
        "tag": ("list[str]", None),
        "no_cuda": ("bool", False),
        "drop": ("bool", True),
        "aug": ("bool", True),
        "verbose": ("int", 0),
        "mode": ("any", "slow"),
        "out": ("str", "out"),
        "workers": ("int", MISSING),
        "opts": ("any", {}),
        "flip": ("bool", True),
        "n": ("int", None),
        "size": ("int", 1),
    }
    found = find_parameters(ARGPARSE).by_name
    assert found["model"].choices == ("mlp", "cnn")
    assert found["mode"].choices == ("slow", "fast")
    assert found["size"].choices == (1, 2, 3)
    assert found["workers"].is_computed
    assert found["lr"].help == "rate"
    assert found["lr"].as_json("train.py")["where"] == f"train.py:{found['lr'].line}"
    assert 'add_argument("--lr"' in ARGPARSE.splitlines()[found["lr"].line - 1]


def test_what_argparse_is_told_of_a_parameter_is_shown_as_it_shows_it() -> None:
    text = """
import argparse, os
parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, default=0.5, help="100%% of %(default).2f, a %(type)s as %(metavar)s")
parser.add_argument("--mode", choices=["a", "b"], help="%(dest)s: %(choices)s (%(default)s)", metavar="M")
parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many (%(default)s), of %(prog)s")
parser.add_argument("--odd", help="100 %")
commands = parser.add_subparsers(dest="command", help="one of %(choices)s")
commands.add_parser("fit")
parser.parse_args()
"""
    found = {name: each.help for name, each in find_parameters(text).by_name.items()}
    assert found == {
        "rate": "100% of 0.50, a float as %(metavar)s",
        "mode": "mode: a, b (None)",
        "jobs": "how many (%(default)s), of %(prog)s",
        "odd": "100 %",
        "command": "one of fit",
    }


def test_argparse_gets_what_is_given(tmp_path: Path) -> None:
    values = {
        "data": "-x", "lr": -0.5, "model": "cnn", "layers": [3], "tag": ["a b", "-c"], "no_cuda": True, "drop": False,
        "aug": False, "verbose": 2, "mode": "fast", "out": "a=b", "workers": 7, "opts": {"k": [1]}, "flip": False,
        "n": -3, "size": 2, "seed": 5,
    }  # fmt: skip
    assert _ran(tmp_path, ARGPARSE, _given(ARGPARSE, **values)) == values


def test_what_is_not_given_is_left_to_the_program(tmp_path: Path) -> None:
    assert _given(ARGPARSE, data="x", lr=2e-3, aug=True, mode="slow") == ["x"]
    assert _ran(tmp_path, ARGPARSE, ["x"])["workers"] == 2


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"root": "r", "command": "fit", "epochs": 5, "seed": 3, "data": "d", "verbose": True, "metrics": ["no"]},
            {"root": "r", "command": "fit", "epochs": 5, "seed": 3, "data": "d", "verbose": True},
        ),
        (
            {"command": "score", "metrics": ["a", "b"], "seed": 1, "epochs": 9},
            {"root": ".", "command": "score", "metrics": ["a", "b"], "seed": 1},
        ),
        ({"command": "clean"}, {"root": ".", "command": "clean"}),
    ],
)
def test_a_subcommand_gets_what_is_its_own(tmp_path: Path, values: Any, expected: Any) -> None:
    found = find_parameters(SUBPARSERS).by_name
    assert found["command"].choices == ("fit", "score", "clean")
    assert found["seed"].only == ("fit", "score")
    assert found["verbose"].only == ("fit",)
    assert found["root"].only == ()
    assert _ran(tmp_path, SUBPARSERS, _given(SUBPARSERS, **values)) == expected


def test_click(tmp_path: Path) -> None:
    assert _options(CLICK) == {
        "data": ("str", MISSING),
        "lr": ("float", 0.1),
        "epochs": ("int", 3),
        "kind": ("str", "mlp"),
        "cuda": ("bool", True),
        "dry": ("bool", False),
        "tag": ("list[str]", None),
        "size": ("list[int]", [1, 2]),
        "verbose": ("int", 0),
        "note": ("str", None),
    }
    values = {
        "data": "d", "lr": -1.5, "epochs": 4, "kind": "cnn", "cuda": False, "dry": True, "tag": ["a", "-b"],
        "size": [3, 4], "verbose": 3, "note": "n o",
    }  # fmt: skip
    assert _ran(tmp_path, CLICK, _given(CLICK, **values)) == values


def test_a_group_of_click(tmp_path: Path) -> None:
    found = find_parameters(CLICK_GROUP).by_name
    assert found["command"].choices == ("fit-all", "check")
    assert _ran(tmp_path, CLICK_GROUP, _given(CLICK_GROUP, command="fit-all", lr=0.3, root="r")) == {"lr": 0.3}
    assert _ran(tmp_path, CLICK_GROUP, _given(CLICK_GROUP, command="check", deep=True)) == {"deep": True}


def test_typer(tmp_path: Path) -> None:
    found = find_parameters(TYPER).by_name
    assert {name: each.type for name, each in found.items()} == {
        "data": "str", "learning_rate": "float", "epochs": "int", "cuda": "bool", "note": "str", "tag": "list[str]",
        "kind": "str", "width": "int",
    }  # fmt: skip
    assert found["kind"].choices == ("mlp", "cnn")
    assert found["kind"].default == "mlp"
    _needs("typer")
    values = {
        "data": "d", "learning_rate": 0.5, "epochs": 4, "cuda": False, "note": "n", "tag": ["a", "b"], "kind": "cnn",
        "width": 9,
    }  # fmt: skip
    assert _ran(tmp_path, TYPER, _given(TYPER, **values)) == values


def test_absl(tmp_path: Path) -> None:
    found = find_parameters(ABSL).by_name
    assert found["kind"].choices == ("mlp", "cnn")
    assert found["names"].type == "list[str]"
    _needs("absl")
    values = {
        "lr": 0.5, "epochs": 4, "cuda": False, "kind": "cnn", "names": ["b", "c"], "size": [3], "note": "n",
    }  # fmt: skip
    assert _ran(tmp_path, ABSL, _given(ABSL, **values)) == values


@pytest.mark.parametrize(
    ("library", "source"), [("tyro", TYRO), ("jsonargparse", JSONARGPARSE), ("simple_parsing", SIMPLE)]
)
def test_a_dataclass_is_a_command_line(tmp_path: Path, library: str, source: str) -> None:
    assert _options(source) == {
        "seed": ("int", 0),
        "epochs": ("int", 3),
        "cuda": ("bool", False),
        "note": ("str", None),
        "layers": ("list[int]", [1, 2]),
        "optim.learning_rate": ("float", 0.1),
        "optim.kind": ("str", "sgd"),
    }
    assert find_parameters(source).by_name["optim.kind"].choices == ("sgd", "adam")
    _needs(library)
    values = {
        "seed": 1, "epochs": 4, "cuda": True, "note": "n", "layers": [3, 4], "optim.learning_rate": 0.5,
        "optim.kind": "adam",
    }  # fmt: skip
    made = _ran(tmp_path, source, _given(source, **values))
    assert made["optim"] == {"learning_rate": 0.5, "kind": "adam"}
    assert {name: made[name] for name in ("seed", "epochs", "cuda", "note", "layers")} == {
        name: value for name, value in values.items() if "." not in name
    }


def test_several_dataclasses_of_one_parser() -> None:
    found = find_parameters(HUGGING_FACE).by_name
    assert {name: (each.type, each.default) for name, each in found.items()} == {
        "model_name": ("str", "tiny"),
        "learning_rate": ("float", 0.1),
        "path": ("str", MISSING),
        "limit": ("int", None),
    }
    assert found["path"].is_required
    assert _given(HUGGING_FACE, path="p", limit=3) == ["--path=p", "--limit=3"]


def test_fire(tmp_path: Path) -> None:
    assert _options(FIRE)["sizes"] == ("list[int]", [1, 2])
    _needs("fire")
    words = _given(FIRE, lr=0.5, epochs=4, name="y", sizes=[3], cuda=True)
    assert _ran(tmp_path, FIRE, words) == [0.5, 4, "y", [3], True]


def test_what_a_program_assigns() -> None:
    source = """
LR = 1e-3
name: str = "x"
SIZES = [1, 2]
TWICE = 2 * LR
_HIDDEN = 1
seen = 0
count = 0
count += 1
for step in range(3):
    last = step
def bump():
    global seen
    LR = 5
    seen += 1
"""
    found = find_parameters(source)
    assert {each.name: (each.type, each.default, each.line) for each in found.parameters} == {
        "LR": ("float", 1e-3, 2),
        "name": ("str", "x", 3),
        "SIZES": ("list[int]", [1, 2], 4),
    }
    assert not found.has_command_line


def test_an_option_goes_before_a_name_of_the_module() -> None:
    source = (
        "import argparse\nlr = 0.1\np = argparse.ArgumentParser()\np.add_argument('--lr', type=float, default=0.5)\n"
    )
    found = find_parameters(source)
    assert found.shadowed == ("lr",)
    assert found.by_name["lr"].default == 0.5


def test_what_only_the_program_can_name_is_told() -> None:
    source = "import argparse\np = argparse.ArgumentParser()\nfor n in ('a', 'b'):\n    p.add_argument('--' + n)\n"
    assert find_parameters(source).is_partial


@pytest.mark.parametrize(
    "value", ["9 ** 9 ** 9 ** 9", "1 / 0", "'a' * 10 ** 12", "[" * 200 + "]" * 200, "-" * 90 + "1"]
)
def test_no_source_keeps_the_reader_busy(value: str) -> None:
    assert [each.name for each in find_parameters(f"N = 3\nX = {value}\n").parameters] == ["N"]


def test_nothing_of_the_program_is_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    source = f"LR = 0.1\nopen({str(canary)!r}, 'w')\nX: (open({str(canary)!r}, 'w')) = 1\n"
    assert find_parameters(source).by_name["LR"].default == 0.1
    assert not canary.exists()


def test_what_is_no_python_is_said_as_python_does() -> None:
    with pytest.raises(SyntaxError) as caught:
        find_parameters("lr = (\n", "train.py")
    assert caught.value.filename == "train.py"
