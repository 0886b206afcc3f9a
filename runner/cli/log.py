"""`anew log`: metrics from a shell script inside of a run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import click

from anew.runner.cli.context import Workbench, command
from anew.runner.errors import RunStateError, StoreError
from anew.runner.lazy.patterns import regexp
from anew.runner.run.current import RUN_VARIABLE, current_run

_EXAMPLE = "anew log loss=0.2 --step 3"
_WHOLE = regexp(r"[+-]?[0-9]+", re.ASCII)


@command("log")
@click.argument("values", metavar="NAME=VALUE...", nargs=-1, required=True)
@click.option("--step", type=int, help="The step; without it one more than the last of these metrics, from 0 on.")
def log_command(workbench: Workbench, values: tuple[str, ...], step: int | None) -> int:
    """
    Log metrics into the run that this is typed in: in a script that a run starts, directly or by way of others.

    What a run printed is shown by: anew logs REF
    """
    numbers = dict(_number(each) for each in values)
    folder = os.environ.get(RUN_VARIABLE)
    if not folder:
        raise RunStateError(
            f"anew log {values[0]} is for scripts that a run starts, and no run is going on here. To have one: "
            "anew run -- ./script.sh. What a run printed is shown by: anew logs REF"
        )
    try:
        run = current_run()
    except (StoreError, ValueError) as error:
        raise RunStateError(
            f"{RUN_VARIABLE} names the run in {folder!r}, which cannot be logged to: {error}"
        ) from error
    if os.path.exists(os.path.join(folder, "outcome.json")):
        raise RunStateError(f"The run in {folder!r} has ended, and takes no metrics any more.")
    run.log(numbers, _next_step(folder, numbers) if step is None else step)
    return 0


def _number(word: str) -> tuple[str, float]:
    name, _, text = word.partition("=")
    try:
        if not name.strip():
            raise ValueError
        return name, int(text) if _WHOLE.fullmatch(text) else float(text)
    except ValueError:
        raise click.UsageError(
            f"{word!r} is no NAME=NUMBER, such as: {_EXAMPLE}. What a run printed is shown by: anew logs REF"
        ) from None


def _next_step(folder: str, names: Iterable[str]) -> int:
    """Return one more than the last step of these metrics, whichever process logged it."""
    path, there = Path(folder), Workbench()
    there.url = str(path.parent)
    metrics = there.store.get(int(path.name)).metrics
    return max((metrics[name].step for name in names if name in metrics), default=-1) + 1
