"""Which interpreter runs a command, and its version: what of the machine a script in another language rests on."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anew.runner.run.handle import Run

# how those are asked that are known to answer, and to do nothing else; of any other the file alone is named
_BY_VERSION = (
    "R Rscript awk bash bun cmake deno dotnet gawk ghc gmake guile julia make mpiexec mpirun node octave perl php "
    "pypy3 python racket ruby runghc scala swift uv zsh"
)
_ASKED = {
    **dict.fromkeys(_BY_VERSION.split(), "--version"),
    **{"lua": "-v", "luajit": "-v", "java": "-version", "go": "version"},
}
_PATIENCE_S = 10.0
_LONGEST = 200


@contextmanager
def interpreter_noted(run: Run, file: str) -> Iterator[None]:
    """
    Put on record, as the fact `interpreter`, what runs a *file*, and its version; it is asked while the command runs.

    Of a script that is the program of its first line.
    """
    found = _interpreter_of(file)
    if found is None:
        yield
        return
    asking = threading.Thread(target=_note, args=(run, found), name="anew-version", daemon=True)
    asking.start()
    try:
        yield
    finally:
        asking.join(_PATIENCE_S)


def _interpreter_of(file: str) -> Path | None:
    """Return the program that runs a file: of its first line, or the file itself where it is one that is known."""
    path = shutil.which(file)
    if path is None:
        return None
    try:
        with open(path, "rb") as opened:
            first = opened.read(256).split(b"\n")[0]
    except OSError:
        return None
    if not first.startswith(b"#!"):
        return Path(path) if _name(path) in _ASKED or Path(path).stem in ("sh", "dash") else None
    words = os.fsdecode(first[2:]).split()
    if words and os.path.basename(words[0]) == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    named = shutil.which(words[0]) if words else None
    return Path(named) if named else None


def _name(path: str) -> str:
    """Return what a program is called without its version: python3.11 is python."""
    name = os.path.basename(path)
    return name if name in _ASKED else name.rstrip("0123456789.-")


def _note(run: Run, path: Path) -> None:
    facts = {"path": str(path), "file": os.path.realpath(path)}
    # /bin/sh is another shell, which has a version
    asked = _ASKED.get(_name(str(path))) or _ASKED.get(_name(facts["file"]))
    if asked is not None:
        try:
            done = subprocess.run(
                [path, asked],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PATIENCE_S,
                check=False,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
            lines = (done.stdout + done.stderr).strip().splitlines()
            if done.returncode == 0 and lines:
                facts["version"] = lines[0].strip()[:_LONGEST]
        except (OSError, ValueError, subprocess.SubprocessError):
            pass  # its path is on record all the same
    run.info({"interpreter": facts})
