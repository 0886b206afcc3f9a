"""What an annotation in a program's source says of a value: its type, its choices, and whether it may be None."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.program.literals import NotLiteralError, dotted, value_of

_PLAIN = {"int": "int", "float": "float", "str": "str", "bool": "bool", "Path": "str", "PurePath": "str"}
_LISTS = ("list", "List", "Sequence", "Iterable", "tuple", "Tuple", "set", "Set", "frozenset", "FrozenSet")
_DICTS = ("dict", "Dict", "Mapping", "MutableMapping")
_ENUMS = ("Enum", "IntEnum", "StrEnum")


@dataclass(frozen=True, slots=True)
class Described:
    """
    What an annotation says.

    Attributes:
        type: As `Parameter.type`.
        choices: What it may be, if that is said.
        may_be_none: Whether None is a value of it.
        nested: The class of the file whose fields it has, if it is one.
        extra: What else stands in an `Annotated`.
    """

    type: str = "any"
    choices: tuple[Any, ...] = ()
    may_be_none: bool = False
    nested: ast.ClassDef | None = None
    extra: tuple[ast.expr, ...] = ()


def described(node: ast.expr | None, classes: Mapping[str, ast.ClassDef]) -> Described:
    """Return what an annotation says; *classes* are those of the file, by name."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            node = ast.parse(node.value, mode="eval").body
        except SyntaxError:
            return Described()
    if isinstance(node, ast.Constant) and node.value is None:
        return Described(may_be_none=True)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _either([node.left, node.right], classes)
    if isinstance(node, ast.Subscript):
        return _subscripted(node, classes)
    name = "" if node is None else dotted(node).rpartition(".")[2]
    if name in _LISTS or name in _DICTS:
        return Described(type="dict" if name in _DICTS else "list[any]")
    found = classes.get(name)
    if found is None:
        return Described(type=_PLAIN.get(name, "any"))
    if any(dotted(base).rpartition(".")[2] in _ENUMS for base in found.bases):
        return Described(type="str", choices=_members(found))
    return Described(nested=found)


def _subscripted(node: ast.Subscript, classes: Mapping[str, ast.ClassDef]) -> Described:
    name = dotted(node.value).rpartition(".")[2]
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Optional":
        return replace(described(inner[0], classes), may_be_none=True)
    if name == "Union":
        return _either(inner, classes)
    if name == "Literal":
        return _literal(inner)
    if name == "Annotated":
        return replace(described(inner[0], classes), extra=tuple(inner[1:]))
    if name in ("Final", "ClassVar", "InitVar", "Required"):
        return described(inner[0], classes)
    if name in _LISTS:
        return Described(type=f"list[{described(inner[0], classes).type}]")
    return Described(type="dict" if name in _DICTS else "any")


def _either(nodes: list[ast.expr], classes: Mapping[str, ast.ClassDef]) -> Described:
    each = [described(node, classes) for node in nodes]
    kinds = [one for node, one in zip(nodes, each, strict=True) if not _is_none(node)]
    may_be_none = len(kinds) < len(each) or any(one.may_be_none for one in each)
    return replace(kinds[0], may_be_none=may_be_none) if len(kinds) == 1 else Described(may_be_none=may_be_none)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _literal(nodes: list[ast.expr]) -> Described:
    try:
        values = [value_of(node) for node in nodes]
    except NotLiteralError:
        return Described()
    plain = [value for value in values if value is not None]
    kinds = {type(value).__name__ for value in plain}
    kind = kinds.pop() if len(kinds) == 1 else "any"
    return Described(type=kind, choices=tuple(values), may_be_none=None in values)


def _members(found: ast.ClassDef) -> tuple[str, ...]:
    """Return an enumeration's names."""
    targets = [target for each in found.body if isinstance(each, ast.Assign) for target in each.targets]
    return tuple(each.id for each in targets if isinstance(each, ast.Name) and not each.id.startswith("_"))
