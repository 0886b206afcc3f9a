"""Running experiment scripts as a user does: a file, a process, a store to look into."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from anew.runner.records import RunRecord
from anew.runner.store.folder import FolderStore

# the command of this environment, also where there is no script for it
ANEW = [sys.executable, "-c", "import sys; from anew.runner.cli import main; sys.exit(main())"]
WAIT_S = 180
HEADER = """\
import os, sys, time
import anew
from anew import Experiment, Run
experiment = Experiment("trial")
"""
FOOTER = """
if __name__ == "__main__":
    main()
"""


class Project:
    """A folder with scripts and the store that their runs go to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, body: str, name: str = "train.py") -> Path:
        """Write a script: *body* between the usual imports and the usual end."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEADER + textwrap.dedent(body) + FOOTER)
        return path

    def start(self, *args: str, name: str = "train.py", **options: Any) -> subprocess.Popen[str]:
        """Start a script; its output can be read from the process."""
        return subprocess.Popen(
            [sys.executable, name, *args],
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **options.pop("env", {})},
            **options,
        )

    def run(self, *args: str, code: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a script to its end, which must have the exit code *code*."""
        with self.start(*args, **options) as process:
            out, err = process.communicate(timeout=60)
        return checked(subprocess.CompletedProcess(process.args, process.returncode, out, err), code)

    @property
    def store(self) -> FolderStore:
        """The project's store."""
        return FolderStore.open(self.folder / "runs")

    @property
    def has_runs(self) -> bool:
        """Whether anything was recorded, even half."""
        return (self.folder / "runs").exists() and bool(self.store.numbers())

    def record(self, ref: str | int = "last") -> RunRecord:
        """A run's record."""
        return self.store.get(ref)


def anew(where: Project | Path, *words: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `anew` with *words* in a project or folder to its end; it must have the exit code *code*."""
    folder = where.folder if isinstance(where, Project) else where
    command, variables = [*ANEW, *words], {**os.environ, **env}
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    return checked(done, code)


def checked(done: subprocess.CompletedProcess[str], code: int) -> subprocess.CompletedProcess[str]:
    """Return what ended, which must have the exit code *code*."""
    assert done.returncode == code, f"exit code {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}"
    return done
