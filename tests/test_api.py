"""
What others build on, as it was last agreed to: public names, commands, settings, exit codes, and the shapes of JSON.

A change to any of it shows as a diff, here and in review. To agree to it:

    ACCEPT_API=1 .venv/bin/python -m pytest tests/test_api.py
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import inspect
import json
import os
import re
from collections.abc import Callable, Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import click
import pytest

import anew
from anew.runner import errors, events, records, sweep_records
from anew.runner import testing as contracts
from anew.runner.cli import main
from anew.runner.cli.group import workbench
from anew.runner.experiment import Main
from anew.runner.settings import ObserverSettings, Settings
from anew.runner.store.folder import FolderStore
from tests.helpers.kept import kept_folder
from tests.helpers.places import TESTS

ACCEPT = "ACCEPT_API" in os.environ
# members of these are named by whoever wrote the experiment, or by the machine
OPEN = {
    *("artifacts", "choices", "config", "counts", "hardware", "info", "inputs", "metrics", "series", "source"),
    *(
        "deterministic",
        "installation",
        "observers",
        "origins",
        "packages",
        "scheduler",
        "seeded",
        "threads",
        "variables",
    ),
}
BY_NAME = {"differences": 2}  # section -> name -> ...


def assert_as_agreed(name: str, lines: Iterator[str]) -> None:
    """Compare with tests/data/api/NAME.txt; with ACCEPT_API=1 write it."""
    path = TESTS / "data" / "api" / f"{name}.txt"
    now = [f"{line}\n" for line in lines]
    if ACCEPT:
        path.write_text("".join(now))
    agreed = path.read_text().splitlines(keepends=True)
    diff = "".join(difflib.unified_diff(agreed, now, f"agreed to: {path.name}", "now"))
    how = "To agree to it: ACCEPT_API=1 python -m pytest tests/test_api.py; and an entry in CHANGELOG.md"
    assert not diff, f"what others build on has changed:\n{diff}\n{how}"


# --- Python -----------------------------------------------------------------------------------------------------------


def test_the_public_names_are_those_agreed_to() -> None:
    assert_as_agreed("python", python_lines())


def python_lines() -> Iterator[str]:
    """Everything that `anew` and the documented modules offer."""
    for name in sorted(anew.__all__):
        yield from described(f"anew.{name}", getattr(anew, name))
    for name in ("run", "sweep"):
        yield f"anew.Experiment.main -> .{name}{signature_of(getattr(Main, name))}"
    for module in (records, sweep_records, events, errors, contracts):
        for name, thing in sorted(vars(module).items()):
            ours = getattr(thing, "__module__", "").startswith(module.__name__)
            if not name.startswith("_") and (ours or name.startswith("EXIT_")):
                yield from described(f"{module.__name__}.{name}", thing)


def described(name: str, thing: Any) -> Iterator[str]:
    """A line for a thing, and lines for its members."""
    if not inspect.isclass(thing):
        yield f"{name}{signature_of(thing)}" if callable(thing) else f"{name} = {thing!r}"
        return
    yield f"class {name}({', '.join(base.__name__ for base in thing.__bases__ if base is not object)})"
    if issubclass(thing, enum.Enum):
        yield from (f"    {member.name} = {member.value!r}" for member in thing)
    elif dataclasses.is_dataclass(thing):
        yield from (f"    {field.name}: {field.type}{default_of(field)}" for field in dataclasses.fields(thing))
    elif issubclass(thing, Exception | anew.Experiment) and "__init__" in vars(thing):
        yield f"    __init__{signature_of(thing.__init__)}"
    for member, value in sorted(members(thing)):
        what = "property" if isinstance(value, property) else "method"
        yield f"    {what} {member}{signature_of(value.fget if what == 'property' else getattr(thing, member))}"


def signature_of(function: Any) -> str:
    """A signature as one reads it: what stands for "not given" has no address."""
    signature = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(function)))
    return re.sub(r"<object object at \w+>", "...", signature)


def members(thing: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class and its bases of ours define."""
    seen: dict[str, Any] = {}
    for base in reversed(thing.__mro__):
        if base.__module__.startswith("anew."):
            seen.update(vars(base))
    for name, value in seen.items():
        is_member = isinstance(value, property | classmethod | staticmethod) or inspect.isfunction(value)
        is_fixture = hasattr(value, "_pytestfixturefunction")  # before pytest 8.4 it is a function
        if is_member and not is_fixture and not name.startswith("_"):
            yield name, value


def default_of(field: dataclasses.Field[Any]) -> str:
    """A field's default, as written."""
    if field.default_factory is not dataclasses.MISSING:
        return f" = {field.default_factory()!r}" if field.default_factory in (tuple, dict, list) else " = ..."
    return "" if field.default is dataclasses.MISSING else f" = {field.default!r}"


def test_the_settings_are_those_agreed_to() -> None:
    assert_as_agreed("settings", setting_lines())


def setting_lines() -> Iterator[str]:
    """Each key of the node `anew`, its type and its default; and the keys that every observer has."""

    def below(cls: Any, values: Any, prefix: str) -> Iterator[str]:
        for field in dataclasses.fields(cls):
            value = getattr(values, field.name)
            if dataclasses.is_dataclass(value):
                yield from below(type(value), value, f"{prefix}.{field.name}")
            else:
                yield f"{prefix}.{field.name}: {field.type} = {value!r}"

    yield from below(Settings, Settings(), "anew")
    for field in dataclasses.fields(ObserverSettings):
        if field.name in ("required", "host"):
            yield f"anew.observers.NAME.{field.name}: {field.type} = {field.default!r}"


