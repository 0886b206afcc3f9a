"""
A short form of the benchmarks, beside the figures of the last release: `make bench-quick`.

Each figure is CPU time as a multiple of what a floor takes in the same process or moment, the least of many short
stretches: what else the machine does, and how fast it is, falls on both. It says what has become slower, and never
fails.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.driver import machine, workshop
from benchmarks.log_call import many, new_journal
from benchmarks.runs import FILES, imported, write_synced
from benchmarks.startup import PLAIN, RECORDED, bare

BASELINE = Path(__file__).with_name("baseline.json")
STRETCHES, STRETCH = 60, 1_000
POINTS = 50_000
LINE = b'{"q":184100,"k":"m","t":52.113456,"s":184099,"m":{"train/loss":0.11345678},"c":"8f3a01bc"}\n'
NOTABLE = 1.15
SCRIPT = """\
from anew import Experiment
experiment = Experiment("quick")
@experiment.main
def main(x: int = 1) -> int:
    return x
if __name__ == "__main__":
    main()
"""
LIST = "import sys; from anew.runner.cli import main; sys.exit(main())"
MANY = """\
import json, os, sys, time
from anew import Experiment, Run, open_store
experiment = Experiment("quick")
points, line = int(sys.argv[1]), sys.argv[2].encode()
marks = {}
@experiment.main
def main(run: Run) -> None:
    for step in range(points):
        run.log({"loss": step / 7}, step)
    marks["ended"] = time.process_time()
main.run("anew.quiet=true", store="points")
ended = time.process_time()
series = open_store("points").metrics("last", "loss")
read = time.process_time()
floor = os.open("floor", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
for _ in range(points):
    os.write(floor, line)
print(json.dumps({"end": ended - marks["ended"], "read": read - ended, "floor": time.process_time() - read}))
"""


def logging(folder: Path) -> Mapping[str, float]:
    """Return what a call of `log` takes, as a multiple of one `os.write`."""
    journal = new_journal(folder / "quick.jsonl")
    floor = os.open(folder / "floor", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    least = least_of(
        {
            "floor": lambda step: os.write(floor, LINE),
            "log, a scalar": lambda step: journal.log({"train/loss": step / 7}, step),
        }
    )
    wide = least_of({"log, 100 metrics": lambda step: journal.log(many(step), step)}, STRETCH // 50)
    os.close(floor)
    journal.close()
    return {name: value / least["floor"] for name, value in {**least, **wide}.items() if name != "floor"}


def least_of(calls: Mapping[str, Callable[[int], object]], stretch: int = STRETCH) -> dict[str, float]:
    """Return the CPU time of each call, in seconds, the least of interleaved stretches."""
    least = dict.fromkeys(calls, 1e9)
    for number in range(STRETCHES):
        for name, call in calls.items():
            began = time.process_time()
            for step in range(number * stretch, (number + 1) * stretch):
                call(step)
            least[name] = min(least[name], (time.process_time() - began) / stretch)
    return least


def ending(folder: Path) -> Mapping[str, float]:
    """Return what the end of a run with many points takes, and reading them, as multiples of writing them."""
    (folder / "quick_points.py").write_text(MANY)
    command = [sys.executable, "quick_points.py", str(POINTS), LINE.decode()]
    samples = [json.loads(subprocess.check_output(command, cwd=folder)) for _ in range(3)]
    return {
        f"the end after {POINTS:,} points": min(each["end"] / each["floor"] for each in samples),
        f"read {POINTS:,} points": min(each["read"] / each["floor"] for each in samples),
    }


def running(folder: Path) -> Mapping[str, float]:
    """Return what a run of many in this process takes, as a multiple of its files, written and synced."""
    tiny, store = imported(bare(folder / "many"), "quick_many").tiny, folder / "many-runs"
    number = tiny.run("x=2", store=store).id
    contents = {name: (store / str(number) / name).read_bytes() for name in FILES}
    least = least_of(
        {
            "floor": lambda step: write_synced(folder / "synced" / str(step), contents),
            "main.run(), of many": lambda step: tiny.run(f"x={step}", store=store),
        },
        stretch=2,
    )
    return {name: value / least["floor"] for name, value in least.items() if name != "floor"}


def processes(folder: Path) -> Mapping[str, float]:
    """Return what whole processes take, as multiples of `python -c pass`."""
    (folder / "quick_script.py").write_text(SCRIPT)
    (folder / "quick_nodes.py").write_text(RECORDED)
    (folder / "quick_hydra.py").write_text(PLAIN)
    commands = {
        "floor": ["-c", "pass"],
        "from anew import Experiment, Run": ["-c", "from anew import Experiment, Run"],
        "a script with a run": ["quick_script.py", "anew.quiet=true"],
        "the same, a main of nodes": ["quick_nodes.py", "anew.quiet=true"],
        "plain Hydra": ["quick_hydra.py"],
        "anew list": ["-c", LIST, "list"],
        "anew show last": ["-c", LIST, "show", "last"],
    }
    least = dict.fromkeys(commands, 1e9)
    for _ in range(6):
        for name, words in commands.items():
            least[name] = min(least[name], process_time([sys.executable, *words], folder))
    return {name: value / least["floor"] for name, value in least.items() if name != "floor"}


def process_time(command: list[str], folder: Path) -> float:
    """Return the CPU time of a process and of those that it waited for, in seconds."""
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Read the command line, measure, and print each figure beside the baseline's."""
    parser = argparse.ArgumentParser(description="a short form of the benchmarks, beside the last release")
    parser.add_argument("--write", action="store_true", help="keep the figures as those to compare with")
    options = parser.parse_args()
    print(machine())
    with workshop() as folder:
        figures = {**logging(folder), **ending(folder), **running(folder), **processes(folder)}
    known = json.loads(BASELINE.read_text())["figures"] if BASELINE.exists() else {}
    print(f"{'CPU time, as a multiple of the floor':40}{'now':>9}{'before':>9}")
    for name, value in figures.items():
        before = known.get(name)
        told = "" if before is None or value < before * NOTABLE else f"   {value / before:.2f} times as much"
        print(f"{name:40}{value:>9.2f}{'' if before is None else format(before, '.2f'):>9}{told}")
    if options.write:
        rounded = {name: round(value, 3) for name, value in figures.items()}
        BASELINE.write_text(json.dumps({"machine": machine(), "figures": rounded}, indent=2) + "\n")


if __name__ == "__main__":
    main()
