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
import anew
from anew import Experiment

experiment = Experiment("many")


@experiment.main
def tiny(x: float = 1.0) -> float:
    return x * x


def begun(x: float, store: str) -> int:
    with anew.start("many", {"x": x}, store=store, quiet=True) as run:
        pass
    return run.id
"""
CALLED, STARTED = "main.run()", "anew.start()"
AIMS = [
    Aim(contestant=CALLED, quantity="runs_per_s", limit=300, least=True),
    Aim(contestant=STARTED, quantity="runs_per_s", limit=500, least=True),
    *(Aim(contestant=each, quantity="run_files", limit=5) for each in (CALLED, STARTED)),
    *(Aim(contestant=each, quantity="size_bytes", limit=8 * 1024) for each in (CALLED, STARTED)),
]


def comparisons(rounds: int | None) -> Iterator[Comparison]:
    """Compare batches of runs of a script of its own, ten and so 1,000 runs by default, and of one in a git project."""
    with workshop() as folder:
        script = imported(bare(folder / "bare"), "tiny_alone")
        yield compare("from Python", script, folder / "runs-alone", folder / "floor-alone", rounds or 10)
        script = imported(project(folder / "project", files=1_000), "tiny_in_project")
        yield compare("in a git project of 1,000 files", script, folder / "runs", folder / "floor", min(rounds or 2, 2))


def imported(folder: Path, name: str) -> Any:
    """Put the experiment into a folder and import it from there."""
    (folder / f"{name}.py").write_text(TINY)
    sys.path.insert(0, str(folder))
    return importlib.import_module(name)


def compare(where: str, script: Any, store: Path, floor: Path, rounds: int) -> Comparison:
    """Compare batches of runs with batches of the same three files."""
    tiny = script.tiny
    number = tiny.run("x=2", store=store).id
    contents = {name: (store / str(number) / name).read_bytes() for name in FILES}

    def called(number: int) -> Path:
        return store / str(tiny.run(f"x={number}", store=store).id)

    def started(number: int) -> Path:
        return store / str(script.begun(float(number), str(store)))

    contestants = {
        "three files, synced": batch(lambda number: write_synced(floor / str(number), contents)),
        CALLED: batch(called),
        STARTED: batch(started),
    }
    title = f"start and finish of runs {where}, {BATCH} a round"
    return compete(title, contestants, rounds=rounds, aims=AIMS)


def batch(start: Callable[[int], Path]) -> Callable[[], Sample]:
    """Return what measures a batch, given what makes one of it and returns its folder; every number is given once."""
    numbers = iter(range(10**9))

    def measure() -> Sample:
        began, began_cpu = time.perf_counter(), time.process_time()
        folders = [start(next(numbers)) for _ in range(BATCH)]
        elapsed, elapsed_cpu = time.perf_counter() - began, time.process_time() - began_cpu
        files = [path for path in folders[-1].rglob("*") if path.is_file()]
        return {
            "runs_per_s": BATCH / elapsed,
            "each_s": elapsed / BATCH,
            "cpu_s": elapsed_cpu / BATCH,
            "run_files": len(files),
            "size_bytes": sum(path.stat().st_size for path in files),
        }

    return measure


def write_synced(folder: Path, contents: Mapping[str, bytes]) -> Path:
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
    return folder


if __name__ == "__main__":
    main(comparisons)
