"""One look at the index: rows are fetched some hundreds at a time, and what is new is written likewise."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner.dataclass import dataclass
from anew.runner.lazy.modules import later
from anew.runner.records import RunRecord
from anew.runner.store.index_facts import Facts, Key, facts_of
from anew.runner.store.index_file import IndexFile, is_damage, is_sound, odd_errors, sealed
from anew.runner.store.index_spans import NONE, SETTLED, UNSETTLED, Spans
from anew.runner.store.marker import read_marker
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


@dataclass(frozen=True, slots=True)
class _Fresh:
    """A row to be written, and what is known of the run besides."""

    row: Row
    record: RunRecord | None
    series: Mapping[str, tuple[Any, Any]]


class Look:
    """
    One look at the file, opened when a row is first wanted of it. Not thread-safe.

    Args:
        file: The file.
        folder: The folder that the runs' folders are in.
        is_so: Whether a run is as a row says.

    Attributes:
        marker: What the store's marker said when it began.
        doubted: Whether something in it was odd: it is thrown away at the end.
        unwritten: Finished runs that could not be written.
    """

    def __init__(self, file: IndexFile, folder: Path, is_so: Callable[[Row], bool]) -> None:
        self._file = file
        self._folder = folder
        self._is_so = is_so
        self._opened: sqlite3.Connection | None = None
        self._known: dict[int, tuple[Any, ...]] = {}
        self._asked = -1
        self._size = _FIRST
        self._fresh: dict[int, _Fresh] = {}
        self.marker = read_marker(folder)
        self.doubted = False
        self.unwritten: list[Row] = []

    @property
    def database(self) -> sqlite3.Connection:
        """The file, opened."""
        if self._opened is None:
            self._opened = self._file.open()
            self._opened.isolation_level = None
        return self._opened

    @property
    def version(self) -> int:
        """A number that is another one when somebody else has written to the file."""
        [(number,)] = self.database.execute("PRAGMA data_version")
        return int(number)

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
        except odd_errors() as error:
            self.doubt(error)
            return []
        good = [row[:-1] for row in rows if is_sound(row)]
        self.doubted = self.doubted or len(good) < len(rows)
        return good

    @contextmanager
    def facts(self) -> Iterator[Spans]:
        """Give the facts, as they are at one time, to be read. Raises what is in `odd_errors`."""
        self.database.execute("BEGIN")
        try:
            yield Spans(self.database)
        finally:
            with suppress(*odd_errors()):
                self.database.execute("COMMIT")

    # --- writing ----------------------------------------------------------------------------------------------------

    def note(
        self, row: Row, record: RunRecord | None = None, series: Mapping[str, tuple[Any, Any]] | None = None
    ) -> None:
        """Have a row written; with its record what filters look at anew, else where that is not known yet."""
        if record is not None or row.number not in self._fresh:
            self._fresh[row.number] = _Fresh(row, record, series or {})
        if len(self._fresh) >= AT_A_TIME:
            self.write()

    def is_fresh(self, number: int) -> bool:
        """Whether a row of a run waits to be written."""
        return number in self._fresh

    def write(self) -> None:
        """Write what is new."""
        fresh, self._fresh = self._fresh, {}
        if not fresh:
            return
        known = {
            number: facts_of(each.record, each.series)
            for number, each in fresh.items()
            if each.record is not None and not each.row.follow
        }
        try:
            if self.doubted:
                raise sqlite3.DatabaseError
            with self._changing() as (database, spans):
                # of what was changed since it was read somebody else may have written more
                kept = {number: each for number, each in fresh.items() if self._is_so(each.row)}
                rows = [each.row.values for each in kept.values()]
                database.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?)", rows)
                spans.put(dict(_told(spans, kept, known)))
        except odd_errors() as error:
            self.doubt(error)
            kept = {}
        self.unwritten += [each.row for each in fresh.values() if each.row.number not in kept and not each.row.follow]

    @contextmanager
    def _changing(self) -> Iterator[tuple[sqlite3.Connection, Spans]]:
        """Give the facts, to be changed by nobody else meanwhile. Raises what is in `odd_errors`."""
        with self.database as database:
            database.execute("BEGIN IMMEDIATE")
            spans = Spans(database)
            yield database, spans
            spans.catalog.write(database)

    def conclude(self, gone: Collection[int], listed: str, others: Collection[int]) -> None:
        """
        Have it known that all runs were looked at, but for what could not be written.

        Args:
            gone: Runs that are not there any more.
            listed: What they were listed by; see `Catalog`.
            others: Those that may still be written to.
        """
        try:
            with self._changing() as (_, spans):
                known = [run for run in gone if spans.state(run) != NONE]
                # one that was brought back meanwhile stays
                spans.put({run: (None, NONE) for run in known if not os.path.lexists(f"{self._folder}/{run}")})
                if not self.unwritten:
                    catalog = spans.catalog
                    catalog.marker, catalog.listed = self.marker, listed
                    catalog.others = tuple(sorted(run for run in others if spans.state(run) == NONE))
        except odd_errors() as error:
            self.doubt(error)

    def add(self, key: Key, values: Mapping[int, Any], lacking: Mapping[int, int]) -> None:
        """
        Add what was found out under a name of runs that are known.

        Args:
            key: The name.
            values: By run.
            lacking: Run -> the part of its record that has to be asked itself.
        """
        try:
            with self._changing() as (_, spans):
                spans.add(key, values)
                for run, part in lacking.items():
                    spans.lacks(run, part)
        except odd_errors() as error:
            self.doubt(error)

    def doubt(self, error: Exception) -> None:
        """Take note of what SQLite raised."""
        self.doubted = self.doubted or is_damage(error)

    def close(self) -> None:
        """Write what is new, or throw away a file that is odd."""
        self.write()
        if self._opened is not None:
            with suppress(*odd_errors()):
                self._opened.close()
        if self.doubted:
            self._file.forget()


def _told(
    spans: Spans, fresh: Mapping[int, _Fresh], known: Mapping[int, Facts]
) -> Iterator[tuple[int, tuple[Facts | None, int]]]:
    """Yield what is known of runs anew, and their states; of those that are known the state alone is changed."""
    for number, each in fresh.items():
        state = SETTLED if each.row.stamp.is_settled else UNSETTLED
        if each.row.follow:
            if spans.state(number) != NONE:
                yield number, (None, NONE)
        elif number in known:
            yield number, (known[number], state)
        elif spans.state(number) == NONE:
            yield number, (facts_of(each.row.record), state)
        else:
            spans.mark([number], state)
