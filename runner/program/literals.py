"""What an expression in a program's source is worth, as far as that can be known without running anything."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
# a source file may come from anyone: `9 ** 9 ** 9` has no end
_MOST = 10**18


class NotLiteralError(Exception):
    """Only the program itself can tell what this is."""


def value_of(node: ast.expr, names: Mapping[str, ast.expr] | None = None) -> Any:
    """
    Return what an expression of literals is worth: numbers, texts, truths, None, lists, tuples and dicts of them.

    Args:
        node: The expression; arithmetic of numbers is worked out.
        names: Names that are assigned once, and what to.

    Raises:
        NotLiteralError: It is something else.
    """
    return _value(node, names or {}, 0)


def _value(node: ast.expr, names: Mapping[str, ast.expr], depth: int) -> Any:
    if depth > 50:
        raise NotLiteralError
    if isinstance(node, ast.Constant):
        if node.value is ... or isinstance(node.value, (bytes, complex)):
            raise NotLiteralError
        return node.value
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(each, names, depth + 1) for each in node.elts]
    if isinstance(node, ast.Dict):
        pairs = [(key, value) for key, value in zip(node.keys, node.values, strict=True)]
        return {_key(key, names, depth): _value(value, names, depth + 1) for key, value in pairs}
    if isinstance(node, ast.Name) and node.id in names:
        return _value(names[node.id], {key: each for key, each in names.items() if key != node.id}, depth + 1)
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        return _worked(_UNARY[type(node.op)], _value(node.operand, names, depth + 1))
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        left, right = _value(node.left, names, depth + 1), _value(node.right, names, depth + 1)
        return _worked(_BINARY[type(node.op)], left, right)
    if _is_path(node):
        assert isinstance(node, ast.Call)
        return _value(node.args[0], names, depth + 1)
    raise NotLiteralError


def _key(node: ast.expr | None, names: Mapping[str, ast.expr], depth: int) -> Any:
    key = None if node is None else _value(node, names, depth + 1)
    if not isinstance(key, (str, int, float, bool)):
        raise NotLiteralError
    return key


def _worked(work: Callable[..., Any], *operands: Any) -> Any:
    if not all(isinstance(each, (int, float)) and abs(each) <= _MOST for each in operands):
        raise NotLiteralError
    if work is operator.pow and abs(operands[1]) > 64:
        raise NotLiteralError
    try:
        return work(*operands)
    except (ArithmeticError, ValueError) as error:
        raise NotLiteralError from error


def _is_path(node: ast.expr) -> bool:
    """Whether it is `Path("x")`, which a command line is given as a text."""
    is_call = isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords
    return is_call and dotted(node.func).rpartition(".")[2] in ("Path", "PurePath")  # type: ignore[attr-defined]


def dotted(node: ast.expr) -> str:
    """Return `a.b.c` of names and attributes; an empty text of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""


def assigned_once(tree: ast.Module) -> dict[str, ast.expr]:
    """Return the names that a module assigns at its top level, once and nowhere else, and what to."""
    found: dict[str, ast.expr] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, value = statement.target, statement.value
        else:
            continue
        if isinstance(target, ast.Name):
            found[target.id] = value
    stores = [node.id for node in _of_module(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    shared = {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}
    return {name: value for name, value in found.items() if stores.count(name) == 1 and name not in shared}


def _of_module(node: ast.AST) -> Iterator[ast.AST]:
    """Walk what runs in the scope of the module; functions and classes have names of their own."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            yield from _of_module(child)
