"""`anew tag`, `note`, `comment`, `delete`, `restore` and `purge`."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

import click

from anew.runner import errors
from anew.runner.cli import offers
from anew.runner.cli.chosen import all_of, meant
from anew.runner.cli.context import Workbench, command, json_option, print_json
from anew.runner.cli.render import remark_error, say
from anew.runner.errors import AnewError
from anew.runner.format.serial import record_to_json
from anew.runner.records import RunRecord
from anew.runner.store import curate
from anew.runner.store.choosing import leading
from anew.runner.store.typed import as_typed
from anew.runner.wording import short, size, some

_FORCE = click.option("--force", is_flag=True, help="Take runs, too, that may be going on.")
_YES = click.option("--yes", is_flag=True, help="Do not ask.")
_UNCHANGED = "Nothing was changed."
_SHOWN = 20


@command("tag")
@click.argument("words", metavar="REF... NAME...", nargs=-1, required=True, shell_complete=offers.runs)
@click.option("--remove", is_flag=True, help="Take these tags away.")
@json_option
def tag_command(workbench: Workbench, words: tuple[str, ...], remove: bool, as_json: bool) -> int:
    """Add tags to runs. What follows the first REF and looks like one is one, too, but the last word is a NAME."""
    if len(words) < 2:
        raise click.UsageError(f"Which tag? Such as: anew tag {words[0]} paper")
    refs, more = leading(words[:-1])
    names = (*more, words[-1])
    added, removed = ((), names) if remove else (names, ())
    store = workbench.folders
    chosen = all_of(store, refs, _UNCHANGED)
    return _each(
        chosen.numbers,
        lambda number: curate.tag(store, number, added, removed),
        lambda record: f"Run {record.id}: {short(record.tags) or 'no tags'}",
        as_json,
    )


@command("note")
@click.argument("refs", metavar="REF...", nargs=-1, required=True, shell_complete=offers.runs)
@click.argument("text")
@json_option
def note_command(workbench: Workbench, refs: tuple[str, ...], text: str, as_json: bool) -> int:
    """Set the note of runs to TEXT; "-" reads it from stdin, and an empty text takes the note away."""
    store = workbench.folders
    chosen = all_of(store, refs, f"{_UNCHANGED} The note is the last word; quote it.")
    note = sys.stdin.read().strip() if text == "-" else text
    return _each(
        chosen.numbers,
        lambda number: curate.note(store, number, note),
        lambda record: f"Run {record.id}: {'noted' if record.note else 'no note'}",
        as_json,
    )


@command("comment")
@click.argument("refs", metavar="REF...", nargs=-1, required=True, shell_complete=offers.runs)
@click.argument("text")
@json_option
def comment_command(workbench: Workbench, refs: tuple[str, ...], text: str, as_json: bool) -> int:
    """Add the comment TEXT to runs, with your name and the time; "-" reads it from stdin."""
    store = workbench.folders
    chosen = all_of(store, refs, f"{_UNCHANGED} The comment is the last word; quote it.")
    comment = sys.stdin.read().strip() if text == "-" else text
    return _each(
        chosen.numbers,
        lambda number: curate.comment(store, number, comment),
        lambda record: f"Run {record.id}: {len(record.comments)} comment{'' if len(record.comments) == 1 else 's'}",
        as_json,
    )


@command("delete")
@click.argument("refs", metavar="REF...", nargs=-1, required=True, shell_complete=offers.runs)
@_YES
@_FORCE
@json_option
def delete_command(workbench: Workbench, refs: tuple[str, ...], yes: bool, force: bool, as_json: bool) -> int:
    """Move runs into the trash, from where `anew restore` brings them back. For several it asks."""
    store = workbench.folders
    store.refuse_removal()
    chosen = all_of(store, refs, "Nothing was deleted.")
    if not (yes or meant("delete", refs, chosen, store.url)):
        say("Nothing was deleted.")
        return errors.EXIT_OK

    nested = Counter(
        each.parent.uid
        for each in store.find("parent != none")
        if each.parent is not None and each.id not in chosen.runs
    )

    def delete(number: int) -> RunRecord:
        record = store.get(number)
        curate.delete(store, number, force=force)
        return record

    def told(record: RunRecord) -> str:
        back = f"Run {record.id} deleted. To have it back: {as_typed(f'anew restore {record.id}', store.url)}"
        left = nested[record.uid]
        if not left:
            return back
        also = as_typed(f"anew delete 'parent == {record.id}'", store.url)
        runs = "The run that was started in it stays" if left == 1 else f"The {left} runs that were started in it stay"
        return f"{back}. {runs}; to delete them, too: {also}"

    return _each(chosen.numbers, delete, told, as_json)


@command("restore")
@click.argument("refs", metavar="REF...", nargs=-1, required=True, shell_complete=offers.deleted_runs)
@json_option
def restore_command(workbench: Workbench, refs: tuple[str, ...], as_json: bool) -> int:
    """Bring deleted runs back."""
    store = workbench.folders
    store.refuse_removal()
    chosen = all_of(curate.Trash(store), refs, "Nothing was brought back.")
    return _each(
        chosen.numbers,
        lambda number: store.get(curate.restore(store, number)),
        lambda record: f"Run {record.id} is back.",
        as_json,
    )


def _each(
    numbers: Iterable[int], change: Callable[[int], RunRecord], told: Callable[[RunRecord], str], as_json: bool
) -> int:
    """Change one run after the other; say of each what became of it, and return the exit code of the worst."""
    code = errors.EXIT_OK
    rows: list[dict[str, Any]] = []
    for number in numbers:
        row: dict[str, Any] = {"id": number, "uid": None, "tags": None, "note": None, "comments": None, "error": None}
        try:
            record = change(number)
        except AnewError as error:
            row["error"] = str(error)
            code = max(code, error.exit_code)
            remark_error(error)
        else:
            shown = record_to_json(record, full=False)
            row.update({name: shown[name] for name in ("uid", "tags", "note", "comments")})
            if not as_json:
                say(told(record))
        rows.append(row)
    if as_json:
        print_json(rows)
    return code


@command("purge")
@click.argument("refs", metavar="[REF]...", nargs=-1, shell_complete=offers.deleted_runs)
@_YES
@_FORCE
@json_option
def purge_command(workbench: Workbench, refs: tuple[str, ...], yes: bool, force: bool, as_json: bool) -> int:
    """Remove deleted runs for good, all or those named, and the content that no run refers to any more."""
    store = workbench.folders
    store.refuse_removal()
    trash = curate.Trash(store)
    chosen = all_of(trash, refs, "Nothing was removed.")
    # how many there are is asked below, with or without a word for several
    is_sure = yes or bool(chosen.counted) or meant("purge", refs, chosen, store.url)
    if not (yes or (is_sure and _agreed(len(trash.find()), refs, chosen.numbers, store.url))):
        say("Nothing was removed.")
        return errors.EXIT_OK
    purged = curate.purge(store, chosen.numbers if refs else None, force=force)
    if as_json:
        print_json(asdict(purged))
        return errors.EXIT_OK
    runs = f"{len(purged.runs)} run{'' if len(purged.runs) == 1 else 's'}"
    say(f"Removed {runs} and {purged.objects} pieces of content ({size(purged.bytes_freed)}).")
    if purged.left:
        left = " ".join(map(str, purged.left))
        say(
            f"Left, since they may be going on: {left}. "
            f"To remove them all the same: {as_typed(f'anew purge --force {left}', store.url)}"
        )
    if purged.content_kept:
        say(f"{purged.content_kept} To see what is damaged: {as_typed('anew check', store.url)}")
    return errors.EXIT_OK


def _agreed(deleted: int, refs: Sequence[str], numbers: Sequence[int], store: str) -> bool:
    if refs:
        runs = "run" if len(numbers) == 1 else f"{len(numbers)} runs"
        what = f"the deleted {runs} {some(numbers, _SHOWN)}"
    else:
        what = {0: "content that no run refers to", 1: "the deleted run"}.get(deleted, f"all {deleted} deleted runs")
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"This would remove {what} for good, and there is no terminal to ask on. "
            f"To do it without being asked: {as_typed(shlex.join(['anew', 'purge', *refs, '--yes']), store)}"
        )
    return click.confirm(f"Remove {what} for good?", err=True)
