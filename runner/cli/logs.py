"""`anew logs`."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click

from anew.runner.cli import offers
from anew.runner.cli.chosen import say_refused
from anew.runner.cli.context import Workbench, command, json_option, print_json
from anew.runner.cli.render import as_printed, remark, remark_damage
from anew.runner.dispatch.observer_log import printed, printers
from anew.runner.dispatch.specs import read_specs
from anew.runner.errors import StoreError
from anew.runner.store.choosing import choose
from anew.runner.store.files import cannot
from anew.runner.store.run_folders import RunFolders


@command("logs")
@click.argument("refs", metavar="REF...", nargs=-1, required=True, shell_complete=offers.runs)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@click.option("--observer", metavar="NAME", help="What this observer printed and logged, and its tracebacks.")
@json_option
def logs_command(workbench: Workbench, refs: tuple[str, ...], follow: bool, observer: str | None, as_json: bool) -> int:
    """
    Print what runs printed, as it was printed; with --json one as a string, several by number.

    While following, a line appears when it is complete. What observers print is not the run's, and kept apart.
    """
    if observer is not None:
        if follow:
            raise click.UsageError("What an observer printed cannot be followed; leave out --follow.")
        return _of_observer(workbench.folders, refs, observer, as_json)
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


def _of_observer(store: RunFolders, refs: tuple[str, ...], name: str, as_json: bool) -> int:
    """Print the logs of one observer of runs."""
    chosen = choose(store, refs)
    texts = {number: _log(store, number, name) for number in chosen.numbers}
    if as_json and (texts or not chosen.is_one):
        print_json(next(iter(texts.values())) if chosen.is_one else {str(each): text for each, text in texts.items()})
    for number, text in () if as_json else texts.items():
        if not chosen.is_one:
            remark(f"run {number}:")
        _print(filter(None, [text]), f"The observer {name!r} printed nothing.")
    return say_refused(chosen)


def _log(store: RunFolders, number: int, name: str) -> str:
    """Return what an observer of a run printed. Raises StoreError."""
    layout = store.present(number)
    try:
        text, known = printed(layout, name), sorted({*read_specs(layout), *printers(layout)})
    except OSError as error:
        raise cannot("read", layout.observers, error) from error
    if text is None and name not in known and not layout.cursor(name).exists():
        raise StoreError(f"Run {number} has no observer {name!r}. It has: {', '.join(known) or 'none'}.", observer=name)
    return text or ""


def _print(pieces: Iterable[str], nothing: str = "The run printed nothing.") -> None:
    something = False
    for piece in pieces:
        something = True
        sys.stdout.buffer.write(as_printed(piece).encode("utf-8", "backslashreplace"))
        sys.stdout.buffer.flush()
    if not something:
        remark(nothing)
