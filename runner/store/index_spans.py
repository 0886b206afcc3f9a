"""
The facts of runs as they lie in the index: for each name, the values of 512 runs whose numbers follow each other.

`catalog` says what there is: of each span of runs the checksum of its directory, which says of each of its runs how far
it can be relied on, and of each name the checksum of its values. So whatever is read is known to be what was written,
all of it, and at the same time; anything else is raised as an error of the database.
"""

from __future__ import annotations

import json
import os
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import compress
from typing import TYPE_CHECKING, Any
from zlib import crc32

from anew.runner.dataclass import dataclass
from anew.runner.lazy.modules import later
from anew.runner.store.index_facts import Facts, Key
from anew.runner.store.index_values import ABSENT, SPAN, Values, encoded

if TYPE_CHECKING:
    import sqlite3
else:
    sqlite3 = later("sqlite3")

NONE, UNSETTLED, SETTLED = 0, 1, 2
"""What is known of a number: nothing; a run that may still be written to; one that is not, unless the marker moves."""
_DIRECTORY = 0
_NOTHING = bytes(SPAN)


def odd(what: str) -> sqlite3.DatabaseError:
    """Return the error that something in the file is not what was written."""
    return sqlite3.DatabaseError(f"{what} is not what was written")


class Directory:
    """
    What is known of the runs of a span.

    Attributes:
        states: Of each run NONE, UNSETTLED or SETTLED.
        partial: Of each run the bits of the parts that the record itself has to be asked for.
        sums: Number of a name -> checksum of its values.
    """

    __slots__ = ("_ids", "_sums", "partial", "states")

    def __init__(self) -> None:
        self.states = bytearray(SPAN)
        self.partial = bytearray(SPAN)
        self._ids = array("I")
        self._sums = array("I")

    @classmethod
    def of_bytes(cls, data: bytes) -> Directory:
        """Return what `encoded` gave. Raises ValueError."""
        if len(data) < 2 * SPAN:
            raise ValueError("no directory")
        found = cls()
        found.states, found.partial = bytearray(data[:SPAN]), bytearray(data[SPAN : 2 * SPAN])
        middle = (len(data) + 2 * SPAN) // 2
        found._ids.frombytes(data[2 * SPAN : middle])
        found._sums.frombytes(data[middle:])
        return found

    def encoded(self) -> bytes:
        """Return it as bytes."""
        return bytes(self.states) + bytes(self.partial) + self._ids.tobytes() + self._sums.tobytes()

    @property
    def ids(self) -> Sequence[int]:
        """The numbers of the names that runs of it have."""
        return self._ids

    def sum_of(self, name: int) -> int | None:
        """Return the checksum of a name's values; None where no run has any."""
        try:
            return self._sums[self._ids.index(name)]
        except ValueError:
            return None

    def put(self, name: int, checksum: int | None) -> None:
        """Say what the checksum of a name's values is; None for no values."""
        try:
            place = self._ids.index(name)
        except ValueError:
            if checksum is not None:
                self._ids.append(name)
                self._sums.append(checksum)
            return
        if checksum is None:
            self._ids.pop(place)
            self._sums.pop(place)
        else:
            self._sums[place] = checksum


@dataclass(slots=True)
class Catalog:
    """
    What there is in the file.

    Attributes:
        names: Part and name -> its number.
        spans: Number of a span -> checksum of its directory, ascending.
        marker: What the store's marker said when all runs were looked at; None before that.
        listed: What the folder of runs, and the packs, were when they were listed; nothing where that may not hold.
        others: The numbers that were there and of which nothing is known: runs that go on, or never started.
    """

    names: dict[Key, int]
    spans: dict[int, int]
    marker: str | None = None
    listed: str = ""
    others: tuple[int, ...] = ()

    @classmethod
    def read(cls, database: sqlite3.Connection) -> Catalog:
        """Return that of a file. Raises what is in `index_file.odd_errors`."""
        rows = database.execute("SELECT value, crc FROM state WHERE name = 'catalog'").fetchall()
        if not rows:
            return cls({}, {})
        [(text, crc)] = rows
        if type(text) is not str or crc32(text.encode()) != crc:
            raise odd("the catalog")
        order, names, spans, marker, listed, others = json.loads(text)
        if order != sys.byteorder:
            raise odd("the order of bytes")
        named = {(part, name): number for number, (part, name) in enumerate(names, 1)}
        return cls(named, dict(zip(*spans, strict=True)), marker, listed, tuple(others))

    def write(self, database: sqlite3.Connection) -> None:
        """Write it, within a transaction. Raises what is in `index_file.odd_errors`."""
        spans = sorted(self.spans)
        sums = [self.spans[span] for span in spans]
        told = [sys.byteorder, [*self.names], [spans, sums], self.marker, self.listed, self.others]
        text = json.dumps(told, separators=(",", ":"))
        database.execute("INSERT OR REPLACE INTO state VALUES ('catalog', ?, ?)", (text, crc32(text.encode())))

    def number(self, key: Key) -> int:
        """Return the number of a name, which may be a new one."""
        return self.names.setdefault(key, len(self.names) + 1)


