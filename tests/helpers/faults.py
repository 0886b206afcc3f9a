"""An error at the n-th call of the operating system that touches a store, by a library that LD_PRELOAD loads."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from anew.runner.errors import EXIT_FAULT, AnewError
from anew.runner.records import Status
from anew.runner.store.folder import FolderStore
from anew.runner.store.integrity import check_store
from tests.helpers.scripts import ANEW

SOURCE = Path(__file__).with_name("faults.c")
# 0 is a short write
KINDS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "EMFILE": errno.EMFILE, "short write": 0}
POINTS = 5
SCRIPT = f"""
import sys
from anew import Experiment, Run
experiment = Experiment("fit")
@experiment.main
def main(*, run: Run) -> int:
    for step in range({POINTS}):
        run.log({{"loss": step}})
    print("printed")
    with open("model.bin", "wb") as file:
        file.write(b"weights")
    run.log_artifact("model.bin")
    return 7
if __name__ == "__main__":
    main()
"""


def compiled(folder: Path) -> Path:
    """Return the library; skips the test where nothing compiles it, or nothing would load it."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or sys.platform != "linux":
        pytest.skip("an error at every n-th call needs a C compiler, and Linux")
    library = folder / "faults.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return library


@dataclass(slots=True)
class Faults:
    """
    Runs commands with a fault at one of their calls, in a project of its own.

    Attributes:
        count: How many faults were made so far.
        wrong: What was wrong, a line each.
        holes: Which runs were said to be COMPLETED while the record says that it has not all of it.
    """

    folder: Path
    library: Path
    count: int = 0
    wrong: list[str] = field(default_factory=list)
    holes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        (self.folder / "pyproject.toml").touch()
        (self.folder / "train.py").write_text(SCRIPT)

    @property
    def store(self) -> FolderStore:
        """The project's store."""
        return FolderStore.open(self.folder / "runs")

    def calls(self, words: Sequence[str]) -> int:
        """Return how many calls a command makes that touch the store, when none of them fails."""
        self._run(words, 0, errno.EIO, everything=False)
        return int.from_bytes((self.folder / "count").read_bytes(), sys.byteorder)

    def run(
        self, words: Sequence[str], at: int, kind: str, *, everything: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a command whose call number *at*, and with *everything* all later ones, fails; judge what all promise."""
        done = self._run(words, at, KINDS[kind], everything=everything)
        self.count += 1
        what = f"{' '.join(words)}: {kind} at call {at}{' and later' if everything else ''}"
        # of a run, what main raised is shown with its traceback
        is_command = not words[0].endswith(".py")
        if done.returncode == EXIT_FAULT or (is_command and "Traceback" in done.stderr):
            self.wrong.append(f"{what}: exit code {done.returncode}\n{done.stderr[-1500:]}")
        self._judge(done, what)
        return done

    def _judge(self, done: subprocess.CompletedProcess[str], what: str) -> None:
        """Look whether the store can be read, and is as it was said to be."""
        if not (self.folder / "runs" / "FORMAT").exists():
            return
        try:
            records = self.store.find()
            list(check_store(self.store, deep=True))
        except AnewError as error:
            self.wrong.append(f"{what}: the store cannot be read any more: {error}")
            return
        for record in records:
            if f"run {record.id} COMPLETED" not in done.stderr:
                continue
            whole = self.store.get(record.id or 0)
            points = whole.metrics["loss"].count if "loss" in whole.metrics else 0
            if (whole.status, points, len(whole.artifacts), whole.result) != (Status.COMPLETED, POINTS, 1, 7):
                told = f"{what}: said to be COMPLETED, and is {whole.status} with {points} points, "
                told += f"{len(whole.artifacts)} artifacts"
                is_said = whole.status is Status.COMPLETED and whole.warnings
                (self.holes if is_said else self.wrong).append(told)

    def _run(self, words: Sequence[str], at: int, number: int, *, everything: bool) -> subprocess.CompletedProcess[str]:
        counter = self.folder / "count"
        counter.write_bytes(bytes(8))
        variables = {
            **os.environ,
            "LD_PRELOAD": str(self.library),
            "FAULT_IN": f"{self.folder}/runs",
            "FAULT_AT": str(at),
            "FAULT_ERRNO": str(number),
            "FAULT_COUNT": str(counter),
            **({"FAULT_ALL": "1"} if everything else {}),
        }
        command = [sys.executable, *words] if words[0].endswith(".py") else [*ANEW, *words]
        return subprocess.run(
            command, cwd=self.folder, env=variables, capture_output=True, text=True, timeout=120, check=False
        )
