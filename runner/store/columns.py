"""
Series of numbers as columns, in the index: derived from a journal once, and from then on from what was added to it.

A row holds up to 2,048 points of one metric of one journal: their times (float64), their steps (int64), and their
values (float64, int64, or JSON where both kinds are among them), all of the machine's byte order; the row with the
negative of its number what these come to, some hundred at a time. The first row of a journal, 0, says how far it was
read and which rows a metric has. The row of no writer says what all journals of a run come to (`summed`).
"""

from __future__ import annotations

import json
import os
import sys
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import field, replace
from functools import lru_cache
from heapq import merge
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from anew.runner import events as ev
from anew.runner.dataclass import dataclass
from anew.runner.format import serial
from anew.runner.format.sealed_lines import Rows
from anew.runner.format.values import number_from_json, number_to_json
from anew.runner.lazy.modules import later
from anew.runner.store.cells import Blocks, Column, cells_of, unpacked
from anew.runner.store.following import Following, OddError, Place
from anew.runner.store.index_file import IndexFile, is_sound, odd_errors, sealed
from anew.runner.store.journal_forms import State, state_of
from anew.runner.store.paths import RunLayout
from anew.runner.store.reading import journals
from anew.runner.store.summed import LEAST_BYTES, Kept, Summed

if TYPE_CHECKING:
    import sqlite3

    from anew.runner.store.cells import Cells
else:
    sqlite3 = later("sqlite3")

T = TypeVar("T")
# of a row that a bucket ends in all is read, and of those there are as many as buckets
_MOST_POINTS = 1 << 11
_STEP_KEY, _VALUES_KEY = (ev.keys(ev.MetricsLogged)[name] for name in ("step", "values"))
_JSON = "j"
_ALL = ""
_Lists = tuple[list[float], list[int], list[Any]]


def column(file: IndexFile, number: int, layout: RunLayout, name: str) -> Column | None:
    """
    Return all points of a metric, of all writers in order of time; None where one has to look at each line.

    What of the run's journals is not in the index yet is read, and then is. Never raises on account of the index.

    Args:
        file: The index.
        number: The run's number.
        layout: Its folder.
        name: The metric.
    """
    found = by_writer(file, number, layout, name)
    return None if found is None else _in_order([*found.values()])


def by_writer(file: IndexFile, number: int, layout: RunLayout, name: str) -> dict[str, Column] | None:
    """Return the points of a metric by the writers that have some, each in order. Args and returns as `column`."""
    try:
        with closing(_Kept(file, number, layout)) as kept:
            parts = {path.stem: _of_journal(kept, path, name, kept.read) for path in journals(layout)}
    except (OddError, OSError):
        return None
    return {writer: each for writer, (old, new) in parts.items() if (each := _joined([*old, *new])).times}


def blocks(file: IndexFile, number: int, layout: RunLayout, name: str) -> Blocks | None:
    """Return what the points of a metric come to, and how they are read. Args and returns as `column`."""
    try:
        with closing(_Kept(file, number, layout)) as kept:
            parts = [_of_journal(kept, path, name, kept.read_cells, again=True) for path in journals(layout)]
    except (OddError, OSError):
        return None
    rows: list[_Row | Column] = []
    for old, new in parts:
        rows += [*old, *new]

    def read(wanted: Sequence[int]) -> list[Column]:
        some = [rows[row] for row in wanted]
        with closing(_Kept(file, number, layout)) as kept:
            found = iter(kept.blocks([each for each in some if isinstance(each, _Row)]))
        return [next(found) if isinstance(each, _Row) else each for each in some]

    return Blocks([cells_of(each) if isinstance(each, Column) else each.cells for each in rows], read)


def sums(file: IndexFile, number: int, layout: RunLayout) -> Kept:
    """Return where it is kept what a run's journals come to. Args as `column`."""

    def read() -> Summed | None:
        with closing(_Kept(file, number, layout)) as kept:
            return kept.summed()

    def write(summed: Summed) -> None:
        with closing(_Kept(file, number, layout)) as kept:
            kept.keep(summed)

    return Kept(read, write)


def _of_journal(
    kept: _Kept, path: Path, name: str, read: Callable[[str, str], tuple[_Head, list[T]]], *, again: bool = False
) -> tuple[list[T], Sequence[Column]]:
    """
    Return what is kept of a metric's points in one journal, and those that were not; they are now.

    Args:
        kept: What is kept of the run.
        path: The journal.
        name: The metric.
        read: Gives what is kept.
        again: Whether rows are named, which may have been joined to what came behind them, and not read.

    Raises:
        OddError, OSError: One has to look at each line; it cannot be read.
    """
    state = state_of(path)
    if state[0] < LEAST_BYTES:
        return [], _short(path, state).get(name, ())
    stamp = state if kept.has_ended else ()
    head, before = read(path.stem, name)
    if stamp and head.stamp == stamp:
        return before, ()
    following = Following(path, head.place)
    try:
        new = _grown(following)
    except OddError:
        if head == _Head():
            raise
        head, before, following = _Head(), [], Following(path, Place())
        new = _grown(following)
    kept.write(path.stem, head, replace(head, stamp=stamp, place=following.place), new)
    if again:
        head, rows = read(path.stem, name)
        if head.place == following.place:
            return rows, ()
    return before, new.get(name, ())


