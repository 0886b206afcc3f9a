"""A program that knows nothing of Anew, run in this process as `python PROGRAM` runs it."""

from __future__ import annotations

import builtins
import io
import logging
import os
import shlex
import stat
import sys
import traceback
from collections.abc import Mapping
from contextlib import nullcontext
from importlib.machinery import SourceFileLoader
from importlib.util import decode_source, find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from anew.runner.dataclass import dataclass
from anew.runner.errors import EXIT_USAGE, ConfigError
from anew.runner.lazy.modules import later
from anew.runner.program.found import Found, find_parameters
from anew.runner.program.imported import as_changed
from anew.runner.program.modules import module_file
from anew.runner.program.offered import offered
from anew.runner.program.parameters import Assigned, command_line
from anew.runner.program.rewritten import code_of
from anew.runner.program.schema import WORDS, values_of
from anew.runner.program.understood import PARSED, understood
from anew.runner.run.current import current_run

if TYPE_CHECKING:
    import difflib
    import zipfile

    from anew.runner.config.compose import state
    from anew.runner.program.configured import copied
    from anew.runner.program.configured.file import ConfigFile
else:
    difflib, zipfile = later("difflib"), later("zipfile")
    # most configurations are composed without Hydra, and it takes longer than all else
    state = later("anew.runner.config.compose.state")
    copied = later("anew.runner.program.configured.copied")


@dataclass(frozen=True, slots=True)
class Program:
    """
    A Python file that is run as `__main__`.

    Attributes:
        file: Where it is, absolute.
        found: Its parameters.
        module: Its name, where it is run as a module of a package.
        config_file: The file that it is configured by, whose keys are among the parameters.
    """

    file: Path
    found: Found
    module: str | None = None
    config_file: ConfigFile | None = None

    @property
    def name(self) -> str:
        """What its runs are filed under: the file's name, or the module's last part."""
        return self.module.rpartition(".")[2] if self.module else self.file.stem

    @property
    def typed(self) -> str:
        """What is typed after `anew run` to run it."""
        return shlex.quote(os.path.relpath(self.file)) if self.module is None else f"-m {self.module}"

    @property
    def entry(self) -> Literal["program", "notebook"]:
        """Which way its runs come in."""
        return "program"

    def run(self, config: Any) -> None:
        """
        Run it with a configuration, as the program of this process.

        Raises:
            BaseException: Whatever it raises; SystemExit among others, as it leaves.
        """
        values = values_of(config, self.found.parameters)
        options = [each for each in self.found.parameters if each.is_typed]
        try:
            words = [*command_line(options, values), *getattr(config, WORDS, ())]
        except ConfigError as error:
            sys.stderr.write(f"anew: {error}\n")
            raise SystemExit(EXIT_USAGE) from None
        module = ModuleType("__main__")
        spec = None if self.module is None else find_spec(self.module)
        loader = SourceFileLoader("__main__", str(self.file)) if spec is None else spec.loader
        package = None if spec is None else spec.parent
        vars(module).update(
            __file__=str(self.file), __loader__=loader, __spec__=spec, __package__=package, __builtins__=builtins
        )
        sys.modules["__main__"] = module
        sys.argv = [str(self.file), *words]
        fresh_logging()
        # what composed the configuration is Hydra too, and the program has that to itself
        changed = self._changed(values)
        kept = understood(_keep, self.found.imports)
        file = self.config_file
        copy = None if file is None else copied.Copied.of(file, values, current_run())
        hydra = state.hydra_kept() if "hydra" in sys.modules else nullcontext()
        with offered(current_run()), hydra, kept, as_changed(self.file, package, changed, copy):
            exec(code_of(self.file, changed), vars(module))

    def _changed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the names that are assigned something else than the file says."""
        return {
            each.way.target: values[each.name]
            for each in self.found.parameters
            if isinstance(each.way, Assigned) and each.name in values and repr(values[each.name]) != repr(each.default)
        }


def _keep(parsed: Mapping[str, Any]) -> None:
    if parsed:
        current_run().info({PARSED: parsed})


def fresh_logging() -> None:
    """Have `logging` be as an interpreter begins with it: what composed the configuration has set it up as well."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(logging.WARNING)
    for each in list(root.manager.loggerDict.values()):
        if isinstance(each, logging.Logger):
            each.disabled = False


