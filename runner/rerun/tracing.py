"""
Source, read to see what values follow from: clocks, generators without a seed, temporary names and the like.

It is parsed, and never run. What is followed is coarse: a name holds what was ever assigned to it in its function, an
attribute what was ever assigned to one of its name, a call of a project's function what that returns; calls of others
hold what they are given. So more may be named than is the case, and what goes through a library's state is missed.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from anew.runner.dataclass import dataclass
from anew.runner.rerun.origins import (
    KINDS,
    Origin,
    dotted,
    draws,
    lists_folder,
    orders,
    origin_kind,
    seeds,
    starts_processes,
    variable_read,
)

Origins = frozenset[Origin]
_NOTHING: Origins = frozenset()
_MOST_ROUNDS = 8
_LONGEST = 80
_WRITES = {"write", "writelines", "write_text", "write_bytes", "dump", "dumps", "save", "savez", "savetxt", "to_csv"}
_WRITES |= {
    "savefig",
    "savez_compressed",
    "to_parquet",
    "to_pickle",
    "to_json",
    "create_dataset",
    "writestr",
    "log_artifact",
}
_WRITES |= {"writerow", "writerows", "imsave", "imwrite"}
_PRINTS = {"print", "pprint", "echo", "secho", "write", "writelines"}
# `except*` came with Python 3.11
_TRIES: tuple[type[ast.Try], ...] = (ast.Try, getattr(ast, "TryStar", ast.Try))
_CHANGES = {"append", "extend", "add", "update", "insert", "put", "setdefault", "appendleft"}


@dataclass(slots=True)
class Traced:
    """
    What the outcome of some source follows from.

    Attributes:
        metrics: Name -> origins; "" for those whose name stands nowhere.
        info: The same of facts.
        results: Function -> key of what it returns, "" for the whole -> origins.
        errors: Origins of what is raised.
        files: Origins of what is written into files.
        printed: Origins of what is printed.
        all: Every origin that there is, in order of files and lines.
    """

    metrics: dict[str, Origins] = field(default_factory=dict)
    info: dict[str, Origins] = field(default_factory=dict)
    results: dict[str, dict[str, Origins]] = field(default_factory=dict)
    errors: Origins = _NOTHING
    files: Origins = _NOTHING
    printed: Origins = _NOTHING
    all: tuple[Origin, ...] = ()


def trace(sources: Mapping[str, str]) -> Traced:
    """
    Read the source of some files; one that cannot be parsed is left out.

    Args:
        sources: Path -> text.
    """
    modules = [module for path, text in sources.items() if (module := _parsed(path, text)) is not None]
    project = _Project()
    for _ in range(_MOST_ROUNDS):
        before = project.size
        for module in modules:
            _Reader(module, project).read()
        if project.size == before:
            break
    return _outcome(project)


def by_kind(origins: Iterable[Origin]) -> list[Origin]:
    """Return origins in the order in which causes are named."""
    return sorted(origins, key=lambda each: (KINDS.index(each.kind), _place(each.where)))


def _place(where: str) -> tuple[str, int]:
    path, _, line = where.rpartition(":")
    return path, int(line) if line.isdigit() else 0


def _outcome(project: _Project) -> Traced:
    traced = Traced(
        errors=_NOTHING.union(*project.errors),
        files=_NOTHING.union(*project.files),
        printed=_NOTHING.union(*project.printed),
    )
    traced.metrics = {name: frozenset(found) for name, found in project.metrics.items()}
    traced.info = {name: frozenset(found) for name, found in project.info.items()}
    for (function, key), found in project.returned.items():
        traced.results.setdefault(function, {})[key] = frozenset(found)
    traced.all = tuple(by_kind(project.seen))
    return traced


# --- one file -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Module:
    path: str
    tree: ast.Module
    aliases: dict[str, str]
    draws_at_large: bool


class _Project:
    """What has been found out so far, in all files."""

    def __init__(self) -> None:
        self.seen: set[Origin] = set()
        self.names: dict[tuple[str, str, str], set[Origin]] = defaultdict(set)
        self.sets: set[tuple[str, str, str]] = set()
        self.attributes: dict[str, set[Origin]] = defaultdict(set)
        self.returned: dict[tuple[str, str], set[Origin]] = defaultdict(set)
        self.parameters: dict[str, list[str]] = {}
        self.given: dict[tuple[str, str], set[Origin]] = defaultdict(set)
        self.metrics: dict[str, set[Origin]] = defaultdict(set)
        self.info: dict[str, set[Origin]] = defaultdict(set)
        self.errors: set[Origins] = set()
        self.files: set[Origins] = set()
        self.printed: set[Origins] = set()

    @property
    def size(self) -> int:
        """How much has been found, to see whether there is more."""
        many = (self.names, self.attributes, self.returned, self.given, self.metrics, self.info)
        return len(self.seen) + len(self.sets) + sum(len(found) for table in many for found in table.values())


def _parsed(path: str, text: str) -> _Module | None:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                if each.asname:
                    aliases[each.asname] = each.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            aliases.update({each.asname or each.name: f"{node.module}.{each.name}" for each in node.names})
    calls = [dotted(node.func, aliases) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return _Module(path, tree, aliases, any(draws(name) for name in calls))


class _Reader:
    """Goes through one file once, adding to what is known."""

    def __init__(self, module: _Module, project: _Project) -> None:
        self._module = module
        self._project = project
        self._function = ""

    def read(self) -> None:
        """Read the file."""
        self._block(self._module.tree.body, _NOTHING)

    # --- statements ---------------------------------------------------------------------------------------------

    def _block(self, body: Iterable[ast.stmt], control: Origins) -> None:
        for statement in body:
            self._statement(statement, control)

    def _statement(self, node: ast.stmt, control: Origins) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._define(node)
        elif isinstance(node, ast.ClassDef):
            self._block(node.body, control)
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            self._assign(node, control)
        elif isinstance(node, ast.Return):
            self._return(node, control)
        elif isinstance(node, ast.Raise):
            found = self._of(node.exc) | control
            self._project.errors.add(found)
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            self._bind(node.target, self._of(node.iter) | self._unordered(node.iter, node) | control, None)
            self._block([*node.body, *node.orelse], control)
        elif isinstance(node, (ast.While, ast.If)):
            self._block([*node.body, *node.orelse], control | self._of(node.test))
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                found = self._of(item.context_expr) | control
                if item.optional_vars is not None:
                    self._bind(item.optional_vars, found, None)
            self._block(node.body, control)
        elif isinstance(node, _TRIES):
            self._block([*node.body, *node.orelse, *node.finalbody], control)
            for handler in node.handlers:
                self._block(handler.body, control)
        elif isinstance(node, ast.Expr):
            self._of(node.value)
        elif isinstance(node, ast.Match):
            for case in node.cases:
                self._block(case.body, control | self._of(node.subject))

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        arguments = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        self._project.parameters[node.name] = [name for name in arguments if name not in ("self", "cls")]
        for default in (*node.args.defaults, *(each for each in node.args.kw_defaults if each is not None)):
            self._of(default)
        outer, self._function = self._function, node.name
        for name in arguments:
            self._name(name).update(self._project.given[node.name, name])
        self._block(node.body, _NOTHING)
        self._function = outer

    def _assign(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign, control: Origins) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        found = self._of(node.value) | control
        for target in targets:
            self._bind(target, found, node.value)

    def _bind(self, target: ast.expr, found: Origins, value: ast.expr | None) -> None:
        if isinstance(target, ast.Name):
            self._name(target.id).update(found)
            if value is not None and self._is_set(value):
                self._project.sets.add(self._key(target.id))
            if isinstance(value, ast.Dict):
                for key, item in _members(value):
                    self._name(f"{target.id}[{key}]").update(self._of(item))
        elif isinstance(target, ast.Attribute):
            self._project.attributes[target.attr].update(found)
        elif isinstance(target, ast.Subscript):
            self._bind_item(target, found)
        elif isinstance(target, ast.Starred):
            self._bind(target.value, found, None)
        elif isinstance(target, (ast.Tuple, ast.List)):
            values = value.elts if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts) else None
            for index, each in enumerate(target.elts):
                self._bind(each, self._of(values[index]) if values else found, values[index] if values else None)

    def _bind_item(self, target: ast.Subscript, found: Origins) -> None:
        key = target.slice.value if isinstance(target.slice, ast.Constant) else None
        if isinstance(target.value, ast.Name) and isinstance(key, str):
            self._name(f"{target.value.id}[{key}]").update(found)
        self._bind(target.value, found, None)

    def _return(self, node: ast.Return, control: Origins) -> None:
        if node.value is None:
            return
        returned = self._project.returned
        returned[self._function, ""].update(self._of(node.value) | control)
        for key, found in self._keyed(node.value):
            returned[self._function, key].update(found | control)

    def _keyed(self, value: ast.expr) -> Iterator[tuple[str, Origins]]:
        """Yield the parts of a value that is a dict or a list, as far as they stand there."""
        if isinstance(value, ast.Dict):
            for key, item in _members(value):
                yield key, self._of(item)
                for inner, found in self._keyed(item):
                    yield f"{key}.{inner}" if not inner.startswith("[") else f"{key}{inner}", found
        elif isinstance(value, (ast.Tuple, ast.List)):
            for index, item in enumerate(value.elts):
                yield f"[{index}]", self._of(item)
        elif isinstance(value, ast.Name):
            prefix = f"{value.id}["
            for (path, function, name), known in list(self._project.names.items()):
                if (path, function) == (self._module.path, self._function) and name.startswith(prefix):
                    yield name[len(prefix) : -1], frozenset(known)

    # --- values -------------------------------------------------------------------------------------------------

    def _of(self, node: ast.AST | None) -> Origins:
        """Return what a value follows from."""
        if node is None or isinstance(node, ast.Constant):
            return _NOTHING
        if isinstance(node, ast.Name):
            outer = self._project.names.get((self._module.path, "", node.id), set())
            return frozenset(self._name(node.id) | outer)
        if isinstance(node, ast.expr) and (variable := variable_read(node, self._module.aliases)):
            read = frozenset([self._origin("variable", node, variable)])
            return read.union(*(self._of(each) for each in ast.iter_child_nodes(node)))
        if isinstance(node, ast.Call):
            return self._of_call(node)
        if isinstance(node, ast.Attribute):
            return self._of(node.value) | frozenset(self._project.attributes.get(node.attr, ()))
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.value, ast.Name)
            and isinstance(node.slice, ast.Constant)
        ):
            keyed = (self._module.path, self._function, f"{node.value.id}[{node.slice.value!s}]")
            if keyed in self._project.names:
                return frozenset(self._project.names[keyed])
        if isinstance(node, ast.NamedExpr):
            self._bind(node.target, self._of(node.value), node.value)
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
            return self._of_comprehension(node)
        return _NOTHING.union(*(self._of(each) for each in ast.iter_child_nodes(node)))

    def _of_comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Origins:
        found = _NOTHING
        for each in node.generators:
            source = self._of(each.iter)
            if not isinstance(node, ast.SetComp):
                source |= self._unordered(each.iter, node)
            self._bind(each.target, source, None)
            found |= source.union(*(self._of(test) for test in each.ifs))
        values = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
        return found.union(*(self._of(value) for value in values))

    def _of_call(self, node: ast.Call) -> Origins:
        name = dotted(node.func, self._module.aliases)
        last = node.func.attr if isinstance(node.func, ast.Attribute) else name.rpartition(".")[2]
        arguments = [*node.args, *(each.value for each in node.keywords)]
        given = _NOTHING.union(*(self._of(each) for each in arguments))
        found = given | (self._of(node.func.value) if isinstance(node.func, ast.Attribute) else _NOTHING)
        if orders(last):
            found = frozenset(each for each in found if each.kind not in ("hash", "order"))
        if not isinstance(node.func, ast.Attribute):
            found |= self._of(node.func)
        found |= self._own(node, name, last, given)
        self._hand_on(node, last)
        self._note_sinks(node, last, found)
        if last in _CHANGES and isinstance(node.func, ast.Attribute) and given:
            self._bind(node.func.value, given, None)
        return found | frozenset(self._project.returned.get((last, ""), ()))

    def _own(self, node: ast.Call, name: str, last: str, given: Origins) -> Origins:
        """Return what a call is the origin of itself."""
        unordered = any(self._is_set(each) for each in node.args)
        kind = origin_kind(node, name or last, unordered)
        if kind is None and last == "pop" and not node.args and self._is_set(getattr(node.func, "value", node.func)):
            kind = "hash"
        if lists_folder(node, name):
            kind = "order"
        if starts_processes(name) and self._module.draws_at_large:
            kind = "unseeded"
        if seeds(name) and any(each.kind == "time" for each in given):
            kind = "unseeded"
        return _NOTHING if kind is None else frozenset([self._origin(kind, node)])

    def _hand_on(self, node: ast.Call, last: str) -> None:
        """Give a project's function what it is called with."""
        names = self._project.parameters.get(last, [])
        for name, value in zip(names, node.args, strict=False):
            self._project.given[last, name].update(self._of(value))
        for each in node.keywords:
            if each.arg in names:
                self._project.given[last, str(each.arg)].update(self._of(each.value))

    def _note_sinks(self, node: ast.Call, last: str, found: Origins) -> None:
        project = self._project
        if last == "report" and node.args:
            project.metrics["objective"].update(self._of(node.args[0]))
        elif last in ("log", "info") and node.args and isinstance(node.func, ast.Attribute):
            into = project.metrics if last == "log" else project.info
            self._note_named(into, node.args[0], "")
        elif last in _WRITES:
            project.files.add(found)
        if last in _PRINTS:
            project.printed.add(found)

    def _note_named(self, into: dict[str, set[Origin]], value: ast.expr, prefix: str) -> None:
        if not isinstance(value, ast.Dict):
            keyed = dict(self._keyed(value))
            for key, found in keyed.items():
                into[f"{prefix}{key}"].update(found)
            into[""].update(self._of(value))
            return
        for word, item in zip(value.keys, value.values, strict=True):
            if not (isinstance(word, ast.Constant) and isinstance(word.value, str)):
                into[""].update(self._of(item))
            elif isinstance(item, ast.Dict):
                self._note_named(into, item, f"{prefix}{word.value}/")
            else:
                into[f"{prefix}{word.value}"].update(self._of(item))

    # --- sets, names --------------------------------------------------------------------------------------------

    def _is_set(self, node: ast.expr) -> bool:
        if isinstance(node, (ast.Set, ast.SetComp)):
            # numbers come in the same order always
            return not (isinstance(node, ast.Set) and all(_is_number(each) for each in node.elts))
        if isinstance(node, ast.Call):
            return dotted(node.func, self._module.aliases) in ("set", "frozenset") and not _counts(node)
        if isinstance(node, ast.BinOp):
            return self._is_set(node.left) or self._is_set(node.right)
        if isinstance(node, ast.Name):
            sets = self._project.sets
            return self._key(node.id) in sets or (self._module.path, "", node.id) in sets
        return False

    def _unordered(self, iterated: ast.expr, node: ast.AST) -> Origins:
        return frozenset([self._origin("hash", iterated)]) if self._is_set(iterated) else _NOTHING

    def _origin(self, kind: str, node: ast.expr, variable: str = "") -> Origin:
        code = " ".join(ast.unparse(node).split())
        code = code if len(code) <= _LONGEST else f"{code[: _LONGEST - 3]}..."
        origin = Origin(kind, f"{self._module.path}:{node.lineno}", code, variable)
        self._project.seen.add(origin)
        return origin

    def _key(self, name: str) -> tuple[str, str, str]:
        return self._module.path, self._function, name

    def _name(self, name: str) -> set[Origin]:
        return self._project.names[self._key(name)]


def _members(node: ast.Dict) -> Iterator[tuple[str, ast.expr]]:
    for key, item in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant):
            yield str(key.value), item


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (int, float))


def _counts(node: ast.Call) -> bool:
    """Whether a set is made of whole numbers, as far as can be seen."""
    return bool(node.args) and isinstance(node.args[0], ast.Call) and dotted(node.args[0].func, {}) == "range"
