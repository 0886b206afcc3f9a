"""Whether a program has a main already: one of Anew's, which records it by itself, or one of Hydra's."""

from __future__ import annotations

import ast
from typing import Literal

from anew.runner.program.literals import dotted

OwnMain = Literal["anew", "hydra"]


def own_main(tree: ast.Module) -> OwnMain | None:
    """Return whose main a program's file defines: what `@experiment.main` or `@hydra.main` makes of a function."""
    imported = _imported(tree)
    for node in ast.walk(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        for each in node.decorator_list:
            name = dotted(each.func if isinstance(each, ast.Call) else each)
            first, _, rest = name.partition(".")
            full = ".".join(part for part in (imported.get(first, first), rest) if part)
            if full in ("hydra.main", "hydra.main.main"):
                return "hydra"
            if rest == "main" and (first in _experiments(tree, imported) or _leads_to_experiment(first, imported)):
                return "anew"
    return None


def imports_of(tree: ast.Module) -> frozenset[str]:
    """Return the top-level packages that a file imports, anywhere in it."""
    return frozenset(each.partition(".")[0] for each in _imported(tree).values())


def _imported(tree: ast.Module) -> dict[str, str]:
    """Return what names that are imported stand for."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                top = each.name.partition(".")[0]
                found[each.asname or top] = each.name if each.asname else top
        elif isinstance(node, ast.ImportFrom):
            found.update({each.asname or each.name: f"{node.module or ''}.{each.name}" for each in node.names})
    return found


def _experiments(tree: ast.Module, imported: dict[str, str]) -> set[str]:
    """Return the names that an `Experiment` is assigned to."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)):
            continue
        first, _, rest = dotted(node.value.func).partition(".")
        full = ".".join(part for part in (imported.get(first, first), rest) if part)
        if full.startswith("anew.") and full.endswith("Experiment"):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def _leads_to_experiment(name: str, imported: dict[str, str]) -> bool:
    """Whether a name that another module of the project has is most likely that of an experiment."""
    return imported.get(name, "").rpartition(".")[2].lower() in ("experiment", "exp", "ex") and any(
        each == "anew" or each.startswith("anew.") for each in imported.values()
    )