def read_program(target: str, *, is_module: bool = False) -> Program:
    """
    Return a program by its file or its module's name. It is read; nothing of it is run.

    Raises:
        ConfigError: There is none, or it is no Python.
    """
    file = _module_file(target) if is_module else Path(target).absolute()
    try:
        if stat.S_ISFIFO(file.stat().st_mode):
            raise ConfigError(f"{target!r} is a pipe; give a file of Python, such as train.py")
        with io.open_code(str(file)) as opened:
            content = opened.read()
        source = decode_source(content)
        if "\0" in source:
            raise SyntaxError("it has null bytes in it")
    except FileNotFoundError:
        raise ConfigError(f"There is no file {target!r}. {_beside(Path(target))}".rstrip()) from None
    except IsADirectoryError:
        raise ConfigError(_folder(target)) from None
    except (UnicodeDecodeError, SyntaxError) as error:
        named = f"The module {target!r} ({str(file)!r})" if is_module else repr(target)
        raise ConfigError(f"{named} is no file of Python: {_no_python(file, content, error, is_module)}") from None
    except OSError as error:
        raise ConfigError(f"{target!r} cannot be read: {error.strerror}") from error
    try:
        return Program(file, find_parameters(source, str(file)), target if is_module else None)
    except SyntaxError as error:
        raise ConfigError(as_python_says(error, str(file))) from None


def _module_file(name: str) -> Path:
    """Return the file that `python -m NAME` runs, found without importing what it is in. Raises ConfigError."""
    found = module_file(name)
    if found is None:
        if os.path.isfile(name):
            raise ConfigError(
                f"-m names a module here, and {name!r} is a file. For a sweep: anew run {name} -m NAME=1,2"
            )
        raise ConfigError(f"There is no module {name!r} on the import path; for a file: anew run FILE.py")
    return found


def _no_python(file: Path, content: bytes, error: ValueError | SyntaxError, is_module: bool) -> str:
    """Say why a file is no text of Python, and what runs it all the same, or makes it one."""
    typed = os.path.relpath(file)
    if zipfile.is_zipfile(file):
        return f"it is an archive. To have Python run that: anew run -- python {shlex.quote(typed)}"
    command = "" if is_module else f". For a command: anew run -- {shlex.quote(os.path.join('.', typed))}"
    lines = enumerate(content.split(b"\n"), 1)
    broken = next((at for at, line in lines if line.decode(errors="replace").encode() != line), None)
    if broken is None or str(error).startswith("unknown encoding"):
        return f"{error}{command}"
    if b"\0" in content:
        return f"it is no text{command}"
    return (
        f"line {broken} is no text in UTF-8. A file in another encoding says so in its first line, as in "
        "# -*- coding: latin-1 -*-"
    )


def _folder(target: str) -> str:
    """Say what is to be typed in place of a folder: of a package that Python runs, how that is run."""
    folder = os.path.normpath(target)
    if not os.path.isfile(os.path.join(folder, "__main__.py")):
        return f"{target!r} is a folder; give a file of Python, such as {os.path.join(folder, 'train.py')}"
    as_module = f", and as a package: anew run -m {folder.replace(os.sep, '.')}"
    is_module = not os.path.isabs(folder) and all(part.isidentifier() for part in folder.split(os.sep))
    return (
        f"{target!r} is a folder. As `python {target}` runs it: anew run {os.path.join(folder, '__main__.py')}"
        f"{as_module if is_module else ''}"
    )


def _beside(path: Path) -> str:
    try:
        names = [each.name for each in path.absolute().parent.iterdir() if each.suffix == ".py"]
    except OSError:
        return f"There is no folder {str(path.parent)!r} either."
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"Did you mean {str(path.with_name(near[0]))!r}?" if near else ""


def as_python_says(error: SyntaxError, file: str) -> str:
    """Return an error of syntax as the interpreter shows it; of one that has no place, the file at least."""
    if error.filename is None:
        error.filename, error.lineno = file, 1
    return "".join(traceback.format_exception_only(error)).strip()