@lru_cache(maxsize=8)
def _short(path: Path, state: State) -> dict[str, list[Column]]:
    """Return the points of a short journal in some state: many of its metrics are asked for one behind the other."""
    return _grown(Following(path, Place()))


def _grown(following: Following) -> dict[str, list[Column]]:
    """Return the points that are behind a place, by metric, in columns of limited length. Raises OddError, OSError."""
    growing: dict[str, _Lists] = {}
    done: dict[str, list[Column]] = {}
    for batch in following.rows():
        try:
            if isinstance(batch, Rows):
                _add(growing, batch)
            else:
                _take(growing, [entry for entry in batch if entry.get(ev.KIND_KEY) == ev.MetricsLogged.kind])
        except (LookupError, AttributeError, TypeError) as error:
            raise OddError from error
        for name in [name for name, lists in growing.items() if len(lists[0]) >= _MOST_POINTS]:
            done.setdefault(name, []).append(_packed(*growing.pop(name)))
    for name, lists in growing.items():
        done.setdefault(name, []).append(_packed(*lists))
    return done


def _take(growing: dict[str, _Lists], entries: Sequence[dict[str, Any]]) -> None:
    """Add the points of entries. Raises LookupError, AttributeError, TypeError for what no writer leaves."""
    values = [entry[_VALUES_KEY] for entry in entries]
    if set(map(type, values)) - {dict}:
        raise TypeError
    alike = len(set(map(tuple, values))) == 1
    # many at a time, which takes half as long, where all of them have the same names
    for some, names in [(entries, values[0])] if alike else [([entry], entry[_VALUES_KEY]) for entry in entries]:
        times = [entry[serial.TIME_KEY] for entry in some]
        steps = [entry[_STEP_KEY] for entry in some]
        _add(growing, Rows((), times, steps, {name: [entry[_VALUES_KEY][name] for entry in some] for name in names}))


def _add(growing: dict[str, _Lists], rows: Rows) -> None:
    """Add the points of lines that have the same names."""
    for name, values in rows.values.items():
        lists = growing.setdefault(name, ([], [], []))
        lists[0].extend(rows.times)
        lists[1].extend(rows.steps)
        lists[2].extend(values)


def _packed(times: Sequence[float], steps: Sequence[int], values: Sequence[Any]) -> Column:
    """Return points as a column. Raises OddError for what no writer leaves."""
    try:
        if set(map(type, steps)) != {int}:
            raise OddError
        return Column(array("d", times), array("q", steps), _numbers(values))
    except (OverflowError, TypeError, LookupError) as error:
        raise OddError from error


def _numbers(values: Sequence[Any]) -> array[Any] | list[float | int]:
    """Return numbers as they stand in lines in the shortest form that loses nothing. Raises TypeError, LookupError."""
    kinds = set(map(type, values))
    if not kinds <= {int, float}:
        values = [number_from_json(value) for value in values]
        kinds = set(map(type, values))
    if kinds <= {float}:
        return array("d", values)
    if kinds <= {int}:
        with suppress(OverflowError):
            return array("q", values)
    return list(values)


def _joined(columns: Sequence[Column]) -> Column:
    """Return columns that follow each other as one."""
    if len(columns) == 1:
        return columns[0]
    times, steps = array("d"), array("q")
    for each in columns:
        times.extend(each.times)
        steps.extend(each.steps)
    kinds = {each.values.typecode if isinstance(each.values, array) else _JSON for each in columns}
    if len(kinds) > 1 or _JSON in kinds:
        return Column(times, steps, [*chain.from_iterable(each.values for each in columns)])
    numbers = array(kinds.pop() if kinds else "d")
    for each in columns:
        numbers += each.values  # type: ignore[arg-type]  # they are all of this kind
    return Column(times, steps, numbers)


def _in_order(columns: Sequence[Column]) -> Column:
    """Return the points of several writers in order of time."""
    if len(columns) <= 1:
        return _joined(columns)
    rows = merge(*(zip(each.times, each.steps, each.values, strict=True) for each in columns), key=lambda row: row[0])
    times, steps, values = zip(*rows, strict=True)
    return _packed(times, steps, values)


