"""Parameters of a program that uses argparse, read from its calls of `add_argument`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.program.literals import NotLiteralError, assigned_once, dotted, value_of
from anew.runner.program.parameters import MISSING, Flag, Parameter, Positional, Spread

Scope = str
_TYPES = {"int": "int", "float": "float", "str": "str", "bool": "bool", "Path": "str", "loads": "any", "open": "str"}
_TRUTHS = ("str2bool", "str_to_bool", "strtobool", "boolean", "bool_arg", "parse_bool", "to_bool", "str_bool")
_GROUPS = ("add_argument_group", "add_mutually_exclusive_group")
_SILENT = ("help", "version")


@dataclass(frozen=True, slots=True)
class _Call:
    """A call, and the function that it stands in (an empty text: the module)."""

    scope: Scope
    node: ast.Call

    @property
    def receiver(self) -> str:
        return dotted(self.node.func.value) if isinstance(self.node.func, ast.Attribute) else ""

    def argument(self, name: str) -> ast.expr | None:
        return next((each.value for each in self.node.keywords if each.arg == name), None)


class _Known(dict[str, Any]):
    """What a text of argparse's is filled with."""

    def __missing__(self, key: str) -> str:
        return f"%({key})s"

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        return self.__missing__(key) if value is _COMPUTED else value


