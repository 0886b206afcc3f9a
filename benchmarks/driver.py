"""
Measure contestants beside each other.

Rounds are interleaved, A B C A B C ..., so that what else the machine does falls on all alike, and differences and
ratios are medians over rounds of what was measured in the same round. A first round is not counted: it fills caches.

Stores lie in a temporary folder; `BENCH_DIR` says where, when the disk there is not the one to measure.

This module imports little on purpose: the peak memory that Linux reports for a child is never less than what the parent
had when it started the child.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

Sample = Mapping[str, float]
"""One measurement: quantity to value. The quantity's name ends in its unit: `_s`, `_bytes`, `_files` or `_per_s`."""

Contestants = Mapping[str, Callable[[], Sample]]
"""Name to what measures it once. The first one is the floor that the others are compared with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Aim:
    """
    What we mean to reach.

    Attributes:
        more: Whether the limit is for what *contestant* takes beyond the floor, instead of for the whole.
        least: Whether the limit is the least that is good, instead of the most.
    """

    contestant: str
    quantity: str
    limit: float
    more: bool = False
    least: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What was measured: contestant to quantity to one value per round, and the aims."""

    title: str
    samples: Mapping[str, Mapping[str, Sequence[float]]]
    aims: Sequence[Aim] = field(default=())

    @property
    def floor(self) -> str:
        """The contestant that the others are compared with."""
        return next(iter(self.samples))

    def ratio(self, name: str, quantity: str) -> float:
        """Return the median ratio to the floor."""
        pairs = zip(self.samples[name][quantity], self.samples[self.floor][quantity], strict=True)
        return statistics.median(mine / floor for mine, floor in pairs)

    def more(self, name: str, quantity: str) -> float:
        """Return the median of what it takes beyond the floor."""
        pairs = zip(self.samples[name][quantity], self.samples[self.floor][quantity], strict=True)
        return statistics.median(mine - floor for mine, floor in pairs)

    def reached(self, aim: Aim) -> float:
        """Return what stands against an aim's limit."""
        if aim.more:
            return self.more(aim.contestant, aim.quantity)
        return statistics.median(self.samples[aim.contestant][aim.quantity])

    def met(self, aim: Aim) -> bool:
        """Return whether an aim was met."""
        reached = self.reached(aim)
        return reached >= aim.limit if aim.least else reached <= aim.limit


def compete(title: str, contestants: Contestants, *, rounds: int, aims: Sequence[Aim] = ()) -> Comparison:
    """Measure all contestants, interleaved, *rounds* times and once more for warming up."""
    samples: dict[str, dict[str, list[float]]] = {name: {} for name in contestants}
    for number in range(rounds + 1):
        for name, measure in contestants.items():
            sample = measure()
            if number:
                for quantity, value in sample.items():
                    samples[name].setdefault(quantity, []).append(value)
    return Comparison(title=title, samples=samples, aims=aims)


def measure_process(
    command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str] | None = None, stdout: int = subprocess.DEVNULL
) -> Sample:
    """
    Return wall time and peak resident memory of a whole process, from its start to its end.

    What the process leaves running, or did not wait for, is not counted.

    Raises:
        RuntimeError: It failed; the message ends with what it wrote to stderr.
    """
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            said = errors.read().decode(errors="replace")
            raise RuntimeError(f"{' '.join(map(str, command))} failed with {process.returncode}:\n{said}")
    unit = 1 if sys.platform == "darwin" else 1024
    return {"time_s": elapsed, "peak_bytes": usage.ru_maxrss * unit}