class Spans:
    """
    The facts of runs in a file, as they are in one transaction. Every method raises what is in `index_file.odd_errors`.

    Args:
        database: The file.

    Attributes:
        catalog: What there is.
        directories: Of each span, ascending.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self.catalog = Catalog.read(database)
        rows = database.execute("SELECT span, data FROM facts WHERE name = ? ORDER BY span", (_DIRECTORY,))
        found = {span: data for span, data in rows if crc32(data) == self.catalog.spans.get(span)}
        if found.keys() != self.catalog.spans.keys():
            raise odd("a directory")
        self.directories = {span: Directory.of_bytes(data) for span, data in found.items()}

    @property
    def slots(self) -> int:
        """How many runs there can be in the spans."""
        return SPAN * len(self.directories)

    def numbers(self, flags: bytes) -> list[int]:
        """Return the numbers of the runs that have a flag, in the order of the spans."""
        found: list[int] = []
        for part, runs in self.parts(flags):
            found += compress(runs, part)
        return found

    def parts(self, flags: bytes) -> Iterator[tuple[bytes, range]]:
        """Yield the flags of each span, and its numbers; none for a span without any."""
        for place, span in enumerate(self.directories):
            part = flags[place * SPAN : place * SPAN + SPAN]
            first = span * SPAN
            yield (part, range(first, first + SPAN)) if part != _NOTHING else (b"", range(0))

    def known(self, *states: int) -> bytes:
        """Return 1 for each run that is in one of some states, in the order of the spans."""
        table = bytes(number in states for number in range(256))
        return b"".join(each.states for each in self.directories.values()).translate(table)

    def partial(self, mask: int) -> bytes:
        """Return 1 for each run of which some parts are not all here."""
        table = bytes(bool(number & mask) for number in range(256))
        return b"".join(each.partial for each in self.directories.values()).translate(table)

    def state(self, run: int) -> int:
        """Return what is known of a number: NONE, UNSETTLED or SETTLED."""
        directory = self.directories.get(run // SPAN)
        return NONE if directory is None else directory.states[run % SPAN]

    def some(self, count: int) -> set[int]:
        """Return some runs that are known, at most so many, others each time."""
        spans = [*self.directories]
        places = array("I", os.urandom(4 * count)) if spans else ()
        found = [spans[place % len(spans)] * SPAN + place // len(spans) % SPAN for place in places]
        return {run for run in found if self.state(run) != NONE}

    def values(self, key: Key) -> Iterator[Values | None]:
        """Yield the values of a name, a span after the other; None of one whose runs have none."""
        number = self.catalog.names.get(key)
        if number is None:
            yield from (None for _ in self.directories)
            return
        query = "SELECT span, data FROM facts WHERE name = ? ORDER BY span"
        rows = iter(self._database.execute(query, (number,)))
        for span, directory in self.directories.items():
            checksum = directory.sum_of(number)
            if checksum is None:
                yield None
                continue
            row = next(rows, None)
            if row is None or row[0] != span or crc32(row[1]) != checksum:
                raise odd("a row")
            yield Values.of_bytes(row[1])

    def having(self, key: Key) -> bytes:
        """Return 1 for each run of which something is known under a name, in the order of the spans."""
        return b"".join((b"" if each is None else each.present()).ljust(SPAN, b"\0") for each in self.values(key))

    def check(self) -> None:
        """Read all there is."""
        for key in self.catalog.names:
            for _ in self.values(key):
                pass

    # --- writing ----------------------------------------------------------------------------------------------------

    def put(self, runs: Mapping[int, tuple[Facts | None, int]]) -> None:
        """Have what is known of runs be this, and in which state they are; of None nothing is known any more."""
        spans: dict[int, dict[int, tuple[Facts | None, int]]] = {}
        for run, told in runs.items():
            spans.setdefault(run // SPAN, {})[run % SPAN] = told
        for span, slots in spans.items():
            directory = self.directories.get(span) or Directory()
            changes = self._cleared(span, directory, slots)
            for slot, (facts, state) in slots.items():
                directory.states[slot] = state if facts is not None else NONE
                directory.partial[slot] = 0 if facts is None else facts.partial
                for key, value in {} if facts is None else facts.values.items():
                    changes.setdefault(self.catalog.number(key), {})[slot] = value
            for name, changed in changes.items():
                self._change(span, directory, name, changed)
            self._write(span, directory)

    def _cleared(self, span: int, directory: Directory, slots: Iterable[int]) -> dict[int, dict[int, Any]]:
        """Return what has to change where runs were known before: all that is known of them."""
        before = [slot for slot in slots if directory.states[slot] != NONE]
        changes: dict[int, dict[int, Any]] = {}
        for name in directory.ids if before else ():
            values = self._read(span, directory, name)
            if gone := [slot for slot in before if slot < len(values) and values[slot] is not ABSENT]:
                changes[name] = dict.fromkeys(gone, ABSENT)
        return changes

    def _read(self, span: int, directory: Directory, name: int) -> list[Any]:
        checksum = directory.sum_of(name)
        if checksum is None:
            return []
        query = "SELECT data FROM facts WHERE name = ? AND span = ?"
        for (data,) in self._database.execute(query, (name, span)).fetchall():
            if crc32(data) == checksum:
                return Values.of_bytes(data).all()
        raise odd("a row")

    def _change(self, span: int, directory: Directory, name: int, changed: Mapping[int, Any]) -> None:
        values = self._read(span, directory, name)
        values += [ABSENT] * (max(changed) + 1 - len(values))
        for slot, value in changed.items():
            values[slot] = value
        data = encoded(values)
        directory.put(name, crc32(data) if data else None)
        if data:
            self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", (name, span, data))
        else:
            self._database.execute("DELETE FROM facts WHERE name = ? AND span = ?", (name, span))

    def _write(self, span: int, directory: Directory) -> None:
        key = (_DIRECTORY, span)
        if directory.states == _NOTHING:
            self._database.execute("DELETE FROM facts WHERE name = ? AND span = ?", key)
            self.catalog.spans.pop(span, None)
            self.directories.pop(span, None)
            return
        data = directory.encoded()
        self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", (*key, data))
        if span not in self.directories:
            self.directories = dict(sorted({**self.directories, span: directory}.items()))
        self.catalog.spans[span] = crc32(data)

    def add(self, key: Key, values: Mapping[int, Any]) -> None:
        """Add what is known under a name of runs that are known; of others it is passed over."""
        spans: dict[int, dict[int, Any]] = {}
        for run, value in values.items():
            spans.setdefault(run // SPAN, {})[run % SPAN] = value
        for span, slots in spans.items():
            directory = self.directories.get(span)
            if directory is None:
                continue
            there = {slot: value for slot, value in slots.items() if directory.states[slot] != NONE}
            if there:
                self._change(span, directory, self.catalog.number(key), there)
                self._write(span, directory)

    def mark(self, runs: Iterable[int], state: int) -> None:
        """Have some runs that are known be in a state."""
        touched = set()
        for run in runs:
            directory = self.directories.get(run // SPAN)
            if directory is not None and directory.states[run % SPAN] not in (NONE, state):
                directory.states[run % SPAN] = state
                touched.add(run // SPAN)
        for span in touched:
            self._write(span, self.directories[span])

    def lacks(self, run: int, part: int) -> None:
        """Say that the record itself has to be asked for a part of a run, besides what was said before."""
        with suppress(KeyError):
            directory = self.directories[run // SPAN]
            directory.partial[run % SPAN] |= part
            self._write(run // SPAN, directory)
