"""`anew metrics`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from anew.runner.cli import offers
from anew.runner.cli.buckets import print_buckets
from anew.runner.cli.chosen import light_of, say_refused
from anew.runner.cli.context import WholeNumber, Workbench, command, form_option, json_option, print_json
from anew.runner.cli.histograms import Logged, histograms, histograms_to_json, is_histogram, print_histograms
from anew.runner.cli.render import csv_rows, remark_damage, remark_error, say, table
from anew.runner.contracts import MetricSeries
from anew.runner.errors import MetricNotFoundError
from anew.runner.format.values import number_to_json
from anew.runner.records import RunRecord
from anew.runner.store.choosing import choose, leading
from anew.runner.wording import short, some


@command("metrics")
@click.argument("words", metavar="REF... [NAME]...", nargs=-1, required=True, shell_complete=offers.metrics)
@form_option("csv", "All points as CSV: metric,step,value,time.")
@click.option(
    "--buckets", type=WholeNumber(min=1, max=1_000_000), metavar="N", help="In N buckets: least, mean, greatest."
)
@click.option(
    "--by", type=click.Choice(["step", "time"]), default="step", help="Buckets are equally wide in steps, or in time."
)
@json_option
def metrics_command(
    workbench: Workbench, words: tuple[str, ...], as_csv: bool, buckets: int | None, by: str, as_json: bool
) -> int:
    """
    Show the metrics of runs: without a NAME a summary of each, with one every point; of a histogram its range, its mean
    and its standard deviation at each step, and with --json its bins.

    Times are in seconds since a run's start. Of several runs, with --json and --csv too, each point says whose it is.

    With --buckets a series of millions of points comes in N rows, each with the least, the mean and the greatest of all
    points in it, of which none is left out; of several runs they are the same.
    """
    store = workbench.store
    first = choose(store, words[:1])
    known = {name for record in light_of(store, first.numbers[:1]) for name in _names(record)}
    refs, names = leading(words, known.__contains__)
    chosen = choose(store, refs)
    if buckets is not None:
        light = light_of(store, chosen.numbers)
        return print_buckets(store, chosen, light, names, buckets=buckets, by=by, as_csv=as_csv, as_json=as_json)
    records = [store.get(number) for number in chosen.numbers]
    remark_damage(records, store.url)
    wanted: dict[int, list[MetricSeries]] = {}
    bins: dict[int, dict[str, list[Logged]]] = {}
    code = say_refused(chosen)
    for record in records:
        number = record.id or 0
        try:
            shown = names or (tuple(record.metrics) if as_csv or as_json else ())
            bins[number] = {name: histograms(store, record, name) for name in shown if is_histogram(record, name)}
            series = [store.metrics(record.uid or number, name) for name in shown if name not in bins[number]]
            wanted[number] = series
        except MetricNotFoundError as error:
            if chosen.is_one:
                raise
            remark_error(error)
            code = error.exit_code
    if as_csv and (binned := sorted({name for of_run in bins.values() for name in of_run})):
        raise click.UsageError(f"{some(binned)} has bins, for which a CSV of points has no columns. Try: --json")
    if as_json:
        values = {
            str(run): {
                **{item.name: series_to_json(item) for item in items},
                **{name: histograms_to_json(logged) for name, logged in bins[run].items()},
            }
            for run, items in wanted.items()
        }
        if values or not chosen.is_one:
            print_json(next(iter(values.values())) if chosen.is_one else values)
    elif as_csv:
        _print_csv(wanted, chosen.is_one)
    elif names:
        if any(wanted.values()):
            _print_points(wanted, chosen.is_one)
        if any(bins.values()):
            print_histograms(bins, chosen.is_one)
    else:
        _print_summaries(records)
    return code


def _names(record: RunRecord) -> list[str]:
    return [*record.metrics, *(name for name in record.media if is_histogram(record, name))]


def _print_summaries(records: Sequence[RunRecord]) -> None:
    for record in records:
        if not record.metrics:
            say(f"Run {record.id} has no metrics.")
    rows = [
        [str(record.id), name, short(m.last), short(m.min), short(m.max), str(m.count), str(m.step)]
        for record in records
        for name, m in record.metrics.items()
    ]
    first = 0 if len(records) > 1 else 1
    if rows:
        header = ["run", "name", "last", "min", "max", "points", "last step"]
        table(header[first:], [row[first:] for row in rows])


def series_to_json(series: MetricSeries) -> dict[str, list[object]]:
    """Return a series as `--json` shows it."""
    return {
        "steps": series.steps.tolist(),
        "values": [number_to_json(value) for value in series.exact],
        "times": series.times.tolist(),
    }


def _print_csv(wanted: Mapping[int, Sequence[MetricSeries]], is_one: bool) -> None:
    first = 1 if is_one else 0
    csv_rows(["run", "metric", "step", "value", "time"][first:], (row[first:] for row in _points(wanted)))


def _print_points(wanted: Mapping[int, Sequence[MetricSeries]], is_one: bool) -> None:
    first = 1 if is_one else 0
    rows = [
        [str(run), name, str(step), repr(value), f"{time:.3f}"][first:]
        for run, name, step, value, time in _points(wanted)
    ]
    table(["run", "name", "step", "value", "time"][first:], rows)


def _points(wanted: Mapping[int, Sequence[MetricSeries]]) -> Iterator[list[Any]]:
    for run, series in wanted.items():
        for item in series:
            for step, value, time in zip(item.steps.tolist(), item.exact, item.times.tolist(), strict=True):
                yield [run, item.name, step, value, time]
