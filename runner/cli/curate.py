"""`anew tag`, `note`, `comment`, `delete`, `restore` and `purge`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from anew.runner.cli import offers
from anew.runner.cli.context import Workbench, command
from anew.runner.cli.render import say
from anew.runner.format import ids
from anew.runner.store import curate
from anew.runner.wording import size

_FORCE = click.option("--force", is_flag=True, help="Take runs, too, that may be going on.")


@command("tag")
@click.argument("ref", shell_complete=offers.runs)
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--remove", is_flag=True, help="Take these tags away.")
def tag_command(workbench: Workbench, ref: str, names: tuple[str, ...], remove: bool) -> None:
    """Add tags to the run REF."""
    added, removed = ((), names) if remove else (names, ())
    record = curate.tag(workbench.folders, ref, added, removed)
    say(f"Run {record.id}: {' '.join(record.tags) or 'no tags'}")


@command("note")
@click.argument("ref", shell_complete=offers.runs)
@click.argument("text")
def note_command(workbench: Workbench, ref: str, text: str) -> None:
    """Set the note of the run REF to TEXT; "-" reads it from stdin, and an empty text takes the note away."""
    record = curate.note(workbench.folders, ref, sys.stdin.read().strip() if text == "-" else text)
    say(f"Run {record.id}: {'noted' if record.note else 'no note'}")


@command("comment")
@click.argument("ref", shell_complete=offers.runs)
@click.argument("text")
def comment_command(workbench: Workbench, ref: str, text: str) -> None:
    """Add the comment TEXT to the run REF, with your name and the time; "-" reads it from stdin."""
    record = curate.comment(workbench.folders, ref, sys.stdin.read().strip() if text == "-" else text)
    count = len(record.comments)
    say(f"Run {record.id}: {count} comment{'' if count == 1 else 's'}")


@command("delete")
@click.argument("refs", metavar="REF...", nargs=-1, required=True, shell_complete=offers.runs)
@click.option("--yes", is_flag=True, help="Do not ask.")
@_FORCE
def delete_command(workbench: Workbench, refs: tuple[str, ...], yes: bool, force: bool) -> None:
    """Move runs into the trash, from where `anew restore` brings them back."""
    store = workbench.folders
    numbers = [store.resolve(ref) for ref in refs]
    if not (yes or _meant("delete", refs, numbers)):
        say("Nothing was deleted.")
        return
    for number in dict.fromkeys(numbers):
        curate.delete(store, number, force=force)
        say(f"Run {number} deleted. To have it back: anew restore {number}")


@command("restore")
@click.argument("refs", metavar="REF...", nargs=-1, required=True, shell_complete=offers.deleted_runs)
def restore_command(workbench: Workbench, refs: tuple[str, ...]) -> None:
    """Bring deleted runs back."""
    store = workbench.folders
    for ref in refs:
        say(f"Run {curate.restore(store, ref)} is back.")


@command("purge")
@click.argument("refs", metavar="[REF]...", nargs=-1, shell_complete=offers.deleted_runs)
@click.option("--yes", is_flag=True, help="Do not ask.")
@_FORCE
def purge_command(workbench: Workbench, refs: tuple[str, ...], yes: bool, force: bool) -> None:
    """Remove deleted runs for good, all or those named, and the content that no run refers to any more."""
    store = workbench.folders
    numbers = [curate.number_in_trash(store, ref) for ref in refs]
    if not yes and not (_meant("purge", refs, numbers) and _agreed(len(curate.trashed(store)), refs)):
        say("Nothing was removed.")
        return
    purged = curate.purge(store, refs or None, force=force)
    runs = f"{len(purged.runs)} run{'' if len(purged.runs) == 1 else 's'}"
    say(f"Removed {runs} and {purged.objects} pieces of content ({size(purged.bytes_freed)}).")
    if purged.left:
        left = " ".join(map(str, purged.left))
        say(f"Left, since they may be going on: {left}. To remove them all the same: anew purge --force {left}")
    if purged.content_kept:
        say(f"{purged.content_kept} To see what is damaged: anew check")


def _meant(command: str, refs: Sequence[str], numbers: Sequence[int]) -> bool:
    """
    Ask whether those runs are meant that were named by the beginning of their uids only.

    Raises:
        click.UsageError: There is no terminal to ask on.
    """
    vague = {ref: number for ref, number in zip(refs, numbers, strict=True) if not ids.is_exact(ref)}
    if not vague:
        return True
    which = ", ".join(f"{ref!r} is the beginning of run {number}'s uid" for ref, number in vague.items())
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"{which}. To {command} by a part of a uid, name the run in full, or say that it is meant: "
            f"anew {command} {' '.join(map(str, numbers))}"
        )
    return click.confirm(f"{which}. Is it meant?", err=True)


def _agreed(deleted: int, refs: tuple[str, ...]) -> bool:
    if refs:
        what = f"the deleted runs {' '.join(refs)}"
    else:
        what = {0: "content that no run refers to", 1: "the deleted run"}.get(deleted, f"all {deleted} deleted runs")
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"This would remove {what} for good, and there is no terminal to ask on. "
            f"To do it without being asked: anew purge {''.join(f'{ref} ' for ref in refs)}--yes"
        )
    return click.confirm(f"Remove {what} for good?", err=True)
