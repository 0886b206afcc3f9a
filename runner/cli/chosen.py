"""The runs that words on a command line name: what names none is said, and what takes many away asks."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Sequence

import click

from anew.runner import errors
from anew.runner.cli.render import remark, remark_error
from anew.runner.contracts import RunStore
from anew.runner.errors import RefSyntaxError
from anew.runner.format import ids
from anew.runner.records import RunRecord
from anew.runner.store.choosing import Choosable, Chosen, choose
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.typed import as_typed
from anew.runner.wording import printable, some

_SHOWN = 20


def say_refused(chosen: Chosen) -> int:
    """Say which words name no run, and why; return the exit code of the worst."""
    for _, error in chosen.refused:
        remark_error(error)
    return max((error.exit_code for _, error in chosen.refused), default=errors.EXIT_OK)


def light_of(store: RunStore, numbers: Sequence[int]) -> list[RunRecord]:
    """Return the records of runs, without going through their journals where the index knows what came of them."""
    known = store.runs(numbers) if isinstance(store, RunFolders) else {}
    return [known[number] if number in known else store.get(number) for number in numbers]


def all_of(store: Choosable, words: Iterable[str], nothing: str) -> Chosen:
    """
    Return the runs that words name, for a command that changes them: all of the words, or it changes nothing.

    Args:
        store: Where the runs are, or its trash.
        words: As typed.
        nothing: What is said when a word names none: "Nothing was deleted."

    Raises:
        click.exceptions.Exit: Some name none; that was said.
    """
    chosen = choose(store, words)
    if chosen.refused:
        code = say_refused(chosen)
        remark(nothing)
        raise click.exceptions.Exit(code)
    return chosen


def one_of(store: Choosable, ref: str, instead: str) -> int:
    """
    Return the one run that a word names, for a command that takes one.

    Args:
        store: Where it is.
        ref: As typed; a word that may stand for several has to stand for one.
        instead: What to type for several, with a place for the word.

    Raises:
        AnewError: It names none.
        click.UsageError: It names several.
    """
    chosen = choose(store, [ref])
    for _, error in chosen.refused:
        raise error
    if len(chosen.runs) > 1:
        raise click.UsageError(f"{ref!r} names {_counted(chosen.numbers)}, and one is wanted. {instead}")
    return chosen.numbers[0]


def two_of(store: Choosable, refs: Sequence[str]) -> tuple[int, int]:
    """Return the two runs that words name, or one run twice. Raises AnewError; click.UsageError for other numbers."""
    chosen = choose(store, refs)
    for _, error in chosen.refused:
        raise error
    numbers = chosen.numbers
    if len(numbers) == 1 and len(refs) == 2 and not chosen.counted:
        return numbers[0], numbers[0]
    if len(numbers) != 2:
        raise click.UsageError(f"Two runs are compared, and these words name {_counted(numbers)}.")
    return numbers[0], numbers[1]


def meant(command: str, words: Sequence[str], chosen: Chosen, store: str) -> bool:
    """
    Ask whether those runs of the store at a URL are meant that were named by a word for several, or by parts of uids.

    Raises:
        click.UsageError: There is no terminal to ask on.
    """
    vague = {ref: number for number, ref in chosen.runs.items() if ref not in chosen.counted and not _is_exact(ref)}
    which = ", ".join(f"{ref!r} is the beginning of run {number}'s uid" for ref, number in vague.items())
    if chosen.counted:
        many = f"This would {command} {_counted(chosen.numbers)}"
        asked = f"{many}; {which}" if which else many
        certain = f"To do it without being asked: {as_typed(shlex.join(['anew', command, *words, '--yes']), store)}"
    elif vague:
        asked = which
        certain = (
            f"To {command} by a part of a uid, name the run in full, or say that it is meant: "
            f"{as_typed(f'anew {command} ' + ' '.join(map(str, chosen.numbers)), store)}"
        )
    else:
        return True
    if not sys.stdin.isatty():
        raise click.UsageError(f"{asked}, and there is no terminal to ask on. {certain}")
    return click.confirm(f"{printable(asked)}. Is it meant?", err=True)


def _is_exact(ref: str) -> bool:
    try:
        return ids.is_exact(ref)
    except RefSyntaxError:
        return True


def _counted(numbers: Sequence[int]) -> str:
    return f"{len(numbers)} run{'' if len(numbers) == 1 else 's'}: {some([str(each) for each in numbers], _SHOWN)}"
