"""`anew sync`."""

from __future__ import annotations

import re
import shlex
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import click

from anew.runner import errors
from anew.runner.cli import offers
from anew.runner.cli.chosen import all_of
from anew.runner.cli.context import Workbench, command, json_option, print_json
from anew.runner.cli.render import remark, say
from anew.runner.config.build import read_settings
from anew.runner.dispatch.pending import Delivered, deliver, pending
from anew.runner.dispatch.pending import drop as drop_pending
from anew.runner.dispatch.spool import is_spool, spool_folder, tidy
from anew.runner.dispatch.sweeps import move_sweeps
from anew.runner.dispatch.transfer import Moved, to_folder, to_observer
from anew.runner.errors import StoreError
from anew.runner.store.folder import FolderStore
from anew.runner.store.locate import open_run_folders
from anew.runner.store.run_folders import RunFolders
from anew.runner.wording import printable, some

_PREFIX = "anew.observers."


@command("sync")
@click.argument("words", metavar="[REF]... | SOURCE TARGET", nargs=-1, shell_complete=offers.runs)
@click.option("--watch", is_flag=True, help="Go on, as long as it is not stopped (Ctrl-C).")
@click.option("--every", default=2.0, metavar="SECONDS", show_default=True, help="With --watch: how often to look.")
@click.option("--trust", is_flag=True, help="Deliver also to observers that somebody else's record names.")
@click.option("--drop", metavar="NAME", help="Give up what this observer has not got; it stays in the record.")
@json_option
def sync_command(
    workbench: Workbench,
    words: tuple[str, ...],
    watch: bool,
    every: float,
    trust: bool,
    drop: str | None,
    as_json: bool,
) -> int:
    r"""
    Deliver what observers have not got yet, or copy whole runs and sweeps from one store to another.

    Without a REF everything that is pending in the store, and runs that no folder keeps. Safe at any time, also while
    runs are going on; nothing is delivered twice. Exits with 1 when something is still pending.

    \b
      anew sync                              all that is pending
      anew sync 42                           of run 42
      anew sync --drop mongo                 nothing more to mongo
      anew sync 42 anew.observers.mongo.url=mongodb://ada:secret@db/anew
      anew sync runs/ mongodb://db/anew      whole runs and sweeps, content included; the other way round as well
    """
    refs = [word for word in words if not word.startswith(_PREFIX)]
    changes = read_settings([word for word in words if word.startswith(_PREFIX)])
    if drop is not None:
        return _drop(workbench, refs, drop, as_json)
    while True:
        if _are_places(refs):
            left = _transfer(refs[0], refs[1], as_json)
        else:
            left = _deliver(workbench, refs, changes, as_json, quiet=watch, trusted=trust)
        if not watch:
            return errors.EXIT_FAILED if left else errors.EXIT_OK
        time.sleep(max(0.1, every))


def _are_places(words: list[str]) -> bool:
    """
    Whether words are a source and a target, which may be a folder that is not there yet.

    Raises:
        click.UsageError: A place is among words that are none.
    """
    places = [word for word in words if _is_place(word)]
    if places and len(words) == 2 and (len(places) == 2 or (words[0] in places and not _is_run(words[1]))):
        return True
    if places:
        place = shlex.quote(places[0])
        raise click.UsageError(
            f"{places[0]!r} is the place of a store, and {'the other words name runs' if words[1:] else 'no run'}. "
            f"To deliver what is pending there: anew sync --store {place}. To copy its runs: "
            f"anew sync {place} TARGET, a folder (./42 for one that is called like a run) or mongodb://..."
        )
    return False


def _is_place(word: str) -> bool:
    if "://" in word:
        return True
    return not word.startswith("sweep:") and ("/" in word or Path(word).is_dir())


def _is_run(word: str) -> bool:
    """Whether a word, which is no folder, can name a run or several."""
    return bool(re.fullmatch(r"last(~\d+)?|\d[\d,-]*|[a-z]+:.*|.*[<>=].*", word))


# --- what is pending ------------------------------------------------------------------------------------------


def _deliver(
    workbench: Workbench,
    refs: list[str],
    changes: Mapping[str, Mapping[str, Any]],
    as_json: bool,
    *,
    quiet: bool,
    trusted: bool,
) -> bool:
    """Deliver; return whether something is left."""
    results: list[Delivered] = []
    for store, numbers, spooled in _work(workbench, refs):
        for number in numbers:
            for result in deliver(store, number, changes, trusted=trusted):
                results.append(result)
                if not as_json and not (quiet and not result.events):
                    say(_told(result, store))
        if spooled:
            tidy(store)
    if as_json:
        print_json([asdict(result) for result in results])
    elif not results and not quiet:
        say("Nothing is pending.")
    return any(result.behind or result.aside for result in results)


