"""`anew metrics --buckets`: series of any length in as many rows as are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anew.runner.cli.chosen import say_refused
from anew.runner.cli.context import print_json
from anew.runner.cli.render import csv_rows, remark_damage, remark_error, table
from anew.runner.contracts import RunStore, SeriesBuckets
from anew.runner.errors import MetricNotFoundError
from anew.runner.format.values import number_to_json
from anew.runner.records import RunRecord
from anew.runner.store.choosing import Chosen
from anew.runner.wording import short

_COLUMNS = ["run", "metric", "start", "end", "count", "nan", "min", "mean", "max"]


def print_buckets(
    store: RunStore,
    chosen: Chosen,
    records: Sequence[RunRecord],
    names: Sequence[str],
    *,
    buckets: int,
    by: str,
    as_csv: bool,
    as_json: bool,
) -> int:
    """
    Print series in buckets; of no name in particular of all metrics. Return the exit code.

    Raises:
        MetricNotFoundError: The one run that was named has no such metric.
    """
    code = say_refused(chosen)
    remark_damage(records, store.url)
    runs = [record.uid or record.id or 0 for record in records]
    found: list[SeriesBuckets] = []
    for name in names or dict.fromkeys(name for record in records for name in record.metrics):
        try:
            found += store.series(runs, name, buckets=buckets, by=by)
        except MetricNotFoundError as error:
            if chosen.is_one:
                raise
            remark_error(error)
            code = error.exit_code
    if as_json:
        _print_json(found, chosen)
        return code
    first = 1 if chosen.is_one else 0
    rows = ([each.run, each.name, *row] for each in found for row in _rows(each))
    if as_csv:
        csv_rows(_COLUMNS[first:], (row[first:] for row in rows))
    elif found:
        table(
            _COLUMNS[first:], [[each if isinstance(each, str) else short(each) for each in row[first:]] for row in rows]
        )
    return code


def _print_json(found: Sequence[SeriesBuckets], chosen: Chosen) -> None:
    values: dict[str, dict[str, Any]] = {str(number): {} for number in chosen.numbers}
    for each in found:
        values[str(each.run)][each.name] = buckets_to_json(each)
    if values or not chosen.is_one:
        print_json(next(iter(values.values())) if chosen.is_one else values)


def buckets_to_json(series: SeriesBuckets) -> dict[str, Any]:
    """Return a series in buckets as `--json` shows it."""
    return {
        "by": series.by,
        "starts": series.starts.tolist(),
        "ends": series.ends.tolist(),
        "count": series.count.tolist(),
        "nan": series.nan.tolist(),
        **{name: [*map(number_to_json, getattr(series, name).tolist())] for name in ("min", "max", "mean")},
    }


def _rows(series: SeriesBuckets) -> list[tuple[Any, ...]]:
    parts = (series.starts, series.ends, series.count, series.nan, series.min, series.mean, series.max)
    return [*zip(*(part.tolist() for part in parts), strict=True)]
