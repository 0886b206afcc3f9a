"""
The index: light records of runs, derived from the runs' folders and made anew whenever in doubt.

A finished run is read once. Afterwards the sizes and times of its files tell whether a tag or a note was added, or one
was cut short. Of a run without an outcome it is kept how far it was read, and what it was then, so that no more than
what it has written since is read. Every row has its checksum: what is odd is read afresh, and the file is replaced.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner.dataclass import dataclass
from anew.runner.format import light
from anew.runner.format.ids import is_number
from anew.runner.lazy.modules import later
from anew.runner.records import CommandFacts, RunRecord, Status
from anew.runner.store import stamps
from anew.runner.store.further import Progress
from anew.runner.store.index_file import ODD, IndexFile, is_sound, sealed
from anew.runner.store.stamps import NEVER, Stamp
from anew.runner.store.stored import StoredRun

if TYPE_CHECKING:
    import sqlite3
else:
    sqlite3 = later("sqlite3")

_FIRST, _AT_A_TIME = 64, 512
# of so many runs the rows are held in memory, some 5 KB each
_MOST_HELD = 10_000
_COLUMNS = "id, uid, stamp, record, follow, crc"
Reader = Callable[[int, "Progress | None"], "tuple[RunRecord | None, Progress | None]"]


class Index:
    """
    Light records of a store's runs, by number.

    Never raises on account of its own file: damaged, locked, of another version or not writable, it is built anew, or
    in memory. Safe between threads and processes.

    Args:
        path: The file.
        runs: The folder that the runs' folders are in.
    """

    def __init__(self, path: Path, runs: Path) -> None:
        self.file = IndexFile(path)
        self._runs = runs
        self._held: dict[int, _Row] = {}

    def numbers(self) -> list[int]:
        """Return the numbers of all run folders, newest first."""
        with os.scandir(self._runs) as entries:
            return sorted(
                (int(entry.name) for entry in entries if is_number(entry.name) and _is_folder(entry)), reverse=True
            )

    def runs(self, numbers: Iterable[int], read: Reader) -> Generator[StoredRun, None, None]:
        """
        Yield runs with their light records, in the order given; folders whose run never started are left out.

        Args:
            numbers: Run numbers.
            read: Gives a run's record, or None, and how far it was read, given how far it was read before.
        """
        wanted = list(numbers)
        with closing(_Look(self.file)) as look:
            for position, number in enumerate(wanted):
                row: _Row | RunRecord | None = self._held.get(number)
                if not isinstance(row, _Row) or not row.stamp.holds(f"{self._runs}/{number}"):
                    row = self._read(number, look.row(wanted, position, self._held), read, look)
                if isinstance(row, _Row):
                    yield StoredRun(number, row.record)
                elif row is not None:
                    yield StoredRun(number, row)

    def _read(self, number: int, known: tuple[Any, ...] | None, read: Reader, look: _Look) -> _Row | RunRecord | None:
        """Return a run's row, out of the file or made afresh; of a run that may change without a trace its record."""
        folder = f"{self._runs}/{number}"
        row = known and self._row(known, read)
        if row and row.stamp.holds(folder):
            if row.stamp.is_young and (stamp := stamps.taken(folder)) and stamp.seen == row.stamp.seen:
                row = replace(row, stamp=stamp)
                look.note(row)
        else:
            stamp = stamps.taken(folder)
            before = Progress.of_text(row.record, row.follow) if row else None
            record, progress = read(number, before)
            if record is None or not record.uid:
                return record
            if progress is not None:
                if before is None or before.places != progress.places:
                    look.note(_Row(number, record.uid, NEVER, light.to_text(progress.record), progress.text, record))
                return record
            if stamp is None or not record.status.final:
                return record
            row = self._row((number, record.uid, stamp.text, light.to_text(record), ""), read)
            look.note(row)
        if len(self._held) < _MOST_HELD or number in self._held:
            self._held[number] = row
        return row

    @staticmethod
    def _row(values: tuple[Any, ...], read: Reader) -> _Row:
        number, uid, stamp, text, follow = values
        record = light.of_text(text, lambda: read(number, None)[0] or _gone(number))
        return _Row(number, uid, Stamp.of_text(stamp), text, follow, record)

    def find_uid(self, prefix: str) -> list[int]:
        """Return the numbers of indexed runs whose uid begins so; the answer may be out of date."""
        with closing(_Look(self.file)) as look:
            return [row[0] for row in look.sound("uid >= ? AND uid < ?", [prefix, f"{prefix}~"])]

    def flaw(self) -> str:
        """Return what is wrong with the file, all of which is read; nothing where there is none. Never raises."""
        return self.file.flaw()

    def forget(self) -> None:
        """Remove the index; it is built anew when it is next needed."""
        self._held.clear()
        self.file.forget()


@dataclass(frozen=True, slots=True)
class _Row:
    """A run in the index, and its record, whose parts are read when they are asked for."""

    number: int
    uid: str
    stamp: Stamp
    text: str
    follow: str
    record: RunRecord

    @property
    def values(self) -> tuple[Any, ...]:
        """What the file holds of it."""
        return sealed(self.number, self.uid, self.stamp.text, self.text, self.follow)


class _Look:
    """One look at the file, opened when a row is first wanted of it; what is new is written a few hundred at a time."""

    def __init__(self, file: IndexFile) -> None:
        self._file = file
        self._opened: sqlite3.Connection | None = None
        self._known: dict[int, tuple[Any, ...]] = {}
        self._asked = -1
        self._size = _FIRST
        self._fresh: list[_Row] = []
        self._doubted = False

    def _database(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = self._file.open()
        return self._opened

    def row(self, wanted: Sequence[int], position: int, held: Mapping[int, _Row]) -> tuple[Any, ...] | None:
        """Return what the file knows of the run at a place of those that are wanted, and fetch the next ones, too."""
        if position > self._asked:
            self._asked = min(position + self._size, len(wanted)) - 1
            self._size = _AT_A_TIME
            some = [wanted[position], *(each for each in wanted[position + 1 : self._asked + 1] if each not in held)]
            rows = self.sound(f"id IN ({','.join('?' * len(some))})", some)
            self._known = {row[0]: row for row in rows}
        return self._known.get(wanted[position])

    def sound(self, where: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return rows that are as they were written; after any other the file is not trusted any further."""
        try:
            rows = self._database().execute(f"SELECT {_COLUMNS} FROM runs WHERE {where}", values).fetchall()
        except ODD:
            self._doubted = True
            return []
        good = [row[:-1] for row in rows if is_sound(row)]
        self._doubted = self._doubted or len(good) < len(rows)
        return good

    def note(self, row: _Row) -> None:
        """Have a row written."""
        self._fresh.append(row)
        if len(self._fresh) >= _AT_A_TIME:
            self._write()

    def _write(self) -> None:
        rows = [row.values for row in self._fresh]
        self._fresh = []
        if rows and not self._doubted:
            with suppress(*ODD), self._database() as database:
                database.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?)", rows)

    def close(self) -> None:
        """Write what is new, or throw away a file that is odd."""
        self._write()
        if self._opened is not None:
            self._opened.close()
        if self._doubted:
            self._file.forget()


def _gone(number: int) -> RunRecord:
    """Return what is said of a run that was taken away while it was looked at."""
    never = datetime.fromtimestamp(0, timezone.utc)
    command = CommandFacts(argv=(), cwd="")
    return RunRecord(uid="", id=number, experiment="(unknown)", started_at=never, command=command, status=Status.LOST)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False
