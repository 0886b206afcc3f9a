"""`anew compare`."""

from __future__ import annotations

from typing import Any

import click

from anew.runner.cli import offers
from anew.runner.cli.chosen import say_refused
from anew.runner.cli.compare_seeds import compare_by_seed
from anew.runner.cli.context import Workbench, command, form_option, json_option, print_json
from anew.runner.cli.render import csv_rows, heading, plain_cell, remark_damage, say, styled, table
from anew.runner.errors import EXIT_OK
from anew.runner.format.values import plain
from anew.runner.query.abreast import abreast
from anew.runner.query.columns import apart
from anew.runner.store.choosing import choose
from anew.runner.wording import short

_WIDEST = 24


@command("compare")
@click.argument("refs", metavar="REF...", nargs=-1, required=True, shell_complete=offers.runs)
@click.option("--all", "everything", is_flag=True, help="Also what is the same in all of them.")
@form_option("csv", "As CSV, values in full: a row for each name, a column for each run.")
@click.option("--by", type=click.Choice(["seed"]), help="Groups of runs that differ in the seed alone: is it chance?")
@click.option("--metric", metavar="NAME", help="With --by: the metric whose last value is compared, not the result.")
@click.option("--direction", type=click.Choice(["minimize", "maximize"]), help="With --by: which is better.")
@json_option
def compare_command(
    workbench: Workbench,
    refs: tuple[str, ...],
    everything: bool,
    as_csv: bool,
    by: str | None,
    metric: str | None,
    direction: str | None,
    as_json: bool,
) -> int:
    r"""
    Show several runs side by side: what differs of their configuration, packages, results and metrics.

    \b
      anew compare 41 42 57
      anew compare 'sweep == 7' --csv
    Of two runs `anew diff` shows more: source, inputs, and where their series part.

    With --by seed a run stands for all completed ones that differ from it in the seed alone, and a sweep, a tag or a
    filter for its runs: `anew compare --by seed 12 17` says which is better, by how much, and how sure that is.
    """
    store = workbench.store
    if by is not None:
        compare_by_seed(store, refs, metric, direction, as_json=as_json)
        return EXIT_OK
    if metric is not None or direction is not None:
        raise click.UsageError("--metric and --direction belong to: anew compare --by seed")
    chosen = choose(store, refs)
    code = say_refused(chosen)
    if len(chosen.numbers) == 1 and not (as_json or as_csv):
        number = chosen.numbers[0]
        raise click.UsageError(
            f"Run {number} alone is compared with nothing. To see it: anew show {number}; beside another: "
            f"anew compare {number} REF"
        )
    records = [store.get(number) for number in chosen.numbers]
    remark_damage(records, store.url)
    sections = abreast(records, everything=everything)
    if as_json:
        runs = [{"id": record.id, "uid": record.uid} for record in records]
        print_json({"runs": runs, **plain(sections)})
    elif as_csv:
        names = [f"run {record.id}" for record in records]
        rows = [
            [title, name, *map(plain_cell, values)] for title, each in sections.items() for name, values in each.items()
        ]
        csv_rows(["section", "name", *names], rows)
    elif records:
        _print({title: rows for title, rows in sections.items() if rows}, [str(record.id) for record in records])
    return code


def _print(sections: dict[str, dict[str, list[Any]]], runs: list[str]) -> None:
    for title, rows in sections.items():
        heading(title.capitalize())
        cells = [[f"  {name}", *_texts(values, title)] for name, values in rows.items()]
        table(["  ", *(f"run {run}" for run in runs)], cells, keep=2, widest=_WIDEST)
    if not sections:
        say(styled(f"Runs {', '.join(runs)} are the same in all that is compared.", "dim"))


def _texts(values: list[Any], title: str) -> list[str]:
    """Return values in little space: versions and names as they are, what a user gave as it would be typed."""
    if title in ("run", "packages"):
        return [value if isinstance(value, str) else short(value) for value in values]
    return apart(values)
