"""Histograms as `anew metrics` and `anew plot` show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anew.runner.attached.media import HISTOGRAM, Histogram
from anew.runner.cli.render import table
from anew.runner.contracts import MetricSeries, RunStore
from anew.runner.dataclass import dataclass
from anew.runner.format.values import number_to_json
from anew.runner.query.curves import Curve
from anew.runner.records import RunRecord
from anew.runner.store.locate import as_run_folders
from anew.runner.wording import short


@dataclass(frozen=True, slots=True)
class Logged:
    """One histogram, its step, and its time in seconds since the run's start."""

    step: int
    time: float
    histogram: Histogram


def is_histogram(record: RunRecord, name: str) -> bool:
    """Whether histograms, and no numbers, were logged under a name."""
    return name not in record.metrics and name in record.media and record.media[name].kind == HISTOGRAM


def histograms(store: RunStore, record: RunRecord, name: str) -> list[Logged]:
    """Return the histograms of a name in order of time. Raises StoreError for a store that has none."""
    folders = as_run_folders(store)
    events = folders.histograms(folders.resolve(record.uid), {name})
    found = [Logged(event.step, event.t, event.values[name]) for event in events if name in event.values]
    return sorted(found, key=lambda each: each.time)


def histograms_to_json(logged: Sequence[Logged]) -> dict[str, list[Any]]:
    """Return them as `--json` shows them: for each its step, its time, its bins and what is known of its values."""
    return {
        "steps": [each.step for each in logged],
        "times": [each.time for each in logged],
        "edges": [[number_to_json(edge) for edge in each.histogram.edges] for each in logged],
        "counts": [list(each.histogram.counts) for each in logged],
        "mean": [number_to_json(each.histogram.mean) for each in logged],
        "std": [number_to_json(each.histogram.std) for each in logged],
        "nans": [each.histogram.nans for each in logged],
        "infinities": [each.histogram.infinities for each in logged],
    }


def print_histograms(logged: Mapping[int, Mapping[str, Sequence[Logged]]], is_one: bool) -> None:
    """Print a row for each, of several runs with the run's number."""
    first = 1 if is_one else 0
    rows = [
        [str(run), name, str(each.step), *_numbers(h), str(h.size), str(h.nans), str(h.infinities)][first:]
        for run, names in logged.items()
        for name, found in names.items()
        for each in found
        for h in (each.histogram,)
    ]
    header = ["run", "name", "step", "least", "mean", "greatest", "std", "values", "nan", "infinite"]
    table(header[first:], rows)


def _numbers(histogram: Histogram) -> list[str]:
    """Return the least, mean and greatest value and their standard deviation; nothing of what has no finite values."""
    numbers = (histogram.low, histogram.mean, histogram.high, histogram.std)
    return [short(number) if histogram.counts else "" for number in numbers]


def curves_of(label: str, name: str, logged: Sequence[Logged]) -> list[Curve]:
    """Return the greatest, the mean and the least value as curves over the steps."""
    import numpy as np

    def curve(which: str, values: list[float]) -> Curve:
        series = MetricSeries(
            name=name,
            steps=np.asarray([each.step for each in logged], dtype=np.int64),
            values=np.asarray(values, dtype=np.float64),
            times=np.asarray([each.time for each in logged], dtype=np.float64),
            exact=values,
        )
        return Curve(f"{label}:{which}", series)

    logged = [each for each in logged if each.histogram.counts]
    kept = [each.histogram for each in logged]
    return [
        curve("greatest", [each.high for each in kept]),
        curve("mean", [each.mean for each in kept]),
        curve("least", [each.low for each in kept]),
    ]
