"""
How long a question takes: `anew list FILTER --sort`, the whole command, and `store.find` in a process that goes on.

At 1,000 and 10,000 runs, and with ANEW_BENCH_RUNS=100000 at that many, which take some minutes and gigabytes to make.
Beside a floor: the same rows in bare SQLite.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from anew.runner.store.folder import FolderStore
from benchmarks.driver import Aim, Comparison, Contestants, Sample, compete, main, measure_process, workshop

ANEW = Path(sys.executable).parent / "anew"
QUESTION, SORT = "config.lr < 0.1 and train/loss > 0.001", "-test/acc"
LIMITS_S = {1_000: 0.2, 10_000: 0.2, 100_000: 0.4}
FLOOR = """\
import sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute(
    "SELECT run FROM bare WHERE lr < 0.1 AND loss > 0.001 ORDER BY acc DESC, run DESC LIMIT 51"
).fetchall()
"""


def comparisons(rounds: int | None) -> Iterator[Comparison]:
    """Compare at each size; the first question, which makes the index, is measured apart."""
    with workshop() as folder:
        for count in sizes():
            store = folder / f"runs-{count}"
            subprocess.run([sys.executable, "-m", "benchmarks.filled_store", store, str(count), "--small"], check=True)
            first = {"anew list FILTER": partial(asking, store)}
            yield compete(f"the first question to {count:,} runs", first, rounds=1)
            aims = [Aim(contestant="anew list FILTER --sort", quantity="time_s", limit=LIMITS_S.get(count, 1.0))]
            yield compete(f"a question to {count:,} runs", contestants(store), rounds=rounds or 15, aims=aims)
            inside = [Aim(contestant="store.find", quantity="time_s", limit=0.01 * max(1, count // 10_000))]
            yield compete("the same in a process", in_process(store), rounds=rounds or 15, aims=inside)


def sizes() -> list[int]:
    """Return how many runs there are."""
    asked = os.environ.get("ANEW_BENCH_RUNS")
    return [int(asked)] if asked else [1_000, 10_000]


def contestants(store: Path) -> Contestants:
    """Return ways to ask, the barest first."""
    bare = _bare(store)
    return {
        "python -c pass": lambda: measure_process([sys.executable, "-c", "pass"], cwd=store),
        "the same rows in SQLite": lambda: measure_process([sys.executable, "-c", FLOOR, bare], cwd=store),
        "anew list": lambda: measure_process([ANEW, "--store", store, "list"], cwd=store),
        "anew list FILTER --sort": lambda: asking(store),
        "anew best METRIC FILTER": lambda: measure_process(
            [ANEW, "--store", store, "best", "test/acc", QUESTION], cwd=store
        ),
    }


def in_process(store: Path) -> Contestants:
    """Return ways to ask in this process."""
    database = sqlite3.connect(_bare(store))
    opened = FolderStore.open(store)
    return {
        "the same rows in SQLite": lambda: timed(lambda: database.execute(FLOOR.split('"')[1]).fetchall()),
        "store.find": lambda: timed(lambda: opened.find(QUESTION, sort=SORT, limit=51)),
    }


def timed(ask: object) -> Sample:
    """Measure a call."""
    assert callable(ask)
    began, used = time.perf_counter(), time.process_time()
    ask()
    return {"time_s": time.perf_counter() - began, "cpu_s": time.process_time() - used}


def asking(store: Path) -> Sample:
    """Measure the command."""
    return measure_process([ANEW, "--store", store, "list", QUESTION, f"--sort={SORT}"], cwd=store)


def _bare(store: Path) -> Path:
    """Return a database with what the question looks at in one table, which is made with the first call."""
    path = store.with_suffix(".sqlite")
    if not path.exists():
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE bare (run INTEGER PRIMARY KEY, lr REAL, loss REAL, acc REAL)")
            for record in FolderStore.open(store).find():
                metrics = (record.metrics[name].last for name in ("train/loss", "test/acc"))
                database.execute("INSERT INTO bare VALUES (?, ?, ?, ?)", (record.id, record.config["lr"], *metrics))
    return path


if __name__ == "__main__":
    main(comparisons)
