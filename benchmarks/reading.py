"""
What looking at runs costs in process: CPU time, beside the same rows in bare SQLite and the same numbers in a file.

The newest runs, a filter with a sort, and a series; the first time, when what is derived is made, is measured apart.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from anew.runner.format import serial
from anew.runner.store.folder import FolderStore
from benchmarks.driver import Aim, Comparison, Contestants, Sample, compete, main, workshop

# how many points a series has, and how long it may take to read it, and to read it for the first time
SIZES = [(100_000, (0.010, 0.150)), (1_000_000, (0.100, None))]
if "ANEW_BENCH_LONG" in os.environ:  # minutes to write, and a GiB
    SIZES.append((10_000_000, (1.000, None)))
QUERY, SORT = "train/loss < 0.1", "train/loss"


def comparisons(rounds: int | None) -> Iterator[Comparison]:
    """Compare runs of a store of 1,000, and series of 100,000 and of a million points."""
    with workshop() as folder:
        root = folder / "runs-1000"
        subprocess.run([sys.executable, "-m", "benchmarks.filled_store", root, "1000"], check=True)
        yield compete("the newest 50 of 1,000 runs", newest(root), rounds=rounds or 15, aims=[aim("anew", 0.002)])
        aims = [aim("anew", 0.005), aim("anew, a new process", 0.050)]
        yield compete("filter and sort of 1,000 runs", filtered(root), rounds=rounds or 15, aims=aims)
        for count, limits in SIZES:
            series = folder / f"series-{count}"
            log(series, count)
            aims = [aim("anew", limits[0])]
            yield compete(f"a series of {count:,} points", points(series, count), rounds=rounds or 5, aims=aims)
            yield compete(
                f"500 buckets of {count:,} points", buckets(series), rounds=rounds or 5, aims=[aim("anew", 0.3)]
            )
            first = {"anew": partial(cpu, partial(read_afresh, series))}
            aims = [aim("anew", limits[1])] if limits[1] else []
            yield compete(f"a series of {count:,} points, the first time", first, rounds=3, aims=aims)


def aim(contestant: str, limit: float) -> Aim:
    """Return an aim for CPU time."""
    return Aim(contestant=contestant, quantity="cpu_s", limit=limit)


def cpu(call: Callable[[], Any]) -> Sample:
    """Measure what a call takes of this process's CPU time."""
    started = time.process_time()
    call()
    return {"cpu_s": time.process_time() - started}


def newest(root: Path) -> Contestants:
    """Return ways to have the newest runs, the barest first."""
    store, rows = FolderStore.open(root), bare(root)
    return {
        "SQLite": lambda: cpu(lambda: select(rows, "SELECT * FROM runs ORDER BY id DESC LIMIT 50")),
        "anew": lambda: cpu(lambda: store.find(limit=50)),
    }


def filtered(root: Path) -> Contestants:
    """Return ways to have the runs that pass a filter, sorted; beside SQLite, what a look at each run's files takes."""
    store, rows = FolderStore.open(root), bare(root)
    names = ("events", "events/main.jsonl", "run.json", "outcome.json", ".")
    paths = [f"{root}/{number}/{name}" for number in store.numbers() for name in names]
    return {
        "SQLite": lambda: cpu(lambda: select(rows, "SELECT * FROM runs WHERE loss < 0.1 ORDER BY loss")),
        "lstat of 5 files a run": lambda: cpu(lambda: [os.lstat(path) for path in paths]),
        "anew": lambda: cpu(lambda: store.find(QUERY, sort=SORT)),
        "anew, a new process": lambda: cpu(lambda: FolderStore.open(root).find(QUERY, sort=SORT)),
    }


def bare(root: Path) -> Path:
    """Return a file with the same rows and nothing else."""
    path = root.with_suffix(".rows")
    if not path.exists():
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, loss REAL, config TEXT)")
            found = [(each.id, each.metrics["train/loss"].last, str(each.config)) for each in FolderStore(root).find()]
            database.executemany("INSERT INTO runs VALUES (?, ?, ?)", found)
    return path


def select(path: Path, query: str) -> list[Any]:
    """Ask SQLite."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def log(root: Path, count: int) -> None:
    """Make a store with one run of so many points, written as `run.log` writes them."""
    subprocess.run([sys.executable, "-m", "benchmarks.filled_store", root, "1"], check=True)
    layout = FolderStore.open(root).layout.run(1)
    values = [1 / q for q in range(1, count + 1)]
    np.save(root.with_suffix(".npy"), np.array([range(count), range(count), values]))
    with layout.journal("main").open("wb") as file:
        for q, value in enumerate(values, 1):
            file.write(serial.seal({"q": q, "k": "m", "t": q / 1e6, "s": q, "m": {"loss": value}}))


def points(root: Path, count: int) -> Contestants:
    """Return ways to read a series, the barest first."""
    store = FolderStore.open(root)

    def read() -> None:
        assert len(store.metrics(1, "loss").exact) == count

    return {"NumPy": lambda: cpu(lambda: np.load(root.with_suffix(".npy"))), "anew": lambda: cpu(read)}


def buckets(root: Path) -> Contestants:
    """Return ways to have what a chart needs of a series, the barest first; what is derived of it is there."""
    store = FolderStore.open(root)

    def bare() -> None:
        _, _, values = np.load(root.with_suffix(".npy"))
        parts = np.array_split(values, 500)
        assert len([(part.min(), part.max(), part.mean()) for part in parts]) == 500

    def read() -> None:
        [found] = store.series(1, "loss", buckets=500)
        assert len(found.mean) == 500

    return {"NumPy": lambda: cpu(bare), "anew": lambda: cpu(read)}


def read_afresh(root: Path) -> None:
    """Read a series of which nothing is derived yet."""
    store = FolderStore.open(root)
    with suppress(FileNotFoundError):
        store.layout.index.unlink()
    store.metrics(1, "loss")


if __name__ == "__main__":
    main(comparisons)
