"""`anew plot`."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from anew.runner.cli import offers
from anew.runner.cli.context import Workbench, command, json_option, print_json
from anew.runner.cli.histograms import curves_of, histograms, is_histogram
from anew.runner.cli.metrics import series_to_json
from anew.runner.cli.render import coloured, drawn, on_terminal, remark, say
from anew.runner.contracts import RunStore
from anew.runner.errors import MetricNotFoundError, StoreError
from anew.runner.lazy.patterns import regexp
from anew.runner.query.curves import Curve, left_out, picture, terminal_plot
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


@command("plot")
@click.argument("refs", metavar="REF...", nargs=-1, shell_complete=offers.runs_or_metrics)
@click.argument("name", required=False, metavar="NAME")
@click.option("--png", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write a picture.")
@click.option("--log", is_flag=True, help="A logarithmic scale.")
@json_option
def plot_command(
    workbench: Workbench, refs: tuple[str, ...], name: str | None, png: Path | None, log: bool, as_json: bool
) -> None:
    """
    Draw the metric NAME of one or more runs over its steps.

    In the terminal, or as a picture whose format follows from the ending of FILE (png, pdf, svg, ...); with --json a
    series per run. sweep:7 stands for the jobs of a sweep, the ten best when there are more (the first ten, where it is
    not known which is best); 3-7, tag:NAME and a filter for the runs that have logged it. Of a histogram its greatest,
    mean and least value are drawn.
    """
    store = workbench.store
    if name is None or not refs:
        raise click.UsageError(_what_there_is(store, name))
    curves = [curve for ref in refs for curve in _curves(store, ref, name)]
    if not curves:
        names = sorted({name for ref in refs for name in _names(store, ref)})
        raise MetricNotFoundError(
            f"No job of {' '.join(refs)} has logged {name!r}; there is: {', '.join(names) or 'nothing'}."
            f"{nearest(name, names)} To see them: {as_typed('anew sweep show', store.url)}"
        )
    title = printable(name) if len(curves) > 1 else f"{printable(name)}, {curves[0].label}"
    if png is not None:
        try:
            picture(curves, title, png, log=log)
        except (OSError, ValueError) as error:
            raise StoreError(f"The picture {str(png)!r} cannot be written: {error}") from error
    if as_json:
        print_json({curve.label.split()[1]: series_to_json(curve.series) for curve in curves})
        return
    if png is not None:
        say(f"Written: {png}")
    else:
        _print_plot(curves, title, log)
    if missing := left_out(curves, log=log):
        remark(missing)


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


def _curves(store: RunStore, ref: str, name: str) -> list[Curve]:
    found = _SWEEP.fullmatch(ref)
    if found is None:
        return _curves_of_runs(choose(store, [ref]), store, name)
    sweep = as_run_folders(store).sweep(found[1])
    jobs = [job for job in ranking(sweep)[0] if job.run is not None and name in job.metrics]
    return [
        Curve(printable(f"run {job.run} {' '.join(job.overrides)}"), store.metrics(job.run or 0, name))
        for job in jobs[:_MOST]
    ]


def _curves_of_runs(chosen: Chosen, store: RunStore, name: str) -> list[Curve]:
    """Return a curve for each run; of a word for several, for each that has the metric. Raises as `store.metrics`."""
    for _, error in chosen.refused:
        raise error
    records = [store.get(number) for number in chosen.numbers]
    having = (
        records if chosen.is_one else [each for each in records if name in each.metrics or is_histogram(each, name)]
    )
    return [curve for record in having for curve in _curves_of_run(record, store, name)]


def _curves_of_run(record: RunRecord, store: RunStore, name: str) -> list[Curve]:
    label = f"run {record.id}"
    if is_histogram(record, name):
        return curves_of(label, name, histograms(store, record, name))
    return [Curve(label, store.metrics(record.uid or record.id or 0, name))]


def _print_plot(curves: list[Curve], title: str, log: bool) -> None:
    size = shutil.get_terminal_size()
    wide, high = (size.columns, max(size.lines - 3, 10)) if on_terminal() else _INTO_PIPE
    text = terminal_plot(
        curves, title, width=min(wide, _WIDEST), height=min(high, _HIGHEST), colours=coloured(), log=log
    )
    if text:
        drawn(text)
    else:
        say(f"{title}: no point can be drawn.")