def _drop(workbench: Workbench, refs: list[str], name: str, as_json: bool) -> int:
    """Give up what an observer has not got."""
    dropped: list[dict[str, Any]] = []
    for store, numbers, spooled in _work(workbench, refs):
        for number in list(numbers):
            if events := drop_pending(store, number, name):
                dropped.append({"number": number, "observer": name, "events": events})
                if not as_json:
                    say(f"run {number}, {printable(name)}: {events} events given up; they stay in the record")
        if spooled:
            tidy(store)
    if as_json:
        print_json(dropped)
    elif not dropped:
        say(f"Nothing is pending for an observer {printable(name)!r}.")
    return errors.EXIT_OK


def _work(workbench: Workbench, refs: list[str]) -> Iterable[tuple[RunFolders, Iterable[int], bool]]:
    if refs:
        store = workbench.folders
        yield store, all_of(store, refs, "Nothing was delivered.").numbers, is_spool(store)
        return
    spool = spool_folder()
    has_spool = (spool / "FORMAT").exists()
    try:
        store = workbench.folders
    except StoreError:
        if workbench.url is not None or not has_spool:
            raise
    else:
        if is_spool(store):
            yield store, pending(store), True
            return
        yield store, pending(store), False
    if has_spool:
        kept = open_run_folders(spool)
        yield kept, pending(kept), True


def _told(result: Delivered, store: RunFolders) -> str:
    text = f"run {result.number}, {result.observer}: {result.events} events delivered"
    if result.sink:
        text += f" ({printable(result.sink)})"
    if result.aside:
        path = store.layout.run(result.number).aside(result.observer)
        text += f"; it could not take {result.aside}, which are listed in {path}"
    if result.behind:
        text += f"; {result.behind} are still pending: {printable(result.error)}"
    return text


# --- whole runs -----------------------------------------------------------------------------------------------


def _transfer(source_url: str, target_url: str, as_json: bool) -> bool:
    """Copy all runs, and then the sweeps that they are of; return whether something is left."""
    source = open_run_folders(source_url)
    target = _target(target_url)
    moved: list[Moved] = []
    for each in chain(_moves(source, target), move_sweeps(source, target)):
        moved.append(each)
        if not as_json and each.what != "there already":
            where = f" -> {printable(each.to)}" if each.to else ""
            what = f"{each.kind} {printable(each.name) or each.number}" if each.number else "no run"
            told = f" ({printable(each.detail)})" if each.detail else ""
            say(f"{what}{where}: {each.what}{told}")
    if as_json:
        print_json([asdict(each) for each in moved])
    else:
        new, there = _count(moved, "copied", "updated"), _count(moved, "there already").removesuffix(" runs")
        left = [each for each in moved if not each.to and each.is_left]
        say(
            f"{new or '0 runs'} copied{f'; {there} were there already' if there else ''}"
            f"{f'; {len(left)} left out: {_left_out(left)}' if left else ''}."
        )
    return any(each.is_left for each in moved)


def _left_out(moved: list[Moved]) -> str:
    """Return what is not there, and why, by the reason."""
    names: dict[str, list[str]] = {}
    for each in moved:
        called = f"{'' if each.kind == 'run' else f'{each.kind} '}{printable(each.name) or each.number}"
        names.setdefault(each.what, []).append(called if each.number else "what is no run")
    return "; ".join(f"{some(those)} ({what})" for what, those in names.items())


def _count(moved: Iterable[Moved], *what: str) -> str:
    """Return how many came to that, such as "3 runs and 1 sweep"; nothing for none."""
    kinds = Counter(each.kind for each in moved if each.what in what)
    return " and ".join(
        f"{count} {kind}{'' if count == 1 and kind == 'sweep' else 's'}" for kind, count in kinds.items()
    )


def _target(url: str) -> RunFolders:
    """Return the store that is copied to; a folder that is none yet becomes one, which is said."""
    is_new = "://" not in url and not Path(url, "FORMAT").exists()
    target = open_run_folders(url, create=True)
    if is_new:
        remark(f"A store was made in {target.url}.")
    return target


def _moves(source: RunFolders, target: RunFolders) -> Iterable[Moved]:
    if isinstance(target, FolderStore):
        return to_folder(source, target)
    known = {record.uid for record in target.records()}
    return to_observer(source, target.url, lambda: target.observer(keep_number=True), known.__contains__)
