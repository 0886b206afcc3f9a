"""How a run was started: the command line, the interpreter's own options, and where the project's modules come from."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib.util import find_spec
from itertools import repeat
from pathlib import Path
from typing import Any

from anew.runner.attached.comments import user_name
from anew.runner.capture.loaded import derived, namespace
from anew.runner.errors import working_directory
from anew.runner.format.cells import FILE_NAME
from anew.runner.lazy.patterns import regexp
from anew.runner.places import STARTED_IN
from anew.runner.records import CommandFacts

# the letters of the interpreter that take a word; the last two end its options
_OPTION = regexp(r"-([^XWmc]*)([XWmc]?)(.*)", re.DOTALL)
_TAKES_A_WORD = "--check-hash-based-pycs"


def capture_command(
    function: Callable[..., Any], entry: str | None, root: Path, call: int | None = None
) -> CommandFacts:
    """
    Return how this process was started to call *function*.

    That is what the operating system was told: a program may have changed `sys.argv` since. A tool that runs a script
    (pdb, cProfile, trace) is left out, and what it was told to run is what counts.

    Args:
        function: The main function.
        entry: "call" where main was called from Python, "cells" from those of a notebook, "program" where *function*
            runs one that has no main, "command" where it runs any command, "start" where *function* stands for the code
            that calls `anew.start`; None for a program that has one.
        root: The project's root.
        call: Which call of it in this process it is.
    """
    options, flag, words = _started()
    kind, target, program = _program(function)
    argv = tuple(sys.argv)
    if entry in ("program", "command", "notebook"):
        argv = tuple(words[1:])  # what follows the module of ours that runs it
    elif _is_it(flag, words, kind, target):
        argv = (program if kind == "module" else words[0], *words[1:])
    elif words[:1] == ["anew.runner.program"]:
        # in a program that has no main: what it was given, and not what it was run by
        options, argv = [], (target or program, *sys.argv[1:])
    elif outer := _outer(function, flag, words, root):
        kind, target, argv = outer
    else:
        options = [] if words else options
        for index, word in enumerate(words):
            if _is_it("-m" if words[index - 1 : index] == ["-m"] else "", [word], kind, target):
                argv = (program if kind == "module" else word, *words[index + 1 :])
                break
    code_file = inspect.unwrap(function).__code__.co_filename
    if entry == "start" and os.path.basename(code_file) == FILE_NAME:
        target = code_file  # cells, in a re-run of them
    elif function.__module__ == "__main__" and code_file.startswith("<"):
        target = ""  # typed at a prompt, after a script or in place of one
    return CommandFacts(
        argv=argv,
        cwd=working_directory(),
        entry=entry or kind,
        target=program if entry == "call" and kind == "module" else target,
        function=f"{function.__module__}:{function.__qualname__}",
        interpreter=sys.executable,
        options=tuple(options),
        import_paths=_import_paths(root),
        user=user_name(),
        call=call,
    )


def program_files(command: CommandFacts) -> tuple[str, ...]:
    """Return the files that a command starts, or that its words name, which need be no module's."""
    if command.entry == "command":
        named = [os.path.join(command.cwd, word) for word in command.argv]
        return tuple(dict.fromkeys(os.path.normpath(path) for path in named if os.path.isfile(path)))
    path = "" if command.runs_module else command.target
    inside = os.path.join(path, "__main__.py")
    return tuple(each for each in (path, inside) if path and os.path.isfile(each))


def _started() -> tuple[list[str], str, list[str]]:
    """Return the interpreter's options, "-m", "-c" or "", and the words after that, of which the program is first."""
    options: list[str] = []
    words = list(sys.orig_argv[1:])
    while words and words[0].startswith("-") and words[0] != "-":
        word = words.pop(0)
        found = None if word.startswith("--") else _OPTION.fullmatch(word)
        if found is None:
            options += [word, *([words.pop(0)] if word == _TAKES_A_WORD and words else [])]
            continue
        flags, letter, rest = found.groups()
        taken = [words.pop(0)] if letter and not rest and words else []
        if letter in ("m", "c") and letter:
            return [*options, *([f"-{flags}"] if flags else [])], f"-{letter}", [*([rest] if rest else taken), *words]
        options += [word, *taken]
    return options, "", words


