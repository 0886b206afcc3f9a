"""What runs cost: hours of wall time, of processors and of GPUs, and what these are at given prices."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from anew.runner.contracts import RunStore
from anew.runner.dataclass import dataclass
from anew.runner.errors import AnewError, ConfigError
from anew.runner.format.values import exact_form
from anew.runner.query.filters import value_of
from anew.runner.records import RunRecord
from anew.runner.store.more import Beside

PRICES = "ANEW_PRICES"
_CPU = "system/cpu_percent"
_GPU = "system/gpu_percent/"
_HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """
    What runs used.

    Attributes:
        runs: How many they are.
        wall_s: From start to end, in seconds; of a run that goes on up to now.
        cpu_s: Of processor cores, by samples of `system/cpu_percent`; of a run without, one core all the time.
        gpu_s: Of GPUs, used or not, that were the run's own.
        estimated: How many runs had no samples of processors.
    """

    runs: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    gpu_s: float = 0.0
    estimated: int = 0

    def __add__(self, other: Use) -> Use:
        return Use(
            runs=self.runs + other.runs,
            wall_s=self.wall_s + other.wall_s,
            cpu_s=self.cpu_s + other.cpu_s,
            gpu_s=self.gpu_s + other.gpu_s,
            estimated=self.estimated + other.estimated,
        )

    def price(self, prices: Mapping[str, float]) -> float | None:
        """Return what it costs by prices of hours; None without any."""
        hours = {"wall": self.wall_s, "cpu": self.cpu_s, "gpu": self.gpu_s}
        return sum(hours[name] / _HOUR_S * each for name, each in prices.items()) if prices else None

    def to_json(self, prices: Mapping[str, float]) -> dict[str, Any]:
        """Return it as JSON values, in hours."""
        return {
            "runs": self.runs,
            "wall_hours": self.wall_s / _HOUR_S,
            "cpu_hours": self.cpu_s / _HOUR_S,
            "gpu_hours": self.gpu_s / _HOUR_S,
            "estimated": self.estimated,
            "price": self.price(prices),
        }


def use_of(record: RunRecord, store: RunStore) -> Use:
    """Return what a run used, or has by now. Raises nothing: of what cannot be read is no sample."""
    wall_s = record.duration_s
    if wall_s is None:
        # of one that was lost up to its last sign of life
        until = record.heartbeat_at if record.status.final else datetime.now(timezone.utc)
        wall_s = max(0.0, ((until or record.started_at) - record.started_at).total_seconds())
    percent = _mean(record, store, _CPU)
    cpu_s = wall_s if percent is None else wall_s * percent / 100
    return Use(runs=1, wall_s=wall_s, cpu_s=cpu_s, gpu_s=wall_s * _gpus(record), estimated=int(percent is None))


def _mean(record: RunRecord, store: RunStore, name: str) -> float | None:
    if name not in record.metrics:
        return None
    try:
        [found] = store.series(record.uid, name, buckets=1)
    except (AnewError, ValueError):
        return None
    return float(found.mean[0]) if math.isfinite(found.mean[0]) else None


def _gpus(record: RunRecord) -> int:
    """Return how many GPUs were a run's: those it was given, else those that were at work while it was there."""
    facts = record.hardware.gpus if record.hardware else ()
    given = record.environment.variables.get("CUDA_VISIBLE_DEVICES") if record.environment else None
    if given is not None:
        return min(len([each for each in given.split(",") if each.strip() not in ("", "-1")]), len(facts) or 2**10)
    sampled = [metric for name, metric in record.metrics.items() if name.startswith(_GPU)]
    return sum(bool(metric.max) for metric in sampled) if sampled else len(facts)


def used(records: Iterable[RunRecord], store: RunStore, by: Sequence[str]) -> list[tuple[dict[str, Any], Use]]:
    """Return what runs used by the values of names of the filter language, those that took longest first."""
    groups: dict[Any, tuple[dict[str, Any], Use]] = {}
    more = Beside(store)
    for record in records:
        values = {name: value_of(record, name, more) for name in by}
        key = exact_form(values)
        groups[key] = (values, (groups[key][1] if key in groups else Use()) + use_of(record, store))
    return sorted(groups.values(), key=lambda each: -each[1].wall_s)


def prices_of(text: str | None) -> dict[str, float]:
    """
    Return prices of hours, such as "cpu=0.04,gpu=2.5"; without a text those of the variable `PRICES`.

    Raises:
        ConfigError: A word says something else.
    """
    given = os.environ.get(PRICES, "") if text is None else text
    where = f"the variable {PRICES}" if text is None else "--prices"
    found: dict[str, float] = {}
    for word in filter(None, (each.strip() for each in given.split(","))):
        name, _, number = word.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            name = ""
        if name not in ("wall", "cpu", "gpu") or not 0 <= found[name] < math.inf:
            raise ConfigError(
                f"{word!r} in {where} is no price of an hour; one looks like cpu=0.04, gpu=2.5 or wall=0.1."
            )
    return found


def budget(store: RunStore, limit_s: float) -> Callable[[int], bool]:
    """Return what takes the number of each run that has ended, and says whether all of them are at a limit."""
    spent_s = 0.0

    def take(number: int) -> bool:
        nonlocal spent_s
        spent_s += use_of(store.get(number), store).cpu_s
        return spent_s >= limit_s

    return take
