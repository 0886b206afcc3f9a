"""
Series of numbers as columns, in the index: derived from a journal once, and from then on from what was added to it.

A row holds up to 65,536 points of one metric of one journal: their times (float64), their steps (int64), and their
values (float64, int64, or JSON where both kinds are among them), all of the machine's byte order. The first row of a
journal says how far it was read and which rows a metric has.
"""

from __future__ import annotations

import json
import os
import sys
from array import array
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import field, replace
from heapq import merge
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner import events as ev
from anew.runner.dataclass import dataclass
from anew.runner.format import serial
from anew.runner.format.values import number_from_json, number_to_json
from anew.runner.lazy.modules import later
from anew.runner.store.following import Following, OddError, Place
from anew.runner.store.index_file import ODD, IndexFile, is_sound, sealed
from anew.runner.store.paths import RunLayout
from anew.runner.store.reading import journals
from anew.runner.store.stored import Column

if TYPE_CHECKING:
    import sqlite3
else:
    sqlite3 = later("sqlite3")

_MOST_POINTS = 1 << 16
# what is read within milliseconds anyway is not kept
_LEAST_BYTES = 1 << 17
_STEP_KEY, _VALUES_KEY = (ev.keys(ev.MetricsLogged)[name] for name in ("step", "values"))
_JSON = "j"
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
    try:
        with closing(_Kept(file, number, layout)) as kept:
            found = [_of_journal(kept, path, os.path.lexists(layout.outcome), name) for path in journals(layout)]
    except (OddError, OSError):
        return None
    return _in_order([each for each in found if each.times])


def _of_journal(kept: _Kept, path: Path, has_ended: bool, name: str) -> Column:
    """Return the points in one journal. Raises OddError, OSError."""
    status = path.lstat()
    if status.st_size < _LEAST_BYTES:
        return _joined(_grown(Following(path, Place())).get(name, ()))
    stamp = (status.st_size, status.st_ctime_ns, status.st_mtime_ns, status.st_ino) if has_ended else ()
    head, before = kept.read(path.stem, name)
    if stamp and head.stamp == stamp:
        return _joined(before)
    following = Following(path, head.place)
    try:
        new = _grown(following)
    except OddError:
        if head == _Head():
            raise
        head, before, following = _Head(), [], Following(path, Place())
        new = _grown(following)
    kept.write(path.stem, head, replace(head, stamp=stamp, place=following.place), new)
    return _joined([*before, *new.get(name, ())])


def _grown(following: Following) -> dict[str, list[Column]]:
    """Return the points that are behind a place, by metric, in columns of limited length. Raises OddError, OSError."""
    growing: dict[str, _Lists] = {}
    done: dict[str, list[Column]] = {}
    for batch in following.batches():
        try:
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
        for name in names:
            lists = growing.setdefault(name, ([], [], []))
            lists[0].extend(times)
            lists[1].extend(steps)
            lists[2].extend([entry[_VALUES_KEY][name] for entry in some])


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

    stamp: tuple[int, ...] = ()
    place: Place = Place()
    parts: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """Return it as bytes."""
        place = (self.place.offset, self.place.crc, self.place.number)
        return json.dumps([sys.byteorder, self.stamp, place, self.parts]).encode()

    @classmethod
    def decoded(cls, data: bytes) -> _Head | None:
        """Return what `encoded` gave; None for anything else, and for what a machine of another kind wrote."""
        with suppress(ValueError, TypeError, AttributeError):
            order, stamp, (offset, crc, number), parts = json.loads(data)
            if order == sys.byteorder:
                whole = {name: [(part, count) for part, count in rows] for name, rows in parts.items()}
                return cls(tuple(stamp), Place(offset, crc, number), whole)
        return None


class _Kept:
    """The columns of one run in the index; what is read together is of one state of it."""

    def __init__(self, file: IndexFile, run: int, layout: RunLayout) -> None:
        self._file = file
        self._run = run
        self._runs = layout.folder.parent
        self._opened: sqlite3.Connection | None = None
        self._doubted = False

    def _database(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = self._file.open()
            self._opened.isolation_level = None
        return self._opened

    def read(self, writer: str, name: str) -> tuple[_Head, list[Column]]:
        """Return what is kept of a journal, and a metric's columns in there; nothing where it is not all there."""
        try:
            self._database().execute("BEGIN")
            try:
                head = self._head(writer)
                return head, [self._block(writer, *row) for row in head.parts.get(name, ())]
            finally:
                self._database().execute("COMMIT")
        except (LookupError, *ODD):
            self._doubted = True
            return _Head(), []

    def _head(self, writer: str) -> _Head:
        try:
            data = self._data(writer, 0)
        except LookupError:
            return _Head()
        return _Head.decoded(data) or _Head()

    def _block(self, writer: str, part: int, count: int) -> Column:
        return _unpacked(self._data(writer, part), count)

    def _data(self, writer: str, part: int) -> bytes:
        """Return what is in a row. Raises LookupError where there is none, ValueError for one that is odd."""
        query = "SELECT * FROM columns WHERE run = ? AND writer = ? AND part = ?"
        for row in self._database().execute(query, (self._run, writer, part)).fetchall():
            if not is_sound(row) or not isinstance(row[3], bytes):
                raise ValueError("it is not what was written")
            return row[3]
        raise LookupError(part)

    def write(self, writer: str, before: _Head, now: _Head, new: Mapping[str, Sequence[Column]]) -> None:
        """
        Keep columns behind those that there are, and how far the journal was read, unless somebody else just did.

        Short ones are joined to what comes behind them, so that however often a run is looked at, its rows are few.
        """
        if self._doubted:
            return
        with suppress(LookupError, *ODD), self._database() as database:
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
                        gone = (self._run, writer, mine.pop()[0])
                        database.execute("DELETE FROM columns WHERE run = ? AND writer = ? AND part = ?", gone)
                    mine.append((unused, len(each.times)))
                    self._insert(database, writer, unused, _as_bytes(each))
                    unused += 1
            self._insert(database, writer, 0, replace(now, parts=parts).encoded())

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
