"""Two runs' histograms compared: bit for bit, step by step."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from anew.runner.attached.media import Histogram
from anew.runner.rerun.histograms import compare_histograms

ONE = Histogram(low=0.0, high=1.0, counts=(1, 2), mean=0.5, std=0.25)


def steps(was: list[int], now: list[int], *, more: bool = False) -> list[int | None]:
    parts = compare_histograms("w", [(s, ONE) for s in was], [(s, ONE) for s in now], more=more)
    return [part.step for part in parts]


def test_each_has_to_come_again_and_no_other() -> None:
    assert steps([0, 1], [1, 0]) == []
    assert steps([0, 1, 2], [0, 2]) == [1]
    assert steps([0], [0, 0, 3]) == [0, 3]


def test_of_a_run_that_broke_off_more_may_come_and_nothing_be_missing() -> None:
    assert steps([0], [0, 1], more=True) == []
    assert steps([0, 1], [0], more=True) == [1]


@pytest.mark.parametrize(
    "other",
    [replace(ONE, low=-0.0), replace(ONE, counts=(2, 1)), replace(ONE, mean=math.nextafter(0.5, 1))],
)
def test_they_are_compared_bit_for_bit_and_their_deviation_is_of_their_numbers(other: Histogram) -> None:
    (part,) = compare_histograms("w", [(3, ONE)], [(3, other)], more=False)
    assert part.step == 3
    assert part.deviation is not None
    assert part.deviation < 1e-12


@pytest.mark.parametrize("other", [replace(ONE, counts=(1, 3)), replace(ONE, nans=1)])
def test_no_tolerance_spans_another_number_of_values(other: Histogram) -> None:
    (part,) = compare_histograms("w", [(3, ONE)], [(3, other)], more=False)
    assert part.deviation is None
