"""
Which lines of some source main comes to whatever happens: not those of a branch, or of a function called in one.

As coarse as the reading of what values follow from, but the other way: a line is left out when there is a doubt.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

_LEAVING = (ast.Return, ast.Continue, ast.Break)
_DEFINING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def surely_reached(sources: Mapping[str, str], names: Iterable[str]) -> frozenset[str]:
    """
    Return the lines with something to be computed that are always come to, such as "train.py:12".

    Args:
        sources: Path -> text; what cannot be parsed is left out.
        names: Functions and classes that are called from elsewhere, main among them.
    """
    walk = _Walk()
    for path, text in sources.items():
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        walk.block(path, tree.body)
    walk.follow(names)
    return frozenset(walk.sure - walk.doubtful)


class _Walk:
    """Goes through what is run, function by function."""

    def __init__(self) -> None:
        self.sure: set[str] = set()
        self.doubtful: set[str] = set()
        self._made: dict[str, list[tuple[str, ast.stmt]]] = defaultdict(list)
        self._called: set[str] = set()

    def follow(self, names: Iterable[str]) -> None:
        """Go through the functions that are called surely, and through those that these call."""
        waiting = [*names, *self._called]
        done: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in done:
                continue
            done.add(name)
            for path, node in self._made[name]:
                if isinstance(node, ast.ClassDef):
                    waiting += [each.name for each in node.body if isinstance(each, _DEFINING) and _is_hidden(each)]
                elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    self.block(path, node.body)
            waiting += self._called - done

    def block(self, path: str, body: Sequence[ast.stmt], is_sure: bool = True) -> None:
        """Go through statements; what follows a way out of them is no more sure than that way is."""
        for node in body:
            self._statement(path, node, is_sure)
            if isinstance(node, (ast.If, ast.Match, ast.Try)) and _may_leave(node):
                is_sure = False

    def _statement(self, path: str, node: ast.stmt, is_sure: bool) -> None:
        if isinstance(node, _DEFINING):
            self._made[node.name].append((path, node))
            inner = node.body if isinstance(node, ast.ClassDef) else []
            self.block(path, inner, is_sure)
            defaults = [] if isinstance(node, ast.ClassDef) else [*node.args.defaults, *node.args.kw_defaults]
            for each in (*node.decorator_list, *defaults):
                self._value(path, each, is_sure)
        elif isinstance(node, ast.If):
            self._value(path, node.test, is_sure)
            self.block(path, node.body, is_sure and ast.unparse(node.test).startswith("__name__ =="))
            self.block(path, node.orelse, False)
        elif isinstance(node, ast.Match):
            self._value(path, node.subject, is_sure)
            for case in node.cases:
                self.block(path, case.body, False)
        elif isinstance(node, ast.Try):
            for handler in node.handlers:
                self.block(path, handler.body, False)
            self.block(path, [*node.body, *node.orelse, *node.finalbody], is_sure)
        else:
            self._parts(path, node, is_sure)

    def _parts(self, path: str, node: ast.AST, is_sure: bool) -> None:
        """Go through the statements and values of any other statement, such as a loop."""
        for name, value in ast.iter_fields(node):
            items = value if isinstance(value, list) else [value]
            if name in ("body", "orelse") and isinstance(node, ast.stmt):
                self.block(path, items, is_sure)
            else:
                for each in items:
                    self._value(path, each, is_sure)

    def _value(self, path: str, node: object, is_sure: bool) -> None:
        if not isinstance(node, ast.AST):
            return
        if isinstance(node, ast.expr):
            (self.sure if is_sure else self.doubtful).add(f"{path}:{node.lineno}")
        if is_sure and isinstance(node, (ast.Name, ast.Attribute)):
            self._called.add(node.id if isinstance(node, ast.Name) else node.attr)
        doubtful: list[ast.expr] = []
        if isinstance(node, ast.IfExp):
            doubtful = [node.body, node.orelse]
        elif isinstance(node, ast.BoolOp):
            doubtful = node.values[1:]
        for each in ast.iter_child_nodes(node):
            self._value(path, each, is_sure and each not in doubtful)


def _is_hidden(node: ast.stmt) -> bool:
    """Whether a method is called by the interpreter, as `__init__` is."""
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("__")


def _may_leave(node: ast.stmt) -> bool:
    return any(isinstance(each, _LEAVING) for each in ast.walk(node))
