"""Measure anew beside other trackers: `make bench-peers`. With --write, docs/benchmarks.md is written from it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.driver import in_units, machine, measure_process
from benchmarks.peers.adapters import PEERS, Listing, Peer, Reading
from benchmarks.peers.work import WORKLOADS

ROOT = Path(__file__).resolve().parent.parent.parent
ENVIRONMENTS = ROOT / ".venv-peers"
PAGE = ROOT / "docs" / "benchmarks.md"
# what is written by hand begins here, and stays
BY_HAND = "\n## Where the time of a start goes\n"
MOST_S = 600
# workload -> what it is, and quantity -> what that is called
SHOWN: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "start": ("start and end, whole process", {"time_s": "time", "peak_bytes": "memory"}),
    "scalars": (
        "one number a call",
        {"loop_per_s": "in the loop", "all_per_s": "from start to durable end", "end_s": "the end"},
    ),
    "one_by_one": ("one number a call, timed one by one", {"p50_s": "median", "p99_s": "99 of 100 within"}),
    "wide": ("100 numbers a call", {"loop_per_s": "in the loop", "all_per_s": "from start to durable end"}),
    "many": (
        "many tiny runs in a process",
        {"runs_per_s": "runs", "files": "files a run", "each_bytes": "on disk a run"},
    ),
    "find": (
        "1,000 runs in process; of MLflow 200",
        {
            "newest_first_s": "newest 50, first",
            "newest_warm_s": "newest 50, warm",
            "found_first_s": "filter and sort, first",
            "found_warm_s": "filter and sort, warm",
        },
    ),
    "cold": ("filter and sort these, whole process", {"time_s": "time", "peak_bytes": "memory"}),
    "back": ("read a series back", {"first_s": "first", "warm_s": "warm"}),
    "crowd": ("8 processes, one store", {"time_s": "time", "all_per_s": "points together"}),
}


@dataclass(slots=True)
class Found:
    """
    What was measured.

    Attributes:
        versions: Peer -> its version, of those that could be made.
        missing: Peer -> why there is none.
        samples: Workload -> peer -> quantity -> a value for each round.
        failed: Workload -> peer -> why there is no figure.
    """

    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    samples: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    failed: dict[str, dict[str, str]] = field(default_factory=dict)


def python_of(name: str) -> Path:
    """Return the Python of a peer, its environment made where it is missing. Raises RuntimeError."""
    package = PEERS[name].package
    if not package:
        return Path(sys.executable)
    folder = ENVIRONMENTS / name
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        print(f"{folder.relative_to(ROOT)}: installing {package} ...", file=sys.stderr, flush=True)
        venv.create(folder, with_pip=True, clear=True)
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or ["pip failed"])[-1])
        ready.touch()
    return python


def measured(peers: Sequence[str], workloads: Sequence[str], rounds: int) -> Found:
    """Measure, interleaved: one round of all after the other, and a first one that is not counted."""
    found, pythons = Found(), dict[str, Path]()
    with project() as (folder, run):
        for name in peers:
            try:
                pythons[name] = python_of(name)
                found.versions[name] = str(json.loads(run(pythons[name], name, "version", folder)) or "")
            except (RuntimeError, OSError, ValueError) as error:
                found.missing[name] = str(error).strip().splitlines()[-1][:200]
        for workload in workloads:
            able = [name for name in found.versions if can(name, workload)]
            for number in range(rounds + 1):
                for name in able:
                    if name in found.failed.get(workload, {}):
                        continue
                    store = folder / f"store-{name}"
                    try:
                        sample = measured_once(run, pythons[name], name, workload, store)
                    except (RuntimeError, OSError, ValueError, subprocess.TimeoutExpired) as error:
                        why = (str(error).strip().splitlines() or [type(error).__name__])[-1][:200]
                        found.failed.setdefault(workload, {})[name] = why
                        continue
                    finally:
                        shutil.rmtree(store, ignore_errors=True)
                    if number or not rounds:
                        kept = found.samples.setdefault(workload, {}).setdefault(name, {})
                        for quantity, value in sample.items():
                            kept.setdefault(quantity, []).append(value)
            print(table(found, workload), flush=True)
    return found


def can(name: str, workload: str) -> bool:
    """Whether a peer has what a workload asks of it."""
    kind = PEERS[name]
    needed = {"find": Listing, "cold": Listing, "back": Reading}.get(workload, Peer)
    if kind.package == "signac" and workload in ("scalars", "one_by_one", "wide", "crowd"):
        return False  # it has no series
    return issubclass(kind, needed)


class Runner:
    """Runs `benchmarks.peers.work` in a project of its own, so that no tracker captures this repository."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        package = folder / "benchmarks" / "peers"
        package.mkdir(parents=True)
        (package.parent / "__init__.py").touch()
        for name in ("__init__.py", "adapters.py", "work.py"):
            shutil.copy(ROOT / "benchmarks" / "peers" / name, package)
        self._env = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "HOME": str(folder)}
        for variable in ("PYTHONPATH", "ANEW_STORE"):
            self._env.pop(variable, None)

    def command(self, python: Path, name: str, workload: str, store: Path) -> list[str]:
        return [str(python), "-m", "benchmarks.peers.work", name, workload, str(store)]

    def whole(self, python: Path, name: str, workload: str, store: Path) -> Mapping[str, float]:
        """Measure the process as a whole."""
        return measure_process(self.command(python, name, workload, store), cwd=self._folder, env=self._env)

    def __call__(self, python: Path, name: str, workload: str, store: Path) -> str:
        done = subprocess.run(
            self.command(python, name, workload, store),
            cwd=self._folder,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=MOST_S,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr or f"exit code {done.returncode}")
        return done.stdout


