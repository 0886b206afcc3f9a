"""`--config params.yaml`: the keys of a file are parameters, and the program finds a copy at its path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anew.runner import kernel
from anew.runner.errors import ConfigError
from anew.runner.program.configured.file import ConfigFile, read_config_file
from anew.runner.program.words import asked
from tests.helpers.scripts import Project, anew

YAML = """\
# what is learned
lr: 1e-3   # the rate
opt:
  name: adam
  betas:  # two of them
    - 0.9
    - 0.999
  decay: null
base: &base {width: 3}
wide:
  <<: *base
  depth: 2
note: 'it''s'
text: |
  one
  two
"my-key": 3
led: ${lr}
own: !special 3
"""
TOML = """\
title = "a # b"  # c
[opt]
lr = 0.1 # the rate
betas = [
  0.9, # one
  0.99,
]
inner = {width = 1, name = 'q'}
[[jobs]]
lr = 3
"""
INI = """\
; what is learned
[train]
lr = 0.1
name: a b
fast = True
[DEFAULT]
home = %(lr)s
"""
JSON = '{\n    "lr": 0.1,\n    "opt": {"name": "é", "sizes": [1, 2]}\n}\n'


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


def _file(folder: Path, name: str, text: str) -> ConfigFile:
    path = folder / name
    path.write_text(text, newline="")
    return read_config_file(str(path))


def _put(trial: Project, name: str, text: str) -> None:
    (trial.folder / name).write_text(text)
    (trial.folder / name).chmod(0o755)


# --- the file -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "found", "left"),
    [
        (
            "p.yaml",
            YAML,
            [("lr", "float", 2), ("opt.name", "str", 4), ("opt.betas", "list[float]", 5), ("opt.decay", "any", 8),
             ("base.width", "int", 9), ("wide.width", "int", 9), ("wide.depth", "int", 12), ("note", "str", 13),
             ("text", "str", 14)],
            ["my-key", "led", "own"],
        ),
        (
            "p.toml",
            TOML,
            [("title", "str", 1), ("opt.lr", "float", 3), ("opt.betas", "list[float]", 4),
             ("opt.inner.width", "int", 8), ("opt.inner.name", "str", 8)],
            ["jobs"],
        ),
        ("p.ini", INI, [("train.lr", "float", 3), ("train.name", "str", 4), ("train.fast", "bool", 5)],
         ["DEFAULT.home"]),
        ("p.json", JSON, [("lr", "float", 2), ("opt.name", "str", 3), ("opt.sizes", "list[int]", 3)], []),
    ],
)  # fmt: skip
def test_its_keys_are_parameters(
    tmp_path: Path, name: str, text: str, found: list[tuple[str, str, int]], left: list[str]
) -> None:
    file = _file(tmp_path, name, text)
    assert sorted((each.name, each.type, each.line) for each in file.parameters) == sorted(found)
    assert [each for each, _ in file.left] == left
    assert file.changed({each.name: each.default for each in file.parameters}) == text


@pytest.mark.parametrize(
    ("name", "text", "values", "was", "now"),
    [
        ("p.yaml", YAML, {"lr": 1e-05}, "1e-3   # the rate", "1.0e-05   # the rate"),
        ("p.yaml", YAML, {"opt.name": "sgd"}, "adam", "sgd"),
        ("p.yaml", YAML, {"opt.name": "yes"}, "adam", '"yes"'),
        ("p.yaml", YAML, {"note": "isn't"}, "'it''s'", "'isn''t'"),
        ("p.yaml", YAML, {"opt.decay": 3}, "null", "3"),
        ("p.yaml", YAML, {"opt.betas": [0.5, 1.0]}, "  # two of them\n    - 0.9\n    - 0.999", " [0.5, 1.0]"),
        ("p.yaml", YAML, {"text": "a\nb"}, "|\n  one\n  two\n", '"a\\nb"\n'),
        ("p.yaml", "\ufeffa: 1\r\nb: 2\r\n", {"b": 3}, "b: 2\r\n", "b: 3\r\n"),
        ("p.toml", TOML, {"opt.lr": 2.0, "title": 'x"y'}, None, None),
        ("p.toml", TOML, {"opt.betas": [1.5]}, "[\n  0.9, # one\n  0.99,\n]", "[1.5]"),
        ("p.toml", TOML, {"opt.inner.width": 4}, "{width = 1, name = 'q'}", '{"width" = 4, "name" = "q"}'),
        ("p.ini", INI, {"train.fast": False}, "True", "False"),
        ("p.ini", INI, {"train.name": "c = d"}, "a b", "c = d"),
        ("p.json", JSON, {"lr": 3}, "0.1", "3"),
    ],
)  # fmt: skip
def test_other_values_leave_the_rest_as_it_was(
    tmp_path: Path, name: str, text: str, values: dict[str, Any], was: str | None, now: str | None
) -> None:
    file = _file(tmp_path, name, text)
    changed = file.changed(values)
    if was is not None and now is not None and name != "p.json":
        assert changed == text.removeprefix("\ufeff").replace(was, now)
    again = _file(tmp_path, f"again-{name}", changed)
    expected = {each.name: each.default for each in file.parameters} | values
    assert {each.name: each.default for each in again.parameters} == expected


def test_what_an_alias_means_is_changed_in_its_own_place_alone(tmp_path: Path) -> None:
    file = _file(tmp_path, "p.yaml", "base: &base {width: 3}\nwide:\n  <<: *base\n  depth: 2\n")
    again = _file(tmp_path, "again.yaml", file.changed({"wide.width": 5}))
    assert {each.name: each.default for each in again.parameters} == {"base.width": 3, "wide.width": 5, "wide.depth": 2}


@settings(max_examples=40)
@given(st.lists(st.one_of(st.text(max_size=20), st.floats(), st.booleans(), st.integers()), min_size=3, max_size=3))
def test_whatever_a_value_is_a_reader_finds_it(values: list[Any]) -> None:
    folder = Path(os.environ["HOME"]).parent / "config-files"
    folder.mkdir(exist_ok=True)
    wanted = dict(zip(("a", "b.c", "b.d"), values, strict=True))
    texts = {
        "p.yaml": "a: null\nb:\n  c: null # one\n  d: null\n",
        "p.json": '{"a": null, "b": {"c": null, "d": null}}',
    }
    for name, text in texts.items():
        file = _file(folder, name, text)
        again = _file(folder, f"again-{name}", file.changed(wanted))
        found = {each.name: each.default for each in again.parameters}
        # what looks like a reference to others is no parameter of the new file, and so not told
        assert all(repr(found[key]) == repr(wanted[key]) for key in found)
        assert len(found) + len(again.left) == 3


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.yaml", "a: [1\n", "line 2"),
        ("p.yaml", "- 1\n", "no names at its top"),
        ("p.yaml", "a: 1\n---\nb: 2\n", "more than one document"),
        ("p.json", '{"a": }', "line 1"),
        ("p.json", "[1]", "no names at its top"),
        ("p.toml", "a = \n", "line 1"),
        ("p.ini", "a = 1\n", "in no section"),
        ("p.txt", "", ".yaml, .yml, .json, .toml, .ini"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        _file(tmp_path, name, text)


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [("p.toml", "a = 1\n", {"a": None}), ("p.ini", "[s]\na = x\n", {"s.a": "two\nlines"}),
     ("p.ini", "[s]\na =\n  x\n  y\n", {"s.a": "z"}), ("p.yaml", "o: !x 1\nb: &b {c: 1}\nd: *b\n", {"d.c": 2})],
)  # fmt: skip
def test_a_value_that_cannot_stand_there_is_refused(
    tmp_path: Path, name: str, text: str, values: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match="cannot be had with other values"):
        _file(tmp_path, name, text).changed(values)


def test_it_is_an_option_before_the_program() -> None:
    assert asked(["--config", "p.yaml", "train.py", "lr=1"]).config == "p.yaml"
    assert asked(["--name=x", "--config=p.yaml", "-m", "pkg.train"]).config == "p.yaml"
    wanted = asked(["--config", "p.yaml", "lr=1", "--", "./fit.sh"])
    assert (wanted.config, wanted.overrides, wanted.command) == ("p.yaml", ("lr=1",), ("./fit.sh",))
    with pytest.raises(ConfigError, match="--config takes a file"):
        asked(["--config"])
    with pytest.raises(ConfigError, match="--config takes one file"):
        asked(["--config", "a.yaml", "--config", "b.yaml", "train.py"])


# --- a program ----------------------------------------------------------------------------------------------------

TRAIN = """\
import argparse, io, json, multiprocessing, os, pathlib
import yaml

