"""How many runs a second can be started and finished from Python, beside the bare files that a run consists of."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.driver import Aim, Comparison, Sample, compete, main, workshop
from benchmarks.startup import bare, project

BATCH = 100
FILES = ("run.json", "events/main.jsonl", "outcome.json")
TINY = """\
from anew import Experiment

experiment = Experiment("many")


@experiment.main
def tiny(x: float = 1.0) -> float:
    return x * x
"""
AIM = Aim(contestant="main.run()", quantity="runs_per_s", limit=200, least=True)


def comparisons(rounds: int | None) -> Iterator[Comparison]:
    """Compare batches of runs of a script of its own, ten and so 1,000 runs by default, and of one in a git project."""
    with workshop() as folder:
        tiny = imported(bare(folder / "bare"), "tiny_alone")
        yield compare("from Python", tiny, folder / "runs-alone", folder / "floor-alone", rounds or 10)
        tiny = imported(project(folder / "project", files=1_000), "tiny_in_project")
        yield compare("in a git project of 1,000 files", tiny, folder / "runs", folder / "floor", min(rounds or 2, 2))


def imported(folder: Path, name: str) -> Any:
    """Put the experiment into a folder and import it from there."""
    (folder / f"{name}.py").write_text(TINY)
    sys.path.insert(0, str(folder))
    return importlib.import_module(name).tiny


def compare(where: str, tiny: Any, store: Path, floor: Path, rounds: int) -> Comparison:
    """Compare batches of runs with batches of the same three files."""
    tiny.run("x=2", store=store)
    contents = {name: (store / "1" / name).read_bytes() for name in FILES}
    contestants = {
        "three files, synced": batch(lambda number: write_synced(floor / str(number), contents)),
        "main.run()": batch(lambda number: tiny.run(f"x={number}", store=store)),
    }
    title = f"start and finish of runs {where}, {BATCH} a round"
    return compete(title, contestants, rounds=rounds, aims=[AIM])


def batch(start: Callable[[int], object]) -> Callable[[], Sample]:
    """Return what measures a batch; every number is given once."""
    numbers = iter(range(10**9))

    def measure() -> Sample:
        started = time.perf_counter()
        for _ in range(BATCH):
            start(next(numbers))
        elapsed = time.perf_counter() - started
        return {"runs_per_s": BATCH / elapsed, "each_s": elapsed / BATCH}

    return measure


def write_synced(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write the files of a run in the plainest way that keeps a promise: synced, and their folder too."""
    (folder / "events").mkdir(parents=True)
    (folder / "files").mkdir()
    for name, content in contents.items():
        with open(folder / name, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


if __name__ == "__main__":
    main(comparisons)
