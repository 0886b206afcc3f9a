"""What capture costs while main is running: a loop that only computes, and one that only prints."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from anew import Experiment
from benchmarks.driver import Comparison, Sample, compete, main, measure_process, workshop

STEPS = 20_000_000
LINES = 200_000
PRINTING = f"""\
import sys
import time
from pathlib import Path

from anew import Experiment

experiment = Experiment("printing")


def talk():
    started = time.perf_counter()
    for number in range({LINES}):
        print("a line like many others, number", number)
    sys.stdout.flush()
    Path("elapsed").write_text(str(time.perf_counter() - started))


@experiment.main(config_path=None, version_base="1.3")
def main(cfg):
    talk()


if __name__ == "__main__":
    talk() if sys.argv[1:] == ["bare"] else main()
"""

experiment = Experiment("computing")


def compute() -> Sample:
    """Keep one core busy; return for how many seconds, and what the process used of all cores meanwhile."""
    started, used = time.perf_counter(), time.process_time()
    total = 0
    for step in range(STEPS):
        total += step & 7
    return {"loop_s": time.perf_counter() - started, "cpu_s": time.process_time() - used}


@experiment.main
def computing() -> Sample:
    """Compute, recorded."""
    return compute()


def comparisons(rounds: int | None) -> Iterator[Comparison]:
    """Compare the loops with capture, with parts of it, and without anew."""
    with workshop() as folder:
        computed = {
            "not recorded": compute,
            "nothing sampled": lambda: recorded("anew.system.enabled=false", "anew.output.mode=off"),
            "sampled every 5 s": lambda: recorded("anew.system.interval_s=5"),
            "sampled 10 times a second": lambda: recorded("anew.system.interval_s=0.1"),
        }
        yield compete("a loop that computes", computed, rounds=rounds or 7)
        (folder / "talk.py").write_text(PRINTING)
        printed = {
            "not recorded": lambda: printing(folder, "bare"),
            "output not captured": lambda: printing(folder, "anew.output.mode=off"),
            "output captured by Python": lambda: printing(folder, "anew.output.mode=sys"),
            "output captured by descriptor": lambda: printing(folder, "anew.output.mode=fd"),
        }
        yield compete(f"a loop that prints {LINES:,} lines", printed, rounds=rounds or 7)


def recorded(*overrides: str) -> Sample:
    """Return how long the loop took inside a run."""
    result: Sample = computing.run("anew.source.enabled=false", *overrides).result
    return result


def printing(folder: Path, argument: str) -> Sample:
    """Return how long the printing took."""
    measure_process([sys.executable, "talk.py", argument], cwd=folder)
    return {"loop_s": float((folder / "elapsed").read_text())}


if __name__ == "__main__":
    main(comparisons)
