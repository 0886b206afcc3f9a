"""Two runs' points of one metric: in order within a writer, by step between several."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from anew.runner.rerun.series import Lanes, SeriesCompared, compare_series

Values = Sequence[tuple[int, float]]


def lanes(*points: Values) -> Lanes:
    """Points as (step, value), of each writer; of several the times go by turns."""
    return {
        (f"w{number}", 0): [(index + number / 10, step, value) for index, (step, value) in enumerate(lane)]
        for number, lane in enumerate(points)
    }


def compared(was: Lanes, now: Lanes, *, broken_off: bool = False, lost: bool = False) -> SeriesCompared:
    return compare_series("x", was, now, broken_off=broken_off, lost=lost)


def test_of_one_writer_the_order_counts() -> None:
    assert compared(lanes([(0, 1.0), (1, 2.0)]), lanes([(0, 1.0), (1, 2.0)])).parts == []
    assert compared(lanes([(0, 1.0), (1, 2.0)]), lanes([(1, 2.0), (0, 1.0)])).parts != []


def test_of_several_the_steps_do() -> None:
    was = lanes([(0, 1.0), (2, 3.0)], [(1, 2.0), (3, 4.0)])
    now = lanes([(1, 2.0), (2, 3.0)], [(3, 4.0), (0, 1.0)])
    again = compared(was, now)
    assert (again.parts, again.reordered, again.points) == ([], True, 4)
    other = compared(was, lanes([(1, 2.0), (2, 3.0)], [(3, 4.5), (0, 1.0)]))
    assert [(part.step, part.recorded, part.now) for _, part in other.parts] == [(3, 4.0, 4.5)]
    assert not other.reordered


def test_of_several_no_point_may_be_missing_or_come_twice() -> None:
    was = lanes([(0, 1.0)], [(0, 2.0), (1, 1.0)])
    for now in (lanes([(0, 1.0)], [(1, 1.0)]), lanes([(0, 1.0), (0, 2.0)], [(0, 2.0), (1, 1.0)])):
        assert [part.step for _, part in compared(was, now).parts] == [0]


def test_within_a_writer_the_order_counts_also_at_one_step() -> None:
    was = lanes([(0, 1.0), (0, 2.0)], [(1, 1.0)])
    assert compared(was, lanes([(0, 2.0), (0, 1.0)], [(1, 1.0)])).parts != []
    assert compared(was, lanes([(1, 1.0)], [(0, 1.0), (0, 2.0)])).parts == []


@pytest.mark.parametrize(("a", "b"), [(0.0, -0.0), (1.0, math.nextafter(1, 2)), (math.nan, 1.0), (2**70, 2**70 + 1)])
def test_numbers_are_compared_bit_for_bit(a: float, b: float) -> None:
    for was, now in ((lanes([(0, a)]), lanes([(0, b)])), (lanes([(0, a)], [(1, a)]), lanes([(0, b)], [(1, a)]))):
        assert compared(was, now).parts != []
        assert compared(was, was).parts == []


def test_of_a_run_that_broke_off_more_may_come_and_nothing_be_missing() -> None:
    was, more = lanes([(0, 1.0), (1, 2.0)]), lanes([(0, 1.0), (1, 2.0), (2, 3.0)])
    assert compared(was, more, broken_off=True).parts == []
    assert compared(was, more).parts != []
    assert compared(more, was, broken_off=True).parts != []


def test_what_is_lost_is_not_compared_and_the_rest_is() -> None:
    was = lanes([(0, 1.0), (3, 4.0)])
    whole = [(0, 1.0), (1, 2.0), (2, 3.0), (3, 4.0)]
    assert compared(was, lanes(whole), lost=True).parts == []
    assert compared(was, lanes([*whole[:3], (3, 4.5)]), lost=True).parts != []
    assert compared(was, lanes(whole[:3]), lost=True).parts != []
    assert compared(lanes([(3, 4.0), (0, 1.0)]), lanes(whole), lost=True).parts != []
