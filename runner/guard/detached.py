"""Start a helper process as nobody's child."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

# Stands in for the packages, whose import would take longer than all the rest of such a start.
_PROGRAM = """
import sys
for name, path in ("anew", []), ("anew.runner", [sys.argv[1]]):
    sys.modules[name] = type(sys)(name)
    sys.modules[name].__path__ = path
from importlib import import_module
import_module("anew.runner.guard." + sys.argv[2]).main(sys.argv[3:])
"""


def can_start() -> bool:
    """Whether `sys.executable` is an interpreter; in a frozen or embedding application it is the application."""
    return "py" in os.path.basename(sys.executable or "").lower() and not getattr(sys, "frozen", False)


def start_python(options: Sequence[str], words: Sequence[str], descriptors: Sequence[int]) -> None:
    """
    Start this interpreter, so that a user's loop around `os.wait` does not wait for it, nor a signal to the terminal
    reach it. Its own three streams lead nowhere.

    The shell goes on at once and ends; that costs a millisecond, where a fork of the helper's own would cost its start.

    Args:
        options: For the interpreter.
        words: What follows them.
        descriptors: What it is to inherit.

    Raises:
        OSError: It could not be started. (One that starts and fails looks like one that has died.)
    """
    import subprocess

    quiet = ["-B"] * sys.dont_write_bytecode
    shell = subprocess.Popen(
        ["/bin/sh", "-c", '"$@" &', "sh", sys.executable, *options, *quiet, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=descriptors,
        start_new_session=True,
    )
    shell.wait()


def start_neighbour(module: str, words: Sequence[str], descriptors: Sequence[int]) -> None:
    """Start a module of this folder, which needs the standard library alone: its `main`. As `start_python`."""
    rooms = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    start_python(["-I", "-S", "-E"], ["-c", _PROGRAM, rooms, module, *words], descriptors)