HERE = os.path.dirname(os.path.abspath(__file__))

def read(path):
    with open(path) as file:
        return yaml.safe_load(file)["lr"], os.path.basename(os.fsdecode(file.name))

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--params", default="params.yaml")
    parser.add_argument("--lr", type=float)
    args = parser.parse_args()
    found = [read(args.params), read(HERE + "/params.yaml"), read(b"params.yaml"), read(pathlib.Path("./params.yaml"))]
    found.append(yaml.safe_load(pathlib.Path("params.yaml").read_text())["lr"])
    found.append(yaml.safe_load(io.open("params.yaml", "rb"))["lr"])
    found.append(yaml.safe_load(os.fdopen(os.open("params.yaml", os.O_RDONLY)))["lr"])
    for kind in ("fork", "spawn"):
        with multiprocessing.get_context(kind).Pool(1) as pool:
            found.append(pool.apply(read, ["params.yaml"]))
    print(json.dumps([found, args.lr]))
"""


def test_a_program_finds_a_copy_at_the_files_path(trial: Project) -> None:
    _put(trial, "train.py", TRAIN)
    _put(trial, "params.yaml", "lr: 0.1  # the rate\nseeds: [1, 2]\n")
    done = anew(trial, "run", "--config", "params.yaml", "train.py", "lr=0.5")
    pair = [0.5, "params.yaml"]
    expected = [[pair, pair, pair, pair, 0.5, 0.5, 0.5, pair, pair], 0.5]
    assert json.loads(done.stdout) == expected
    assert (trial.folder / "params.yaml").read_text() == "lr: 0.1  # the rate\nseeds: [1, 2]\n"
    record = trial.record()
    assert record.config == {"params": "params.yaml", "lr": 0.5, "seeds": [1, 2]}
    assert record.info["config_file"] == {"path": str(trial.folder / "params.yaml"), "is_changed": True}
    assert record.source is not None
    assert "params.yaml" in {each.path for each in record.source.files}
    assert not record.artifacts
    (trial.folder / "params.yaml").write_text("lr: 3\n")
    again = anew(trial, "rerun", "1")
    assert json.loads(again.stdout.splitlines()[0]) == expected
    assert "identical" in again.stdout
    changed = anew(trial, "rerun", "1", "lr=0.25")
    assert json.loads(changed.stdout.splitlines()[0])[1] == 0.25


def test_it_is_swept_and_listed_and_a_wrong_name_is_refused(trial: Project) -> None:
    _put(trial, "train.py", "import json\nprint(json.load(open('params.json'))['opt']['lr'])\n")
    _put(trial, "params.json", '{"opt": {"lr": 0.1, "name": "adam"}}')
    anew(trial, "run", "--config=params.json", "train.py", "-m", "opt.lr=0.1,0.2", "-q")
    assert sorted(record.config["opt"]["lr"] for record in trial.store.find()) == [0.1, 0.2]
    assert sorted(anew(trial, "logs", ref).stdout.strip() for ref in ("1", "2")) == ["0.1", "0.2"]
    listed = json.loads(anew(trial, "run", "--config", "params.json", "train.py", "--params", "--json").stdout)
    assert [(each["name"], each["default"], each["where"]) for each in listed] == [
        ("opt.lr", 0.1, "params.json:1"), ("opt.name", "adam", "params.json:1"),
    ]  # fmt: skip
    refused = anew(trial, "run", "--config", "params.json", "train.py", "opt.lrr=1", code=2)
    assert "Did you mean opt.lr?" in refused.stderr or "Did you mean lr?" in refused.stderr
    assert len(trial.store.numbers()) == 2


@pytest.mark.parametrize(
    ("program", "text", "said"),
    [
        ("own.py", "import hydra\n@hydra.main()\ndef main(cfg): ...\n", "has a main of Hydra"),
        (
            "own.py",
            "from anew import Experiment\nex = Experiment('x')\n@ex.main\ndef main(): ...\n",
            "of an experiment",
        ),
        ("own.ipynb", "{}", "the cell tagged"),
    ],
)
def test_what_has_its_configuration_from_elsewhere_is_not_given_one(
    trial: Project, program: str, text: str, said: str
) -> None:
    _put(trial, program, text)
    _put(trial, "params.yaml", "lr: 0.1\n")
    assert said in anew(trial, "run", "--config", "params.yaml", program, code=2).stderr
    assert not trial.has_runs


# --- a command ----------------------------------------------------------------------------------------------------

SHELL = """\
#!/bin/sh
sed -n 's/^lr: //p' "${1:-params.yaml}"
echo "$ANEW_PARAM_LR"
sed -n 's/^lr: //p' "$ANEW_CONFIG"
"""


@pytest.mark.parametrize(
    ("words", "by"),
    [(["./fit.sh"], "bound"), (["./fit.sh", "{config}"], "named"), (["sh", "-c", "exec ./fit.sh"], "bound")],
)
def test_a_command_finds_the_copy(trial: Project, words: list[str], by: str) -> None:
    _put(trial, "fit.sh", SHELL)
    _put(trial, "params.yaml", "lr: 0.1\n")
    if by == "bound" and not _can_bind(trial.folder):
        pytest.skip("this system lets no process have mounts of its own")
    done = anew(trial, "run", "--config", "params.yaml", "--", *words, "lr=0.5")
    assert done.stdout.split() == ["0.5", "0.5", "0.5"]
    assert (trial.folder / "params.yaml").read_text() == "lr: 0.1\n"
    record = trial.record()
    assert (record.config, record.info["config_file_by"]) == ({"lr": 0.5}, by)
    (trial.folder / "params.yaml").write_text("lr: 3\n")
    again = anew(trial, "rerun", "1")
    assert again.stdout.split()[:3] == ["0.5", "0.5", "0.5"]
    assert "identical" in again.stdout


def test_without_mounts_a_word_that_names_the_file_names_the_copy(trial: Project) -> None:
    _put(trial, "fit.sh", SHELL)
    _put(trial, "params.yaml", "lr: 0.1\n")
    words = ("run", "--config", "params.yaml", "lr=0.5", "--", "./fit.sh")
    assert anew(trial, *words, "params.yaml", ANEW_POSIX_ONLY="1").stdout.split() == ["0.5", "0.5", "0.5"]
    refused = anew(trial, *words, code=2, ANEW_POSIX_ONLY="1")
    assert "would read 'params.yaml' as it is" in refused.stderr
    assert "-- env CONFIG={config} COMMAND" in refused.stderr
    same = anew(trial, "run", "--config", "params.yaml", "--", "./fit.sh", ANEW_POSIX_ONLY="1")
    assert same.stdout.split() == ["0.1", "0.1", "0.1"]


def test_a_name_that_is_nearly_a_key_is_no_variable(trial: Project) -> None:
    _put(trial, "fit.sh", SHELL)
    _put(trial, "params.yaml", "rate: 0.1\n")
    refused = anew(trial, "run", "--config", "params.yaml", "ratee=1", "--", "./fit.sh", code=2)
    assert "Did you mean rate?" in refused.stderr
    assert not trial.has_runs


def _can_bind(folder: Path) -> bool:
    bound = Path(kernel.__file__).with_name("bound.py")
    file = str(folder / "params.yaml")
    return subprocess.run([sys.executable, bound, file, file], capture_output=True, check=False).returncode == 0
