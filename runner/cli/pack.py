"""`anew pack` and `anew unpack`."""

from __future__ import annotations

from dataclasses import asdict

import click

from anew.runner import errors
from anew.runner.cli import offers
from anew.runner.cli.chosen import all_of
from anew.runner.cli.context import Workbench, command, json_option, print_json
from anew.runner.cli.render import remark, say
from anew.runner.errors import StoreError
from anew.runner.store import packing
from anew.runner.store.folder import FolderStore
from anew.runner.store.typed import as_typed
from anew.runner.wording import printable, size, some

_SHOWN = 20
_TOLD = 5


@command("pack")
@click.argument("words", metavar="REF...", nargs=-1, required=True, shell_complete=offers.runs)
@json_option
def pack_command(workbench: Workbench, words: tuple[str, ...], as_json: bool) -> int:
    """
    Put runs that have ended into one file of the store's packs/, in place of a folder for each.

    They are listed, shown, plotted, run again, tagged and deleted as before; a tag gives a run its folder back. Several
    are named by a range, tag:NAME or a filter in quotes: anew pack 'ended < -30d'
    """
    store = _folder(workbench)
    chosen = all_of(store, words, "Nothing was packed.")
    packed = packing.pack(store, chosen.numbers)
    # those that a range or filter stands for are many, and some of them will be going on
    named = [number for number, word in chosen.runs.items() if word not in chosen.counted]
    code = errors.RunStateError.exit_code if any(number in packed.left for number in named) else errors.EXIT_OK
    if as_json:
        print_json(asdict(packed))
        return code
    for why in [*packed.left.values()][:_TOLD]:
        remark(printable(why))
    if (more := len(packed.left) - _TOLD) > 0:
        remark(f"{more} more were left in their folders for such reasons; all of them: --json")
    if packed.runs:
        runs = f"{len(packed.runs)} run{'' if len(packed.runs) == 1 else 's'}"
        say(
            f"Packed {runs} into {printable(', '.join(packed.packs))} "
            f"({size(packed.bytes_before)} are {size(packed.bytes_after)} now). "
            f"To have folders again: {as_typed('anew unpack REF...', store.url)}"
        )
    elif not packed.left:
        say("They are in packs already.")
    return code


@command("unpack")
@click.argument("words", metavar="REF...", nargs=-1, required=True, shell_complete=offers.runs)
@json_option
def unpack_command(workbench: Workbench, words: tuple[str, ...], as_json: bool) -> int:
    """Give runs that are in packs their folders back."""
    store = _folder(workbench)
    done = packing.unpack(store, all_of(store, words, "Nothing was unpacked.").numbers)
    if as_json:
        print_json({"runs": done})
    elif done:
        say(f"{'Run' if len(done) == 1 else 'Runs'} {some(done, _SHOWN)}: in a folder again.")
    else:
        say("None of them is in a pack.")
    return errors.EXIT_OK


def _folder(workbench: Workbench) -> FolderStore:
    store = workbench.folders
    if not isinstance(store, FolderStore):
        raise StoreError(
            f"The runs of {store.url} are in a database, which has no use for packs. "
            "To pack those of a folder: anew pack REF... --store FOLDER"
        )
    return store