class ArgparseReader:
    """What a module's use of argparse comes to. Reads; nothing of the module is run."""

    def __init__(self, tree: ast.Module) -> None:
        self._names = assigned_once(tree)
        self._bound: dict[tuple[Scope, str], _Call] = {}
        self._arguments: list[_Call] = []
        self._defaults: list[_Call] = []
        self._commands: list[_Call] = []
        self._parsers: list[_Call] = []
        self._passed: dict[tuple[Scope, str], list[tuple[Scope, str]]] = {}
        self._functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        self._is_partial = False
        for scope, node in _scoped(tree, ""):
            self._note(scope, node)

    @property
    def is_partial(self) -> bool:
        """Whether there are arguments that the source does not name."""
        return self._is_partial

    def parameters(self) -> list[Parameter]:
        """Return what was found, in the order of the source; a name that is there twice, once."""
        found: dict[str, Parameter] = {}
        place: dict[tuple[str, ...], int] = {}
        for call in self._in_order():
            only = tuple(sorted(self._owners_of(call)))
            each = self._command(call, only, place) if call in self._commands else self._argument(call, only, place)
            if each is not None and each.name in found and found[each.name].only and each.only:
                merged = tuple(sorted({*found[each.name].only, *each.only}))
                found[each.name] = replace(found[each.name], only=merged)
            elif each is not None:
                found[each.name] = _together(found[each.name], each) if each.name in found else each
        for call in self._defaults:
            self._set_defaults(call, found)
        return [_as_far_as_it_goes(each) for each in found.values()]

    # --- what stands where ------------------------------------------------------------------------------------------

    def _note(self, scope: Scope, node: ast.AST) -> None:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            for target in node.targets:
                if name := dotted(target):
                    self._bound[scope, name] = _Call(scope, node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call) and (name := dotted(node.target)):
            self._bound[scope, name] = _Call(scope, node.value)
        elif isinstance(node, ast.With):
            for item in node.items:
                if isinstance(item.context_expr, ast.Call) and item.optional_vars is not None:
                    self._bound[scope, dotted(item.optional_vars)] = _Call(scope, item.context_expr)
        elif isinstance(node, ast.Call):
            self._note_call(_Call(scope, node))

    def _note_call(self, call: _Call) -> None:
        if isinstance(call.node.func, ast.Attribute):
            kinds = {
                "add_argument": self._arguments,
                "set_defaults": self._defaults,
                "add_subparsers": self._commands,
                "add_parser": self._parsers,
            }
            kinds.get(call.node.func.attr, []).append(call)
        function = self._functions.get(dotted(call.node.func).rpartition(".")[2])
        if function is None:
            return
        names = [each.arg for each in function.args.posonlyargs + function.args.args]
        if names[:1] == ["self"]:
            names = names[1:]
        given = list(zip(names, call.node.args, strict=False))
        given += [(each.arg, each.value) for each in call.node.keywords if each.arg]
        for name, value in given:
            if passed := dotted(value):
                self._passed.setdefault((function.name, name), []).append((call.scope, passed))

    def _in_order(self) -> list[_Call]:
        return sorted([*self._arguments, *self._commands], key=lambda call: (call.node.lineno, call.node.col_offset))

    # --- which parser is meant --------------------------------------------------------------------------------------

    def _owners_of(self, call: _Call) -> frozenset[str]:
        """Return the same of what a method is called of, which may be a call: `add_parser("fit").add_argument`."""
        inner = call.node.func.value if isinstance(call.node.func, ast.Attribute) else None
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            of = _Call(call.scope, inner)
            return frozenset(self._command_names(of)) if inner.func.attr == "add_parser" else self._owners_of(of)
        return self._owners(call.scope, call.receiver, frozenset())

    def _owners(self, scope: Scope, name: str, seen: frozenset[tuple[Scope, str]]) -> frozenset[str]:
        """Return the subcommands whose parser a name stands for; none of the program's own."""
        key = (scope, name)
        if key in seen or not name:
            return frozenset()
        if key not in self._bound and scope and key not in self._passed:
            return self._owners("", name, seen | {key})
        if key in self._passed and key not in self._bound:
            found = [self._owners(*passed, seen | {key}) for passed in self._passed[key]]
            return frozenset().union(*found) if all(found) else frozenset()
        call = self._bound.get(key)
        if call is None or not isinstance(call.node.func, ast.Attribute):
            return self._heirs(scope, name) if call is not None else frozenset()
        if call.node.func.attr == "add_parser":
            return frozenset(self._command_names(call))
        if call.node.func.attr in (*_GROUPS, "add_subparsers"):
            return self._owners(call.scope, call.receiver, seen | {key})
        return self._heirs(scope, name)

    def _heirs(self, scope: Scope, name: str) -> frozenset[str]:
        """Return the subcommands of a parser that is there as their parent alone."""
        heirs: set[str] = set()
        for call in self._bound.values():
            parents = call.argument("parents")
            listed = parents.elts if isinstance(parents, (ast.List, ast.Tuple)) else []
            if name not in [dotted(each) for each in listed]:
                continue
            if not (isinstance(call.node.func, ast.Attribute) and call.node.func.attr == "add_parser"):
                return frozenset()
            heirs.update(self._command_names(call))
        return frozenset(heirs)

    def _command_names(self, call: _Call) -> list[str]:
        return [name for name in [self._value(each) for each in call.node.args[:1]] if isinstance(name, str)]

    # --- one argument -----------------------------------------------------------------------------------------------

    def _command(self, call: _Call, only: tuple[str, ...], place: dict[tuple[str, ...], int]) -> Parameter | None:
        """Return what chooses among subcommands."""
        homes = [name for (_, name), bound in self._bound.items() if bound.node is call.node]
        choices = [
            name
            for each in self._parsers
            if each.receiver in homes
            or (isinstance(each.node.func, ast.Attribute) and each.node.func.value is call.node)
            for name in self._command_names(each)
        ]
        name = self._text(call, "dest") or "command"
        known = tuple(dict.fromkeys(choices))
        return Parameter(
            name=name,
            type="str",
            line=call.node.lineno,
            way=Positional(_next(place, only), is_command=True),
            choices=known,
            is_required=self._constant(call, "required") is True,
            default=MISSING if self._constant(call, "required") is True else None,
            may_be_none=self._constant(call, "required") is not True,
            only=only,
            help=self._help(call, dest=name, default=None, choices=known),
        )

    def _argument(self, call: _Call, only: tuple[str, ...], place: dict[tuple[str, ...], int]) -> Parameter | None:
        words = [self._value(each) for each in call.node.args]
        if not words or not all(isinstance(word, str) and word for word in words):
            self._is_partial = True
            return None
        action = self._action(call)
        if action in _SILENT:
            return None
        options = [word for word in words if word.startswith("-")]
        dest = self._text(call, "dest")
        if not options:
            return self._positional(call, dest or words[0], only, place)
        long = next((word for word in options if word.startswith("--")), None)
        return self._option(call, dest or (long or options[0]).lstrip("-").replace("-", "_"), options, action, only)

    def _positional(
        self, call: _Call, name: str, only: tuple[str, ...], place: dict[tuple[str, ...], int]
    ) -> Parameter:
        nargs = self._constant(call, "nargs")
        is_many = nargs in ("*", "+", "...") or isinstance(nargs, int)
        default = self._default(call)
        is_free = nargs in ("?", "*")
        return self._made(
            call,
            name=name.replace("-", "_") if name.isidentifier() is False else name,
            way=Positional(_next(place, only), is_many=is_many),
            type=self._type(call, default, is_many),
            default=default if is_free and default is not MISSING else (None if is_free else MISSING),
            is_required=not is_free,
            only=only,
        )

    def _option(
        self, call: _Call, name: str, options: list[str], action: str, only: tuple[str, ...]
    ) -> Parameter | None:
        option = next((word for word in options if word.startswith("--")), options[0])
        default = self._default(call)
        is_required = self._constant(call, "required") is True
        start: Any
        if action in ("store_true", "store_false"):
            start = action == "store_false"
            flag = Flag(option, switch="absent" if start else "present")
            return self._made(
                call, name=name, way=flag, type="bool", default=start if default is MISSING else default, only=only
            )
        if action == "BooleanOptionalAction":
            flag = Flag(option, switch="both", off=f"--no-{option.lstrip('-')}")
            return self._made(
                call, name=name, way=flag, type="bool", default=None if default is MISSING else default, only=only
            )
        if action == "count":
            start = None if default is MISSING else default
            flag = Flag(option, switch="count", adds=True)
            return self._made(call, name=name, way=flag, type="int", default=start, only=only)
        if action in ("store_const", "append_const"):
            const = self._constant(call, "const")
            flag = Flag(option, switch="const", const=const)
            start = None if default is MISSING else default
            return self._made(call, name=name, way=flag, type="any", default=start, choices=(start, const), only=only)
        return self._stored(call, name, option, action, default, is_required, only)

    def _stored(
        self,
        call: _Call,
        name: str,
        option: str,
        action: str,
        default: Any,
        is_required: bool,
        only: tuple[str, ...],
    ) -> Parameter:
        nargs = self._constant(call, "nargs")
        is_many = nargs in ("*", "+", "...") or isinstance(nargs, int)
        is_list = is_many or action in ("append", "extend")
        kind = self._type(call, default, is_list)
        if is_many and action == "append":
            kind, is_many = f"list[{kind}]", False
        of_json = dotted(call.argument("type") or ast.Constant(None)).endswith("loads")
        spread: Spread = "json" if of_json else "many" if is_many else "repeat" if is_list else "one"
        is_truth = dotted(call.argument("type") or ast.Constant(None)) == "bool"
        return self._made(
            call,
            name=name,
            # of `type=bool`, every text but an empty one is true
            way=Flag(option, spread=spread, off="" if is_truth else None, adds=action in ("append", "extend")),
            type=kind,
            default=MISSING if is_required else None if default is MISSING else default,
            is_required=is_required,
            only=only,
        )

    def _made(self, call: _Call, *, choices: tuple[Any, ...] | None = None, **given: Any) -> Parameter:
        default = given["default"]
        is_computed = default is _COMPUTED
        choices = self._choices(call) if choices is None else choices
        return Parameter(
            line=call.node.lineno,
            help=self._help(call, dest=given["name"], default=default, choices=choices),
            choices=choices,
            is_computed=is_computed,
            may_be_none=default is None,
            **{**given, "default": MISSING if is_computed else default},
        )

    # --- what is said of it -----------------------------------------------------------------------------------------

    def _value(self, node: ast.expr | None) -> Any:
        """Return what an expression is worth, or what stands for what only the program knows."""
        if node is None:
            return MISSING
        try:
            return value_of(node, self._names)
        except NotLiteralError:
            return _COMPUTED

    def _constant(self, call: _Call, name: str) -> Any:
        node = call.argument(name)
        if node is not None and dotted(node).endswith(("REMAINDER", "ZERO_OR_MORE", "ONE_OR_MORE", "OPTIONAL")):
            words = {"REMAINDER": "...", "ZERO_OR_MORE": "*", "ONE_OR_MORE": "+", "OPTIONAL": "?"}
            return words[dotted(node).rpartition(".")[2]]
        return self._value(node)

    def _help(self, call: _Call, **known: Any) -> str | None:
        """Return what is said of an argument as argparse shows it; what is not known stays as it is."""
        text = self._text(call, "help")
        if text is None:
            return None
        given = {each.arg: self._value(each.value) for each in call.node.keywords if each.arg and each.arg != "help"}
        values = {**given, **known, "type": dotted(call.argument("type") or ast.Constant(None)).rpartition(".")[2]}
        values["choices"] = ", ".join(map(str, values["choices"]))
        try:
            return text % _Known({key: None if each is MISSING else each for key, each in values.items()})
        except (TypeError, ValueError):
            return text

    def _text(self, call: _Call, name: str) -> str | None:
        value = self._value(call.argument(name))
        return value if isinstance(value, str) else None

    def _action(self, call: _Call) -> str:
        node = call.argument("action")
        if node is None:
            return "store"
        value = self._value(node)
        return value if isinstance(value, str) else dotted(node).rpartition(".")[2]

    def _default(self, call: _Call) -> Any:
        node = call.argument("default")
        if node is not None and dotted(node).endswith("SUPPRESS"):
            return None
        return self._value(node)

    def _type(self, call: _Call, default: Any, is_list: bool) -> str:
        node = call.argument("type")
        if node is None:
            plain = "str" if isinstance(default, (str, list)) or default in (None, MISSING) else "any"
        else:
            name = dotted(node).rpartition(".")[2]
            plain = "bool" if name in _TRUTHS else _TYPES.get(name, "any")
        return f"list[{plain}]" if is_list else plain

    def _choices(self, call: _Call) -> tuple[Any, ...]:
        node = call.argument("choices")
        # `sorted(MODELS)`, `list(MODELS.keys())`
        while isinstance(node, ast.Call) and len(node.args) == 1 and dotted(node.func) in ("list", "sorted", "tuple"):
            node = node.args[0]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "keys":
            node = node.func.value
        if isinstance(node, ast.Call) and dotted(node.func) == "range":
            bounds = [self._value(each) for each in node.args]
            whole = all(type(each) is int for each in bounds) and 0 < len(bounds) <= 3
            return tuple(range(*bounds))[:1000] if whole else ()
        if isinstance(node, ast.Name) and isinstance(self._names.get(node.id), ast.Dict):
            node = self._names[node.id]
        if isinstance(node, ast.Dict):
            keys = [self._value(key) for key in node.keys]
            return tuple(keys) if _COMPUTED not in keys and MISSING not in keys else ()
        value = self._value(node)
        return tuple(value) if isinstance(value, (list, str)) else ()

    def _set_defaults(self, call: _Call, found: dict[str, Parameter]) -> None:
        for keyword in call.node.keywords:
            if keyword.arg in found and found[keyword.arg].default is not MISSING:
                value = self._value(keyword.value)
                is_computed = value is _COMPUTED
                found[keyword.arg] = replace(
                    found[keyword.arg], default=MISSING if is_computed else value, is_computed=is_computed
                )


