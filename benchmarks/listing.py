"""How long `anew list` takes, the whole command, in a store of 1,000 and of 10,000 runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.driver import Aim, Comparison, Contestants, Sample, compete, main, measure_process, workshop

ANEW = Path(sys.executable).parent / "anew"
LOOK = """\
import os, sys
for entry in os.scandir(sys.argv[1]):
    entry.stat()
"""


def comparisons(rounds: int | None) -> Iterator[Comparison]:
    """Compare at both sizes; the first listing of a store, which makes its index, is measured apart."""
    with workshop() as folder:
        for count in (1_000, 10_000):
            store = folder / f"runs-{count}"
            subprocess.run([sys.executable, "-m", "benchmarks.filled_store", store, str(count)], check=True)
            aims = [Aim(contestant="anew list", quantity="time_s", limit=0.350)]
            title = f"anew list, {count:,} runs"
            yield compete(title, contestants(store), rounds=rounds or 15, aims=aims)
            yield compete(f"{title}, the first time", {"anew list": partial(first, store)}, rounds=3)


def contestants(store: Path) -> Contestants:
    """Return ways to look at a store, the barest first."""
    return {
        "python -c pass": lambda: measure_process([sys.executable, "-c", "pass"], cwd=store),
        "scandir and stat": lambda: measure_process([sys.executable, "-c", LOOK, store], cwd=store),
        "anew list": lambda: listing(store),
        "anew list --json --limit 50": lambda: listing(store, "--json", "--limit", "50"),
        "anew list 'config.lr < 0.1'": lambda: listing(store, "config.lr < 0.1"),
        "anew list --all": lambda: listing(store, "--all"),
    }


def listing(store: Path, *options: str) -> Sample:
    """Measure the command."""
    return measure_process([ANEW, "--store", store, "list", *options], cwd=store)


def first(store: Path) -> Sample:
    """Measure the command in a store that has no index."""
    (store / "index.sqlite").unlink(missing_ok=True)
    return listing(store)


if __name__ == "__main__":
    main(comparisons)
