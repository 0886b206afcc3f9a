"""How a run was started: the command line, the interpreter's own options, and where the project's modules come from."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from anew.runner.attached.comments import user_name
from anew.runner.records import CommandFacts


def capture_command(function: Callable[..., Any], entry: str, root: Path) -> CommandFacts:
    """
    Return how this process came to call *function*.

    Args:
        function: The main function.
        entry: Which way it came in: "script", "module" or "call".
        root: The project's root.
    """
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    target = spec.name if spec is not None and entry == "module" else str(getattr(main, "__file__", "") or "")
    return CommandFacts(
        argv=tuple(sys.argv),
        cwd=str(Path.cwd()),
        entry=entry,
        target=target,
        function=f"{function.__module__}:{function.__qualname__}",
        interpreter=sys.executable,
        options=_interpreter_options(),
        import_paths=_import_paths(root),
        user=user_name(),
    )


def unrepeatable(command: CommandFacts) -> tuple[str, ...]:
    """Return what is to be said where main lies in no file, which no re-run will find; of others nothing."""
    module, _, name = command.function.partition(":")
    if module == "__main__":
        has_file = command.entry == "module" or os.path.isfile(command.target)
    else:
        # a module that is not loaded here is one of a file
        has_file = module not in sys.modules or getattr(sys.modules[module], "__file__", None) is not None
    if has_file:
        return ()
    return (
        f"The main function {name!r} was made in no file (in a notebook's cell, or in a console), so that its source "
        "is not on record, and this run cannot be run again. To change that: write it into a .py file, and import it.",
    )


def _interpreter_options() -> tuple[str, ...]:
    """Return what stands between the interpreter and the script on its command line."""
    words = sys.orig_argv[1 : max(1, len(sys.orig_argv) - len(sys.argv))]
    return tuple(word for word in words if word not in ("-m", "-c"))


def _import_paths(root: Path) -> tuple[str, ...]:
    """Return the folders of the project that modules come from: on `sys.path`, or by an installer's own finder."""
    prefix = f"{root}{os.sep}"
    # an empty or relative one stands for where the process is: of `python -c`, of IPython and notebooks it is the first
    folders = [os.path.abspath(path) for path in sys.path if isinstance(path, str)]
    inside = [path for path in folders if path == str(root) or path.startswith(prefix)]
    for name, module in list(sys.modules.items()):
        # true modules only: libraries put objects there that make attributes when they are asked for them
        paths = vars(module).get("__path__") if "." not in name and type(module) is ModuleType else None
        if isinstance(paths, list) and paths and str(paths[0]).startswith(prefix):
            inside.append(os.path.dirname(paths[0]))
    return tuple(path for path in dict.fromkeys(inside) if "site-packages" not in path)
