"""
What stands under one name in up to 512 runs, as bytes: quick to read, and to compare with a value of a filter.

Many different numbers, or times, are an array; of anything else each value stands there once, as JSON, and a place
among these for each run. Every value comes back as it was, so that a filter means the same of it as of the record.
"""

from __future__ import annotations

import json
import operator
from array import array
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.query.names import MISSING, Digest, Version
from anew.runner.query.sorting import rank
from anew.runner.query.tree import Compare, Has, Leaf, SameList, holds

SPAN = 512
ABSENT: Any = object()
"""What a run has of which nothing is known under a name."""
_FEW = 16
_MOST_IN_BYTES = 255
_NEVER = -(2**63)
_NAN = float("nan")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_FLOATS, _TIMES, _BYTES, _SHORTS = b"d", b"t", b"b", b"h"
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Relation:
    """Another run, or a sweep: its uid, and the number on record."""

    uid: str
    number: int | None


class Inside(dict[str, None]):
    """A mapping of which nothing is kept but whether there is anything in it: filters compare it with nothing."""


class Values:
    """
    The values of a name in the runs of a span, by their places in it; beyond the last one nothing is known.

    Attributes:
        numbers: Where they are an array: that; `nan`, or the least there is, where nothing is known.
        distinct: Where they are not: each value once.
        places: And of each run which of these it has, counted from 1; 0 where nothing is known.
    """

    __slots__ = ("distinct", "numbers", "places")

    def __init__(self, numbers: array[Any] | None, distinct: list[Any], places: Sequence[int]) -> None:
        self.numbers = numbers
        self.distinct = distinct
        self.places = places

    @classmethod
    def of_bytes(cls, data: bytes) -> Values:
        """Return what `encoded` gave. Raises ValueError, TypeError, OverflowError for anything else."""
        kind, count = data[:1], int.from_bytes(data[1:3], "little")
        if kind in (_FLOATS, _TIMES):
            return cls(array("d" if kind == _FLOATS else "q", data[3:]), [], b"")
        end = 3 + count * (1 if kind == _BYTES else 2)
        places: Sequence[int] = data[3:end] if kind == _BYTES else array("H", data[3:end])
        try:
            distinct = [_untold(each) for each in json.loads(data[end:])]
        except (LookupError, RecursionError) as error:
            raise ValueError("no values") from error
        if max(places, default=0) > len(distinct):
            raise ValueError("a place without a value")
        return cls(None, distinct, places)

    def present(self) -> bytes:
        """Return 1 for each run of which something is known."""
        if self.numbers is None:
            return self._told([True] * len(self.distinct))
        if self.numbers.typecode == "d":
            return bytes([each == each for each in self.numbers])
        return bytes([each != _NEVER for each in self.numbers])

    def flags(self, test: Trial) -> bytes:
        """Return 1 for each run whose value passes a test."""
        if self.numbers is None:
            return self._told(test.of_values(self.distinct))
        return test.of_floats(self.numbers) if self.numbers.typecode == "d" else test.of_times(self.numbers)

    def _told(self, results: Sequence[Any]) -> bytes:
        table = bytes([0, *map(bool, results)])
        if isinstance(self.places, bytes):
            return self.places.translate(table.ljust(256, b"\0"))
        return bytes([table[place] for place in self.places])

    def all(self) -> list[Any]:
        """Return the value of each run, or ABSENT."""
        if self.numbers is None:
            values = [ABSENT, *self.distinct]
            return [values[place] for place in self.places]
        if self.numbers.typecode == "d":
            return [each if each == each else ABSENT for each in self.numbers]
        return [ABSENT if each == _NEVER else moment_of(each) for each in self.numbers]

    def ranks(self) -> list[Any]:
        """Return of each run what its value is sorted by; None for none, ABSENT where nothing is known."""
        if self.numbers is None:
            values = [ABSENT, *map(rank, self.distinct)]
            return [values[place] for place in self.places]
        if self.numbers.typecode == "d":
            return [(0, each) if each == each else ABSENT for each in self.numbers]
        # what `timestamp` of the time gives
        return [ABSENT if each == _NEVER else (0, each / 10**6) for each in self.numbers]


