"""Parameters of programs whose command line is made of a dataclass or a function: by tyro, jsonargparse, fire, ..."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from anew.runner.program.fields import File, Style, parameters_of_class, parameters_of_function
from anew.runner.program.literals import dotted
from anew.runner.program.parameters import Parameter

_TYRO = Style(dashes=True, switches=True)
_JSONARGPARSE = Style(spread="json")
_HUGGING_FACE = Style()
_SIMPLE = Style(is_flat=True)
_YAML_LIKE = Style(spread="json")
_FIRE = Style(spread="json")
# how a call ends, and the style of what its first argument becomes
_CALLS = {
    "tyro.cli": _TYRO,
    "jsonargparse.CLI": _JSONARGPARSE,
    "jsonargparse.auto_cli": _JSONARGPARSE,
    "HfArgumentParser": _HUGGING_FACE,
    "simple_parsing.parse": _SIMPLE,
    "pyrallis.parse": _YAML_LIKE,
    "draccus.parse": _YAML_LIKE,
    "fire.Fire": _FIRE,
}
_WRAPPERS = {"pyrallis.wrap": _YAML_LIKE, "draccus.wrap": _YAML_LIKE, "pyrallis.argparsing.wrap": _YAML_LIKE}


def typed_parameters(file: File) -> list[Parameter]:
    """Return what such a library makes options of, where the class or the function stands in the file."""
    names = _imported(file.tree)
    found: list[Parameter] = []
    for call in file.calls:
        called = _called(call.func, names)
        style = _CALLS.get(called) or (_HUGGING_FACE if called.endswith(".HfArgumentParser") else None)
        if style is not None:
            given = [*call.args[:1], *(each.value for each in call.keywords if each.arg in ("config_class", "f"))]
            found += [each for node in given for each in _of(file, node, style)]
        elif called.endswith(".add_arguments") and call.args and "simple_parsing" in names.values():
            found += _of(file, call.args[0], _SIMPLE)
    for function in file.functions.values():
        found += _wrapped(file, function, names)
    return list({each.name: each for each in reversed(found)}.values())[::-1]


def _imported(tree: ast.Module) -> dict[str, str]:
    """Return the names that a module imports, each with what it stands for."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update({each.asname or each.name.partition(".")[0]: each.name for each in node.names})
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update({each.asname or each.name: f"{node.module}.{each.name}" for each in node.names})
    return found


def _called(node: ast.expr, names: dict[str, str]) -> str:
    """Return what is called, by the name that it has where it comes from."""
    first, dot, rest = dotted(node).partition(".")
    return f"{names.get(first, first)}{dot}{rest}"


def _of(file: File, node: ast.expr, style: Style) -> Iterator[Parameter]:
    """Yield the parameters of a class, of a function, or of several in a tuple or list."""
    if isinstance(node, (ast.Tuple, ast.List)):
        for each in node.elts:
            yield from _of(file, each, style)
        return
    name = dotted(node).rpartition(".")[2]
    if name in file.classes:
        yield from parameters_of_class(file, file.classes[name], style)
    elif name in file.functions:
        places = style is _JSONARGPARSE
        of_function = Style(spread=style.spread, places=True) if places else style
        yield from parameters_of_function(file, file.functions[name], of_function)


def _wrapped(file: File, function: ast.FunctionDef, names: dict[str, str]) -> Iterator[Parameter]:
    """Yield the fields of the class that a decorated function takes."""
    for decorator in function.decorator_list:
        node = decorator.func if isinstance(decorator, ast.Call) else decorator
        style = _WRAPPERS.get(_called(node, names))
        first = function.args.args[0].annotation if function.args.args else None
        if style is not None and first is not None:
            yield from _of(file, first, style)
