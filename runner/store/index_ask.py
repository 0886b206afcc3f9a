"""
Which runs pass a filter, answered in the index without reading records.

A few runs are looked at one by one, as they are listed. Of many it is known from the index which runs there are that
have ended; looked at are those that are new, or go on, or may still be written to, a sample, and all that the answer
shows. All of them are looked at again once `changed` in the store's folder says that one was given a tag, a note or
the like.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner.dataclass import dataclass
from anew.runner.lazy.modules import later
from anew.runner.query.names import MISSING, More, Place, Version, of_points
from anew.runner.query.sorting import sort_records
from anew.runner.query.tree import Tree, passes
from anew.runner.records import RunRecord
from anew.runner.store.index import Index, Reader, Seen
from anew.runner.store.index_facts import PARTS
from anew.runner.store.index_file import ODD
from anew.runner.store.index_look import AT_A_TIME, Look, Row
from anew.runner.store.index_sql import Here, Question, derived, partial_mask
from anew.runner.store.marker import read_marker
from anew.runner.store.stamps import Stamp

if TYPE_CHECKING:
    import sqlite3
else:
    sqlite3 = later("sqlite3")

# of so many runs each is looked at
FEW = 1_000
_SAMPLE, _SAMPLED_S = 100, 1.0
# so many runs that go on are put in their places among those that have ended
_MOST_PLACED = 64
_MARKER = "changed"


@dataclass(frozen=True, slots=True)
class _First:
    """
    What the index says to a question at first.

    Attributes:
        question: As it was put to the index.
        found: The runs that have ended and pass, in order; None for an order that SQL does not know.
        partial: Runs that it does not know all of.
        others: Runs that are not in there.
    """

    question: Question
    found: list[int] | None
    partial: list[int]
    others: dict[int, RunRecord]


class Asked:
    """
    A question to the index of a folder. To be used once, in one thread.

    Args:
        index: The index.
        folder: The folder that the runs' folders are in.
        read: Reads a run; see `Index.runs`.
        named: Gives a record as the store tells it.
        more: What is known beside records.
        here: What relations are called in the store.
    """

    def __init__(
        self,
        index: Index,
        folder: Path,
        read: Reader,
        *,
        named: Callable[[int, RunRecord], RunRecord],
        more: More,
        here: Here,
    ) -> None:
        self._index = index
        self._folder = folder
        self._read = read
        self._named = named
        self._more = more
        self._here = here

    def runs(self, tree: Tree, sort: str | None, limit: int | None) -> list[RunRecord] | None:
        """
        Return the runs that pass, in order; None where the index cannot tell.

        Raises:
            FilterError: A pattern takes too long.
        """
        try:
            with closing(Look(self._index.file)) as look:
                found = self._answered(look, tree, sort, limit)
                return None if look.doubted else found
        except ODD as error:
            if not isinstance(error, (sqlite3.OperationalError, sqlite3.NotSupportedError)):
                self._index.forget()  # it is damaged, and not only too busy, or asked too much
            return None

    def numbers(self, tree: Tree, sort: str | None) -> list[int] | None:
        """
        Return the numbers of the runs that pass, in order, without reading their records; None where SQL cannot tell.

        Raises:
            FilterError: A pattern takes too long.
        """
        try:
            with closing(Look(self._index.file)) as look:
                found = self._in_order(look, tree, sort)
                return None if look.doubted else found
        except ODD:
            return None

    def _in_order(self, look: Look, tree: Tree, sort: str | None) -> list[int] | None:
        first = self._first(look, tree, sort, None)
        if first.found is None or first.partial or not first.question.is_exact or len(first.others) > _MOST_PLACED:
            return None
        there = self._index.present()
        found = [number for number in first.found if number not in first.others and number in there]
        for number, record in first.others.items():
            named = self._named(number, record)
            if passes(tree, named, self._more):
                found.insert(self._place(found, number, named, sort), number)
        return found

    def _place(self, numbers: Sequence[int], number: int, record: RunRecord, sort: str | None) -> int:
        """Return where a run belongs among others that are in order, of which some are read."""
        low, high = 0, len(numbers)
        while low < high:
            middle = (low + high) // 2
            other = numbers[middle]
            is_first = number > other
            if sort is not None:
                pair = [(number, record), (other, self._named(other, self._numbered(other)))]
                pair.sort(key=lambda each: -each[0])
                is_first = sort_records([each for _, each in pair], sort, self._more)[0] is record
            low, high = (low, middle) if is_first else (middle + 1, high)
        return low

    def _first(self, look: Look, tree: Tree, sort: str | None, limit: int | None) -> _First:
        """Have the index know all that has ended, and ask it."""
        others = dict(self._brought_up_to_date(look, self._index.present()))
        self._derive(look, derived(tree, sort))
        question = Question(look.database, self._here)
        found = question.runs(tree, sort, limit)
        mask = partial_mask(tree, sort)
        partial = [run for (run,) in look.database.execute("SELECT run FROM known WHERE partial & ?", (mask,))]
        return _First(question, found, partial, others)

    def _answered(self, look: Look, tree: Tree, sort: str | None, limit: int | None) -> list[RunRecord] | None:
        numbers = self._index.present()
        first = self._first(look, tree, sort, limit)
        question, found, partial, others = first.question, first.found, first.partial, first.others
        if found is None:
            # in an order that SQL does not know
            found = Question(look.database, self._here).runs(tree, None, None)
            assert found is not None, "without a sort there is always an answer"
        records = {number: self._named(number, record) for number, record in others.items()}
        records = {number: record for number, record in records.items() if passes(tree, record, self._more)}
        look.begin()
        wanted = [number for number in (*found, *partial) if number not in others and number in numbers]
        for number, row in self._index.rows(look, wanted, self._read):
            record = self._named(number, row.record if isinstance(row, Row) else row)
            if passes(tree, record, self._more):
                records[number] = record
            elif question.is_exact and number not in partial and isinstance(row, Row):
                look.doubted = True
        ordered = [records[number] for number in sorted(records, reverse=True)]
        return (sort_records(ordered, sort, self._more) if sort is not None else ordered)[:limit]

    # --- what is new ------------------------------------------------------------------------------------------------

    def _brought_up_to_date(self, look: Look, numbers: frozenset[int]) -> Iterator[tuple[int, RunRecord]]:
        """Have the index know all that has ended; yield what is not in there: runs that go on, or cannot be written."""
        database = look.database
        marker, seen = read_marker(self._folder), self._index.seen
        [(file,)] = database.execute("SELECT value FROM state WHERE name = 'file'")
        if seen is not None and (seen.numbers, seen.marker, seen.file) == (numbers, marker, file):
            known: Mapping[int, int] = dict.fromkeys(seen.unsettled, 0)
            suspects, gone, is_marked, sampled_at = [*seen.unsettled], set[int](), True, seen.sampled_at
        else:
            before = database.execute("SELECT value FROM state WHERE name = ?", (_MARKER,)).fetchone()
            is_marked, sampled_at = before is not None and before[0] == marker, 0.0
            known = dict(database.execute("SELECT run, settled FROM known").fetchall())
            unknown = [number for number in numbers if not known.get(number)]
            suspects, gone = unknown if is_marked else self._changed(look, numbers, known), known.keys() - numbers
        if is_marked and time.monotonic() - sampled_at > _SAMPLED_S:
            # what was done to a run by others than us shows sooner or later
            sampled_at = time.monotonic()
            suspects += random.sample([*numbers], min(_SAMPLE, len(numbers)))
        unsettled = {*suspects} & numbers  # a number that is claimed is no run yet, and soon may be one
        for number, row in self._index.rows(look, sorted(unsettled, reverse=True), self._read):
            if not isinstance(row, Row):
                yield number, row
            elif row.stamp.is_settled:
                unsettled.discard(number)
                if known.get(number) == 0:
                    look.note(row)
        look.write()
        yield from ((row.number, row.record) for row in look.unwritten)
        if gone or not is_marked:
            with suppress(*ODD), database:
                database.execute("BEGIN IMMEDIATE")
                look.forget_facts(gone)
                if not look.unwritten:
                    database.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (_MARKER, marker))
        is_whole = not (look.doubted or look.unwritten)
        self._index.seen = Seen(numbers, marker, file, tuple(unsettled), sampled_at) if is_whole else None

    def _changed(self, look: Look, numbers: frozenset[int], known: Mapping[int, int]) -> list[int]:
        """Return the runs that are not as they were when the index read them."""
        suspects = [number for number in numbers if number not in known]
        there = sorted(known.keys() & numbers)
        for begin in range(0, len(there), AT_A_TIME):
            some = there[begin : begin + AT_A_TIME]
            rows = look.database.execute(f"SELECT id, stamp FROM runs WHERE id IN ({','.join('?' * len(some))})", some)
            stamps = dict(rows.fetchall())
            for number in some:
                stamp = stamps.get(number)
                if not known[number] or not isinstance(stamp, str) or not self._holds(number, stamp):
                    suspects.append(number)
        return suspects

    def _holds(self, number: int, stamp: str) -> bool:
        return self._index.holds(number, Stamp.of_text(stamp))

    # --- what no record holds -----------------------------------------------------------------------------------------

    def _derive(self, look: Look, asked: Sequence[Place]) -> None:
        """Have the index know what a question asks of series and packages: it is read once for each run."""
        for place in asked:
            key = (place.part, place.name)
            row = look.database.execute("SELECT id FROM names WHERE part = ? AND name = ?", key).fetchone()
            known = f"AND run NOT IN (SELECT run FROM facts WHERE name = {row[0]})" if row else ""
            if place.part == "package":
                lacking = f"SELECT run FROM known WHERE 1 {known}"
                values: tuple[Any, ...] = ()
            else:
                metric = "SELECT id FROM names WHERE part = 'metric' AND name = ?"
                lacking = f"SELECT run FROM metrics WHERE name IN ({metric}) {known}"
                values = (place.name,)
            runs = [run for (run,) in look.database.execute(lacking, values)]
            for begin in range(0, len(runs), AT_A_TIME):
                some = runs[begin : begin + AT_A_TIME]
                if place.part == "package":
                    self._read_packages(look, some)
                look.add_facts(*key, [(run, *self._derived(look, run, place)) for run in some])

    def _derived(self, look: Look, run: int, place: Place) -> tuple[int, str, Any, str | None]:
        """Return a row for what stands at a place of a run: number -1 where there is nothing."""
        value: Any = MISSING
        if place.part == "package":
            found = look.database.execute(
                "SELECT version FROM packages WHERE name = ? "
                "AND environment = (SELECT environment FROM known WHERE run = ?)",
                (place.name, run),
            ).fetchone()
            value = MISSING if found is None else Version(found[0])
        else:
            points = self._more.points(self._numbered(run), place.name)
            value = MISSING if points is None else of_points(place.part, *points)
        if value is MISSING:
            return -1, "0", None, None
        if isinstance(value, Version):
            return 0, "v", str(value), None
        if value != value or (not -(2**63) <= value < 2**63 and isinstance(value, int)):
            look.database.execute("UPDATE known SET partial = partial | ? WHERE run = ?", (PARTS["series"], run))
            return -1, "0", None, None
        return 0, "n", value, None

    def _read_packages(self, look: Look, runs: Sequence[int]) -> None:
        """Have the index know the environments of runs, each of which is kept once."""
        marks = ",".join("?" * len(runs))
        query = f"SELECT run FROM known WHERE environment IS NULL AND run IN ({marks})"
        for (run,) in look.database.execute(query, runs).fetchall():
            packages = self._more.packages(self._numbered(run))
            digest = blake2b(repr(sorted(packages.items())).encode("utf-8", "backslashreplace"), digest_size=16)
            name = digest.hexdigest()
            with look.database as database:
                database.execute("BEGIN IMMEDIATE")
                rows = [(name, package, version) for package, version in packages.items()]
                database.executemany("INSERT OR IGNORE INTO packages VALUES (?, ?, ?)", rows)
                database.execute("UPDATE known SET environment = ? WHERE run = ?", (name, run))

    def _numbered(self, run: int) -> RunRecord:
        [stored] = self._index.runs([run], self._read)
        return stored.record
