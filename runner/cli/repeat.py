"""`anew repeat`."""

from __future__ import annotations

import shlex
import subprocess

import click

from anew.runner.across.seeds import repetitions
from anew.runner.cli import offers
from anew.runner.cli.chosen import one_of
from anew.runner.cli.context import WholeNumber, Workbench, command
from anew.runner.cli.render import remark, say
from anew.runner.errors import EXIT_FAILED, EXIT_OK
from anew.runner.format.override_text import key_of
from anew.runner.records import RunRecord, Status
from anew.runner.rerun.conduct import run_again
from anew.runner.rerun.options import RerunOptions
from anew.runner.store.run_folders import RunFolders
from anew.runner.sweep.repeat import further_seeds, has_own_seed, repeat

_SKIP = "anew.sweep.skip"


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
    again. OVERRIDES change the configuration, or say how the sweep is run: anew.sweep.workers=4. Where the
    configuration has no seed, it is a re-run for each, with anew.seed.

    Whether two such runs differ by more than chance is said by: anew compare --by seed REF REF
    """
    wrong = next((each for each in words if "=" not in each and not each.startswith("~")), None)
    if wrong is not None:
        raise click.UsageError(f"{wrong!r} is no override; one looks like key=value, +key=value or ~key.")
    store = workbench.folders
    number = one_of(store, ref, f"To repeat one of them: anew repeat NUMBER; to see them: anew list {shlex.quote(ref)}")
    record = store.get(number)
    if record.status.final and not has_own_seed(record.config):
        options = RerunOptions(code=code, trust_source=trust_source)
        return _one_by_one(store, record, words, seeds, options)
    return repeat(
        number,
        *words,
        seeds=seeds,
        store=store,
        code=code,
        trust_source=trust_source,
        tell=lambda text: remark(f"anew: {text}"),
    )


def _one_by_one(store: RunFolders, record: RunRecord, words: tuple[str, ...], seeds: int, options: RerunOptions) -> int:
    """Run one with each seed again; what was done before is left out where `anew.sweep.skip` says so."""
    if given := next((word for word in words if key_of(word) == "anew.seed"), None):
        raise click.UsageError(f"{given!r}: --seeds says how many there are.")
    settings = [word for word in words if key_of(word).startswith("anew.")]
    changes = [word for word in words if word not in settings]
    other = [word for word in settings if key_of(word) != _SKIP]
    if other:
        raise click.UsageError(
            f"{other[0]!r} is a setting of a sweep, and none can go over the seeds of run {record.id}, whose "
            "configuration has no seed. It takes anew.sweep.skip=done"
        )
    done: set[int | None] = set()
    if f"{_SKIP}=done" in settings and not changes:
        done.update(each.seed for each in repetitions(store, record))
    code = EXIT_OK
    for seed in further_seeds(record, seeds):
        if seed in done:
            remark(f"anew: seed {seed} was done before")
            continue
        result = run_again(
            record.id or 0, [*changes, f"anew.seed={seed}"], options, store=store, stdout=subprocess.DEVNULL
        )
        say(f"run {result.run}: seed {seed}, {result.status}")
        if result.told_to_stop:
            return result.exit_code
        code = code if result.status is Status.COMPLETED else EXIT_FAILED
    return code
