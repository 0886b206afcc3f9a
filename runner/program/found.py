"""Which parameters a program has: read from its source, whose code is never run for it."""

from __future__ import annotations

import ast
import keyword
from collections.abc import Mapping

from anew.runner.dataclass import dataclass
from anew.runner.program.argparse_calls import ArgparseReader
from anew.runner.program.decorated import absl_parameters, decorated_parameters
from anew.runner.program.fields import File, type_of
from anew.runner.program.literals import NotLiteralError, assigned_once, dotted, value_of
from anew.runner.program.mains import OwnMain, imports_of, own_main
from anew.runner.program.parameters import Assigned, Parameter
from anew.runner.program.typed_parsers import typed_parameters

# nodes of every configuration, Hydra's list of what it is made of, and what the words after `--` stand under
_TAKEN = frozenset({"anew", "hydra", "defaults", "argv"})


@dataclass(frozen=True, slots=True)
class Found:
    """
    What was found in a program's source.

    Attributes:
        parameters: Its parameters, those of its command line first.
        is_partial: Whether its command line has further ones, which the source does not name.
        shadowed: Names that are assigned and are options too; the option is what is meant.
        unnamed: Those whose names are no key of a configuration: what Python, Hydra and Anew keep for themselves.
        reads_argv: Whether it looks at `sys.argv` by itself.
        imports: The top-level packages that it imports.
        main: Whose main it has, which takes its command line: Anew's or Hydra's; None for neither.
    """

    parameters: tuple[Parameter, ...]
    is_partial: bool = False
    shadowed: tuple[str, ...] = ()
    unnamed: tuple[Parameter, ...] = ()
    reads_argv: bool = False
    imports: frozenset[str] = frozenset()
    main: OwnMain | None = None

    @property
    def by_name(self) -> Mapping[str, Parameter]:
        """The parameters by name."""
        return {each.name: each for each in self.parameters}

    @property
    def has_command_line(self) -> bool:
        """Whether it reads options or places."""
        return any(each.is_typed for each in (*self.parameters, *self.unnamed))


def find_parameters(source: str, file: str = "program.py") -> Found:
    """
    Return a program's parameters.

    Args:
        source: Its text.
        file: What it is called in an error.

    Raises:
        SyntaxError: It is no Python; as Python says it.
    """
    tree = ast.parse(source, filename=file)
    constants = assigned_once(tree)
    reader = ArgparseReader(tree)
    about = File(tree, constants)
    options: dict[str, Parameter] = {}
    for found in (reader.parameters(), decorated_parameters(about), absl_parameters(about), typed_parameters(about)):
        for each in found:
            options.setdefault(each.name, each)
    assigned = _assigned(tree, constants)
    shadowed = tuple(name for name in assigned if name in options)
    every = [*options.values(), *(each for name, each in assigned.items() if name not in options)]
    return Found(
        parameters=tuple(each for each in every if is_key(each.name)),
        unnamed=tuple(each for each in every if not is_key(each.name)),
        is_partial=reader.is_partial,
        shadowed=shadowed,
        reads_argv=_reads_argv(tree),
        imports=imports_of(tree),
        main=own_main(tree),
    )


def is_key(name: str) -> bool:
    """Whether a parameter of that name can stand in a configuration."""
    first = name.partition(".")[0]
    parts = name.split(".")
    return first not in _TAKEN and all(part.isidentifier() and not keyword.iskeyword(part) for part in parts)


def _reads_argv(tree: ast.Module) -> bool:
    return any(
        (isinstance(node, ast.Attribute) and dotted(node) == "sys.argv")
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "sys"
            and any(each.name == "argv" for each in node.names)
        )
        for node in ast.walk(tree)
    )


def _assigned(tree: ast.Module, constants: Mapping[str, ast.expr]) -> dict[str, Parameter]:
    """Return what a module assigns a literal to at its top level, once."""
    found: dict[str, Parameter] = {}
    for name, node in constants.items():
        if name.startswith("_"):
            continue
        try:
            # of no names: `TWICE = 2 * N` follows N by itself
            value = value_of(node)
        except NotLiteralError:
            continue
        found[name] = Parameter(
            name=name,
            type=type_of(value),
            line=node.lineno,
            way=Assigned(name),
            default=value,
            may_be_none=value is None,
        )
    return found