def _program(function: Callable[..., Any]) -> tuple[str, str, str]:
    """Return "module" or "script", its name or path, and its file: of what *function* is in, or what leads to it."""
    main = vars(sys.modules["__main__"])
    if function.__module__ == "__main__":
        # debuggers and profilers run it in a namespace that is no module's
        main = getattr(inspect.unwrap(function), "__globals__", main)
    spec, file = main.get("__spec__"), _absolute(str(main.get("__file__") or ""))
    if spec is not None and spec.name != "__main__":
        return "module", spec.name, file
    if spec is not None and spec.loader is not None and os.path.basename(file) == "__main__.py":
        return "script", os.path.dirname(file), file  # a folder, or an archive
    return "script", file, file


def _absolute(path: str) -> str:
    return os.path.normpath(os.path.join(STARTED_IN, path)) if path else ""


def _is_it(flag: str, words: list[str], kind: str, target: str) -> bool:
    """Whether these words name a program."""
    if not words or flag == "-c":
        return False
    if kind == "module":
        return flag == "-m" and target in (words[0], f"{words[0]}.__main__")
    return not flag and bool(target) and _leads_to(_absolute(words[0])) == _leads_to(target)


@lru_cache(maxsize=256)
def _leads_to(path: str) -> str:
    """Return where an absolute path leads; asked once in a process, whose program was started from there."""
    return os.path.realpath(path)


def _outer(
    function: Callable[..., Any], flag: str, words: list[str], root: Path
) -> tuple[str, str, tuple[str, ...]] | None:
    """Return the project's own program that runs the one with main in it (by `runpy`), as kind, target and argv."""
    if function.__module__ != "__main__" or not words or flag == "-c":
        return None
    if flag == "-m":
        try:
            spec = find_spec(words[0])
        except (ImportError, AttributeError, ValueError):
            return None
        file = str(spec.origin or "") if spec is not None else ""
        return ("module", words[0], (file, *words[1:])) if _is_ours(file, root) else None
    file = _absolute(words[0])
    return ("script", file, tuple(words)) if _is_ours(file, root) and os.path.exists(file) else None


def _is_ours(file: str, root: Path) -> bool:
    """Whether a file is the project's own, and no tool that is installed below it."""
    is_tool = file.startswith(f"{sys.prefix}{os.sep}") or "site-packages" in file
    return file.startswith(f"{root}{os.sep}") and not is_tool


def unrepeatable(command: CommandFacts) -> tuple[str, ...]:
    """Return what is to be said where main lies in no file, which no re-run will find; of others nothing."""
    module, _, name = command.function.partition(":")
    is_cells = command.entry == "start" and os.path.basename(command.target) == FILE_NAME
    if command.entry in ("cells", "command") or is_cells:
        return ()
    if module == "__main__":
        has_file = command.runs_module or os.path.exists(command.target or "\0")
    else:
        # a module that is not loaded here is one of a file
        has_file = module not in sys.modules or getattr(sys.modules[module], "__file__", None) is not None
    if has_file:
        return ()
    if command.entry == "start":
        return (
            "What called anew.start lies in no file, and in no cell of IPython, so that its source is not on record, "
            "and this run cannot be run again. To change that: write it into a .py file, and run that.",
        )
    return (
        f"The main function {name!r} was made in no file, and in no cell of IPython (in a console), so that its source "
        "is not on record, and this run cannot be run again. To change that: write it into a .py file, and import it.",
    )


def _import_paths(root: Path) -> tuple[str, ...]:
    """Return the folders of the project that modules come from: on `sys.path`, or by an installer's own finder."""
    prefix = f"{root}{os.sep}"
    # an empty or relative one stands for where the process is: of `python -c`, of IPython and notebooks it is the first
    folders = [os.path.abspath(path) for path in sys.path if isinstance(path, str)]
    inside = [path for path in folders if path == str(root) or path.startswith(prefix)]
    for paths in filter(None, map(dict.get, derived("packages", _packages, asks=False), repeat("__path__"))):
        if isinstance(paths, list) and str(paths[0]).startswith(prefix):
            inside.append(os.path.dirname(paths[0]))
    return tuple(path for path in dict.fromkeys(inside) if "site-packages" not in path)


def _packages(modules: Iterable[tuple[str, Any, bool]]) -> tuple[dict[str, Any], ...]:
    """Return what is in packages that are in none; true ones: libraries put objects there that make attributes."""
    names = (name for name, _, is_module in modules if is_module and "." not in name)
    found = (namespace(sys.modules.get(name)) for name in names)
    return tuple(each for each in found if "__path__" in each)
