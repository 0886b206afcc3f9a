"""What a trial of `anew why` costs over the plain run, and how many trials are used where one cause is to be found."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anew
from benchmarks.driver import Aim, Comparison, Sample, compete, main, measure_process, workshop

KEYS = 32
GUILTY = 21
# both ends, the halvings, and one that says that it is enough alone
MOST = 2 + math.ceil(math.log2(KEYS)) + 1
TRIAL_AIM = Aim(contestant="a trial", quantity="time_s", limit=0.35, more=True)
SCRIPT = f"""\
from anew import Experiment

experiment = Experiment("why")


@experiment.main
def main({", ".join(f"k{number}: float = 0.0" for number in range(KEYS))}):
    return 1.0 + k{GUILTY}


if __name__ == "__main__":
    main()
"""


def comparisons(rounds: int | None) -> Iterator[Comparison]:
    """Compare a search in a project of one file, by its trials, with the run that is explained."""
    with workshop() as folder:
        (folder / "fit.py").write_text(SCRIPT)
        store = folder / "runs"
        plain = [sys.executable, "fit.py", "anew.seed=1", "-q"]
        for values in ([], [f"k{number}={number + 1}" for number in range(KEYS)]):
            subprocess.run([*plain, *values], cwd=folder, check=True, capture_output=True)
        yield compete(
            f"one cause among {KEYS} keys; at most {MOST} trials with both ends",
            {"python fit.py": lambda: measure_process(plain, cwd=folder), "a trial": searching(store)},
            rounds=rounds or 5,
            aims=[TRIAL_AIM],
        )


def searching(store: Path) -> Callable[[], Sample]:
    """Return what measures a search, for each of its trials; those of an earlier one are not there to be used."""

    def search() -> Sample:
        for run in anew.open_store(store).find("has(why)"):
            shutil.rmtree(store / str(run.id))
        shutil.rmtree(store / "whys", ignore_errors=True)
        started = time.perf_counter()
        found = anew.why(1, 2, store=store)
        passed = time.perf_counter() - started
        assert len(found.trials) <= MOST, found.sentence
        return {"time_s": passed / len(found.trials)}

    return search


if __name__ == "__main__":
    main(comparisons)
