"""`anew usage`."""

from __future__ import annotations

import click

from anew.runner.across.costs import Use, prices_of, used
from anew.runner.cli import usage_disk
from anew.runner.cli.context import Workbench, command, form_option, how_of, json_option, names_of, print_json
from anew.runner.cli.render import csv_rows, remark, say, styled, table
from anew.runner.format.values import plain
from anew.runner.query.doubts import doubtful_names
from anew.runner.store.choosing import tell_left_out
from anew.runner.wording import short

_HOUR_S = 3600.0


@command("usage")
@click.argument("where", metavar="[FILTER]", nargs=-1)
@click.option("--disk", is_flag=True, help="Space on the disk; what is told unless --compute is given.")
@click.option("--compute", is_flag=True, help="Hours of wall time, processors and GPUs.")
@click.option(
    "--by", metavar="A,B", default="experiment", show_default=True, help="Names of the filter language: sweep,host"
)
@click.option("--prices", metavar="cpu=X,gpu=Y", help="What an hour costs; else ANEW_PRICES.")
@form_option("csv", "As CSV.")
@json_option
def usage_command(
    workbench: Workbench,
    where: tuple[str, ...],
    disk: bool,
    compute: bool,
    by: str,
    prices: str | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """
    Say what runs take on the disk, or with --compute which hours they used: anew usage --compute --by sweep,host

    Content counts once, however many runs refer to it: what runs of several rows share has a line of its own.

    Processors are taken from the samples of system/cpu_percent, 100 of which are one core; a run without samples counts
    as one core all the time. A GPU counts from start to end of a run that had it, at work or not.
    """
    if disk and compute:
        raise click.UsageError("Of --disk and --compute one can be told at a time.")
    costs = prices_of(prices)
    store = workbench.store
    names = names_of(by)
    records = store.find(" ".join(where))
    tell_left_out(store)
    for doubt in doubtful_names(records, names) if records else ():
        remark(doubt)
    if not compute:
        usage_disk.print_disk(store, records, names, how_of(as_json, as_csv, False))
        return
    found = used(records, store, names)
    if as_json:
        print_json([{"by": plain(values), **use.to_json(costs)} for values, use in found])
        return
    header = [*names, "runs", "wall h", "CPU h", "GPU h", *(["price"] if costs else [])]
    rows = [[*values.values(), *_numbers(use, costs)] for values, use in found]
    if as_csv:
        csv_rows(header, rows)
    elif rows:
        total = sum((use for _, use in found), Use())
        if len(rows) > 1:
            rows.append(["all", *[""] * (len(names) - 1), *_numbers(total, costs)] if names else [])
        table(header, [[each if isinstance(each, str) else short(each) for each in row] for row in rows if row])
        if total.estimated:
            say(styled(f"{total.estimated} of {total.runs} runs have no samples, and count as one core.", "dim"))
    else:
        say(f"No runs{' that match' if where else ''} in {store.url}.")


def _numbers(use: Use, costs: dict[str, float]) -> list[float | int | None]:
    hours = [use.wall_s / _HOUR_S, use.cpu_s / _HOUR_S, use.gpu_s / _HOUR_S]
    return [use.runs, *(round(each, 4) for each in hours), *([round(use.price(costs) or 0, 4)] if costs else [])]
