"""What the class or function takes that an observer is made of, as far as that is known without importing it."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

from anew.runner.wording import nearest

_FEW = 12
# bases that say nothing of arguments
_PLAIN = frozenset({"object", "ABC", "Protocol", "Observer"})


def unfit_arguments(name: str, spec: Mapping[str, Any]) -> str:
    """
    Return what of an observer's arguments cannot be given to its `_target_`; nothing where they fit, or nobody knows.

    Args:
        name: What it is called under `anew.observers`.
        spec: Its configuration: `_target_` and arguments.
    """
    target = str(spec["_target_"])
    signature = _live(target) or _written(target)
    if signature is None:
        return ""
    given = {key: value for key, value in spec.items() if not (key.startswith("_") and key.endswith("_"))}
    args = spec.get("_args_") or ()
    names = [each.name for each in signature.parameters.values() if each.kind is not Parameter.POSITIONAL_ONLY]
    takes_any = any(each.kind is Parameter.VAR_KEYWORD for each in signature.parameters.values())
    for key in given:
        if not takes_any and key not in names:
            near = nearest(key, names, f"anew.observers.{name}.")
            return f"{target} takes no argument {key!r}.{near or f' It takes: {_listed(names)}.'}"
    try:
        (signature.bind_partial if spec.get("_partial_") else signature.bind)(*args, **given)
    except TypeError as error:
        return f"{target} cannot be called with what is given: {error}."
    return ""


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_FEW]) or "nothing"


def _live(target: str) -> Signature | None:
    """Return the signature of what has been imported already."""
    module, _, name = target.rpartition(".")
    made = getattr(sys.modules.get(module), name, None)
    try:
        return inspect.signature(made) if callable(made) else None
    except (TypeError, ValueError):
        return None


# --- what has not been imported -----------------------------------------------------------------------------------


@cache
def _written(target: str) -> Signature | None:
    module, _, name = target.rpartition(".")
    try:
        return _Source(module).signature(name)
    except (ImportError, OSError, SyntaxError, ValueError, RecursionError):
        return None


class _Source:
    """A module as it is written. Making one raises ImportError, OSError, SyntaxError, ValueError."""

    def __init__(self, module: str) -> None:
        path = _path(module)
        if path is None:
            raise ImportError(module)
        self._package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        self._top = ast.parse(path.read_bytes()).body

    def signature(self, name: str) -> Signature | None:
        """Return what a name of it takes; None where that cannot be read off. Raises as making a source does."""
        found = [each for each in ast.walk(ast.Module(self._top, [])) if _binds(each, name)]
        if len(found) != 1 or found[0] not in self._top:
            return None
        [made] = found
        if isinstance(made, ast.ImportFrom):
            [alias] = [each for each in made.names if (each.asname or each.name) == name]
            parents = self._package.split(".")
            above = parents[: len(parents) - made.level + 1] if made.level else []
            return _Source(".".join([*above, *filter(None, [made.module])])).signature(alias.name)
        if isinstance(made, ast.FunctionDef):
            return None if made.decorator_list else Signature(_parameters(made.args))
        return self._of_class(made) if isinstance(made, ast.ClassDef) else None

    def _of_class(self, made: ast.ClassDef) -> Signature | None:
        if made.keywords or made.decorator_list:
            return None
        own = {name: each for each in made.body for name in _bound(each)}
        if "__new__" in own:
            return None
        if "__init__" in own:
            init = own["__init__"]
            is_plain = isinstance(init, ast.FunctionDef) and not init.decorator_list
            return Signature(_parameters(init.args)[1:]) if is_plain and isinstance(init, ast.FunctionDef) else None
        bases = [base for base in made.bases if ast.unparse(base).rpartition(".")[2] not in _PLAIN]
        if not bases:
            return Signature()
        return self.signature(bases[0].id) if len(bases) == 1 and isinstance(bases[0], ast.Name) else None


def _path(module: str) -> Path | None:
    """Return the file of a module, with nothing imported but packages of ours."""
    package, *parts = module.split(".")
    if package == "anew" and parts:
        package = f"anew.{parts.pop(0)}"
    spec = find_spec(package)
    if spec is None:
        return None
    if not parts:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for folder in spec.submodule_search_locations or ():
        path = Path(folder, *parts)
        for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
            if file.is_file():
                return file
    return None


def _bound(statement: ast.AST) -> list[str]:
    """Return the names that a statement binds itself."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return [each.asname or each.name for each in statement.names]
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
    return []


def _binds(statement: ast.AST, name: str) -> bool:
    return name in _bound(statement)


def _parameters(args: ast.arguments) -> list[Parameter]:
    """Return parameters with or without a default, which is no value to use."""
    plain = [*args.posonlyargs, *args.args]
    first = len(plain) - len(args.defaults)
    found = [
        Parameter(
            each.arg,
            Parameter.POSITIONAL_ONLY if index < len(args.posonlyargs) else Parameter.POSITIONAL_OR_KEYWORD,
            default=None if index >= first else Parameter.empty,
        )
        for index, each in enumerate(plain)
    ]
    if args.vararg is not None:
        found.append(Parameter(args.vararg.arg, Parameter.VAR_POSITIONAL))
    for each, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        is_optional = Parameter.empty if default is None else None
        found.append(Parameter(each.arg, Parameter.KEYWORD_ONLY, default=is_optional))
    if args.kwarg is not None:
        found.append(Parameter(args.kwarg.arg, Parameter.VAR_KEYWORD))
    return found
