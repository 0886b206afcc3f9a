"""How far an observer has got in a run, and the file that says so."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.format.serial import DamagedError, from_json, seal, to_json, unseal_or_older
from anew.runner.records import Damage, Part, Severity
from anew.runner.store.files import cannot, names_in, read_regular, replace_whole
from anew.runner.store.paths import RunLayout

_LOOK_S = 0.05
_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A stretch of the captured output that was delivered: where it lies, and the CRC-32 of its bytes."""

    begin: int
    end: int
    crc: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """
    A place in a run's files; everything before it counts as delivered.

    Attributes:
        started, ended: Whether the start and the outcome lie before it.
        journals: Writer -> bytes.
        pieces: How many `OutputCaptured` events lie before it.
        output: What was delivered of the captured output, in order and without gaps.
        events: How many events lie before it.
    """

    started: bool = False
    ended: bool = False
    journals: Mapping[str, int] = field(default_factory=dict)
    pieces: int = 0
    output: tuple[Mark, ...] = ()
    events: int = 0

    @property
    def output_end(self) -> int:
        """How many bytes of the captured output were delivered."""
        return self.output[-1].end if self.output else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Cursor:
    """
    What is known about one observer of a run.

    Attributes:
        done: What counts as delivered.
        trying: Where the batch ends that is being delivered, so that a repeat after a crash is the same batch.
        aside: How many events the observer could not take.
        error: What went wrong last; empty once something was delivered after it.
        sink: What the observer calls the run, such as a number in a database.
    """

    done: Position = field(default_factory=Position)
    trying: Position | None = None
    aside: int = 0
    error: str = ""
    sink: str = ""


class CursorFile:
    """
    The cursor of one observer of a run, on disk. Whoever delivers holds it; others may read it at any time.

    Attributes:
        cursor: As it was read or saved last.
    """

    def __init__(self, layout: RunLayout, name: str) -> None:
        self.path = layout.cursor(name)
        self._aside = layout.aside(name)
        self.cursor = read_cursor(self.path)

    def save(self, **changes: Any) -> None:
        """Change the cursor, at once complete on disk. Raises StoreError."""
        self.cursor = replace(self.cursor, **changes)
        replace_whole(self.path, seal(to_json(self.cursor)))

    def set_aside(self, writer: str, number: int, kind: str, error: str) -> None:
        """Note that an event could not be taken. Raises StoreError."""
        line = seal({"writer": writer, "q": number, "event": kind, "error": error})
        try:
            with self._aside.open("ab") as file:
                file.write(line)
        except OSError as problem:
            raise cannot("write", self._aside, problem) from problem
        self.save(aside=self.cursor.aside + 1)


def read_cursor(path: Path) -> Cursor:
    """Return a cursor; one that is missing or damaged is at the start, since repeats are harmless."""
    try:
        return _read(path)
    except (OSError, DamagedError):
        return Cursor()


def observer_damage(layout: RunLayout) -> list[Damage]:
    """Return what is wrong with what is on record of a run's observers: cursors, configurations, what was set aside."""
    try:
        if layout.observers.is_symlink():
            raise OSError(errno.ELOOP, "it is a link, which is not followed")
        names = sorted(names_in(layout.observers))
    except OSError as error:
        return [_damaged(layout.observers.name, error, _COSTS[".cursor"])]
    found = []
    for name in sorted({*names, *_expected(layout, names)}):
        read, cost = _READERS.get(Path(name).suffix), _COSTS.get(Path(name).suffix)
        if read is None or cost is None or name.startswith("."):
            continue
        try:
            read(layout.observers / name)
        except (OSError, DamagedError) as error:
            if name not in names or not isinstance(error, FileNotFoundError):  # else it was taken away just now
                found.append(_damaged(f"{layout.observers.name}/{name}", error, cost))
    return found


def observers_of(layout: RunLayout) -> list[str]:
    """Return the names of a run's observers whose configuration is on record, and intact. Never raises."""
    found = []
    with suppress(OSError):
        for name in sorted(names_in(layout.observers)) if not layout.observers.is_symlink() else ():
            if name.endswith(".json"):
                with suppress(OSError, DamagedError):
                    _check_spec(layout.observers / name)
                    found.append(name.removesuffix(".json"))
    return found


def _expected(layout: RunLayout, names: list[str]) -> Iterator[str]:
    """Yield the files that there have to be, by what cursors say."""
    for name in names:
        observer = name.removesuffix(".cursor")
        if observer != name and not name.startswith(".") and read_cursor(layout.observers / name).aside:
            yield layout.aside(observer).name


def _damaged(where: str, error: Exception, cost: str) -> Damage:
    why = error.strerror if isinstance(error, OSError) else error
    return Damage(
        part=Part.CURSOR,
        what=f"{where} is damaged ({why}); {cost}",
        where=where,
        severity=Severity.WARNING,
        mend="anew sync",
    )


def _check_aside(path: Path) -> None:
    """Raise DamagedError where a line says something else than what was written, or one is missing; OSError."""
    lines = read_regular(path, _MOST_BYTES).splitlines()
    for line in lines:
        unseal_or_older(line)
    expected = read_cursor(path.with_name(path.name.removesuffix(".aside.jsonl") + ".cursor")).aside
    if len(lines) < expected:
        raise DamagedError(f"{expected - len(lines)} of {expected} lines are missing")


def _check_spec(path: Path) -> None:
    """Raise DamagedError where an observer's configuration is not what was written; OSError."""
    unseal_or_older(read_regular(path, _MOST_BYTES))


def _read(path: Path) -> Cursor:
    """Return a cursor. Raises OSError, DamagedError."""
    data = read_regular(path, _MOST_BYTES)
    cursor = from_json(Cursor, unseal_or_older(data))
    for position in filter(None, (cursor.done, cursor.trying)):
        numbers = (position.pieces, position.events, *position.journals.values())
        stretches = [(mark.begin, mark.end) for mark in position.output]
        if min(numbers) < 0 or any(not 0 <= begin <= end for begin, end in stretches):
            raise DamagedError("it names no place in a run")
    return cursor


_READERS: Mapping[str, Callable[[Path], object]] = {".cursor": _read, ".json": _check_spec, ".jsonl": _check_aside}
_COSTS = {
    ".cursor": "what was delivered comes to the observer once more",
    ".json": "what is pending goes nowhere until it is configured again",
    ".jsonl": "which events were not taken is not known",
}


@contextmanager
def held(layout: RunLayout, name: str, *, wait_s: float = 0.0) -> Iterator[bool]:
    """Be the only one who delivers to this observer; gives False when somebody else still is. Ends with the process."""
    until = time.monotonic() + wait_s
    path = layout.lock(name)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise cannot("write", path, error) from error
    try:
        while not (mine := _locked(descriptor)) and time.monotonic() < until:
            time.sleep(_LOOK_S)
        yield mine
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