class project:
    """A temporary folder with a project in it, and what runs workloads there."""

    def __enter__(self) -> tuple[Path, Runner]:
        self._temporary = tempfile.TemporaryDirectory(prefix="bench-", dir=os.environ.get("BENCH_DIR"))
        folder = Path(self._temporary.name).resolve()
        return folder, Runner(folder / "project")

    def __exit__(self, *_: object) -> None:
        self._temporary.cleanup()


def measured_once(run: Runner, python: Path, name: str, workload: str, store: Path) -> Mapping[str, float]:
    """Return one sample. Raises RuntimeError, OSError, ValueError, subprocess.TimeoutExpired."""
    if workload == "cold":
        run(python, name, "fill", store)
    if workload in ("start", "cold"):
        return run.whole(python, name, workload, store)
    sample: Mapping[str, float] = json.loads(run(python, name, workload, store))
    return sample


# --- report -----------------------------------------------------------------------------------------------------


def table(found: Found, workload: str) -> str:
    """Return a workload's figures, medians, as a table in Markdown."""
    title, quantities = SHOWN[workload]
    samples, failed = found.samples.get(workload, {}), found.failed.get(workload, {})
    lines = [f"| {title} | " + " | ".join(quantities.values()) + " |", "|---" * (len(quantities) + 1) + "|"]
    for name in found.versions:
        if name in samples:
            cells = [shown(samples[name], quantity) for quantity in quantities]
            lines.append(f"| {name} {found.versions[name]} | " + " | ".join(cells) + " |")
        elif name in failed:
            lines.append(f"| {name} {found.versions[name]} | none: {failed[name]} |" + " |" * (len(quantities) - 1))
    return "\n".join([*lines, ""])


def shown(sample: Mapping[str, Sequence[float]], quantity: str) -> str:
    """Return the median of a quantity."""
    if quantity not in sample:
        return ""
    value = statistics.median(sample[quantity])
    if quantity == "files":
        return f"{value:.3g}"
    return f"{value / 1024:.1f} KiB" if quantity == "each_bytes" else in_units(quantity, value)


def page(found: Found, rounds: int) -> Iterator[str]:
    """Yield the lines of docs/benchmarks.md."""
    yield "# Benchmarks"
    yield ""
    yield "Anew beside other trackers, and below that what was measured of it alone, when something changed for it:"
    yield '"before" is the commit before that change; of several tables of one thing the last is the newest.'
    yield "`make bench` measures it on your machine."
    yield ""
    yield "## Beside other trackers"
    yield ""
    yield "Written by `make bench-peers`: each tracker in an environment of its own, each workload in a process of"
    yield "its own, the trackers one after the other in each round, and the medians of the rounds. Everything that a"
    yield "tracker records by itself is on, what samples the machine is off. The floor writes the same lines to plain"
    yield "files and syncs them at the end. Slow trackers do a tenth to a hundredth of the points: rates compare, times"
    yield "of reading back do not."
    yield ""
    yield f"{machine()}, {datetime.now(timezone.utc):%Y-%m-%d}, {rounds} rounds."
    yield ""
    for workload in SHOWN:
        if workload in found.samples:
            yield table(found, workload)
    for name, why in found.missing.items():
        yield f"{name} could not be installed: {why}"


def main() -> int:
    """Read the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip())
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--peers", default=",".join(PEERS), help="which, with commas between them")
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="which, with commas between them")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args()
    print(machine(), flush=True)
    found = measured(options.peers.split(","), options.workloads.split(","), options.rounds)
    for name, why in found.missing.items():
        print(f"{name} could not be installed: {why}")
    if options.write:
        _, heading, kept = (PAGE.read_text() if PAGE.exists() else "").partition(BY_HAND)
        PAGE.write_text("\n".join(page(found, options.rounds)).rstrip() + "\n" + heading + kept)
    return 0


if __name__ == "__main__":
    sys.exit(main())
