"""What is more than chance, and what is left out of what differs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from anew.runner.why.deltas import differences
from anew.runner.why.measure import is_more_than_chance
from tests.helpers.stores import add_run, make_store


@pytest.mark.parametrize("count", [4, 8, 40])
def test_groups_that_lie_apart_are_told_from_those_that_do_not(count: int) -> None:
    low, high = [float(each) for each in range(count)], [1000.0 + each for each in range(count)]
    real, p = is_more_than_chance(low, high)
    assert real
    assert p == is_more_than_chance(high, low)[1]
    same, p = is_more_than_chance(low, [each + 0.25 for each in low])
    assert not same
    assert 0.5 < p <= 1


def test_of_few_values_p_is_exact() -> None:
    # of the 70 ways two lie as far apart
    assert is_more_than_chance([1, 2, 3, 4], [5, 6, 7, 8])[1] == pytest.approx(2 / 70)


def test_another_main_is_said_and_no_difference_to_take_over(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    add_run(store)
    good = store.get(1)
    bad = replace(good, uid="other", command=replace(good.command, target="/elsewhere/fit.py"))
    found = differences(good, bad, store.objects)
    assert found.deltas == ()
    assert "What was started differs" in found.left_out[0]
    assert "fit.py" in found.left_out[0]
    assert differences(good, good, store.objects).left_out == ()
