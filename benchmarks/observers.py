"""What observers cost a training loop, and how fast MongoDB has what was logged."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.driver import Aim, Comparison, Sample, compete, main, workshop

TESTS = Path(__file__).resolve().parent.parent / "tests"
POINTS_PER_S = 5_000
SECONDS = 60
CALLS = 20_000
# One call a millisecond, as a quick training loop has; each call timed.
LOOP = """\
import json, statistics, sys, time
from anew import Experiment, Run
experiment = Experiment("loop")

@experiment.main
def main(calls: int = 0, *, run: Run):
    times = []
    for step in range(calls):
        before = time.perf_counter_ns()
        run.log({"loss": step / 7}, step=step)
        times.append(time.perf_counter_ns() - before)
        time.sleep(0.0005)
    percentiles = statistics.quantiles(times, n=100)
    print(json.dumps({"p50_s": percentiles[49] / 1e9, "p99_s": percentiles[98] / 1e9}))

main()
"""
# Ten metrics a call at a steady rate; says how long that took.
STEADY = """\
import time
from anew import Experiment, Run
experiment = Experiment("steady")

@experiment.main
def main(rate: int = 0, seconds: float = 0, *, run: Run):
    begun = time.monotonic()
    for step in range(int(rate / 10 * seconds)):
        run.log({f"m{number}": step / 7 for number in range(10)}, step=step)
        time.sleep(max(0.0, begun + step * 10 / rate - time.monotonic()))

main()
"""


def comparisons(rounds: int | None) -> Iterator[Comparison]:
    """Compare loops without an observer and with MongoDB healthy, slow and down; then a minute at a steady rate."""
    with workshop() as folder, servers(folder) as (healthy, slow, down):
        (folder / "loop.py").write_text(LOOP)
        (folder / "steady.py").write_text(STEADY)
        loops = {
            "no observer": lambda: looped(folder, []),
            "MongoDB, healthy": lambda: looped(folder, to(healthy)),
            "MongoDB, 500 ms a reply": lambda: looped(folder, to(slow)),
            "MongoDB, down": lambda: looped(folder, to(down)),
        }
        aims = [Aim(contestant=name, quantity="p99_s", limit=50e-6) for name in loops]
        yield compete("run.log beside an observer", loops, rounds=rounds or 3, aims=aims)
        minute = {"MongoDB": lambda: steady(folder, healthy)}
        yield compete(f"{POINTS_PER_S} points/s for {SECONDS} s", minute, rounds=1)


@contextmanager
def servers(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Give the URLs of a MongoDB that answers at once, of one that takes 500 ms, and of none."""
    sys.path.insert(0, str(TESTS))
    from wire import FaultyProxy, MongoServer, free_port, with_database

    with MongoServer(folder / "server") as server, FaultyProxy(server) as wire:
        wire.delay(0.5)
        yield (
            with_database(server.url, "bench"),
            with_database(wire.url, "bench"),
            f"mongodb://127.0.0.1:{free_port()}/bench",
        )


def to(url: str) -> list[str]:
    """Return the overrides that send a run there."""
    return ["anew/observers=[files,mongo]", f"anew.observers.mongo.url={url}", "anew.drain_s=1"]


def run(folder: Path, script: str, args: Sequence[str]) -> str:
    """Run a script; return what it printed."""
    command = [sys.executable, script, "-q", *args]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, env=dict(os.environ))
    return done.stdout


def looped(folder: Path, args: Sequence[str]) -> Sample:
    """Return what a call cost, and how long the whole script took."""
    begun = time.perf_counter()
    printed = run(folder, "loop.py", [f"calls={CALLS}", *args])
    found: Sample = json.loads(next(line for line in printed.splitlines() if line.startswith("{")))
    return {**found, "script_s": time.perf_counter() - begun}


def steady(folder: Path, url: str) -> Sample:
    """Return how many points were delivered per second, and how far behind the database was when main had ended."""
    from pymongo import MongoClient

    overrides = [*to(url)[:2], "anew.drain_s=60"]
    begun = time.perf_counter()
    run(folder, "steady.py", [f"rate={POINTS_PER_S}", f"seconds={SECONDS}", *overrides])
    took = time.perf_counter() - begun
    with MongoClient(url) as client:
        base = client.get_default_database()
        newest = base["runs"].find_one(sort=[("_id", -1)])
        assert newest is not None
        metrics = base["metrics"].find({"run_id": newest["_id"], "name": re.compile("^m")})
        points = sum(len(each["values"]) for each in metrics)
    return {"points": points, "points_per_s": points / took, "behind_s": took - SECONDS}


if __name__ == "__main__":
    main(comparisons)
