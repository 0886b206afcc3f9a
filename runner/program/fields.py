"""The fields of dataclasses and the parameters of functions, as libraries that make command lines of them see them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.program.annotated import Described, described
from anew.runner.program.literals import NotLiteralError, dotted, value_of
from anew.runner.program.parameters import MISSING, Flag, Parameter, Positional, Spread

_DEEPEST = 10


@dataclass(frozen=True, slots=True)
class Style:
    """
    How a library makes options of fields.

    Attributes:
        dashes: Whether `learning_rate` is typed with a dash.
        switches: Whether truths are `--x` and `--no-x`, and not a word.
        spread: How several values are given.
        is_flat: Whether the fields of a nested class are typed without its name.
        places: Whether what has no default is given by its place.
    """

    dashes: bool = False
    switches: bool = False
    spread: Spread = "many"
    is_flat: bool = False
    places: bool = False

    def option(self, name: str) -> str:
        """Return what is typed for a field."""
        typed = name.rpartition(".")[2] if self.is_flat else name
        typed = typed.replace("_", "-") if self.dashes else typed
        return f"-{typed}" if len(typed) == 1 and self.dashes and self.places else f"--{typed}"


@dataclass(frozen=True, slots=True)
class Field:
    """A name with an annotation and a default: a dataclass's field, or a function's parameter."""

    name: str
    line: int
    annotation: ast.expr | None
    default: ast.expr | None


class File:
    """The classes, functions and constants of one source file."""

    def __init__(self, tree: ast.Module, constants: Mapping[str, ast.expr]) -> None:
        self.tree = tree
        self.constants = constants
        nodes = list(ast.walk(tree))
        self.classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
        self.functions = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
        self.calls = sorted(
            (node for node in nodes if isinstance(node, ast.Call)), key=lambda node: (node.lineno, node.col_offset)
        )

    def fields(self, found: ast.ClassDef, depth: int = 0) -> list[Field]:
        """Return a dataclass's fields, those of its bases in this file first; what is redefined keeps its place."""
        fields: dict[str, Field] = {}
        for base in found.bases:
            inherited = self.classes.get(dotted(base).rpartition(".")[2])
            if inherited is not None and inherited is not found and depth < _DEEPEST:
                fields.update({each.name: each for each in self.fields(inherited, depth + 1)})
        for each in found.body:
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and not _is_class_wide(each):
                fields[each.target.id] = Field(each.target.id, each.lineno, each.annotation, each.value)
        return list(fields.values())

    def value(self, node: ast.expr | None) -> tuple[Any, bool]:
        """Return what a default is, and whether only the program can tell; MISSING where there is none."""
        node = self._given(node)
        if node is None:
            return MISSING, False
        try:
            return value_of(node, self.constants), False
        except NotLiteralError:
            pass
        # a member of an enumeration is typed by its name
        owner, _, member = dotted(node).rpartition(".")
        return (member, False) if owner and owner in self.classes else (MISSING, True)

    def _given(self, node: ast.expr | None) -> ast.expr | None:
        """Return the default that `field(default=...)` and its like hold."""
        if not isinstance(node, ast.Call) or dotted(node.func).rpartition(".")[2] not in (
            "field", "mutable_field", "list_field", "Field", "HfArg", "choice",
        ):  # fmt: skip
            return node
        given = {each.arg: each.value for each in node.keywords}
        if "default" in given:
            return given["default"]
        factory = given.get("default_factory")
        if isinstance(factory, ast.Lambda):
            return factory.body
        if factory is not None and dotted(factory) in ("list", "dict"):
            return ast.List([], ast.Load()) if dotted(factory) == "list" else ast.Dict([], [])
        return factory


def _is_class_wide(each: ast.AnnAssign) -> bool:
    return isinstance(each.annotation, ast.Subscript) and dotted(each.annotation.value).endswith("ClassVar")


def parameters_of_class(file: File, found: ast.ClassDef, style: Style, prefix: str = "") -> Iterator[Parameter]:
    """Yield what a dataclass gives a command line; a nested class's fields below its name."""
    if prefix.count(".") > _DEEPEST:
        return
    for each in file.fields(found):
        about = described(each.annotation, file.classes)
        if about.nested is not None and about.nested is not found:
            yield from parameters_of_class(file, about.nested, style, f"{prefix}{each.name}.")
        else:
            yield made(file, each, about, style, name=f"{prefix}{each.name}")


def parameters_of_function(
    file: File, found: ast.FunctionDef, style: Style, only: tuple[str, ...] = ()
) -> Iterator[Parameter]:
    """Yield what a function's parameters give a command line."""
    place = 0
    for each in fields_of_function(found):
        about = described(each.annotation, file.classes)
        if about.nested is not None:
            yield from parameters_of_class(file, about.nested, style, f"{each.name}.")
            continue
        by_place = style.places and each.default is None
        yield made(file, each, about, style, name=each.name, place=place if by_place else None, only=only)
        place += by_place


def fields_of_function(found: ast.FunctionDef) -> list[Field]:
    """Return a function's parameters, without `self` and what takes any."""
    arguments = found.args
    names = arguments.posonlyargs + arguments.args
    without = len(names) - len(arguments.defaults)
    defaults: list[ast.expr | None] = [None] * without + list(arguments.defaults)
    both = [*zip(names, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    return [
        Field(each.arg, each.lineno, each.annotation, default)
        for each, default in both
        if each.arg not in ("self", "cls")
    ]


def made(
    file: File,
    field: Field,
    about: Described,
    style: Style,
    *,
    name: str,
    place: int | None = None,
    option: str | None = None,
    only: tuple[str, ...] = (),
) -> Parameter:
    """Return one parameter."""
    default, is_computed = file.value(field.default)
    kind = about.type
    if kind == "any" and field.annotation is None and default is not MISSING and default is not None:
        kind = type_of(default)
    is_list = kind.startswith("list")
    option = option or style.option(name)
    # a truth that has to be given is a word in all of them
    if kind == "bool" and style.switches and default is not MISSING:
        flag = Flag(option, switch="both", off=f"--no-{option.lstrip('-')}")
    else:
        flag = Flag(option, spread=style.spread if is_list or kind == "dict" else "one")
    is_required = default is MISSING and not is_computed
    return Parameter(
        name=name,
        type=kind,
        line=field.line,
        way=flag if place is None else Positional(place, is_many=is_list),
        default=default,
        choices=about.choices,
        is_required=is_required,
        is_computed=is_computed,
        may_be_none=about.may_be_none or default is None,
        only=only,
    )


def type_of(value: Any) -> str:
    """Return the type of a plain value, as `Parameter.type`."""
    if isinstance(value, list):
        kinds = {type_of(each) for each in value}
        return f"list[{kinds.pop() if len(kinds) == 1 else 'any'}]"
    return type(value).__name__ if isinstance(value, (bool, int, float, str, dict)) else "any"
