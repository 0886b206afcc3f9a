"""The rows of the index in which the columns of a run are kept: as bytes and back, and written all or not at all."""

from __future__ import annotations

import json
import os
import sys
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from anew.runner.dataclass import dataclass
from anew.runner.errors import StoreError
from anew.runner.format.values import number_from_json, number_to_json
from anew.runner.lazy.modules import later
from anew.runner.store.cells import Column, cells_of, unpacked
from anew.runner.store.following import Place
from anew.runner.store.index_file import IndexFile, is_damage, is_sound, odd_errors, sealed
from anew.runner.store.journal_forms import State
from anew.runner.store.paths import RunLayout
from anew.runner.store.summed import Summed

if TYPE_CHECKING:
    import sqlite3

    from anew.runner.store.cells import Cells
else:
    sqlite3 = later("sqlite3")

T = TypeVar("T")
# of a row that a bucket ends in all is read, and of those there are as many as buckets
MOST_POINTS = 1 << 11
JSON = "j"
_ALL = ""


@dataclass(frozen=True, slots=True)
class Head:
    """
    What is kept of one journal.

    Attributes:
        stamp: Its size, times and inode, where the run had ended: as long as these are the same it is as it was.
        place: How far it was read.
        parts: Metric -> its rows, in order: number, and how many points it has.
    """

    stamp: State = ()
    place: Place = Place()
    parts: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """Return it as bytes."""
        place = (self.place.offset, self.place.crc, self.place.number)
        return json.dumps([sys.byteorder, self.stamp, place, self.parts]).encode()

    @classmethod
    @lru_cache(maxsize=8)  # of a run with thousands of metrics it is large, and is asked for with each of them
    def decoded(cls, data: bytes) -> Head | None:
        """Return what `encoded` gave; None for anything else, and for what a machine of another kind wrote."""
        with suppress(ValueError, TypeError, AttributeError):
            order, stamp, (offset, crc, number), parts = json.loads(data)
            if order == sys.byteorder:
                whole = {name: [(part, count) for part, count in rows] for name, rows in parts.items()}
                return cls(tuple(stamp), Place(offset, crc, number), whole)
        return None


@dataclass(frozen=True, slots=True)
class Row:
    """A row of points that is not read yet, and its cells."""

    writer: str
    part: int
    count: int
    cells: Cells
    head: Head


