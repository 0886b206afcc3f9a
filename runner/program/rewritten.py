"""A program's code with other values for names that it assigns; the file itself stays as it is."""

from __future__ import annotations

import ast
import io
from collections.abc import Mapping
from pathlib import Path
from types import CodeType
from typing import Any


def code_of(file: Path, changed: Mapping[str, Any]) -> CodeType:
    """Return the code of a file, with other values for names of its top level; every line keeps its number."""
    with io.open_code(str(file)) as opened:
        source = opened.read()
    if not changed:
        return compile(source, str(file), "exec", dont_inherit=True)
    return compile(_assigning(ast.parse(source), changed), str(file), "exec", dont_inherit=True)


def _assigning(tree: ast.Module, changed: Mapping[str, Any]) -> ast.Module:
    """Give names of the module other values, in place of those that stand there."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            target = statement.targets[0]
        elif isinstance(statement, ast.AnnAssign):
            target = statement.target
        else:
            continue
        if isinstance(target, ast.Name) and target.id in changed and statement.value is not None:
            value = ast.parse(repr(changed[target.id]), mode="eval").body
            for node in ast.walk(value):
                ast.copy_location(node, statement.value)
            statement.value = value
    return tree
