"""
A sweep of one store in another: plan, claims, who handed out its jobs, and what a search has learnt.

What is there already gets what is new. Either copy may have been gone on with: jobs that were done in one of them are
done in the other as well, and of files that only one of both can have written that one's are taken.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from anew.runner.dataclass import dataclass
from anew.runner.errors import StoreError
from anew.runner.format import serial
from anew.runner.format.serial import to_json
from anew.runner.store.files import create_whole, read_regular, replace_whole
from anew.runner.store.loose import loose_files
from anew.runner.store.sweep_folder import SweepFolder
from anew.runner.sweep_records import Conductor, Taken

_MOST_BYTES = 1 << 30
_Conductors = dict[tuple[object, ...], Conductor]


@dataclass(frozen=True, slots=True)
class Numbers:
    """
    The runs of both stores.

    Attributes:
        uid: Gives the uid of a run by its number in the one; empty where there is none.
        number: Gives a run's number in the other by its uid; None where it is not there.
    """

    uid: Callable[[int], str]
    number: Callable[[str], int | None]


@dataclass(frozen=True, slots=True)
class Brought:
    """
    What came of it.

    Attributes:
        changed: How many files are new, or others than they were.
        waiting: How many attempts at jobs are left out, as their runs are not there.
    """

    changed: int
    waiting: int = 0


def bring(source: SweepFolder, target: SweepFolder, runs: Numbers) -> Brought:
    """
    Bring what is new of a sweep. Interrupted, the next call goes on; done twice, nothing is there twice.

    Args:
        source: The sweep, whose record can be read.
        target: Its folder in the other store, empty or with as much as was brought before.
        runs: The runs of both.

    Raises:
        StoreError: A folder cannot be read or written.
    """
    mine, theirs = _conductors(target), _conductors(source)
    # who hands out jobs there adds to the same files
    is_busy = target.conductor_alive() and not mine.keys() <= theirs.keys()
    has_come_further = mine.keys() != theirs.keys() or (source.ended() is not None and target.ended() is None)
    goes_on = mine.keys() <= theirs.keys() and has_come_further
    target.layout.folder.mkdir(parents=True, exist_ok=True)
    for folder in (target.layout.taken, target.layout.conductors):
        folder.mkdir(exist_ok=True)
    changed = int(create_whole(target.layout.record, _read(source.layout.record), sync=False))
    claimed, waiting = _bring_claims(source, target, runs)
    if is_busy:
        return Brought(changed + claimed, waiting)
    changed += _bring_plan(source, target) + claimed + sum(_bring_loose(source, target, goes_on))
    return Brought(changed + _bring_conductors(source, target, mine, theirs), waiting)


def _read(path: Path) -> bytes:
    """Return what a regular file holds. Raises StoreError."""
    try:
        if path.parent.is_symlink():
            raise OSError("its folder is a link, which is not followed")
        return read_regular(path, _MOST_BYTES)
    except OSError as error:
        raise StoreError(f"Cannot read {str(path)!r}: {error.strerror or error}", path=str(path)) from error


def _read_if_there(path: Path) -> bytes | None:
    return _read(path) if os.path.lexists(path) else None


# --- the plan -----------------------------------------------------------------------------------------------------


def _bring_plan(source: SweepFolder, target: SweepFolder) -> int:
    if not os.path.lexists(source.layout.jobs):
        return 0
    told = _whole_lines(_read(source.layout.jobs))
    there = _read_if_there(target.layout.jobs) or b""
    if told.startswith(there):
        new = told[len(there) :]
    else:
        known = {job.index for job in target.planned()}
        texts = told.splitlines(keepends=True)
        lines = [line for line in source.lines() if line.job is not None and line.job.index not in known]
        new = b"".join(texts[line.number - 1] for line in lines if line.number <= len(texts))
    if new:
        replace_whole(target.layout.jobs, (there and _whole_lines(there)) + new)
    return bool(new)


def _whole_lines(data: bytes) -> bytes:
    """Return data without the half line at its end that somebody is writing."""
    return data[: data.rfind(b"\n") + 1]


# --- who did what -------------------------------------------------------------------------------------------------


def _bring_claims(source: SweepFolder, target: SweepFolder, runs: Numbers) -> tuple[int, int]:
    there = target.taken()
    changed = waiting = 0
    for index, attempts in source.taken().items():
        known = {each.uid for each in there.get(index, ())}
        for each in attempts:
            uid = each.uid or ("" if each.run is None else runs.uid(each.run))
            if not uid or uid in known:
                continue
            number = runs.number(uid)
            if number is None:
                waiting += 1
                continue
            _bring_claim(source, target, each, replace(each, run=number, uid=uid))
            changed += 1
    return changed, waiting


def _bring_claim(source: SweepFolder, target: SweepFolder, claim: Taken, told: Taken) -> None:
    raw = source.claim_line(claim)
    # this user vouches for it where they did so before; anybody else did for the run's uid
    mark = None if source.is_own_claim(raw) else str(raw.get("origin_mark", "")) if claim.uid else ""
    while True:
        data = target.line_of(told, mark)
        if create_whole(target.layout.attempt(told.index, told.attempt), data, sync=False):
            break
        told = replace(told, attempt=told.attempt + 1)
    death = _read_if_there(source.layout.death(claim.index, claim.attempt))
    if death is not None:
        create_whole(target.layout.death(told.index, told.attempt), death, sync=False)


# --- who handed out jobs ------------------------------------------------------------------------------------------


def _conductors(folder: SweepFolder) -> _Conductors:
    found = {number: each for number, each in folder.conductors().items() if each is not None}
    return {_key(each): replace(each, number=number) for number, each in found.items()}


def _key(conductor: Conductor) -> tuple[object, ...]:
    return (conductor.started_at, conductor.process.pid, conductor.process.boot_id, conductor.process.hostname)


def _bring_conductors(source: SweepFolder, target: SweepFolder, mine: _Conductors, theirs: _Conductors) -> int:
    changed = 0
    numbers = {each.number for each in mine.values()}
    latest = max((each.started_at for each in mine.values()), default=None)
    for key, each in sorted(theirs.items(), key=lambda pair: pair[1].number):
        there = mine.get(key)
        if there is None and latest is not None and each.started_at < latest:
            continue  # the last one says how the sweep ended
        number = there.number if there else each.number if each.number not in numbers else max(numbers) + 1
        numbers.add(number)
        path, ended = source.layout.conductor(each.number), source.layout.ended(each.number)
        if there is None:
            changed += create_whole(
                target.layout.conductor(number), serial.seal(to_json(replace(each, number=number))), sync=False
            )
        with suppress(OSError):
            # its last sign of life
            beaten = path.stat().st_mtime_ns
            os.utime(target.layout.conductor(number), ns=(beaten, beaten))
        if (data := _read_if_there(ended)) is not None:
            changed += create_whole(target.layout.ended(number), data, sync=False)
    return changed


# --- what is not sealed -------------------------------------------------------------------------------------------


def _bring_loose(source: SweepFolder, target: SweepFolder, goes_on: bool) -> Iterator[bool]:
    for path in loose_files(source.layout):
        if path == source.layout.jobs:
            continue
        to = target.layout.folder / path.relative_to(source.layout.folder)
        there, data = _read_if_there(to), _read(path)
        if path.suffix == ".log" and path.parent == source.layout.search:
            data = _whole_lines(data)
        if there == data or (there is not None and not goes_on and not _is_longer(data, there)):
            yield False
            continue
        to.parent.mkdir(exist_ok=True)
        replace_whole(to, data)
        yield True


def _is_longer(data: bytes, there: bytes) -> bool:
    return len(data) > len(there) and data.startswith(there)
