"""`anew repeat`."""

from __future__ import annotations

import shlex

import click

from anew.runner.cli import offers
from anew.runner.cli.chosen import one_of
from anew.runner.cli.context import WholeNumber, Workbench, command
from anew.runner.cli.render import remark
from anew.runner.sweep.repeat import repeat


@command("repeat")
@click.argument("ref", shell_complete=offers.runs)
@click.argument("words", metavar="[OVERRIDES]...", nargs=-1)
@click.option("--seeds", type=WholeNumber(min=1, max=100_000), default=5, show_default=True, help="How many.")
@click.option(
    "--code", type=click.Choice(["recorded", "current"]), default="recorded", show_default=True, help="Which source."
)
@click.option("--trust", "trust_source", is_flag=True, help="Trust the source of a record that came from elsewhere.")
def repeat_command(
    workbench: Workbench, ref: str, words: tuple[str, ...], seeds: int, code: str, trust_source: bool
) -> int:
    """
    Run REF again with further seeds, as a sweep, from its recorded source and configuration.

    The seeds are those behind its own, the same each time: with anew.sweep.skip=done those that were done are not run
    again. OVERRIDES change the configuration, or say how the sweep is run: anew.sweep.workers=4. To see then whether
    two such runs differ by more than chance: anew compare --by seed REF REF
    """
    wrong = next((each for each in words if "=" not in each and not each.startswith("~")), None)
    if wrong is not None:
        raise click.UsageError(f"{wrong!r} is no override; one looks like key=value, +key=value or ~key.")
    store = workbench.folders
    number = one_of(store, ref, f"To repeat one of them: anew repeat NUMBER; to see them: anew list {shlex.quote(ref)}")
    return repeat(
        number,
        *words,
        seeds=seeds,
        store=store,
        code=code,
        trust_source=trust_source,
        tell=lambda text: remark(f"anew: {text}"),
    )
