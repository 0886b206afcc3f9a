"""What is said of few numbers: right on average, the same each time, and never more than they show."""

from __future__ import annotations

import random
import re
import sys

import pytest

from anew.runner.across import statistics
from anew.runner.across.statistics import difference_of, sample_of, sentence

pytest.importorskip("scipy")


def said(a: list[float], b: list[float], direction: str | None = "maximize") -> str:
    first, second = sample_of(a), sample_of(b)
    return sentence("A", "B", first, second, difference_of(first, second), direction)


def test_what_is_better_is_said_in_one_sentence_with_its_interval() -> None:
    a, b = [90.1, 90.4, 89.9, 90.2, 90.0], [90.9, 91.2, 90.7, 91.0, 90.6]
    assert re.fullmatch(r"B is better by 0\.8 points \(95 % 0\.5 to 1\.0, n = 5 \+ 5\)\.", said(a, b))
    assert said(b, a).startswith("B is worse by 0.8 points (95 % 0.5")
    assert said(a, b, "minimize").startswith("B is worse by 0.8")
    assert said(a, b, None).startswith("B is greater by 0.8")
    assert said(a, b) == said(a, b)


def test_what_may_be_chance_is_not_called_a_difference() -> None:
    text = said([90.0, 91.0, 92.0], [90.2, 91.3, 91.9])
    assert text.startswith("No difference between A and B is shown: B is better by 0.1 points (95 % -")
    assert text.endswith("n = 3 + 3).")
    assert "nobody can tell" in said([1.0], [2.0, 3.0])


def test_intervals_hold_about_as_often_as_they_say() -> None:
    """A percentile interval of five numbers, as it is mostly drawn, holds in 83 of 100 cases."""
    chance = random.Random(1)
    holds = 0
    for _ in range(150):
        interval = sample_of([chance.gauss(3, 2) for _ in range(5)]).interval
        assert interval is not None
        holds += interval[0] <= 3 <= interval[1]
    assert 0.84 <= holds / 150 <= 1


def test_the_tests_are_those_of_scipy_and_without_it_the_interval_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy import stats

    a, b = [1.0, 2.0, 3.0, 4.0], [3.0, 4.5, 5.0, 7.0]
    found = difference_of(sample_of(a), sample_of(b))
    assert found.welch is not None
    assert found.mann_whitney is not None
    assert found.welch.p == pytest.approx(stats.ttest_ind(b, a, equal_var=False).pvalue)
    assert found.mann_whitney.p == pytest.approx(stats.mannwhitneyu(b, a).pvalue)
    monkeypatch.setitem(sys.modules, "scipy", None)
    without = difference_of(sample_of(a), sample_of(b))
    assert (without.interval, without.welch, without.mann_whitney) == (found.interval, None, None)
    assert not statistics.has_scipy()


def test_numbers_that_are_all_the_same_break_nothing() -> None:
    same = difference_of(sample_of([2.0, 2.0]), sample_of([2.0, 2.0]))
    assert (same.value, same.interval, same.is_shown, same.welch) == (0, (0, 0), False, None)
    other = difference_of(sample_of([2.0, 2.0]), sample_of([3.0, 3.0]))
    assert (other.value, other.interval, other.is_shown) == (1, (1, 1), True)
    assert sample_of([1e308, 1.5e308]).mean == pytest.approx(1.25e308)
