"""What one `run.log` costs, beside a bare `os.write` of a line as long."""

from __future__ import annotations

import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from anew.runner.store.journal import JournalWriter
from benchmarks.driver import Aim, Comparison, Sample, compete, main, workshop

CALLS = 200_000
TIMED = 20_000
WIDE = 100
MILLION = 1_000_000


def comparisons(rounds: int | None) -> Iterator[Comparison]:
    """Compare a scalar a call, 100 metrics a call, and the memory that a million points take."""
    with workshop() as folder:
        journal = new_journal(folder / "one.jsonl")
        floor = os.open(folder / "floor", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        line = b'{"q":184100,"k":"m","t":52.113456,"s":184099,"m":{"train/loss":0.11345678},"c":"8f3a01bc"}\n'
        scalar = {
            "os.write": lambda: timed(lambda step: os.write(floor, line)),
            "log, a scalar": lambda: timed(lambda step: journal.log({"train/loss": step / 7}, step)),
        }
        aims = [
            Aim(contestant="log, a scalar", quantity="calls_per_s", limit=400_000, least=True),
            Aim(contestant="log, a scalar", quantity="p99_s", limit=20e-6),
        ]
        yield compete("run.log of a scalar", scalar, rounds=rounds or 10, aims=aims)
        os.truncate(floor, 0)
        wide = {
            "100 lines by os.write": lambda: timed(
                lambda step: [os.write(floor, line) for _ in range(WIDE)], CALLS // WIDE
            ),
            "log, 100 metrics": lambda: timed(lambda step: journal.log(many(step), step), CALLS // WIDE),
        }
        yield compete("run.log of 100 metrics", wide, rounds=rounds or 10)
        os.close(floor)
        journal.close()
        yield compete("a million points", {"log": lambda: grown(folder)}, rounds=min(rounds or 2, 2))


NAMES = [f"metric/{number}" for number in range(WIDE)]


def many(step: int) -> dict[str, float]:
    """Return 100 metrics."""
    return dict.fromkeys(NAMES, step / 7)


def new_journal(path: Path) -> JournalWriter:
    """Begin a journal with the settings of a run."""
    return JournalWriter(path, clock=time.monotonic, origin=time.monotonic())


def timed(call: Callable[[int], object], calls: int = CALLS) -> Sample:
    """Return the rate over all calls, and the spread of further ones, timed one by one."""
    started = time.perf_counter()
    for step in range(calls):
        call(step)
    rate = calls / (time.perf_counter() - started)
    single = []
    for step in range(max(TIMED * calls // CALLS, 1_000)):
        before = time.perf_counter_ns()
        call(step)
        single.append(time.perf_counter_ns() - before)
    percentiles = statistics.quantiles(single, n=100)
    return {"calls_per_s": rate, "p50_s": percentiles[49] / 1e9, "p99_s": percentiles[98] / 1e9}


def grown(folder: Path) -> Sample:
    """Return by how much the peak memory of this process has grown after a million points, and the time they took."""
    path = folder / "million.jsonl"
    journal = new_journal(path)
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    for step in range(MILLION):
        journal.log({"train/loss": step / 7}, step)
    elapsed = time.perf_counter() - started
    journal.close()
    path.unlink()
    return {"time_s": elapsed, "growth_bytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit}


if __name__ == "__main__":
    main(comparisons)
