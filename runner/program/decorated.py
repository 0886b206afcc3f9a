"""Parameters of programs that use click, typer or absl."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from anew.runner.program.annotated import described
from anew.runner.program.fields import Field, File, Style, fields_of_function, made, type_of
from anew.runner.program.literals import NotLiteralError, dotted, value_of
from anew.runner.program.parameters import MISSING, Flag, Parameter, Positional

_TYPER = Style(dashes=True, switches=True, spread="repeat", places=True)
_CLICK_TYPES = {
    "int": "int", "INT": "int", "IntRange": "int", "float": "float", "FLOAT": "float", "FloatRange": "float",
    "str": "str", "STRING": "str", "bool": "bool", "BOOL": "bool", "Path": "str", "File": "str", "Choice": "str",
}  # fmt: skip
_ABSL = {
    "DEFINE_string": "str", "DEFINE_integer": "int", "DEFINE_float": "float", "DEFINE_bool": "bool",
    "DEFINE_boolean": "bool", "DEFINE_enum": "str", "DEFINE_list": "list[str]", "DEFINE_spaceseplist": "list[str]",
    "DEFINE_multi_string": "list[str]", "DEFINE_multi_integer": "list[int]", "DEFINE_multi_float": "list[float]",
    "DEFINE_multi_enum": "list[str]",
}  # fmt: skip


def decorated_parameters(file: File) -> list[Parameter]:
    """Return the parameters of click's and typer's commands; of several, what chooses among them too."""
    commands = list(_commands(file))
    found: dict[str, Parameter] = {}
    names = [name for _, name, is_group in commands if not is_group]
    are_several = len(names) > 1 or any(is_group for _, _, is_group in commands)
    for function, name, is_group in commands:
        only = (name,) if are_several and not is_group else ()
        for each in _parameters(file, function, only):
            before = found.get(each.name)
            if before is not None and before.only and each.only:
                each = replace(before, only=(*before.only, *each.only))
            found.setdefault(each.name, each)
            if before is not None and before.only:
                found[each.name] = each
    if are_several and names:
        first = commands[0][0]
        found["command"] = Parameter(
            name="command",
            type="str",
            line=first.lineno,
            way=Positional(0, is_command=True),
            choices=tuple(names),
            is_required=True,
        )
    return list(found.values())


def _commands(file: File) -> Iterator[tuple[ast.FunctionDef, str, bool]]:
    """Yield functions that are commands, their names, and whether others stand below them."""
    ran = {dotted(call.args[0]) for call in file.calls if dotted(call.func).endswith("typer.run") and call.args}
    for function in file.functions.values():
        if function.name in ran:
            yield function, function.name, False
            continue
        for decorator in function.decorator_list:
            node = decorator.func if isinstance(decorator, ast.Call) else decorator
            kind = dotted(node).rpartition(".")[2]
            if kind in ("command", "group", "callback"):
                yield function, _command_name(function, decorator), kind != "command"
                break


def _command_name(function: ast.FunctionDef, decorator: ast.expr) -> str:
    if isinstance(decorator, ast.Call):
        given = [*decorator.args[:1], *(each.value for each in decorator.keywords if each.arg == "name")]
        for each in given:
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                return each.value
    return function.name.lower().replace("_", "-")


def _parameters(file: File, function: ast.FunctionDef, only: tuple[str, ...]) -> Iterator[Parameter]:
    clicks = [each for each in function.decorator_list if isinstance(each, ast.Call) and _is_click(each)]
    if clicks:
        places = 0
        for each in clicks:
            parameter = _of_click(file, each, only, places)
            if parameter is not None:
                places += isinstance(parameter.way, Positional)
                yield parameter
        return
    if not any(_maker(each).startswith("click.") for each in function.decorator_list):
        yield from _of_typer(file, function, only)


def _maker(decorator: ast.expr) -> str:
    return dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)


def _is_click(call: ast.Call) -> bool:
    return dotted(call.func).rpartition(".")[2] in ("option", "argument")


# --- click ----------------------------------------------------------------------------------------------------------


def _of_click(file: File, call: ast.Call, only: tuple[str, ...], place: int) -> Parameter | None:
    words = [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    given = {each.arg: each.value for each in call.keywords if each.arg}
    if not words:
        return None
    options = [word for word in words if word.startswith("-")]
    plain = [word for word in words if not word.startswith("-")]
    default, is_computed = file.value(given.get("default"))
    kind, choices = _click_type(file, given, default)
    is_many = _constant(given, "multiple") is True or _constant(given, "nargs") not in (MISSING, 1)
    if is_many:
        kind = kind if kind.startswith("list") else f"list[{kind}]"
    if dotted(call.func).rpartition(".")[2] == "argument" or not options:
        is_required = default is MISSING and _constant(given, "required") is not False
        return Parameter(
            name=plain[0].replace("-", "_").lower(),
            type=kind,
            line=call.lineno,
            way=Positional(place, is_many=is_many),
            default=default if is_required or default is not MISSING else None,
            choices=choices,
            is_required=is_required,
            only=only,
            may_be_none=not is_required,
        )
    flag, truth = _click_flag(options, given, default, is_many)
    is_required = _constant(given, "required") is True
    if flag.switch != "word":
        kind = "int" if flag.switch == "count" else "bool"
        default = (0 if flag.switch == "count" else truth) if default is MISSING and not is_computed else default
    elif default is MISSING and not is_required and not is_computed:
        default = None
    longest = max(options, key=lambda word: len(word.partition("/")[0].lstrip("-")))
    name = plain[0] if plain else longest.partition("/")[0].lstrip("-").replace("-", "_").lower()
    return Parameter(
        name=name,
        type=kind,
        line=call.lineno,
        way=flag,
        default=default,
        choices=choices,
        is_required=is_required,
        is_computed=is_computed,
        may_be_none=default is None,
        only=only,
    )


def _click_flag(options: list[str], given: dict[str, ast.expr], default: Any, is_many: bool) -> tuple[Flag, bool]:
    """Return an option, and what it is without being typed where it is a truth."""
    option = max(options, key=lambda word: len(word.partition("/")[0]))
    on, _, off = (part.strip() for part in option.partition("/"))
    if _constant(given, "count") is True:
        return Flag(on, switch="count"), False
    if off:
        return Flag(on, switch="both", off=off), False
    if _constant(given, "is_flag") is True or (isinstance(default, bool) and "type" not in given and not is_many):
        return Flag(on, switch="absent" if default is True else "present"), False
    is_together = _constant(given, "multiple") is not True
    return Flag(on, spread="one" if not is_many else "many" if is_together else "repeat"), False


def _click_type(file: File, given: dict[str, ast.expr], default: Any) -> tuple[str, tuple[Any, ...]]:
    node = given.get("type")
    if node is None:
        return ("str" if default in (MISSING, None) else type_of(default)), ()
    called = node.func if isinstance(node, ast.Call) else node
    name = dotted(called).rpartition(".")[2]
    choices: tuple[Any, ...] = ()
    if name == "Choice" and isinstance(node, ast.Call) and node.args:
        try:
            choices = tuple(value_of(node.args[0], file.constants))
        except (NotLiteralError, TypeError):
            choices = ()
    return _CLICK_TYPES.get(name, "any"), choices


def _constant(given: dict[str, ast.expr], name: str) -> Any:
    node = given.get(name)
    return node.value if isinstance(node, ast.Constant) else MISSING


# --- typer ----------------------------------------------------------------------------------------------------------


def _of_typer(file: File, function: ast.FunctionDef, only: tuple[str, ...]) -> Iterator[Parameter]:
    place = 0
    for field in fields_of_function(function):
        about = described(field.annotation, file.classes)
        if dotted(field.annotation or ast.Constant(None)).endswith("Context"):
            continue
        call, default = _typer_call(about.extra, field.default)
        is_argument = call is not None and dotted(call.func).endswith("Argument")
        is_option = call is not None and dotted(call.func).endswith("Option")
        by_place = is_argument or (default is None and not is_option)
        options = [each.value for each in (call.args if call else []) if isinstance(each, ast.Constant)]
        typed = [each for each in options if isinstance(each, str) and each.startswith("-")]
        each = Field(field.name, field.line, field.annotation, default)
        parameter = made(
            file,
            each,
            about,
            _TYPER,
            name=field.name,
            place=place if by_place else None,
            option=max(typed, key=len).partition("/")[0] if typed else None,
            only=only,
        )
        place += by_place
        yield parameter


def _typer_call(extra: tuple[ast.expr, ...], default: ast.expr | None) -> tuple[ast.Call | None, ast.expr | None]:
    """Return the `typer.Option(...)` of a parameter, and its default."""
    for each in extra:
        if isinstance(each, ast.Call) and dotted(each.func).endswith(("Option", "Argument")):
            return each, default
    if not (isinstance(default, ast.Call) and dotted(default.func).endswith(("Option", "Argument"))):
        return None, default
    first = default.args[0] if default.args else None
    given = next((each.value for each in default.keywords if each.arg == "default"), first)
    is_required = given is None or (isinstance(given, ast.Constant) and given.value is ...)
    return default, None if is_required else given


# --- absl -----------------------------------------------------------------------------------------------------------


def absl_parameters(file: File) -> list[Parameter]:
    """Return what `absl.flags` defines: DEFINE_float("lr", 0.1, "help") and its like."""
    found = []
    for call in file.calls:
        kind = dotted(call.func).rpartition(".")[2]
        name = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
        if kind not in _ABSL or not isinstance(name, str):
            continue
        given = {each.arg: each.value for each in call.keywords if each.arg}
        node = call.args[1] if len(call.args) > 1 else given.get("default")
        default, is_computed = file.value(node)
        if isinstance(default, str) and kind == "DEFINE_list":
            default = default.split(",") if default else []
        choices = _enum(file, call, given) if "enum" in kind else ()
        is_list = _ABSL[kind].startswith("list")
        flag = Flag(f"--{name}", spread="repeat" if "multi" in kind else "comma" if is_list else "one")
        if _ABSL[kind] == "bool":
            flag = Flag(f"--{name}", switch="both", off=f"--no{name}")
        found.append(
            Parameter(
                name=name,
                type=_ABSL[kind],
                line=call.lineno,
                way=flag,
                default=default,
                choices=choices,
                is_required=_constant(given, "required") is True,
                is_computed=is_computed,
                may_be_none=default is None,
            )
        )
    return found


def _enum(file: File, call: ast.Call, given: dict[str, ast.expr]) -> tuple[Any, ...]:
    node = call.args[2] if len(call.args) > 2 else given.get("enum_values")
    value, _ = file.value(node)
    return tuple(value) if isinstance(value, list) else ()
