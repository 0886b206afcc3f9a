"""
Torture, and a report of what came of it: `python -m tests.helpers.torture [--kills N] [--trials N] [--faults N]`.

What was tried, how often, on which version, and what was wrong goes into `docs/crash-report-card.md`; `make torture`.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import anew
from tests.helpers import fuzz
from tests.helpers.faults import KINDS, Faults, compiled
from tests.helpers.filled import filled_store
from tests.store.test_journal import kill_at_random

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "crash-report-card.md"
WHAT_FUZZ_FINDS = {
    "fault": "exits with 70",
    "hang": "hangs",
    "silent": "other values without a word anywhere",
    "said by check alone": "other values, said by `anew check` alone",
}


@dataclass(slots=True)
class Row:
    """One line of the report: what was tried, how often, and what was wrong, a text for each."""

    what: str
    times: str
    wrong: list[str] = field(default_factory=list)


def kills(count: int, seed: int) -> list[Row]:
    """Kill writers and look for every acknowledged point."""
    row = Row("`kill -9` of a process that logs: every point whose `log` returned is there, none twice", f"{count:,}")
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, count, 500):
            try:
                kill_at_random(Path(folder), min(500, count - start), seed + start)
            except AssertionError as error:
                row.wrong.append(str(error))
            print(f"{min(start + 500, count)} kills", flush=True)
    return [row]


def harm(count: int, seed: int) -> list[Row]:
    """Harm a file of a filled store, whichever it is, and have it read by every command that reads."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "project")
        whole.mkdir()
        trials = fuzz.run(filled_store(whole), Path(folder), count, seed)
    rows = [
        Row(
            f"a file flipped, cut, zeroed, exchanged, forged, replaced or gone, {trials.commands:,} commands: {what}",
            "",
        )
        for what in WHAT_FUZZ_FINDS.values()
    ]
    for row, kind in zip(rows, WHAT_FUZZ_FINDS, strict=True):
        row.times, row.wrong = f"{trials.trials:,}", trials.wrong.get(kind, [])
    return rows


def fail(count: int, seed: int) -> list[Row]:
    """Have each call that touches the store fail, in a run and in commands."""
    chance, rows = random.Random(seed), []
    for words in (["train.py"], ["list"], ["delete", "last"], ["sync", "./runs", "./runs-too"]):
        with tempfile.TemporaryDirectory() as folder:
            faults = Faults(Path(folder, "project"), compiled(Path(folder)))
            try_one = _tried(faults, words)
            calls = try_one(0, "EIO")
            places = [(at, kind) for at in range(1, calls + 1) for kind in KINDS]
            for at, kind in sorted(chance.sample(places, min(count, len(places)))):
                try_one(at, kind)
            name = "a run" if words[0] == "train.py" else f"`anew {words[0]}`"
            what = f"an error ({', '.join(KINDS)}) at one of the {calls} calls of {name} that touch the store"
            rows.append(Row(f"{what}: exit code 70, COMPLETED untruly said, or a store that cannot be read", ""))
            rows[-1].times, rows[-1].wrong = f"{faults.count:,}", faults.wrong
            if words[0] == "train.py":
                told = "the same: COMPLETED, while the record itself says that something is missing"
                rows.append(Row(told, f"{faults.count:,}", faults.holes))
            print(f"{faults.count} errors in {name}: {len(faults.wrong)} wrong", flush=True)
    return rows


def _tried(faults: Faults, words: list[str]) -> Callable[[int, str], int]:
    is_run = words[0] == "train.py"
    if not is_run:
        faults.calls(["train.py"])
        shutil.copytree(faults.folder / "runs", faults.folder / "kept")

    def try_one(at: int, kind: str) -> int:
        for name in ("runs", "runs-too"):
            shutil.rmtree(faults.folder / name, ignore_errors=True)
        if not is_run:
            shutil.copytree(faults.folder / "kept", faults.folder / "runs")
        if not at:
            return faults.calls(words)
        faults.run(words, at, kind)
        return 0

    return try_one


def tests(name: str, what: str, **variables: str) -> list[Row]:
    """Run tests that take more time than each test run has; a failed one is what is wrong."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", name],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    numbers = {kind: int(number) for number, kind in re.findall(r"(\d+) (passed|failed|error)", done.stdout)}
    row = Row(what, f"{sum(numbers.values()):,}", re.findall(r"^(?:FAILED|ERROR) (.*)$", done.stdout, re.MULTILINE))
    if done.returncode and not row.wrong:
        row.wrong.append(done.stdout[-500:])
    print(f"{name}: {len(row.wrong)} wrong", flush=True)
    return [row]


def page(rows: list[Row], took_s: float) -> str:
    """Return the report."""
    lines = [
        "# Crash report card",
        "",
        "Written by `make torture`, which does to runs and stores what machines, disks and people do to them. What is",
        "wrong is to be 0 in every line.",
        "",
        f"anew {anew.__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()},",
        f"{datetime.now(timezone.utc):%Y-%m-%d}, {took_s / 60:.0f} minutes.",
        "",
        "| what was tried | how often | wrong |",
        "| --- | --- | --- |",
        *(f"| {row.what} | {row.times} | {len(row.wrong)} |" for row in rows),
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Torture, and write the report; return whether anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10_000)
    parser.add_argument("--trials", type=int, default=5_000, help="files that are harmed")
    parser.add_argument("--faults", type=int, default=400, help="calls that fail, of a run and of each command")
    parser.add_argument("--flips", type=int, default=20, help="bits that are turned in each file of a store")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    began = time.monotonic()
    parts: tuple[Callable[[], list[Row]], ...] = (
        lambda: kills(options.kills, options.seed),
        lambda: tests(
            "tests/store/test_deep.py",
            f"{options.flips} bits turned in every file of a store, and each cut and zeroed: unsaid by `check --deep`",
            ANEW_FLIPS=str(options.flips),
        ),
        lambda: harm(options.trials, options.seed),
        lambda: fail(options.faults, options.seed),
        lambda: tests(
            "tests/test_protections.py", "a protection taken away that no test misses", ANEW_PROTECTIONS="all"
        ),
        lambda: tests(
            "tests/cli/test_hostile_stores.py",
            "what no disk does, but somebody may: values of any kind, links, pipes, devices, holes",
            ANEW_TRIALS=str(max(40, options.trials // 10)),
        ),
    )
    rows: list[Row] = []
    for part in parts:
        rows += part()
        # what it came to so far, should it be broken off
        PAGE.write_text(page(rows, time.monotonic() - began), encoding="utf-8")
    wrong = [f"{row.what}: {each}" for row in rows for each in row.wrong]
    print("\n".join(wrong) or "nothing was wrong")
    print(f"seed {options.seed}; written: {PAGE.relative_to(ROOT)}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
