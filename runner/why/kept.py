"""
A search in its store: what it was begun with, and what it came to.

`whys/N/why.json` is written once, before the first trial; `whys/N/answer.json` at the end of each attempt. The trials
are runs of the store, which name the search. Safe between processes: a number is taken by making its folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.errors import RerunError, StoreError
from anew.runner.format import ids, serial
from anew.runner.format.serial import DamagedError
from anew.runner.store.files import (
    cannot,
    create_whole,
    make_folders,
    read_regular,
    replace_whole,
    sync_folder,
)
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.typed import as_typed

_MOST_BYTES = 1 << 28


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """
    What a search was begun with.

    Attributes:
        id: Its number in the store.
        uid: Its name everywhere.
        good: The good run's uid.
        bad: The bad one's.
        options: What was asked for, as `Options` has it.
        deltas: Kind and name of each difference, in the order of their numbers.
    """

    id: int
    uid: str
    good: str
    bad: str
    options: Mapping[str, Any]
    deltas: tuple[tuple[str, str], ...]


def begin(store: RunFolders, good: str, bad: str, options: Mapping[str, Any], deltas: list[tuple[str, str]]) -> Begun:
    """Put a new search on record. Raises StoreError."""
    whys = store.layout.whys
    try:
        if not whys.exists():
            make_folders(whys)
        number = max(store.why_numbers(), default=0) + 1
        while True:
            layout = store.layout.why(number)
            try:
                layout.folder.mkdir()
                break
            except FileExistsError:
                number += 1
        sync_folder(whys)
    except OSError as error:
        raise cannot("write", whys, error) from error
    begun = Begun(id=number, uid=ids.new_uid(), good=good, bad=bad, options=options, deltas=tuple(deltas))
    create_whole(layout.record, serial.seal(serial.to_json(begun)))
    return begun


def begun(store: RunFolders, number: int) -> Begun:
    """Return what a search was begun with. Raises RerunError where there is none, StoreError where it is damaged."""
    layout = store.layout.why(number)
    if not layout.folder.is_dir():
        known = store.why_numbers()
        there = f"there are {', '.join(map(str, known))}" if known else "there is none yet: anew why GOOD BAD"
        raise RerunError(f"No search {number} in {store.url}; {there}.")
    try:
        return serial.from_json(Begun, _unsealed(layout.record))
    except DamagedError as error:
        raise StoreError(f"{str(layout.record)!r} is damaged ({error}). Begin it anew: anew why GOOD BAD") from error


def put_answer(store: RunFolders, number: int, answer: Mapping[str, Any]) -> None:
    """Put what a search came to on record, in the place of what it had come to before. Raises StoreError."""
    replace_whole(store.layout.why(number).answer, serial.seal(answer), sync=True)


def answer(store: RunFolders, number: int) -> dict[str, Any]:
    """Return what a search came to. Raises RerunError, StoreError."""
    known = begun(store, number)
    path = store.layout.why(number).answer
    if not path.exists():
        resume = as_typed(f"anew why --resume {known.id}", store.url)
        raise RerunError(f"Search {number} has come to no end yet, or was killed. To go on with it: {resume}")
    return _unsealed(path)


def _unsealed(path: Path) -> dict[str, Any]:
    try:
        return serial.unseal(read_regular(path, _MOST_BYTES))
    except DamagedError as error:
        raise StoreError(f"{str(path)!r} is damaged: {error}. Its trials are whole: anew list 'has(why)'") from error
    except OSError as error:
        raise cannot("read", path, error) from error
