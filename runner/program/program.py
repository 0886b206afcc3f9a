"""A program that knows nothing of Anew, run in this process as `python PROGRAM` runs it."""

from __future__ import annotations

import ast
import builtins
import difflib
import io
import sys
import traceback
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError
from anew.runner.program.found import Found, find_parameters
from anew.runner.program.modules import module_file
from anew.runner.program.parameters import Assigned, command_line
from anew.runner.program.schema import WORDS, values_of


@dataclass(frozen=True, slots=True)
class Program:
    """
    A Python file that is run as `__main__`.

    Attributes:
        file: Where it is, absolute.
        found: Its parameters.
        module: Its name, where it is run as a module of a package.
    """

    file: Path
    found: Found
    module: str | None = None

    @property
    def name(self) -> str:
        """What its runs are filed under: the file's name, or the module's last part."""
        return self.module.rpartition(".")[2] if self.module else self.file.stem

    def run(self, config: Any) -> None:
        """
        Run it with a configuration, as the program of this process.

        Raises:
            BaseException: Whatever it raises; SystemExit among others, as it leaves.
        """
        values = values_of(config, self.found.parameters)
        options = [each for each in self.found.parameters if not isinstance(each.way, Assigned)]
        words = [*command_line(options, values), *getattr(config, WORDS, ())]
        module = ModuleType("__main__")
        spec = None if self.module is None else find_spec(self.module)
        loader = SourceFileLoader("__main__", str(self.file)) if spec is None else spec.loader
        package = None if spec is None else spec.parent
        vars(module).update(
            __file__=str(self.file), __loader__=loader, __spec__=spec, __package__=package, __builtins__=builtins
        )
        sys.modules["__main__"] = module
        sys.argv = [str(self.file), *words]
        exec(self.code(values), vars(module))

    def code(self, values: Mapping[str, Any]) -> CodeType:
        """Return its code, with other values for names that it assigns; every line keeps its number."""
        with io.open_code(str(self.file)) as file:
            source = file.read()
        changed = {
            each.way.target: values[each.name]
            for each in self.found.parameters
            if isinstance(each.way, Assigned) and each.name in values and repr(values[each.name]) != repr(each.default)
        }
        if not changed:
            return compile(source, str(self.file), "exec", dont_inherit=True)
        return compile(_assigning(ast.parse(source), changed), str(self.file), "exec", dont_inherit=True)


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


def read_program(target: str, *, is_module: bool = False) -> Program:
    """
    Return a program by its file or its module's name. It is read; nothing of it is run.

    Raises:
        ConfigError: There is none, or it is no Python.
    """
    file = _module_file(target) if is_module else Path(target).absolute()
    try:
        with io.open_code(str(file)) as opened:
            source = opened.read().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"There is no file {target!r}. {_beside(Path(target))}".rstrip()) from None
    except IsADirectoryError:
        raise ConfigError(f"{target!r} is a folder; give a file of Python, such as {target}/train.py") from None
    except UnicodeDecodeError:
        raise ConfigError(
            f"{target!r} is no file of Python: it is no text. For a command: anew run -- {target}"
        ) from None
    except OSError as error:
        raise ConfigError(f"{target!r} cannot be read: {error.strerror}") from error
    try:
        return Program(file, find_parameters(source, str(file)), target if is_module else None)
    except SyntaxError as error:
        raise ConfigError(_as_python_says(error)) from None


def _module_file(name: str) -> Path:
    """Return the file that `python -m NAME` runs, found without importing what it is in. Raises ConfigError."""
    found = module_file(name)
    if found is None:
        raise ConfigError(f"There is no module {name!r} on the import path; for a file: anew run FILE.py")
    return found


def _beside(path: Path) -> str:
    try:
        names = [each.name for each in path.absolute().parent.iterdir() if each.suffix == ".py"]
    except OSError:
        return f"There is no folder {str(path.parent)!r} either."
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"Did you mean {str(path.with_name(near[0]))!r}?" if near else ""


def _as_python_says(error: SyntaxError) -> str:
    return "".join(traceback.format_exception_only(error)).strip()