# --- what is kept -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Head:
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
    def decoded(cls, data: bytes) -> _Head | None:
        """Return what `encoded` gave; None for anything else, and for what a machine of another kind wrote."""
        with suppress(ValueError, TypeError, AttributeError):
            order, stamp, (offset, crc, number), parts = json.loads(data)
            if order == sys.byteorder:
                whole = {name: [(part, count) for part, count in rows] for name, rows in parts.items()}
                return cls(tuple(stamp), Place(offset, crc, number), whole)
        return None


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of points that is not read yet, and its cells."""

    writer: str
    part: int
    count: int
    cells: Cells
    head: _Head


class _Kept:
    """The columns of one run in the index; what is read together is of one state of it."""

    def __init__(self, file: IndexFile, run: int, layout: RunLayout) -> None:
        self._file = file
        self._run = run
        self._runs = layout.folder.parent
        self.has_ended = os.path.lexists(layout.outcome)
        self._opened: sqlite3.Connection | None = None
        self._doubted = False

    def _database(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = self._file.open()
            self._opened.isolation_level = None
        return self._opened

    def read(self, writer: str, name: str) -> tuple[_Head, list[Column]]:
        """Return what is kept of a journal, and a metric's columns in there; nothing where it is not all there."""
        return self._all(writer, name, 1, _unpacked)

    def read_cells(self, writer: str, name: str) -> tuple[_Head, list[_Row]]:
        """Return what is kept of a journal, and what a metric's columns in there come to; likewise."""
        head, cells = self._all(writer, name, -1, unpacked)
        rows = zip(head.parts.get(name, ()), cells, strict=True)
        return head, [_Row(writer, part, count, each, head) for (part, count), each in rows]

    def _all(self, writer: str, name: str, sign: int, read: Callable[[bytes, int], T]) -> tuple[_Head, list[T]]:
        try:
            self._database().execute("BEGIN")
            try:
                head = self._head(writer)
                rows = head.parts.get(name, ())
                found = self._many(writer, [sign * part for part, _ in rows])
                return head, [read(data, count) for data, (_, count) in zip(found, rows, strict=True)]
            finally:
                self._database().execute("COMMIT")
        except odd_errors(LookupError):
            self._doubted = True
            return _Head(), []

    def blocks(self, rows: Sequence[_Row]) -> list[Column]:
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
            self._doubted = True
            raise LookupError(self._run) from error

    def _head(self, writer: str) -> _Head:
        try:
            data = self._data(writer, 0)
        except LookupError:
            return _Head()
        return _Head.decoded(data) or _Head()

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

    def write(self, writer: str, before: _Head, now: _Head, new: Mapping[str, Sequence[Column]]) -> None:
        """
        Keep columns behind those that there are, and how far the journal was read, unless somebody else just did.

        Short ones are joined to what comes behind them, so that however often a run is looked at, its rows are few.
        """
        if self._doubted:
            return
        with suppress(LookupError, *odd_errors()), self._database() as database:
            database.execute("BEGIN IMMEDIATE")
            self._forget_the_gone(database)
            if before == _Head():
                database.execute("DELETE FROM columns WHERE run = ? AND writer = ?", (self._run, writer))
            elif self._head(writer) != before:
                return
            parts = {name: [*rows] for name, rows in before.parts.items()}
            unused = max((part for rows in parts.values() for part, _ in rows), default=0) + 1
            for name, columns in new.items():
                mine = parts.setdefault(name, [])
                for each in columns:
                    while mine and mine[-1][1] < 2 * len(each.times) and mine[-1][1] + len(each.times) <= _MOST_POINTS:
                        each = _joined([self._block(writer, *mine[-1]), each])
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
            # that there is nothing, or that it is busy, says nothing against it
            self._doubted = not isinstance(error, (LookupError, sqlite3.OperationalError))
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
        for (run,) in database.execute("SELECT DISTINCT run FROM columns").fetchall():
            if not os.path.lexists(self._runs / str(run)):
                database.execute("DELETE FROM columns WHERE run = ?", (run,))

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
        kind, data = _JSON.encode(), json.dumps([number_to_json(value) for value in values]).encode()
    return kind + array("d", column.times).tobytes() + array("q", column.steps).tobytes() + data


def _unpacked(data: bytes, count: int) -> Column:
    """Return the column of a row of so many points. Raises ValueError, TypeError, LookupError for anything else."""
    kind, end = data[:1].decode(), 1 + 8 * count
    times, steps = array("d", data[1:end]), array("q", data[end : 8 * count + end])
    rest = data[8 * count + end :]
    values = [*map(number_from_json, json.loads(rest))] if kind == _JSON else array(kind, rest)
    if not len(times) == len(steps) == len(values) == count:
        raise ValueError("it has another number of points")
    return Column(times, steps, values)
