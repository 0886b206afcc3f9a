"""`anew metrics`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from anew.runner.cli import offers
from anew.runner.cli.context import Workbench, command, json_option, print_json
from anew.runner.cli.histograms import histograms, histograms_to_json, is_histogram, print_histograms
from anew.runner.cli.render import csv_rows, remark_damage, say, table
from anew.runner.contracts import MetricSeries
from anew.runner.format.values import number_to_json
from anew.runner.wording import short, some


@command("metrics")
@click.argument("ref", shell_complete=offers.runs)
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=offers.metrics)
@click.option("--csv", "as_csv", is_flag=True, help="All points as CSV: metric,step,value,time.")
@json_option
def metrics_command(workbench: Workbench, ref: str, names: tuple[str, ...], as_csv: bool, as_json: bool) -> None:
    """
    Show the metrics of the run REF: without a NAME a summary of each, with one every point; of a histogram its range,
    its mean and its standard deviation at each step, and with --json its bins.

    Times are in seconds since the run's start.
    """
    store = workbench.store
    record = store.get(ref)
    remark_damage([record])
    wanted = names or tuple(record.metrics) if as_csv or as_json else names
    counted = {name: histograms(store, record, name) for name in wanted if is_histogram(record, name)}
    if as_csv and counted:
        raise click.UsageError(f"{some([*counted])} has bins, for which a CSV of points has no columns. Try: --json")
    series = [store.metrics(record.uid or ref, name) for name in wanted if name not in counted]
    if as_json:
        bins = {name: histograms_to_json(logged) for name, logged in counted.items()}
        print_json({**{item.name: series_to_json(item) for item in series}, **bins})
    elif as_csv:
        _print_csv(series)
    elif wanted:
        if series:
            _print_points(series)
        for name, logged in counted.items():
            print_histograms(name, logged)
    elif record.metrics:
        rows = [
            [name, short(m.last), short(m.min), short(m.max), str(m.count), str(m.step)]
            for name, m in record.metrics.items()
        ]
        table(["name", "last", "min", "max", "points", "last step"], rows)
    else:
        say(f"Run {record.id} has no metrics.")


def series_to_json(series: MetricSeries) -> dict[str, list[object]]:
    """Return a series as `--json` shows it."""
    return {
        "steps": series.steps.tolist(),
        "values": [number_to_json(value) for value in series.exact],
        "times": series.times.tolist(),
    }


def _print_csv(series: Sequence[MetricSeries]) -> None:
    csv_rows(
        ["metric", "step", "value", "time"],
        (
            [item.name, step, value, time]
            for item in series
            for step, value, time in zip(item.steps.tolist(), item.exact, item.times.tolist(), strict=True)
        ),
    )


def _print_points(series: Sequence[MetricSeries]) -> None:
    rows = [
        [item.name, str(step), repr(value), f"{time:.3f}"]
        for item in series
        for step, value, time in zip(item.steps.tolist(), item.exact, item.times.tolist(), strict=True)
    ]
    table(["name", "step", "value", "time"], rows)
