"""Times, durations, sizes and values in little space."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

import pytest

from anew.runner.wording import ago, duration, exact, printable, short, size

NOW = datetime(2026, 11, 23, 6, 18, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "now"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (7199, "1 h ago"),
        (86400 * 3, "3 d ago"),
        (86400 * 20, "2 w ago"),
        (86400 * 800, "2 y ago"),
        (-5, "in 5 s"),
    ],
)
def test_how_long_ago(seconds: float, text: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.04, "0.0 s"),
        (9.5, "9.5 s"),
        (12.4, "12 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (3600 * 3 + 1260, "3 h 21 min"),
        (86400 * 2, "2 d"),
    ],
)
def test_durations_have_at_most_two_units(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 * 2**40, "3.0 TiB")])
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (0.123456789, "0.12346"),
        (math.nan, "nan"),
        (2**70, str(2**70)),
        ("two words", "two words"),
        (("a", "b"), "a b"),
        ([1, [2]], "[1, [2]]"),
        ({"acc": 0.93, "n": 3}, "acc=0.93 n=3"),
        ({"a": {"b": math.inf}}, '{"a": {"b": Infinity}}'),
        ({"a": {"b": "Infinity"}}, '{"a": {"b": "Infinity"}}'),
        (1, "1"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        ("1", '"1"'),
        ("true", '"true"'),
        ("NaN", '"NaN"'),
        ("", '""'),
        ("v1.0", "v1.0"),
        ({1: 2}, "1=2"),
        ({"1": 2}, '"1"=2'),
        ("line\nline\x1b", "line\\nline\\x1b"),
        ({"\x1b]0;x\x07": 1}, "\\x1b]0;x\\x07=1"),
    ],
)
def test_values_in_little_space(value: object, text: str) -> None:
    assert short(value) == text


def test_values_in_full() -> None:
    assert exact(0.1234567890123) == "0.1234567890123"
    assert exact(["ä", "\udcff"]) == '["ä", "\\udcff"]'
    assert printable("日本 ok\x00") == "日本 ok\\x00"