def test_what_is_registered_under_entry_points_is_what_was_agreed_to() -> None:
    ours = distribution("anew").entry_points
    assert_as_agreed("entry_points", iter(sorted(f"{each.group}: {each.name} = {each.value}" for each in ours)))


# --- the command line -------------------------------------------------------------------------------------------------


def test_the_commands_are_those_agreed_to() -> None:
    assert_as_agreed("commands", command_lines(workbench, "anew"))


def command_lines(command: click.Command, name: str) -> Iterator[str]:
    """A command's arguments and options, and its subcommands."""
    yield name
    for parameter in command.params:
        words = ", ".join((*parameter.opts, *parameter.secondary_opts))
        kind = "argument" if isinstance(parameter, click.Argument) else "option"
        many = " ..." if parameter.nargs == -1 or parameter.multiple else ""
        flag = getattr(parameter, "is_flag", False)
        choices = "|".join(map(str, getattr(parameter.type, "choices", ())))
        yield f"    {kind} {words}{'' if flag else f': {choices or parameter.type.name}'}{many}"
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            assert below is not None
            yield from command_lines(below, f"{name} {each}")


def _program(store: Path) -> Path:
    path = store.parent / "fit.py"
    path.write_text("RATE = 0.1\nNAMES = ['a']\n")
    return path


SHOWN: dict[str, Callable[[Path], list[str]]] = {
    "best": lambda store: ["best", "loss"],
    "check": lambda store: ["check"],
    "comment": lambda store: ["comment", "1", "why"],
    "compare": lambda store: ["compare", "1", "3"],
    "delete": lambda store: ["delete", "1"],
    "diff": lambda store: ["diff", "1", "3"],
    "get": lambda store: ["get", "1", "--output", "--config", "--to", "got"],
    "lineage": lambda store: ["lineage", "1"],
    "list": lambda store: ["list", "--all"],
    "logs": lambda store: ["logs", "2"],
    "metrics": lambda store: ["metrics", "1"],
    "note": lambda store: ["note", "1", "why"],
    "pack": lambda store: ["pack", "1", "2"],
    "plot": lambda store: ["plot", "1", "11", "loss"],
    "purge": lambda store: ["purge", "--yes"],
    "rerun": lambda store: ["rerun", "1", "lr=0.3", "--trust"],
    "restore": lambda store: ["restore", str(FolderStore.open(store).delete(1))],
    "run": lambda store: ["run", "--params", str(_program(store))],
    "show": lambda store: ["show", "11"],
    "sweep list": lambda store: ["sweep", "list"],
    "sweep show": lambda store: ["sweep", "show"],
    "sync": lambda store: ["sync", "12"],
    "sync SOURCE TARGET": lambda store: ["sync", str(store), str(store.parent / "copies")],
    "tag": lambda store: ["tag", "1-3", "paper"],
    "unpack": lambda store: ["unpack", "1"],
    "usage": lambda store: ["usage", "--compute"],
    "verify": lambda store: ["verify", "1", "--trust"],
    "why": lambda store: ["why", "1", "3", "--dry-run", "--trust"],
}


# whether a package that is on record is installed here, and the other way round, is this environment's
HERE_OR_NOT = re.compile(r"differences\.\*\.\*\.(now|recorded): null")
BY_NAME_AT_THE_TOP = {"metrics": 1, "plot": 2}  # metric; run, then metric


@pytest.mark.parametrize("name", SHOWN)
def test_the_json_of_a_command_has_the_members_agreed_to(
    name: str, project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = kept_folder(1, project)
    main([*SHOWN[name](store), "--json"])
    out, err = capfd.readouterr()
    assert out, err
    file = "json-" + name.replace(" ", "-").lower()
    found = {f"{path}: {kind}" for path, kind in shape(json.loads(out), "", BY_NAME_AT_THE_TOP.get(name, 0))}
    assert_as_agreed(file, iter(sorted(line for line in found if not HERE_OR_NOT.search(line))))


def test_every_command_that_prints_json_is_among_these() -> None:
    lines = list(command_lines(workbench, "anew"))
    commands = {"": ""}
    for line in lines:
        commands[""] = line if line.startswith("anew") else commands[""]
        if "--json" in line:
            commands[commands[""].removeprefix("anew ")] = ""
    assert commands.keys() - {""} == {name.removesuffix(" SOURCE TARGET") for name in SHOWN}


def shape(value: Any, path: str, by_name: int = 0) -> Iterator[tuple[str, str]]:
    """The path and the kind of each member; one of many stands for all of them, also those of *by_name* levels."""
    if isinstance(value, dict):
        last = path.rpartition(".")[2].removesuffix("[]")
        levels = by_name or BY_NAME.get(last, int(last in OPEN))
        yield path or ".", "object, by name" if levels else "object"
        for name, member in value.items():
            yield from shape(member, f"{path}.{'*' if levels else name}", max(levels - 1, 0))
    elif isinstance(value, list):
        yield path or ".", "array"
        for member in value:
            yield from shape(member, f"{path}[]")
    else:
        yield path or ".", {str: "string", bool: "boolean", type(None): "null"}.get(type(value), "number")
