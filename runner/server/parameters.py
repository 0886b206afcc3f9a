"""The parameters of a run's main, as its recorded source shows them: read, and never run."""

from __future__ import annotations

import ast
from pathlib import PurePosixPath
from typing import Any

from anew.runner.contracts import RunStore
from anew.runner.dataclass import dataclass
from anew.runner.errors import AnewError
from anew.runner.program.fields import File, Style, parameters_of_function
from anew.runner.program.found import find_parameters
from anew.runner.program.literals import assigned_once
from anew.runner.program.parameters import MISSING, Parameter
from anew.runner.records import ContentRef, RunRecord
from anew.runner.store.contents import intact

_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Main:
    """
    What is known of a main.

    Attributes:
        parameters: Its parameters, in order; none where they cannot be told.
    """

    parameters: tuple[Parameter, ...]


def main_of(record: RunRecord, store: RunStore) -> Main:
    """Return what the recorded source says of a run's main. Raises nothing."""
    for file in _candidates(record):
        text = _text(file, store)
        if text is None:
            continue
        try:
            tree = ast.parse(text)
            found = _in_function(tree, record) or list(find_parameters(text, file.path).parameters)
        except (SyntaxError, ValueError, RecursionError, AnewError):
            continue
        if found:
            return Main(tuple(found))
    return Main(())


def _candidates(record: RunRecord) -> list[ContentRef]:
    """Return the source files that main may stand in, the most likely first."""
    target = record.command.target
    module = record.command.function.partition(":")[0]
    names = {PurePosixPath(target).name} if target.endswith(".py") else {f"{target.replace('.', '/')}.py"}
    if module and module != "__main__":
        names |= {f"{module.replace('.', '/')}.py"}
    return [file for file in record.source.files if file.path in names or PurePosixPath(file.path).name in names]


def _text(file: ContentRef, store: RunStore) -> str | None:
    if file.size > _LONGEST or not file.kept:
        return None
    try:
        with intact(file, store.open_object) as content:
            return content.read().decode("utf-8", "replace")
    except (AnewError, OSError):
        return None


def _in_function(tree: ast.Module, record: RunRecord) -> list[Parameter]:
    """Return the parameters of the main function, but for those that Anew gives it."""
    name = record.command.function.partition(":")[2].rpartition(".")[2]
    file = File(tree, assigned_once(tree))
    function = file.functions.get(name)
    if function is None:
        return []
    given = {each.arg for each in function.args.kwonlyargs if _is_given(each)}
    return [
        each for each in parameters_of_function(file, function, Style()) if each.name.partition(".")[0] not in given
    ]


def _is_given(argument: ast.arg) -> bool:
    text = ast.unparse(argument.annotation) if argument.annotation is not None else ""
    return text.rpartition(".")[2].strip("'\"") == "Run"


def defaults_of(record: RunRecord, store: RunStore) -> tuple[dict[str, Any], bool]:
    """Return the defaults of a run's parameters, by key, and whether any are known."""
    found = main_of(record, store).parameters
    return {each.name: each.default for each in found if each.default is not MISSING}, bool(found)
