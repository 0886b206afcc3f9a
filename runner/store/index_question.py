"""
A filter and a sort, asked of the facts in the index: which runs pass, and in which order.

Each part of the tree becomes the flags of all runs, a byte for each, taken together as one whole number, of which
"and", "or" and "not" are made in no time. What is found is what `tree.passes` says of the records.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, compress, islice, repeat
from operator import gt, itemgetter
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.query.names import HERE, MISSING, SUMMARIES, TREES, Place, Version, places
from anew.runner.query.tree import All, AnyOf, Leaf, Not, Tree, leaves
from anew.runner.store.index_facts import PARTS, Key
from anew.runner.store.index_spans import SETTLED, UNSETTLED, Spans
from anew.runner.store.index_values import ABSENT, SPAN, Inside, Relation, Trial, Values

Here = Callable[[str, str, "int | None"], Any]
"""What a field of `HERE` is in this store, given the uid and the number that are on record."""
PACKAGES: Key = ("packages", "")
"""Where the packages of a run stand, as JSON."""
_IN_ROWS = {"field", *TREES, *SUMMARIES}


def column_of(place: Place) -> Key:
    """Return what stands in the index that a place is read from."""
    if place.part == "package":
        return PACKAGES
    if place.part == "field" and place.name in HERE:
        return "field", place.name.partition(".")[0]
    return place.part, place.name


def lacking(spans: Spans, place: Place) -> bytes:
    """Return 1 for each run of which it is not noted what stands at a place that no record holds; see `derived`."""
    there = spans.known(UNSETTLED, SETTLED) if place.part == "package" else spans.having(("last", place.name))
    return bytes(map(gt, there, spans.having(column_of(place))))


class _OtherOrderError(Exception):
    """The order is by something of which not all is in the index."""


@dataclass(slots=True)
class Question:
    """
    What is asked of the index. To be used once.

    Attributes:
        spans: The facts.
        here: See `Here`.
    """

    spans: Spans
    here: Here

    def runs(self, tree: Tree, sort: str | None, limit: int | None) -> list[int] | None:
        """
        Return the numbers of finished runs that pass, in order; None for an order that only records tell.

        Those that have parts which are not all here, and that the question asks about, are not among them.

        Raises:
            FilterError: A pattern takes too long.
            sqlite3.Error: The index is odd.
        """
        flags = self._flags(tree) & _bits(self.spans.known(UNSETTLED, SETTLED))
        flags &= ~self._partial(tree, sort)
        passing = flags.to_bytes(self.spans.slots, "little")
        if sort is None:
            return [*islice(reversed(self.spans.numbers(passing)), limit)]
        try:
            return self._ordered(passing, sort, limit)
        except _OtherOrderError:
            return None

    def partial(self, tree: Tree, sort: str | None) -> list[int]:
        """Return the runs that the index does not know all of which is asked about."""
        return self.spans.numbers(self._partial(tree, sort).to_bytes(self.spans.slots, "little"))

    def _partial(self, tree: Tree, sort: str | None) -> int:
        mask = partial_mask(tree, sort)
        flags = _bits(self.spans.partial(mask)) if mask else 0
        for place in derived(tree, sort):
            # it could not be noted, or the run was read anew since
            flags |= _bits(lacking(self.spans, place))
        return flags

    # --- the tree -------------------------------------------------------------------------------------------------

    def _flags(self, tree: Tree) -> int:
        if isinstance(tree, Not):
            return _all(self.spans.slots) ^ self._flags(tree.part)
        if isinstance(tree, All):
            found = _all(self.spans.slots)
            for part in tree.parts:
                found &= self._flags(part)
            return found
        if isinstance(tree, AnyOf):
            found = 0
            for part in tree.parts:
                found |= self._flags(part)
            return found
        return self._leaf(tree)

    def _leaf(self, leaf: Leaf) -> int:
        """Return the flags of what stands at the first of some places that a run has anything at."""
        test = Trial(leaf)
        found, left = 0, _all(self.spans.slots)
        for place in places(leaf.name):
            hits, present = self._at(place, test)
            found |= hits & left
            left &= ~present
            if not left:
                break
        return found

    def _at(self, place: Place, test: Trial) -> tuple[int, int]:
        """Return the flags of the runs whose value at a place passes, and of those that have one."""
        if place == Place("field", "id"):
            return _bits(b"".join(bytes([test.of(run) for run in runs]) for runs in self._runs())), self._every()
        lacking = b"\1" if place.part == "field" and test.of(None) else b"\0"
        hits, present = [], []
        for values in self._values(place):
            hits.append(_padded(b"" if values is None else values.flags(test), lacking, values))
            present.append(b"" if values is None else values.present())
        if place.part == "field":  # which every run has, be it none
            return _bits(b"".join(hits)), self._every()
        return _bits(b"".join(hits)), _bits(b"".join(each.ljust(SPAN, b"\0") for each in present))

    def _every(self) -> int:
        return _all(self.spans.slots)

    def _runs(self) -> Iterator[range]:
        return (range(span * SPAN, span * SPAN + SPAN) for span in self.spans.directories)

    def _values(self, place: Place) -> Iterator[Values | None]:
        """Yield the values at a place, a span after the other, as the store tells them."""
        found = self.spans.values(column_of(place))
        if place.part == "package":
            return _told(found, _version_in(place.name))
        if place.part == "field" and place.name in HERE:
            return _told(found, self._called(place.name))
        if place.part in _IN_ROWS:
            return found
        return _told(found, lambda value: ABSENT if value is MISSING else value)

    def _called(self, name: str) -> Callable[[Any], Any]:
        """Return what gives, for a relation on record, what it is called here; each is looked up once."""
        known: dict[Relation, Any] = {}

        def called(relation: Any) -> Any:
            if relation not in known:
                known[relation] = self.here(name, relation.uid, relation.number)
            return known[relation]

        return called

    # --- the order ------------------------------------------------------------------------------------------------

    def _ordered(self, passing: bytes, sort: str, limit: int | None) -> list[int]:
        """Return the runs that have a flag, in an order. Raises _OtherOrderError."""
        asked = places(sort.lstrip("-").strip())
        found = [[*self._values(place)] for place in asked if self._is_there(place)]
        runs = self.spans.numbers(passing)
        if Place("field", "id") in asked:
            ranks: list[Any] = runs
        elif len(found) == 1 and _are_floats(found[0]):
            ranks = [
                each if each == each else ABSENT
                for each in self._read(passing, found[0], lambda values: values.numbers)
            ]
        else:
            ranks = self._first_of(passing, found)
        lacking = [run for rank, run in zip(ranks, runs, strict=True) if rank is ABSENT]
        if lacking:
            runs = [run for rank, run in zip(ranks, runs, strict=True) if rank is not ABSENT]
            ranks = [rank for rank in ranks if rank is not ABSENT]
        return [*_least(ranks, runs, limit, down=sort.startswith("-")), *reversed(lacking)][:limit]

    def _is_there(self, place: Place) -> bool:
        """Whether any run has something at a place."""
        return column_of(place) in self.spans.catalog.names

    def _read(self, passing: bytes, found: Sequence[Values | None], read: Callable[[Values], Any]) -> list[Any]:
        """Return what is read of the values of each run that has a flag; ABSENT where it has none."""
        known: list[Any] = []
        for (part, _), values in zip(self.spans.parts(passing), found, strict=True):
            if part:
                known += compress(chain(() if values is None else read(values), repeat(ABSENT)), part)
        return known

    def _first_of(self, passing: bytes, found: Sequence[Sequence[Values | None]]) -> list[Any]:
        """Return what the first value of each run that has a flag is sorted by, or ABSENT. Raises _OtherOrderError."""
        ranks: list[Any] = [ABSENT] * passing.count(1)
        for each in found:
            if any(values is not None and any(map(_is_told_by_records, values.distinct)) for values in each):
                raise _OtherOrderError
            others = self._read(passing, each, lambda values: values.ranks())
            ranks = [other if mine is ABSENT else mine for mine, other in zip(ranks, others, strict=True)]
        return [ABSENT if each is None else each for each in ranks]


def _least(ranks: Sequence[Any], runs: Sequence[int], limit: int | None, *, down: bool) -> list[int]:
    """Return the runs that come first, of those that are alike the newest; with *down* the greatest come first."""
    if limit is not None and 0 < limit < len(ranks):
        # most are passed over by what they are sorted by alone
        [*_, edge] = (heapq.nlargest if down else heapq.nsmallest)(limit, ranks)
        near = [(rank, run) for rank, run in zip(ranks, runs, strict=True) if (rank >= edge if down else rank <= edge)]
    else:
        near = [*zip(ranks, runs, strict=True)]
    near.reverse()
    near.sort(key=itemgetter(0), reverse=down)
    return [run for _, run in near[:limit]]


def _are_floats(found: Sequence[Values | None]) -> bool:
    """Whether values of all spans that have some are an array of numbers."""
    return all(values is None or (values.numbers is not None and values.numbers.typecode == "d") for values in found)


def _is_told_by_records(value: Any) -> bool:
    """Whether a value is sorted by what the index does not keep of it."""
    return isinstance(value, Inside) or (isinstance(value, (list, tuple)) and any(map(_is_told_by_records, value)))


def _told(found: Iterator[Values | None], tell: Callable[[Any], Any]) -> Iterator[Values | None]:
    """Yield values as they are told; what is told as ABSENT is none."""
    for values in found:
        if values is None:
            yield None
            continue
        if values.numbers is not None:
            yield values
            continue
        told = [tell(value) for value in values.distinct]
        kept = [value for value in told if value is not ABSENT]
        numbered = iter(range(1, len(kept) + 1))
        moved = [0, *(0 if value is ABSENT else next(numbered) for value in told)]
        yield Values(None, kept, [moved[place] for place in values.places])


def _version_in(name: str) -> Callable[[Any], Any]:
    def version(packages: str) -> Any:
        found = _packages(packages).get(name)
        return ABSENT if found is None else Version(found)

    return version


@lru_cache(maxsize=64)  # most runs of a store have the same
def _packages(text: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(text)
    return found


def _padded(flags: bytes, lacking: bytes, values: Values | None) -> bytes:
    """Return the flags of all runs of a span, given what those have of which nothing is known."""
    if lacking == b"\0" or values is None:
        return flags.ljust(SPAN, lacking)
    there = int.from_bytes(values.present().ljust(SPAN, b"\0"), "little")
    return ((_all(SPAN) ^ there) | int.from_bytes(flags, "little")).to_bytes(SPAN, "little")


def _bits(flags: bytes) -> int:
    return int.from_bytes(flags, "little")


def _all(count: int) -> int:
    return int.from_bytes(b"\1" * count, "little")


def _names(tree: Tree, sort: str | None) -> Iterator[Place]:
    asked = [leaf.name for leaf in leaves(tree)] + ([sort.lstrip("-").strip()] if sort else [])
    return (place for name in dict.fromkeys(asked) for place in places(name))


def partial_mask(tree: Tree, sort: str | None) -> int:
    """Return the bits of the parts of a record that a question asks about."""
    mask = 0
    for place in _names(tree, sort):
        if place.part in PARTS:
            mask |= PARTS[place.part]
        elif place.part in SUMMARIES:
            mask |= PARTS["metric"]
        elif place.part != "package":
            mask |= PARTS["metric"] | PARTS["series"]
    return mask


def derived(tree: Tree, sort: str | None) -> list[Place]:
    """Return the places that a question asks about and that no record holds: of series, and packages."""
    return [*dict.fromkeys(place for place in _names(tree, sort) if place.part not in _IN_ROWS)]
