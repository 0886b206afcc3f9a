"""One look at the index: rows are fetched some hundreds at a time, and what is new is written likewise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from anew.runner.dataclass import dataclass
from anew.runner.lazy.modules import later
from anew.runner.records import RunRecord
from anew.runner.store.index_facts import facts_of
from anew.runner.store.index_file import ODD, IndexFile, is_sound, sealed
from anew.runner.store.stamps import Stamp

if TYPE_CHECKING:
    import sqlite3
else:
    sqlite3 = later("sqlite3")

_FIRST, AT_A_TIME = 64, 512
_COLUMNS = "id, uid, stamp, record, follow, crc"


@dataclass(frozen=True, slots=True)
class Row:
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


class Look:
    """
    One look at the file, opened when a row is first wanted of it. Not thread-safe.

    Attributes:
        doubted: Whether something in it was odd: it is thrown away at the end.
        unwritten: Finished runs that could not be written.
    """

    def __init__(self, file: IndexFile) -> None:
        self._file = file
        self._opened: sqlite3.Connection | None = None
        self._known: dict[int, tuple[Any, ...]] = {}
        self._asked = -1
        self._size = _FIRST
        self._fresh: list[tuple[Row, RunRecord | None]] = []
        self._names: dict[tuple[str, str], int] = {}
        self.doubted = False
        self.unwritten: list[Row] = []

    @property
    def database(self) -> sqlite3.Connection:
        """The file, opened."""
        if self._opened is None:
            self._opened = self._file.open()
            self._opened.isolation_level = None
        return self._opened

    def row(self, wanted: Sequence[int], position: int, held: Mapping[int, Row]) -> tuple[Any, ...] | None:
        """Return what the file knows of the run at a place of those that are wanted, and fetch the next ones, too."""
        if position > self._asked:
            self._asked = min(position + self._size, len(wanted)) - 1
            self._size = AT_A_TIME
            some = [wanted[position], *(each for each in wanted[position + 1 : self._asked + 1] if each not in held)]
            rows = self.sound(f"id IN ({','.join('?' * len(some))})", some)
            self._known = {row[0]: row for row in rows}
        return self._known.get(wanted[position])

    def begin(self) -> None:
        """Forget which rows were fetched: others are wanted."""
        self._known, self._asked, self._size = {}, -1, _FIRST

    def sound(self, where: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return rows that are as they were written; after any other the file is not trusted any further."""
        try:
            rows = self.database.execute(f"SELECT {_COLUMNS} FROM runs WHERE {where}", values).fetchall()
        except ODD:
            self.doubted = True
            return []
        good = [row[:-1] for row in rows if is_sound(row)]
        self.doubted = self.doubted or len(good) < len(rows)
        return good

    # --- writing ----------------------------------------------------------------------------------------------------

    def note(self, row: Row, record: RunRecord | None = None) -> None:
        """Have a row written; with its record, what filters look at, too."""
        self._fresh.append((row, record))
        if len(self._fresh) >= AT_A_TIME:
            self.write()

    def write(self) -> None:
        """Write what is new."""
        fresh, self._fresh = self._fresh, []
        if not fresh:
            return
        try:
            if self.doubted:
                raise sqlite3.DatabaseError
            with self.database as database:
                database.execute("BEGIN IMMEDIATE")
                rows = [row.values for row, _ in fresh]
                database.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?)", rows)
                self._write_facts([(row, record or row.record) for row, record in fresh])
        except ODD:
            self._names.clear()
            self.unwritten += [row for row, _ in fresh if not row.follow]

    def _write_facts(self, fresh: Sequence[tuple[Row, RunRecord]]) -> None:
        self.forget_facts([row.number for row, _ in fresh])
        known, facts, metrics = [], [], []
        for row, record in fresh:
            if row.follow:
                continue
            found = facts_of(record)
            number = row.number
            known.append((number, row.stamp.is_settled, found.partial))
            facts += [(self._name(part, name), number, *rest) for part, name, *rest in found.rows]
            metrics += [(self._name("metric", name), number, *rest) for name, *rest in found.metrics]
        self.database.executemany("INSERT OR REPLACE INTO known VALUES (?, ?, ?, NULL)", known)
        self.database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?)", facts)
        self.database.executemany("INSERT OR REPLACE INTO metrics VALUES (?, ?, ?, ?, ?, ?, ?)", metrics)

    def forget_facts(self, numbers: Iterable[int]) -> None:
        """Remove what filters look at, of runs that have changed or are gone. Raises sqlite3.Error."""
        there = [
            (number,)
            for number in numbers
            if self.database.execute("SELECT 1 FROM known WHERE run = ?", (number,)).fetchone()
        ]
        if there:
            names = self.database.execute("SELECT id FROM names").fetchall()
            gone = [(name, run) for (name,) in names for (run,) in there]
            for table in ("facts", "metrics"):
                self.database.executemany(f"DELETE FROM {table} WHERE name = ? AND run = ?", gone)
            self.database.executemany("DELETE FROM known WHERE run = ?", there)

    def _name(self, part: str, name: str) -> int:
        key = (part, name)
        if key not in self._names:
            self.database.execute("INSERT OR IGNORE INTO names (part, name) VALUES (?, ?)", key)
            [(number,)] = self.database.execute("SELECT id FROM names WHERE part = ? AND name = ?", key)
            self._names[key] = number
        return self._names[key]

    def add_facts(self, part: str, name: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add rows of a name for runs that lack it: run, number, kind, value and value in small letters. Raises ODD."""
        with self.database as database:
            database.execute("BEGIN IMMEDIATE")
            number = self._name(part, name)
            there = [
                (number, *row)
                for row in rows
                if database.execute("SELECT 1 FROM known WHERE run = ?", row[:1]).fetchone()
            ]
            database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?)", there)

    def close(self) -> None:
        """Write what is new, or throw away a file that is odd."""
        self.write()
        if self._opened is not None:
            with suppress(*ODD):
                self._opened.close()
        if self.doubted:
            self._file.forget()
