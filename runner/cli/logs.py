"""`anew logs`."""

from __future__ import annotations

import sys

import click

from anew.runner.cli import offers
from anew.runner.cli.context import Workbench, command, json_option, print_json
from anew.runner.cli.render import as_printed, remark, remark_damage


@command("logs")
@click.argument("ref", shell_complete=offers.runs)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@json_option
def logs_command(workbench: Workbench, ref: str, follow: bool, as_json: bool) -> None:
    """
    Print what the run REF printed, as it was printed; with --json as one string.

    While following, a line appears when it is complete.
    """
    pieces = workbench.store.output(ref, follow=follow)
    if as_json:
        print_json("".join(pieces))
        remark_damage([workbench.store.get(ref)], workbench.store.url)
        return
    something = False
    for piece in pieces:
        something = True
        sys.stdout.buffer.write(as_printed(piece).encode("utf-8", "backslashreplace"))
        sys.stdout.buffer.flush()
    if not something:
        remark("The run printed nothing.")
    remark_damage([workbench.store.get(ref)], workbench.store.url)
