"""`anew plot`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import click

from anew.runner.across.seeds import without_seeds
from anew.runner.cli import offers
from anew.runner.cli.chosen import light_of
from anew.runner.cli.context import Number, Workbench, command, json_option, names_of, only_form, print_json
from anew.runner.cli.histograms import curves_of, histograms, is_histogram
from anew.runner.cli.metrics import series_to_json
from anew.runner.cli.plot_runs import plot_runs
from anew.runner.cli.render import coloured, drawn, on_terminal, remark, say
from anew.runner.contracts import MetricSeries, RunStore, SeriesBuckets
from anew.runner.errors import MetricNotFoundError, StoreError
from anew.runner.format.values import exact_form, number_to_json
from anew.runner.lazy.patterns import regexp
from anew.runner.query.curves import (
    PICTURE_COLUMNS,
    Curve,
    left_out,
    mean_of,
    means,
    outline,
    picture,
    smoothed,
    terminal_plot,
)
from anew.runner.records import RunRecord
from anew.runner.store.choosing import Chosen, choose
from anew.runner.store.locate import as_run_folders
from anew.runner.store.typed import as_typed
from anew.runner.sweep.report import ranking
from anew.runner.wording import nearest, printable

_SWEEP = regexp(r"sweep:([0-9A-Za-z]+)")
_MOST = 10
_WIDEST = 140
_HIGHEST = 30
_INTO_PIPE = (100, 24)
_LONG = 100_000
# what stands for the points of a long series
Taken = Callable[[SeriesBuckets], MetricSeries] | None


@command("plot")
@click.argument("refs", metavar="REF...", nargs=-1, shell_complete=offers.runs_or_metrics)
@click.argument("name", required=False, metavar="NAME")
@click.option(
    "--png",
    "--svg",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=only_form,
    help="Write a picture.",
)
@click.option("--log", is_flag=True, help="A logarithmic scale.")
@click.option("--log-x", is_flag=True, help="The same across.")
@click.option(
    "--smooth", type=Number(min=0, max=1, max_open=True), metavar="X", help="Smoother from 0 to 1, such as 0.9."
)
@click.option("--band", is_flag=True, help="Of runs that differ in the seed alone their mean, in the band they lie in.")
@click.option("--x", metavar="KEY", help="Runs as points: what they are laid out by across, such as config.lr.")
@click.option("--y", metavar="NAME", help="And what upwards, such as acc.")
@click.option("--parallel", metavar="A,B,C", help="Runs as lines from axis to axis, by colour of the last.")
@json_option
def plot_command(
    workbench: Workbench,
    refs: tuple[str, ...],
    name: str | None,
    png: Path | None,
    log: bool,
    log_x: bool,
    smooth: float | None,
    band: bool,
    x: str | None,
    y: str | None,
    parallel: str | None,
    as_json: bool,
) -> None:
    r"""
    Draw the metric NAME of one or more runs over its steps.

    In the terminal, or as a picture whose format follows from the ending of FILE (png, pdf, svg, ...); with --json a
    series per run. sweep:7 stands for the jobs of a sweep, the ten best when there are more (the first ten, where it is
    not known which is best); 3-7, tag:NAME and a filter for the runs that have logged it. Of a histogram its greatest,
    mean and least value are drawn.

    \b
    What came of runs, by what they were given:
      anew plot --x config.lr --y acc 'sweep == 7'
      anew plot --parallel config.lr,config.depth,acc 'sweep == 7' --png runs.png
    """
    store = workbench.store
    words = [*refs, *([name] if name is not None else [])]
    if x is not None or y is not None or parallel is not None:
        if smooth is not None or band:
            raise click.UsageError("--smooth and --band are of curves, and here runs are points: leave them out.")
        names, logs = _over_runs(x, y, parallel, log, log_x)
        plot_runs(store, words, names, logs, file=png, size=_size(), as_json=as_json)
        return
    if name is None or not refs:
        raise click.UsageError(_what_there_is(store, name))
    curves = [
        curve
        for ref in refs
        for curve in _curves(
            store, ref, name, in_place=None if as_json or log_x else outline if smooth is None else means
        )
    ]
    if not curves:
        names = sorted({name for ref in refs for name in _names(store, ref)})
        raise MetricNotFoundError(
            f"No job of {' '.join(refs)} has logged {name!r}; there is: {', '.join(names) or 'nothing'}."
            f"{nearest(name, names)} To see them: {as_typed('anew sweep show', store.url)}"
        )
    if smooth is not None:
        curves = [replace(curve, series=smoothed(curve.series, smooth)) for curve in curves]
    if band:
        curves = _banded(store, curves)
    title = printable(name) if len(curves) > 1 else f"{printable(name)}, {curves[0].label}"
    if png is not None:
        try:
            picture(curves, title, png, log=log, log_x=log_x)
        except (OSError, ValueError) as error:
            raise StoreError(f"The picture {str(png)!r} cannot be written: {error}") from error
    if as_json:
        print_json({curve.label.split()[1]: _to_json(curve) for curve in curves})
        return
    if png is not None:
        say(f"Written: {png}")
    else:
        _print_plot(curves, title, log, log_x)
    if missing := left_out(curves, log=log, log_x=log_x):
        remark(missing)


def _over_runs(
    x: str | None, y: str | None, parallel: str | None, log: bool, log_x: bool
) -> tuple[list[str], list[bool]]:
    """Return the names that runs are laid out by, and which scales are logarithmic."""
    if parallel is None:
        if x is None or y is None:
            raise click.UsageError("Runs are points by two names, such as: anew plot --x config.lr --y acc")
        return [x, y], [log_x, log]
    names = names_of(parallel)
    if x is not None or y is not None or len(names) < 2:
        raise click.UsageError("--parallel takes two names or more, and no --x or --y: --parallel config.lr,acc")
    return names, [*([log_x] * (len(names) - 1)), log]


def _banded(store: RunStore, curves: Sequence[Curve]) -> list[Curve]:
    """Return a mean for all curves of runs that differ in the seed alone, and the others as they are."""
    groups: dict[object, list[Curve]] = {}
    for curve in curves:
        [record] = light_of(store, [int(curve.label.split()[1])])
        groups.setdefault((record.experiment, exact_form(without_seeds(record.config))), []).append(curve)
    return [
        mean_of(group, f"{group[0].label} and {len(group) - 1} more") if len(group) > 1 else group[0]
        for group in groups.values()
    ]


def _to_json(curve: Curve) -> dict[str, list[object]]:
    if curve.band is None:
        return series_to_json(curve.series)
    sides = zip(("min", "max"), curve.band, strict=True)
    return {**series_to_json(curve.series), **{name: list(map(number_to_json, side)) for name, side in sides}}


def _what_there_is(store: RunStore, ref: str | None) -> str:
    """Say what can be drawn of the one word that was given."""
    if ref is None:
        return "anew plot takes a run and the name of a metric, such as: anew plot last loss."
    names = [printable(name) for name in _names(store, ref)]
    said = f"such as: anew plot {ref} {names[0]}. There are: {', '.join(names)}." if names else f"and {ref} has none."
    return f"anew plot takes the name of a metric, too, {said}"


def _names(store: RunStore, ref: str) -> list[str]:
    """Return the metrics of a run, or of a sweep's jobs."""
    found = _SWEEP.fullmatch(ref)
    if found is None:
        return list(store.get(ref).metrics)
    jobs = as_run_folders(store).sweep(found[1]).jobs
    return list(dict.fromkeys(name for job in jobs for name in job.metrics))


