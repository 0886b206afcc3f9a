"""Start a helper process as nobody's child."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def can_start() -> bool:
    """Whether `sys.executable` is an interpreter; in a frozen or embedding application it is the application."""
    return "py" in Path(sys.executable or "").name.lower() and not getattr(sys, "frozen", False)


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
