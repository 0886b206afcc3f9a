"""What a main function's annotations come to, each by itself: one that cannot be told does not harm the others."""

from __future__ import annotations

import ast
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from anew.runner.config.signature.aliases import meaning
from anew.runner.errors import ConfigError

if sys.version_info >= (3, 14):
    import annotationlib


class UnresolvedError(ConfigError):
    """A configuration that needs a type which is not there; it may be by the time that main is called."""


class Unresolved:
    """An annotation that cannot be evaluated: as it is written, and what it raises."""

    def __init__(self, text: str, error: Exception) -> None:
        self.text = text
        self.error = error

    @property
    def names(self) -> list[str]:
        """The name after the last dot, of each member of a union."""
        text = self.text.strip("'\" ")
        text = text.partition("[")[2].rstrip("]") if "Optional[" in text else text
        return [member.strip("'\" ").rpartition(".")[2] for member in text.split("|")]

    @property
    def why(self) -> str:
        """What is wrong with it, and what would be right, after 'the annotation ... of ...'."""
        if isinstance(self.error, NameError):
            return "names nothing that is defined there. Import it."
        return (
            f"raises {type(self.error).__name__} when it is evaluated: {self.error}. Mend it, or import what it names, "
            "and not for type checkers alone."
        )


def written(function: Callable[..., Any]) -> dict[str, Any]:
    """
    Return a function's annotations by parameter as it has them: values, or text.

    Python evaluates annotations when they are asked for since 3.14, all at once. Where that fails they are text here,
    as they are on every Python below `from __future__ import annotations`.
    """
    plain = inspect.unwrap(function)
    if not inspect.isfunction(plain):
        return {}
    try:
        found: Mapping[str, Any] = plain.__annotations__
    except Exception as error:
        found = _as_text(plain, error)
    return {name: hint for name, hint in found.items() if name != "return"}


def hints_of(function: Callable[..., Any], known: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """
    Return a function's annotations by parameter, evaluated; what cannot be is `Unresolved`.

    Args:
        function: The function that was decorated.
        known: What was found before, and holds: where main is called, the function that defines it may have returned.
    """
    kept = {name: hint for name, hint in (known or {}).items() if not isinstance(hint, Unresolved)}
    raw = {name: hint for name, hint in written(function).items() if name not in kept}
    scope: dict[str, Any] = {}
    if any(map(_is_open, raw.values())):
        for names in reversed([*_scopes(inspect.unwrap(function))]):
            scope.update(names)
    return {**kept, **{name: _evaluated(hint, scope) for name, hint in raw.items()}}


def are_known(hints: Mapping[str, Any]) -> bool:
    """Whether no annotation is unresolved."""
    return not any(isinstance(hint, Unresolved) for hint in hints.values())


def _as_text(function: Any, error: Exception) -> Mapping[str, Any]:
    if sys.version_info >= (3, 14):
        try:
            return annotationlib.get_annotations(function, format=annotationlib.Format.STRING)
        except Exception:
            # what has no names raises even so: `"Result" | None`
            pass
    try:
        source = inspect.getsource(function)
        tree = ast.parse(f"if True:\n{source}" if source[0].isspace() else source)
    except (OSError, SyntaxError):
        raise ConfigError(
            f"{function.__qualname__} cannot be an experiment's main: its annotations raise "
            f"{type(error).__name__} when they are evaluated: {error}"
        ) from None
    return {
        each.arg: ast.unparse(each.annotation)
        for each in ast.walk(_definition(tree, function.__code__.co_name).args)
        if isinstance(each, ast.arg) and each.annotation is not None
    }


def _definition(tree: ast.AST, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
    functions = (each for each in ast.walk(tree) if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return next(each for each in functions if each.name == name)


def _scopes(function: Any) -> Iterator[Mapping[str, Any]]:
    """Yield where a name in an annotation can be, what counts first: around it, its globals, frames that define it."""
    yield {each.__name__: each for each in getattr(function, "__type_params__", ())}
    yield _closure(function)
    if annotate := getattr(function, "__annotate__", None):
        yield _closure(annotate)
    yield function.__globals__
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename == function.__code__.co_filename:
            yield frame.f_locals
        if frame.f_back is None:
            return
        frame = frame.f_back


def _closure(function: Any) -> dict[str, Any]:
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            # defined further down
            continue
    return found


def _is_open(hint: Any) -> bool:
    """Whether there is text in an annotation, which may be a name."""
    return isinstance(hint, (str, typing.ForwardRef)) or any(map(_is_open, typing.get_args(hint)))


def _with_references(hint: Any) -> Any:
    """Return an annotation in which text within `list[...]` and its like is a reference: Python 3.10 leaves it text."""
    if not isinstance(hint, types.GenericAlias):
        return hint
    parts = (typing.ForwardRef(part) if isinstance(part, str) else _with_references(part) for part in hint.__args__)
    origin: Any = hint.__origin__
    return types.GenericAlias(origin, tuple(parts))


def _evaluated(hint: Any, scope: dict[str, Any]) -> Any:
    value = hint
    try:
        while isinstance(value, str):
            value = eval(value, scope)  # the program's own annotation, as typing.get_type_hints does
        if _is_open(value):
            holder: Any = types.SimpleNamespace(__annotations__={"hint": _with_references(value)})
            value = typing.get_type_hints(holder, scope, include_extras=True)["hint"]
        return meaning(value)
    except RecursionError:
        return value
    except Exception as error:
        return Unresolved(hint if isinstance(hint, str) else inspect.formatannotation(hint), error)
