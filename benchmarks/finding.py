"""
How long a question takes: `anew list FILTER --sort`, the whole command, and `store.find` in a process that goes on.

At 1,000 and 10,000 runs; at 100,000 whose folders are empty (`many_rows`); in a process at a million that are in the
index alone. ANEW_BENCH_RUNS=1000 takes one of these. Beside a floor: the same rows in bare SQLite.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from anew.runner.records import RunRecord
from anew.runner.store.folder import FolderStore
from benchmarks.driver import Aim, Comparison, Contestants, Sample, compete, main, measure_process, workshop
from benchmarks.many_rows import QUESTION, SHOWN, SORT, fill, fill_facts, some

ANEW = Path(sys.executable).parent / "anew"
MOST_FILLED, MOST_FOLDERS = 10_000, 100_000
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
            if count <= MOST_FILLED:
                command = [sys.executable, "-m", "benchmarks.filled_store", store, str(count), "--small"]
                subprocess.run(command, check=True)
                first = {"anew list FILTER": partial(asking, store)}
                yield compete(f"the first question to {count:,} runs", first, rounds=1)
            elif count <= MOST_FOLDERS:
                fill(store, count)
            else:
                fill_facts(store, count, QUESTION, SORT, SHOWN)
            if count <= MOST_FOLDERS:
                aims = [Aim(contestant="anew list FILTER --sort", quantity="time_s", limit=LIMITS_S.get(count, 1.0))]
                aims.append(Aim(contestant="anew list FILTER --sort", quantity="peak_bytes", limit=150e6))
                yield compete(
                    f"a question to {count:,} runs", contestants(store, count), rounds=rounds or 15, aims=aims
                )
            inside = [Aim(contestant="store.find", quantity="cpu_s", limit=0.01 * max(1, count // 10_000))]
            title = f"a question to {count:,} runs, in a process"
            yield compete(title, in_process(store, count), rounds=rounds or 15, aims=inside)


def sizes() -> list[int]:
    """Return how many runs there are."""
    asked = os.environ.get("ANEW_BENCH_RUNS")
    return [int(asked)] if asked else [1_000, 10_000, 100_000, 1_000_000]


def contestants(store: Path, count: int = 0) -> Contestants:
    """Return ways to ask, the barest first."""
    bare = _bare(store, count)
    return {
        "python -c pass": lambda: measure_process([sys.executable, "-c", "pass"], cwd=store),
        "the same rows in SQLite": lambda: measure_process([sys.executable, "-c", FLOOR, bare], cwd=store),
        "anew list": lambda: measure_process([ANEW, "--store", store, "list"], cwd=store),
        "anew list FILTER --sort": lambda: asking(store),
        "anew best METRIC FILTER": lambda: measure_process(
            [ANEW, "--store", store, "best", "test/acc", QUESTION], cwd=store
        ),
    }


def in_process(store: Path, count: int) -> Contestants:
    """Return ways to ask in this process."""
    database = sqlite3.connect(_bare(store, count))
    opened = FolderStore.open(store)
    if count > MOST_FOLDERS:
        opened._index.sampled_at = float("inf")  # those that are looked at by chance have no folders
    return {
        "the same rows in SQLite": lambda: timed(lambda: database.execute(FLOOR.split('"')[1]).fetchall()),
        "store.find": lambda: timed(lambda: opened.find(QUESTION, sort=SORT, limit=SHOWN)),
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


def _bare(store: Path, count: int = 0) -> Path:
    """Return a database with what the question looks at in one table, which is made with the first call."""
    path = store.with_suffix(".sqlite")
    if not path.exists():
        records: Iterable[RunRecord] = some(1, count + 1) if count > MOST_FILLED else FolderStore.open(store).find()
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE bare (run INTEGER PRIMARY KEY, lr REAL, loss REAL, acc REAL)")
            for record in records:
                metrics = (record.metrics[name].last for name in ("train/loss", "test/acc"))
                database.execute("INSERT INTO bare VALUES (?, ?, ?, ?)", (record.id, record.config["lr"], *metrics))
    return path


if __name__ == "__main__":
    main(comparisons)
