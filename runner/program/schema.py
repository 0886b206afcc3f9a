"""A program's parameters as the schema of a configuration, and a configuration as what the program is given."""

from __future__ import annotations

import dataclasses
import keyword
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Optional

from anew.runner.program.parameters import MISSING, Parameter

_TYPES: dict[str, Any] = {"bool": bool, "int": int, "float": float, "str": str, "dict": dict[str, Any]}
# the key of words that the program is given as they were typed
WORDS = "argv"


def schema_of(parameters: Iterable[Parameter], words: list[str]) -> type:
    """
    Return the dataclass that declares parameters, nested where their names have dots.

    Args:
        parameters: What was found in the program; what it has to be given is mandatory there too.
        words: What the program is given as it was typed; its key is there if there are any.
    """
    tree: dict[str, Any] = {}
    for each in parameters:
        *above, last = each.name.split(".")
        node = tree
        for part in above:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                break
        else:
            node.setdefault(last, each)
    made = _made("Config", tree)
    if words:
        fields = [(WORDS, list[str], dataclasses.field(default_factory=lambda: list(words)))]
        made = dataclasses.make_dataclass("Config", fields, bases=(made,), kw_only=True)
    return made


def _made(name: str, tree: Mapping[str, Any]) -> type:
    fields: list[Any] = []
    for key, node in tree.items():
        if not key.isidentifier() or keyword.iskeyword(key):
            continue
        if isinstance(node, Parameter):
            fields.append((key, annotation_of(node), _default(node)))
        else:
            below = _made(key, node)
            fields.append((key, below, dataclasses.field(default_factory=below)))
    return dataclasses.make_dataclass(name, fields, kw_only=True)


def annotation_of(parameter: Parameter) -> Any:
    """Return the annotation that allows what a parameter may be."""
    choices = tuple(each for each in parameter.choices if each is not None)
    kind = parameter.type
    annotation: Any = Any
    if choices and not kind.startswith("list"):
        annotation = Literal[choices]
    elif kind.startswith("list["):
        annotation = list[_TYPES.get(kind[5:-1], Any)]  # type: ignore[misc]  # made while it runs
    else:
        annotation = _TYPES.get(kind, Any)
    may_be_none = parameter.may_be_none or parameter.is_computed or (parameter.is_required and bool(parameter.only))
    return Optional[annotation] if may_be_none else annotation  # noqa: UP045  # made while it runs


def _default(parameter: Parameter) -> Any:
    """Return what a field is without being given; where it has to be, what stands for that in a configuration."""
    default = parameter.default
    if default is MISSING:
        # what only one subcommand asks for is no part of the others; what the program works out is left to it
        is_left = parameter.is_computed or bool(parameter.only) or not parameter.is_required
        return dataclasses.field(default=None if is_left else "???")
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: default.copy())
    return dataclasses.field(default=default)


def values_of(config: Any, parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Return parameters' values by name, out of an instance of their schema; none of those left to the program."""
    found = {}
    for each in parameters:
        value: Any = config
        for part in each.name.split("."):
            value = getattr(value, part, MISSING)
        if value is not MISSING and not (value is None and each.default is MISSING):
            found[each.name] = value
    return found