class Trial:
    """
    What is asked of the values of a leaf: what `tree.holds` says, for many values at a time.

    Args:
        leaf: The leaf.
    """

    def __init__(self, leaf: Leaf) -> None:
        self._leaf = leaf
        self._order = _ORDERS[leaf.operator] if isinstance(leaf, Compare) else None
        self._number = leaf.literal.like(0.0) if isinstance(leaf, Compare) else None
        # it says how long ago, and the clock goes on
        self._moment = leaf.literal.like(_EPOCH) if isinstance(leaf, Compare) else None

    def of(self, value: Any) -> bool:
        """Whether it holds for one value."""
        if value is MISSING:
            return False
        if isinstance(value, datetime) and self._order is not None:
            return self._moment is not None and self._order(value, self._moment)
        return holds(self._leaf, value)

    def of_values(self, values: Sequence[Any]) -> list[Any]:
        """Whether it holds for each of some values."""
        if self._order is not None and len(values) > _FEW and set(map(type, values)) <= {int, float}:
            return self._compared(values)
        return [self.of(value) for value in values]

    def of_floats(self, values: Sequence[float]) -> bytes:
        """Whether it holds for each of some numbers; `nan` is none."""
        if self._order is not None:
            # what is absent stands here as `nan`, which nothing is that is there
            asks_for_nan = self._number != self._number
            return bytes(len(values)) if asks_for_nan else bytes(self._compared(values))
        if isinstance(self._leaf, Has):
            return bytes([each == each for each in values])
        if isinstance(self._leaf, SameList):
            return bytes(len(values))
        return bytes([each == each and self.of(each) for each in values])

    def _compared(self, values: Sequence[Any]) -> list[bool]:
        other, order = self._number, self._order
        is_number = isinstance(other, (int, float)) and not (order is operator.eq and isinstance(other, bool))
        if not is_number or order is None:
            return [False] * len(values)
        if order is operator.lt:
            return [each < other for each in values]
        if order is operator.gt:
            return [each > other for each in values]
        if order is operator.eq and other != other:
            return [each != each for each in values]
        return [order(each, other) for each in values]

    def of_times(self, values: Sequence[int]) -> bytes:
        """Whether it holds for each of some times."""
        if self._order is None:
            return bytes([each != _NEVER and self.of(moment_of(each)) for each in values])
        if self._moment is None:
            return bytes(len(values))
        other, order = microseconds(self._moment), self._order
        return bytes([each != _NEVER and order(each, other) for each in values])


# --- as bytes -----------------------------------------------------------------------------------------------------


def encoded(values: Sequence[Any]) -> bytes:
    """Return values, at most as many as a span has, as bytes; nothing where all of them are ABSENT."""
    known: dict[Any, int] = {}
    distinct: list[Any] = []
    places: list[int] = []
    for value in values:
        if value is ABSENT:
            places.append(0)
            continue
        key = _key(value)
        place = known.get(key)
        if place is None:
            distinct.append(value)
            place = known[key] = len(distinct)
        places.append(place)
    while places and not places[-1]:
        places.pop()
    if not places:
        return b""
    count = len(places).to_bytes(2, "little")
    if len(distinct) > _FEW and (numbers := _as_array([ABSENT, *distinct])) is not None:
        kind = _FLOATS if numbers.typecode == "d" else _TIMES
        return kind + count + array(numbers.typecode, [numbers[place] for place in places]).tobytes()
    text = json.dumps([_told(value) for value in distinct], separators=(",", ":")).encode()
    if len(distinct) <= _MOST_IN_BYTES:
        return _BYTES + count + bytes(places) + text
    return _SHORTS + count + array("H", places).tobytes() + text


def _as_array(values: Sequence[Any]) -> array[Any] | None:
    kinds = set(map(type, values[1:]))
    if kinds == {float} and all(value == value for value in values[1:]):
        return array("d", [_NAN, *values[1:]])
    if kinds == {datetime} and all(value.tzinfo is timezone.utc for value in values[1:]):
        return array("q", [_NEVER, *map(microseconds, values[1:])])
    return None


def _key(value: Any) -> Any:
    """Return something that two values have in common only if they are the same, of the same kind."""
    kind = type(value)
    if kind is float:
        return repr(value)  # 0.0 is not -0.0, and nan is nan
    if kind in (str, int, bool, Version, Digest, Relation):
        return kind, value
    if kind is datetime:
        return kind, value, value.utcoffset()
    if not value or kind is Inside:
        return kind, bool(value)
    return kind, json.dumps(_told(value))


def _told(value: Any) -> Any:
    """Return a value as JSON holds it."""
    if isinstance(value, Version):
        return {"v": str(value)}
    if isinstance(value, Digest):
        return {"x": str(value)}
    if isinstance(value, datetime):
        if value.tzinfo is timezone.utc:
            return {"d": microseconds(value)}
        # as the clock there has it: in UTC it may be no time of the calendar
        offset = value.utcoffset() or timedelta()
        return {"z": [microseconds(value.replace(tzinfo=timezone.utc)), offset // _MICROSECOND]}
    if isinstance(value, Relation):
        return {"s": [value.uid, value.number]}
    if isinstance(value, tuple):
        return {"t": [*map(_told, value)]}
    if isinstance(value, list):
        return [*map(_told, value)]
    if isinstance(value, Mapping):
        return {"m": bool(value)}
    return {"0": 0} if value is MISSING else value


def _untold(value: Any) -> Any:
    """Return the value that `_told` gave. Raises LookupError, TypeError, ValueError, OverflowError for others."""
    if type(value) is list:
        return [*map(_untold, value)]
    if type(value) is not dict:
        return value
    [(kind, inner)] = value.items()
    return _KINDS[kind](inner)


_KINDS: Mapping[str, Callable[[Any], Any]] = {
    "v": Version,
    "x": Digest,
    "d": lambda inner: moment_of(inner),
    "z": lambda inner: moment_of(inner[0]).replace(tzinfo=timezone(inner[1] * _MICROSECOND)),
    "s": lambda inner: Relation(*inner),
    "t": lambda inner: tuple(map(_untold, inner)),
    "m": lambda inner: Inside({"": None} if inner else {}),
    "0": lambda inner: MISSING,
}


def microseconds(moment: datetime) -> int:
    """Return a time as whole microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(value: int) -> datetime:
    """Return the time that `microseconds` was given. Raises OverflowError."""
    return _EPOCH + value * _MICROSECOND
