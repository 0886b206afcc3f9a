"""
Which runs pass a filter, answered in the index without reading records.

A few runs are looked at one by one, as they are listed. Of many it is known from the index which runs there are that
have ended; looked at are those that are new, or go on, or may still be written to, a sample, and all that the answer
shows. All of them are looked at again once `changed` in the store's folder says that one was given a tag, a note or
the like.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from anew.runner.dataclass import dataclass
from anew.runner.errors import FilterError
from anew.runner.lazy.modules import later
from anew.runner.query.names import MISSING, More, Place, of_points
from anew.runner.query.sorting import sort_records
from anew.runner.query.tree import Tree, passes
from anew.runner.records import RunRecord
from anew.runner.store.index import Index, Reader
from anew.runner.store.index_facts import PARTS
from anew.runner.store.index_file import is_damage, odd_errors
from anew.runner.store.index_look import AT_A_TIME, Look, Row
from anew.runner.store.index_question import Here, Question, column_of, derived, lacking
from anew.runner.store.index_spans import NONE, SETTLED, UNSETTLED
from anew.runner.store.stamps import Stamp

if TYPE_CHECKING:
    import sqlite3
else:
    sqlite3 = later("sqlite3")

# of so many runs each is looked at
FEW = 200
_SAMPLE, _SAMPLED_S = 32, 1.0
# so many runs that go on are put in their places among those that have ended
_MOST_PLACED = 64
_MOST = 10**300


@dataclass(frozen=True, slots=True)
class _Answer:
    """
    What the index says to a question at first.

    Attributes:
        found: The runs that have ended and pass.
        is_ordered: Whether in the order that was asked for.
        partial: Runs that it does not know all of.
        others: Runs that are not in there.
        gone: Runs that are not there any more.
        version: Of the file that said so.
    """

    found: list[int]
    is_ordered: bool
    partial: list[int]
    others: dict[int, RunRecord]
    gone: Collection[int]
    version: int


class Asked:
    """
    A question to the index of a folder. To be used once, in one thread.

    Args:
        index: The index.
        read: Reads a run; see `Index.runs`.
        named: Gives a record as the store tells it.
        more: What is known beside records.
        here: What relations are called in the store.
    """

    def __init__(
        self,
        index: Index,
        read: Reader,
        *,
        named: Callable[[int, RunRecord], RunRecord],
        more: More,
        here: Here,
    ) -> None:
        self._index = index
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
            with closing(self._index.look()) as look:
                found = self._answered(look, tree, sort, limit)
                return None if look.doubted else found
        except FilterError:
            raise  # a ValueError, too, and not the index's
        except odd_errors() as error:
            self._doubt(error)
            return None

    def numbers(self, tree: Tree, sort: str | None) -> list[int] | None:
        """
        Return the numbers of the runs that pass, in order, without reading their records; None where that takes them.

        Raises:
            FilterError: A pattern takes too long.
        """
        try:
            with closing(self._index.look()) as look:
                found = self._in_order(look, tree, sort)
                return None if look.doubted else found
        except FilterError:
            raise  # a ValueError, too, and not the index's
        except odd_errors() as error:
            self._doubt(error)
            return None

    def _doubt(self, error: Exception) -> None:
        if is_damage(error):
            self._index.forget()

    def _in_order(self, look: Look, tree: Tree, sort: str | None) -> list[int] | None:
        answer = self._first(look, tree, sort, None)
        if not answer.is_ordered or answer.partial or len(answer.others) > _MOST_PLACED:
            return None
        found = [number for number in answer.found if number not in answer.others and number not in answer.gone]
        for number, record in answer.others.items():
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

    def _first(self, look: Look, tree: Tree, sort: str | None, limit: int | None) -> _Answer:
        """Have the index know all that has ended, and ask it. Raises what is in `odd_errors`."""
        others, gone = self._brought_up_to_date(look)
        for place in derived(tree, sort):
            self._derive(look, place)
        with look.facts() as spans:
            question = Question(spans, self._here)
            # those that are gone by now may be among the first
            most = None if limit is None else limit + len(gone) + len(others)
            found = question.runs(tree, sort, most)
            # in an order that records tell, a run is partial only by what it is found by: what is found it is not, too
            partial = question.partial(tree, None if found is None else sort)
            is_ordered = found is not None
            if found is None:
                found = question.runs(tree, None, None)
                assert found is not None, "without a sort there is always an answer"
            return _Answer(found, is_ordered, partial, others, gone, look.version)

    def _answered(self, look: Look, tree: Tree, sort: str | None, limit: int | None) -> list[RunRecord]:
        answer = self._first(look, tree, sort, limit)
        look.begin()
        left_out = {*answer.others, *answer.gone}
        wanted = [number for number in (*answer.found, *answer.partial) if number not in left_out]
        rows = [*self._index.rows(look, wanted, self._read, self._index.held)]
        is_so = answer.is_ordered and not answer.partial and not answer.others and look.version == answer.version
        if is_so and all(isinstance(row, Row) and not look.is_fresh(number) for number, row in rows):
            return [self._named(number, row.record if isinstance(row, Row) else row) for number, row in rows][:limit]
        # something was changed, or is not known yet: the records are asked
        records = [self._named(number, record) for number, record in answer.others.items()]
        records += [self._named(number, row.record if isinstance(row, Row) else row) for number, row in rows]
        ordered = sorted(
            (record for record in records if passes(tree, record, self._more)), key=lambda each: -(each.id or 0)
        )
        return (sort_records(ordered, sort, self._more) if sort is not None else ordered)[:limit]

    # --- what is new ------------------------------------------------------------------------------------------------

    def _brought_up_to_date(self, look: Look) -> tuple[dict[int, RunRecord], Collection[int]]:
        """
        Have the index know all that has ended. Raises what is in `odd_errors`.

        Returns:
            What is not in there, runs that go on, or cannot be written; and what is in there, and gone.
        """
        listed = self._index.listed()
        with look.facts() as spans:
            catalog = spans.catalog
            is_marked = catalog.marker == look.marker
            unsettled = {*catalog.others, *spans.numbers(spans.known(UNSETTLED))}
            gone: Collection[int] = ()
            if not (is_marked and listed and listed == catalog.listed):
                numbers = self._index.present()
                gone = {*spans.numbers(spans.known(UNSETTLED, SETTLED))} - numbers
                settled = numbers & {*spans.numbers(spans.known(SETTLED))}
                # a number that is claimed is no run yet, and soon may be one
                unsettled = {*numbers} - settled
                if not is_marked:
                    unsettled |= {*self._changed(look, sorted(settled))}
        suspects = {*unsettled}
        if is_marked and time.monotonic() - self._index.sampled_at > _SAMPLED_S:
            # what was done to a run by others than us shows sooner or later
            self._index.sampled_at = time.monotonic()
            suspects |= spans.some(_SAMPLE) - {*gone}
        others: dict[int, RunRecord] = {}
        for number, row in self._index.rows(look, sorted(suspects, reverse=True), self._read):
            if not isinstance(row, Row):
                others[number] = row
                continue
            state = SETTLED if row.stamp.is_settled else UNSETTLED
            if state == SETTLED:
                unsettled.discard(number)
            else:
                unsettled.add(number)
            if spans.state(number) != state:
                look.note(row)
        look.write()
        others.update((row.number, row.record) for row in look.unwritten)
        left = [run for run in unsettled if spans.state(run) == NONE]
        if gone or (catalog.marker, catalog.listed, {*catalog.others}) != (look.marker, listed, {*left}):
            look.conclude(gone, listed, left)
        return others, gone

    def _changed(self, look: Look, known: Sequence[int]) -> list[int]:
        """Return those of some runs that are not as they were when the index read them."""
        changed = []
        for begin in range(0, len(known), AT_A_TIME):
            some = known[begin : begin + AT_A_TIME]
            rows = look.database.execute(f"SELECT id, stamp FROM runs WHERE id IN ({','.join('?' * len(some))})", some)
            stamps = dict(rows.fetchall())
            for number in some:
                stamp = stamps.get(number)
                if not isinstance(stamp, str) or not self._index.holds(number, Stamp.of_text(stamp)):
                    changed.append(number)
        return changed

    # --- what no record holds -----------------------------------------------------------------------------------------

    def _derive(self, look: Look, place: Place) -> None:
        """Have the index know what a question asks of series and packages: it is read once for each run."""
        is_package = place.part == "package"
        with look.facts() as spans:
            unknown = spans.numbers(lacking(spans, place))
        for begin in range(0, len(unknown), AT_A_TIME):
            some = unknown[begin : begin + AT_A_TIME]
            values: dict[int, Any] = {}
            odd: dict[int, int] = {}
            for run in some:
                value = self._packages(run) if is_package else self._of_series(run, place)
                if type(value) is int and not -_MOST < value < _MOST:
                    odd[run] = PARTS["series"]
                values[run] = MISSING if run in odd else value
            look.add(column_of(place), values, odd)

    def _of_series(self, run: int, place: Place) -> Any:
        points = self._more.points(self._numbered(run), place.name)
        return MISSING if points is None else of_points(place.part, *points)

    def _packages(self, run: int) -> str:
        return json.dumps(self._more.packages(self._numbered(run)), sort_keys=True)

    def _numbered(self, run: int) -> RunRecord:
        [stored] = self._index.runs([run], self._read)
        return stored.record
