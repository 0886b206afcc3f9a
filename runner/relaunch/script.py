"""A script, run as the interpreter runs it."""

from __future__ import annotations

import builtins
import io
import sys
from importlib.machinery import SourceFileLoader, SourcelessFileLoader
from pathlib import Path
from types import CodeType, ModuleType


def run_script(path: Path, package: str = "") -> ModuleType:
    """
    Run a script as the interpreter does; not by `runpy`, which would set `sys.argv[0]`.

    Args:
        path: The script.
        package: What names with a dot in front are relative to.

    Returns:
        The module that it was run as.
    """
    module = ModuleType("__main__")
    if package:
        module.__package__ = package
    vars(module).update(__file__=str(path), __loader__=SourceFileLoader("__main__", str(path)), __builtins__=builtins)
    sys.modules["__main__"] = module
    exec(_code_of(path), vars(module))
    return module


def _code_of(path: Path) -> CodeType:
    """Return the code of a script, also of one that was compiled before."""
    if path.suffix == ".pyc" and (code := SourcelessFileLoader("__main__", str(path)).get_code("__main__")) is not None:
        return code
    with io.open_code(str(path)) as file:
        return compile(file.read(), str(path), "exec", dont_inherit=True)
