"""What `anew run` adds to a small script and to a command, beside running them bare."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.driver import Aim, Comparison, Sample, compete, main, measure_process, workshop

# the command of this environment, also where there is no script for it
_ANEW = [sys.executable, "-c", "import sys; from anew.runner.cli import main; sys.exit(main())"]
SCRIPT = """\
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
args = parser.parse_args()
loss = 1.0
for _ in range(1_000):
    loss *= 1 - args.lr / 1_000
print(f"loss: {loss}")
"""


def comparisons(rounds: int | None) -> Iterator[Comparison]:
    """Compare a script, then a command."""
    with workshop() as folder:
        (folder / "train.py").write_text(SCRIPT)
        yield _beside(folder, "a small script", [sys.executable, "train.py"], ["train.py", "-q"], rounds)
        words = ["sh", "-c", "echo loss: 0.2"]
        yield _beside(folder, "a command", words, ["-q", "--", *words], rounds)


def _beside(folder: Path, title: str, bare: list[str], words: list[str], rounds: int | None) -> Comparison:
    aims = [
        Aim(contestant="anew run", quantity="time_s", limit=0.150, more=True),
        Aim(contestant="anew run", quantity="peak_bytes", limit=30e6, more=True),
    ]
    contestants = {
        "bare": lambda: _measured(bare, folder),
        "anew run": lambda: _measured([*_ANEW, "run", *words], folder),
        "python -c pass": lambda: _measured([sys.executable, "-c", "pass"], folder),
    }
    return compete(title, contestants, rounds=rounds or 15, aims=aims)


def _measured(command: list[str], folder: Path) -> Sample:
    """Return what a process takes, and the CPU time of it and of what it waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    sample = measure_process(command, cwd=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {**sample, "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


if __name__ == "__main__":
    main(comparisons)