def _curves(store: RunStore, ref: str, name: str, *, in_place: Taken) -> list[Curve]:
    found = _SWEEP.fullmatch(ref)
    if found is None:
        return _curves_of_runs(choose(store, [ref]), store, name, in_place=in_place)
    sweep = as_run_folders(store).sweep(found[1])
    jobs = [job for job in ranking(sweep)[0] if job.run is not None and name in job.metrics]
    return [
        Curve(printable(f"run {job.run} {' '.join(job.overrides)}"), store.metrics(job.run or 0, name))
        for job in jobs[:_MOST]
    ]


def _curves_of_runs(chosen: Chosen, store: RunStore, name: str, *, in_place: Taken) -> list[Curve]:
    """Return a curve for each run; of a word for several, for each that has the metric. Raises as `store.metrics`."""
    for _, error in chosen.refused:
        raise error
    records = light_of(store, chosen.numbers)
    having = (
        records if chosen.is_one else [each for each in records if name in each.metrics or is_histogram(each, name)]
    )
    return [curve for record in having for curve in _curves_of_run(record, store, name, in_place=in_place)]


def _curves_of_run(record: RunRecord, store: RunStore, name: str, *, in_place: Taken) -> list[Curve]:
    label = f"run {record.id}"
    if is_histogram(record, name):
        return curves_of(label, name, histograms(store, record, name))
    ref = record.uid or record.id or 0
    if in_place is not None and name in record.metrics and record.metrics[name].count > _LONG:
        # as many as there are columns in a picture: it looks the same, and is there at once
        [found] = store.series(ref, name, buckets=PICTURE_COLUMNS)
        return [Curve(label, in_place(found))]
    return [Curve(label, store.metrics(ref, name))]


def _size() -> tuple[int, int]:
    size = shutil.get_terminal_size()
    wide, high = (size.columns, max(size.lines - 3, 10)) if on_terminal() else _INTO_PIPE
    return min(wide, _WIDEST), min(high, _HIGHEST)


def _print_plot(curves: list[Curve], title: str, log: bool, log_x: bool) -> None:
    wide, high = _size()
    text = terminal_plot(curves, title, width=wide, height=high, colours=coloured(), log=log, log_x=log_x)
    if text:
        drawn(text)
    else:
        say(f"{title}: no point can be drawn.")
