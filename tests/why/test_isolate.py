"""What is found is guilty, nothing of it can be done without, and it takes few trials."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from anew.runner.why.isolate import Deltas, Outcome, causes


class Tried:
    """Counts what is tried; each mixture is tried once."""

    def __init__(self, judge: Callable[[Deltas], Outcome], at_once: int = 1) -> None:
        self.judge, self.at_once = judge, at_once
        self.known: dict[Deltas, Outcome] = {}

    def outcome(self, taken: Deltas) -> Outcome:
        if taken not in self.known:
            self.known[taken] = self.judge(taken)
        return self.known[taken]

    def try_all(self, several: Sequence[Deltas]) -> None:
        for each in several:
            self.outcome(each)

    def narrowed(self, left: Deltas) -> None:
        assert len(left) > 1


def cut(count: int, borders: Sequence[int]) -> list[Deltas]:
    edges = sorted({0, count, *(each % count for each in borders)})
    return [frozenset(range(low + 1, high + 1)) for low, high in itertools.pairwise(edges)]


def needing(guilty: Deltas) -> Callable[[Deltas], Outcome]:
    return lambda taken: Outcome.BAD if guilty <= taken else Outcome.GOOD


@given(st.data())
def test_causes_that_act_together_are_found_and_nothing_else(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 60))
    guilty = frozenset(data.draw(st.sets(st.integers(1, count), min_size=1, max_size=4)))
    groups = cut(count, data.draw(st.lists(st.integers(0, 99), max_size=5)))
    tried = Tried(needing(guilty), data.draw(st.integers(1, 3)))
    assert causes(groups, tried) == guilty


@given(st.integers(2, 200), st.integers(0, 10**6))
def test_one_cause_takes_as_many_trials_as_halving(count: int, chance: int) -> None:
    guilty = frozenset((chance % count + 1,))
    tried = Tried(needing(guilty))
    assert causes([frozenset(range(1, count + 1))], tried) == guilty
    # and one, that says it needs none of those it was found among
    assert len(tried.known) <= math.ceil(math.log2(count)) + 1


@given(st.data())
def test_whatever_the_trials_say_the_set_is_guilty_and_no_part_of_it_is_idle(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 7))
    everything = frozenset(range(1, count + 1))
    table: dict[Deltas, Outcome] = {frozenset(): Outcome.GOOD, everything: Outcome.BAD}

    def judge(taken: Deltas) -> Outcome:
        if taken not in table:
            table[taken] = data.draw(st.sampled_from(list(Outcome)))
        return table[taken]

    found = causes(cut(count, data.draw(st.lists(st.integers(0, 99), max_size=3))), Tried(judge))
    assert judge(found) is Outcome.BAD
    assert len(found) == 1 or all(judge(found - {each}) is not Outcome.BAD for each in found)


@given(st.data())
def test_what_does_not_run_alone_is_never_called_guilty(data: st.DataObject) -> None:
    """Half of the differences come in pairs that only run together."""
    count = data.draw(st.integers(2, 20)) * 2
    guilty = data.draw(st.integers(1, count // 2))
    pairs = [(each, each + 1) for each in range(count // 2 + 1, count, 2)]

    def judge(taken: Deltas) -> Outcome:
        if any((a in taken) is not (b in taken) for a, b in pairs):
            return Outcome.UNRESOLVED
        return Outcome.BAD if guilty in taken else Outcome.GOOD

    order = data.draw(st.permutations(range(1, count + 1)))
    found = causes([frozenset(order)], Tried(judge))
    assert found == {guilty}


def test_what_is_given_is_in_every_trial_and_not_in_question() -> None:
    asked = list[Deltas]()

    def judge(taken: Deltas) -> Outcome:
        asked.append(taken)
        return Outcome.BAD if {1, 7} <= taken else Outcome.GOOD

    assert causes([frozenset(range(2, 9))], Tried(judge), given=frozenset((1,))) == {7}
    assert all(1 in each for each in asked)
