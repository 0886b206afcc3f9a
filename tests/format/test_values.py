"""Values of users survive the way into a record and back."""

from __future__ import annotations

import enum
import json
import math
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anew.runner.errors import ValueRefusedError
from anew.runner.format.values import as_float, decode, encode, from_iso, iso, plain
from anew.runner.query.names import of_points
from anew.runner.query.scatter import Scale

pytestmark = pytest.mark.interpreter


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Point:
    x: int
    y: float


keys = st.one_of(st.text(), st.integers(), st.booleans(), st.tuples(st.integers(), st.text()))
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters()),
    st.binary(),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(timezone.utc)),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.uuids(),
    st.complex_numbers(),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.sets(st.integers(), max_size=4),
    ),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    """Equality that also tells -0.0 from 0.0, True from 1, and takes NaN for itself, whatever its sign bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (a != a and b != b) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(same(x, y) and same(a[x], b[y]) for x, y in zip(a, b, strict=True))
    return bool(a == b)


@given(trees)
def test_every_plain_value_comes_back_as_it_was(value: object) -> None:
    text = json.dumps(encode(value), allow_nan=False)
    assert text.isascii()
    assert same(decode(json.loads(text)), value)


@given(trees)
def test_what_is_shown_is_strict_json(value: object) -> None:
    json.loads(json.dumps(plain(value), allow_nan=False), parse_constant=pytest.fail)


@given(st.text(st.characters(codec=None)))
def test_text_with_surrogates_survives(text: str) -> None:
    assert decode(json.loads(json.dumps(encode(text)))) == text


@pytest.mark.parametrize(
    ("value", "back"),
    [
        (Path("a/b"), Path("a/b")),
        (Colour.RED, "RED"),
        (Level.LOW, "LOW"),
        (2**70, 2**70),
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.array(3.5), 3.5),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (Point(1, 2.0), {"x": 1, "y": 2.0}),
        ({"~f": "nan"}, {"~f": "nan"}),
        ({"~new": 1, "b": 2}, {"~new": 1, "b": 2}),
        ({1: "a", "1": "b", None: "c"}, {1: "a", "1": "b", None: "c"}),
        (time(1, 2, 3), time(1, 2, 3)),
        (timedelta(days=-1, microseconds=1), timedelta(days=-1, microseconds=1)),
        (Decimal("0.10"), Decimal("0.10")),
        (Fraction(1, 3), Fraction(1, 3)),
        (UUID(int=5), UUID(int=5)),
        (date(2026, 1, 2), date(2026, 1, 2)),
        (range(3), [0, 1, 2]),
    ],
)
def test_values_beyond_json(value: object, back: object) -> None:
    assert same(decode(json.loads(json.dumps(encode(value)))), back)


def test_non_finite_numbers_are_shown_as_strings() -> None:
    assert plain([math.nan, math.inf, -math.inf]) == ["NaN", "Infinity", "-Infinity"]


def test_a_value_that_cannot_be_kept_is_refused_with_its_place() -> None:
    with pytest.raises(ValueRefusedError, match=r"info\.model\[1\]\.weights cannot be kept: a value of type object"):
        encode({"model": [0, {"weights": object()}]}, "info")


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(ValueRefusedError, match="contains itself"):
        encode(loop)


def test_a_large_array_is_refused_with_its_size() -> None:
    with pytest.raises(ValueRefusedError, match="1000000 elements"):
        encode({"x": np.zeros(1_000_000)})


def test_decoding_never_builds_what_the_data_names() -> None:
    assert decode({"~enum": ["os.system", "RED"]}) == "RED"
    assert decode({"~unknown": ["os.system", "x"]}) == {"~unknown": ["os.system", "x"]}


@given(st.datetimes(timezones=st.timezones()))
def test_times_keep_their_microseconds(moment: datetime) -> None:
    try:
        text = iso(moment)
    except OverflowError:
        return
    assert text.endswith("Z")
    assert from_iso(text) == moment.astimezone(timezone.utc)


@pytest.mark.parametrize("value", [10**400, -(10**400)])
def test_a_number_beyond_any_float_is_an_infinity_of_its_sign_wherever_one_is_made(value: int) -> None:
    expected = math.inf if value > 0 else -math.inf
    assert as_float(value) == expected
    assert Scale.of("x", [value, 0.5]).values == (expected, 0.5)
    assert of_points("mean", [0], [value]) == expected
