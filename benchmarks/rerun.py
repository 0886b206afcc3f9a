"""What a re-run costs over the run itself, what laying out its source costs, and what noticing opened files costs."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anew
from anew.runner.capture.opened import OpenedFiles
from anew.runner.places import Places
from anew.runner.relaunch.mirror import lay_out_source
from benchmarks.driver import Aim, Comparison, Sample, compete, main, measure_process, workshop
from benchmarks.startup import project

FILES = 1_000
OPENINGS = 20_000
EVENTS = 500_000
ANEW = "import sys; from anew.runner.cli import main; sys.exit(main(sys.argv[1:]))"
RERUN_AIM = Aim(contestant="anew rerun", quantity="time_s", limit=0.5, more=True)
LAYOUT_AIM = Aim(contestant="laying out", quantity="time_s", limit=0.2)


def comparisons(rounds: int | None) -> Iterator[Comparison]:
    """Compare in a git project of 1,000 files; then opening files with and without a watch."""
    with workshop() as folder:
        place = project(folder / "project", files=FILES)
        command = [sys.executable, "recorded.py"]
        subprocess.run(command, cwd=place, check=True, capture_output=True)
        yield compete(
            f"running again in a git project of {FILES:,} files",
            {
                "python recorded.py": lambda: measure_process(command, cwd=place),
                "anew rerun": lambda: measure_process([sys.executable, "-c", ANEW, "rerun", "1"], cwd=place),
            },
            rounds=rounds or 10,
            aims=[RERUN_AIM],
        )
        yield compete(
            f"laying out {FILES:,} files",
            {"cp -r": copying(place, folder / "copy"), "laying out": laying_out(place, folder / "mirror")},
            rounds=rounds or 10,
            aims=[LAYOUT_AIM],
        )
        yield compete(
            "opening a file and reading it",
            {"unwatched": opening(place, False), "watched": opening(place, True)},
            rounds=rounds or 10,
        )
        yield compete(
            "an audit event of another kind",
            {"no watch": auditing(place, False), "watch": auditing(place, True)},
            rounds=rounds or 10,
        )


def copying(place: Path, target: Path) -> Callable[[], Sample]:
    """Return what copies the tracked files by the system's own means."""

    def copy() -> Sample:
        shutil.rmtree(target, ignore_errors=True)
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=place, capture_output=True, check=True).stdout
        target.mkdir()
        started = time.perf_counter()
        subprocess.run(
            ["xargs", "-0", "cp", "--parents", "-t", str(target)],
            cwd=place,
            input=listed,
            check=False,
            capture_output=True,
        )
        return {"time_s": time.perf_counter() - started}

    return copy


def laying_out(place: Path, mirror: Path) -> Callable[[], Sample]:
    """Return what lays out the recorded source, every digest compared."""
    store = anew.open_store()
    record = store.get(1)

    def lay_out() -> Sample:
        shutil.rmtree(mirror, ignore_errors=True)
        places = Places(Path(record.source.root or ""), mirror, moved=True)
        started = time.perf_counter()
        lay_out_source(record.source, places, store.objects, ref=record.id)
        return {"time_s": time.perf_counter() - started}

    return lay_out


def opening(place: Path, watched: bool) -> Callable[[], Sample]:
    """Return what opens one file of the project again and again."""
    return timed(place, watched, lambda: [read(place / "plain.py") for _ in range(OPENINGS)], OPENINGS)


def auditing(place: Path, watched: bool) -> Callable[[], Sample]:
    """Return what raises audit events that nobody waits for."""
    # the hook stays in the process, so that without a watch it is a hook at rest
    return timed(place, watched, lambda: [sys.audit("benchmark") for _ in range(EVENTS)], EVENTS)


def timed(place: Path, watched: bool, work: Callable[[], object], count: int) -> Callable[[], Sample]:
    """Return what does the work with or without a watch, and gives the time of one."""

    def measure() -> Sample:
        watch = OpenedFiles([place], most=10_000)
        if watched:
            watch.start()
        gc.collect()
        started = time.perf_counter()
        work()
        elapsed = time.perf_counter() - started
        watch.close()
        return {"time_s": elapsed / count}

    return measure


def read(path: Path) -> None:
    """Open a file as programs do."""
    with open(path, "rb") as file:
        os.read(file.fileno(), 10)


if __name__ == "__main__":
    main(comparisons)