_COMPUTED: Any = object()


def _together(first: Parameter, second: Parameter) -> Parameter:
    """Return what two options of one `dest` are: one that says yes and one that says no, or a constant for each."""
    way, other = first.way, second.way
    if not (isinstance(way, Flag) and isinstance(other, Flag)):
        return first
    if {way.switch, other.switch} == {"present", "absent"} and way.off is None:
        return replace(first, way=replace(way, off=other.option))
    if way.switch == other.switch == "const":
        choices = tuple(dict.fromkeys((*first.choices, other.const)))
        return replace(first, way=replace(way, further=(*way.further, (other.const, other.option))), choices=choices)
    return first


def _as_far_as_it_goes(parameter: Parameter) -> Parameter:
    """Return a parameter held to what its option can say: of one that is true anyway, `--flag` makes nothing else."""
    way = parameter.way
    if not (isinstance(way, Flag) and way.switch in ("present", "absent") and way.off is None):
        return parameter
    says = way.switch == "present"
    return replace(parameter, choices=(says,)) if parameter.default is says else parameter


def _next(place: dict[tuple[str, ...], int], only: tuple[str, ...]) -> int:
    place[only] = place.get(only, -1) + 1
    return place[only]


def _scoped(node: ast.AST, scope: Scope) -> Iterator[tuple[Scope, ast.AST]]:
    """Walk a tree in the order of its source, each node with the function that it stands in."""
    for child in ast.iter_child_nodes(node):
        inner = child.name if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) else scope
        yield scope, child
        yield from _scoped(child, inner)