@contextmanager
def workshop() -> Iterator[Path]:
    """Give a folder on disk to work in, with caches of its own, so that nothing of the user's is read or written."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=os.environ.get("BENCH_DIR")) as name:
        folder = Path(name).resolve()
        before = dict(os.environ)
        os.environ.update(XDG_CACHE_HOME=str(folder / "cache"), ANEW_STORE=str(folder / "runs"))
        try:
            yield folder
        finally:
            os.environ.clear()
            os.environ.update(before)


# --- report -----------------------------------------------------------------------------------------------------


def main(comparisons: Callable[[int | None], Iterator[Comparison]]) -> None:
    """Read a benchmark's command line, run it, and report each comparison as soon as it is there."""
    parser = argparse.ArgumentParser(description=(sys.modules["__main__"].__doc__ or "").strip())
    parser.add_argument("--rounds", type=int, help="how often each contestant is measured")
    parser.add_argument("--json", action="store_true", help="print JSON, a line for each comparison")
    options = parser.parse_args()
    if not options.json:
        print(machine())
    for comparison in comparisons(options.rounds):
        print(as_json(comparison) if options.json else as_table(comparison), flush=True)


def machine() -> str:
    """Return what was measured on, in one line."""
    return f"{cpu_model()}, {os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}"


def cpu_model() -> str:
    """Return the processor's name."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        lines = []
    return lines[0] if lines else platform.processor() or platform.machine()


def as_json(comparison: Comparison) -> str:
    """Return a comparison as one line of JSON, every sample in it."""
    aims = [{**asdict(aim), "reached": comparison.reached(aim), "met": comparison.met(aim)} for aim in comparison.aims]
    whole = {"title": comparison.title, "machine": machine(), "samples": comparison.samples, "aims": aims}
    return json.dumps(whole)


def as_table(comparison: Comparison) -> str:
    """Return a comparison for people."""
    rows = [["", "", "median", "min", "max", "more", "ratio"]]
    for name, quantities in comparison.samples.items():
        for quantity, values in quantities.items():
            shown = [in_units(quantity, number) for number in (statistics.median(values), min(values), max(values))]
            rows.append([name, quantity.split("_")[0], *shown, *beside_floor(comparison, name, quantity)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"\n{comparison.title} ({rounds_of(comparison)} rounds, interleaved)"]
    for row in rows:
        texts = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        numbers = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        lines.append("  ".join(["", *texts, *numbers]).rstrip())
    return "\n".join(lines + [aim_line(comparison, aim) for aim in comparison.aims])


def beside_floor(comparison: Comparison, name: str, quantity: str) -> list[str]:
    """Return what a contestant takes beyond the floor, and its ratio to it; nothing for the floor itself."""
    if name == comparison.floor or quantity not in comparison.samples[comparison.floor]:
        return ["", ""]
    more = in_units(quantity, comparison.more(name, quantity), sign="+")
    return [more, f"x{comparison.ratio(name, quantity):.3g}"]


def rounds_of(comparison: Comparison) -> int:
    """Return how often each contestant was measured."""
    return max(len(values) for quantities in comparison.samples.values() for values in quantities.values())


def aim_line(comparison: Comparison, aim: Aim) -> str:
    """Return whether an aim was met, as a sentence."""
    sign = "+" if aim.more else ""
    limit = f"at {'least' if aim.least else 'most'} {in_units(aim.quantity, aim.limit, sign=sign)}"
    reached = in_units(aim.quantity, comparison.reached(aim), sign=sign)
    return f"  aim for {aim.contestant}: {limit}. {'Met' if comparison.met(aim) else 'MISSED'}: {reached}"


def in_units(quantity: str, value: float, *, sign: str = "") -> str:
    """Return a number in the unit that people read it in."""
    if quantity.endswith("_per_s"):
        return f"{value:{sign},.0f}/s"
    if quantity.endswith("_bytes"):
        return f"{value / 1e6:{sign}.1f} MB" if abs(value) >= 1e5 else f"{value / 1e3:{sign}.1f} kB"
    if quantity.endswith("_files"):
        return f"{value:{sign}.0f}"
    scale, unit = (1.0, "s") if abs(value) >= 10 else (1e3, "ms") if abs(value) >= 1e-3 else (1e6, "us")
    return f"{value * scale:{sign}.{1 if unit == 'ms' else 2}f} {unit}"