class ColumnRows:
    """The columns of one run in the index; what is read together is of one state of it."""

    def __init__(self, file: IndexFile, run: int, layout: RunLayout) -> None:
        self._file = file
        self._run = run
        self.has_ended = os.path.lexists(layout.outcome)
        self._opened: sqlite3.Connection | None = None
        self._doubted = False

    def _database(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = self._file.open()
            self._opened.isolation_level = None
        return self._opened

    def read(self, writer: str, name: str) -> tuple[Head, list[Column]]:
        """Return what is kept of a journal, and a metric's columns in there; nothing where it is not all there."""
        return self._all(writer, name, 1, _unpacked)

    def read_cells(self, writer: str, name: str) -> tuple[Head, list[Row]]:
        """Return what is kept of a journal, and what a metric's columns in there come to; likewise."""
        head, cells = self._all(writer, name, -1, unpacked)
        rows = zip(head.parts.get(name, ()), cells, strict=True)
        return head, [Row(writer, part, count, each, head) for (part, count), each in rows]

    def _all(self, writer: str, name: str, sign: int, read: Callable[[bytes, int], T]) -> tuple[Head, list[T]]:
        try:
            self._database().execute("BEGIN")
            try:
                head = self._head(writer)
                rows = head.parts.get(name, ())
                found = self._many(writer, [sign * part for part, _ in rows])
                return head, [read(data, count) for data, (_, count) in zip(found, rows, strict=True)]
            finally:
                self._database().execute("COMMIT")
        except odd_errors(LookupError) as error:
            self._doubted = is_damage(error)
            return Head(), []

    def blocks(self, rows: Sequence[Row]) -> list[Column]:
        """Return the points of rows. Raises LookupError where anything was kept since they were read."""
        try:
            self._database().execute("BEGIN")
            try:
                if any(self._head(writer) != head for writer, head in {row.writer: row.head for row in rows}.items()):
                    raise LookupError(self._run)
                return [self._block(row.writer, row.part, row.count) for row in rows]
            finally:
                self._database().execute("COMMIT")
        except odd_errors() as error:
            self._doubted = is_damage(error)
            raise LookupError(self._run) from error

    def _head(self, writer: str) -> Head:
        try:
            data = self._data(writer, 0)
        except LookupError:
            return Head()
        return Head.decoded(data) or Head()

    def _block(self, writer: str, part: int, count: int) -> Column:
        return _unpacked(self._data(writer, part), count)

    def _many(self, writer: str, parts: Sequence[int]) -> Iterator[bytes]:
        """Yield what is in rows. Raises as `_data`."""
        if not parts or max(parts) - min(parts) > 4 * len(parts):
            yield from (self._data(writer, part) for part in parts)
            return
        # in one go, which takes a tenth of the time, where few of other metrics lie between them
        query = "SELECT * FROM columns WHERE run = ? AND writer = ? AND part BETWEEN ? AND ? ORDER BY abs(part)"
        wanted = iter(parts)
        part = next(wanted, None)
        for row in self._database().execute(query, (self._run, writer, min(parts), max(parts))):
            if row[2] == part:
                yield _sound(row)
                part = next(wanted, None)
        if part is not None:
            raise LookupError(part)

    def _data(self, writer: str, part: int) -> bytes:
        """Return what is in a row. Raises LookupError where there is none, ValueError for one that is odd."""
        query = "SELECT * FROM columns WHERE run = ? AND writer = ? AND part = ?"
        for row in self._database().execute(query, (self._run, writer, part)).fetchall():
            return _sound(row)
        raise LookupError(part)

    def write(self, writer: str, before: Head, now: Head, new: Mapping[str, Sequence[Column]]) -> None:
        """
        Keep columns behind those that there are, and how far the journal was read, unless somebody else just did.

        Short ones are joined to what comes behind them, so that however often a run is looked at, its rows are few.
        """
        if self._doubted:
            return
        with suppress(LookupError, *odd_errors()), self._database() as database:
            database.execute("BEGIN IMMEDIATE")
            self._forget_the_gone(database)
            if before == Head():
                database.execute("DELETE FROM columns WHERE run = ? AND writer = ?", (self._run, writer))
            elif self._head(writer) != before:
                return
            parts = {name: [*rows] for name, rows in before.parts.items()}
            unused = max((part for rows in parts.values() for part, _ in rows), default=0) + 1
            for name, columns in new.items():
                mine = parts.setdefault(name, [])
                for each in columns:
                    while mine and mine[-1][1] < 2 * len(each.times) and mine[-1][1] + len(each.times) <= MOST_POINTS:
                        each = joined([self._block(writer, *mine[-1]), each])
                        part, _ = mine.pop()
                        gone = (self._run, writer, part, -part)
                        database.execute("DELETE FROM columns WHERE run = ? AND writer = ? AND part IN (?, ?)", gone)
                    mine.append((unused, len(each.times)))
                    self._insert(database, writer, unused, _as_bytes(each))
                    self._insert(database, writer, -unused, cells_of(each).tobytes())
                    unused += 1
            self._insert(database, writer, 0, replace(now, parts=parts).encoded())

    def summed(self) -> Summed | None:
        """Return what the run's journals come to, where that is kept."""
        try:
            return Summed.decoded(self._data(_ALL, 0))
        except odd_errors(LookupError) as error:
            self._doubted = is_damage(error) and not isinstance(error, LookupError)
            return None

    def keep(self, summed: Summed) -> None:
        """Keep what the run's journals come to, unless that is too much."""
        with suppress(*odd_errors()), self._database() as database:
            database.execute("BEGIN IMMEDIATE")
            self._forget_the_gone(database)
            self._insert(database, _ALL, 0, summed.encoded())

    def _insert(self, database: sqlite3.Connection, writer: str, part: int, data: bytes) -> None:
        row = sealed(self._run, writer, part, data)
        database.execute("INSERT OR REPLACE INTO columns VALUES (?, ?, ?, ?, ?)", row)

    def _forget_the_gone(self, database: sqlite3.Connection) -> None:
        """Have no columns of runs that were deleted: they are large."""
        runs = [run for (run,) in database.execute("SELECT DISTINCT run FROM columns").fetchall()]
        with suppress(StoreError):
            database.executemany("DELETE FROM columns WHERE run = ?", [(run,) for run in self._file.gone(runs)])

    def close(self) -> None:
        """Throw away a file that is odd."""
        if self._opened is not None:
            self._opened.close()
        if self._doubted:
            self._file.forget()


def _sound(row: tuple[Any, ...]) -> bytes:
    """Return what is in a row. Raises ValueError for one that is odd."""
    if not is_sound(row) or not isinstance(row[3], bytes):
        raise ValueError("it is not what was written")
    return row[3]


def _as_bytes(column: Column) -> bytes:
    values = column.values
    if isinstance(values, array):
        kind, data = values.typecode.encode(), values.tobytes()
    else:
        kind, data = JSON.encode(), json.dumps([number_to_json(value) for value in values]).encode()
    return kind + array("d", column.times).tobytes() + array("q", column.steps).tobytes() + data


def _unpacked(data: bytes, count: int) -> Column:
    """Return the column of a row of so many points. Raises ValueError, TypeError, LookupError for anything else."""
    kind, end = data[:1].decode(), 1 + 8 * count
    times, steps = array("d", data[1:end]), array("q", data[end : 8 * count + end])
    rest = data[8 * count + end :]
    values = [*map(number_from_json, json.loads(rest))] if kind == JSON else array(kind, rest)
    if not len(times) == len(steps) == len(values) == count:
        raise ValueError("it has another number of points")
    return Column(times, steps, values)


def joined(columns: Sequence[Column]) -> Column:
    """Return columns that follow each other as one."""
    if len(columns) == 1:
        return columns[0]
    times, steps = array("d"), array("q")
    for each in columns:
        times.extend(each.times)
        steps.extend(each.steps)
    arrays = [each.values for each in columns if isinstance(each.values, array)]
    kinds = {each.typecode for each in arrays}
    if len(kinds) > 1 or len(arrays) < len(columns):
        return Column(times, steps, [*chain.from_iterable(each.values for each in columns)])
    numbers = array(kinds.pop() if kinds else "d")
    for values in arrays:
        numbers += values
    return Column(times, steps, numbers)
