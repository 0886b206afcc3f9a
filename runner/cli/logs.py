"""`anew logs`."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click

from anew.runner.cli import offers
from anew.runner.cli.chosen import say_refused
from anew.runner.cli.context import Workbench, command, json_option, print_json
from anew.runner.cli.render import as_printed, remark, remark_damage
from anew.runner.store.choosing import choose


@command("logs")
@click.argument("refs", metavar="REF...", nargs=-1, required=True, shell_complete=offers.runs)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@json_option
def logs_command(workbench: Workbench, refs: tuple[str, ...], follow: bool, as_json: bool) -> int:
    """
    Print what runs printed, as it was printed; with --json one as a string, several by number.

    While following, a line appears when it is complete.
    """
    store = workbench.store
    chosen = choose(store, refs)
    if follow and len(chosen.runs) > 1:
        raise click.UsageError(f"One run can be followed at a time, and {len(chosen.runs)} were named.")
    if as_json:
        texts = {str(number): "".join(store.output(number, follow=follow)) for number in chosen.numbers}
        if texts or not chosen.is_one:
            print_json(next(iter(texts.values())) if chosen.is_one else texts)
    for number in () if as_json else chosen.numbers:
        if not chosen.is_one:
            remark(f"run {number}:")
        _print(store.output(number, follow=follow))
    remark_damage([store.get(number) for number in chosen.numbers], store.url)
    return say_refused(chosen)


def _print(pieces: Iterable[str]) -> None:
    something = False
    for piece in pieces:
        something = True
        sys.stdout.buffer.write(as_printed(piece).encode("utf-8", "backslashreplace"))
        sys.stdout.buffer.flush()
    if not something:
        remark("The run printed nothing.")
