"""
Do one workload with one tracker and print what it took, as JSON.

    python -m benchmarks.peers.work PEER WORKLOAD FOLDER
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.peers.adapters import PEERS, Listing, Log, Peer, Reading

POINTS = 100_000
WIDE, WIDE_CALLS = 100, 1_000
RUNS = 50
STORED = 1_000
WRITERS, WRITER_POINTS = 8, 10_000
READ_TIMES = 5
Sample = Mapping[str, float]


def start(peer: Peer, store: Path) -> Sample:
    """One run with one point; the process as a whole is measured from outside."""
    peer.record(store, 1, lambda log: log({"loss": 0.5}, 0))
    return {}


def scalars(peer: Peer, store: Path) -> Sample:
    """One number a call."""
    return logged(peer, store, POINTS // peer.slower, lambda log, step: log({"loss": step / 7}, step), 1)


def wide(peer: Peer, store: Path) -> Sample:
    """A hundred numbers a call."""
    names = [f"metric/{number}" for number in range(WIDE)]
    calls = max(WIDE_CALLS // peer.slower, 10)
    return logged(peer, store, calls, lambda log, step: log(dict.fromkeys(names, step / 7), step), WIDE)


def logged(peer: Peer, store: Path, calls: int, call: Callable[[Log, int], object], points: int) -> Sample:
    """Return the rates, in points a second, in the loop and from the start to the end; and how long the end took."""
    sample: dict[str, float] = {}
    ended = 0.0

    def main(log: Log) -> None:
        nonlocal ended
        began = time.perf_counter()
        for step in range(calls):
            call(log, step)
        ended = time.perf_counter()
        sample["loop_per_s"] = calls * points / (ended - began)

    began = time.perf_counter()
    peer.record(store, 1, main)
    done = time.perf_counter()
    sample["all_per_s"] = calls * points / (done - began)
    sample["end_s"] = done - ended
    return sample


def one_by_one(peer: Peer, store: Path) -> Sample:
    """Calls timed one by one: the slowest of a hundred."""
    times: list[int] = []

    def main(log: Log) -> None:
        for step in range(20_000 // peer.slower):
            before = time.perf_counter_ns()
            log({"loss": step / 7}, step)
            times.append(time.perf_counter_ns() - before)

    peer.record(store, 1, main)
    percentiles = statistics.quantiles(times, n=100)
    return {"p50_s": percentiles[49] / 1e9, "p99_s": percentiles[98] / 1e9}


def log_one(value: float, log: Log) -> None:
    """Log one number."""
    log({"loss": value}, 0)


def many(peer: Peer, store: Path) -> Sample:
    """Many tiny runs in a process, after a first one."""
    peer.record(store, 0, lambda log: log({"loss": 0.0}, 0))
    before = size_of(store)
    count = max(RUNS // min(peer.slower, 10), 3)
    began = time.perf_counter()
    for number in range(1, count + 1):
        peer.record(store, number, partial(log_one, number / 7))
    elapsed = time.perf_counter() - began
    after = size_of(store)
    return {
        "runs_per_s": count / elapsed,
        "files": (after[0] - before[0]) / count,
        "each_bytes": (after[1] - before[1]) / count,
    }


def fill(peer: Peer, store: Path) -> Sample:
    """Record the runs that are looked for; slow trackers record a fifth of them."""
    for number in range(STORED // min(peer.slower, 5)):
        peer.record(store, number, partial(log_one, number % 17 / 7))
    return {}


def cold(peer: Listing, store: Path) -> Sample:
    """Runs of a store that is filled, filtered and sorted; the process as a whole is measured from outside."""
    peer.found(store)
    return {}


def find(peer: Listing, store: Path) -> Sample:
    """Runs listed, filtered and sorted in a process: the first time and warm."""
    fill(peer, store)
    return {
        **{f"newest_{name}": value for name, value in read(lambda: peer.newest(store)).items()},
        **{f"found_{name}": value for name, value in read(lambda: peer.found(store)).items()},
    }


def back(peer: Reading, store: Path) -> Sample:
    """A series read back: the first time and warm."""
    scalars(peer, store)
    return read(lambda: peer.series(store))


def read(call: Callable[[], object]) -> dict[str, float]:
    times = []
    for _ in range(READ_TIMES):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return {"first_s": times[0], "warm_s": statistics.median(times[1:])}


def crowd(peer: Peer, store: Path) -> Sample:
    """Eight processes with a run each in one store, from the start of the first to the end of the last."""
    points = WRITER_POINTS // peer.slower
    name = next(name for name, kind in PEERS.items() if type(peer) is kind)
    command = [sys.executable, "-m", "benchmarks.peers.work", name, "writer"]
    began = time.perf_counter()
    processes = [
        subprocess.Popen([*command, str(store), str(number)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for number in range(1, WRITERS + 1)
    ]
    failed = sum(process.wait() != 0 for process in processes)
    elapsed = time.perf_counter() - began
    if failed:
        raise RuntimeError(f"{failed} of {WRITERS} processes failed")
    return {"time_s": elapsed, "all_per_s": points * WRITERS / elapsed}


def write(peer: Peer, store: Path, number: int) -> None:
    """Be one of the processes of `crowd`."""
    points = WRITER_POINTS // peer.slower

    def main(log: Log) -> None:
        for step in range(points):
            log({"loss": step / 7}, step)

    peer.record(store, number, main)


def size_of(folder: Path) -> tuple[int, int]:
    """Return how many files a folder has, and how many bytes they take on disk."""
    status = [each.lstat() for each in folder.rglob("*") if each.is_file()]
    return len(status), sum(each.st_blocks * 512 for each in status)


# each takes what `__main__.can` says that it asks of a peer
WORKLOADS: Mapping[str, Callable[[Any, Path], Sample]] = {
    "start": start,
    "scalars": scalars,
    "one_by_one": one_by_one,
    "wide": wide,
    "many": many,
    "find": find,
    "cold": cold,
    "back": back,
    "crowd": crowd,
}


def main() -> None:
    """Read the command line."""
    name, workload, folder, *rest = sys.argv[1:]
    peer = PEERS[name]()
    # what trackers print is none of the figures
    figures = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if workload == "version":
        sample: object = peer.version()
    elif workload == "fill":
        sample = fill(peer, Path(folder))
    elif workload == "writer":
        sample = write(peer, Path(folder), int(rest[0]))
    else:
        sample = WORKLOADS[workload](peer, Path(folder))
    print(json.dumps(sample), file=figures, flush=True)


if __name__ == "__main__":
    main()
