"""
Delta debugging: the differences, of many, without which a good run does not turn bad.

After A. Zeller, "Yesterday, my program worked. Today, it does not. Why?" (ESEC/FSE 1999), and A. Zeller and
R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (IEEE TSE 28(2), 2002), whose algorithm `dd` narrows
a difference down from both sides. It ends with one difference that tips the scale among others which are there already;
here it is done again with what was found taken for granted, until what was found is enough alone. One cause among n
takes about log2(n) trials, k causes that only act together about k times as many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Protocol

Deltas = frozenset[int]
NONE: Deltas = frozenset()


class Outcome(str, Enum):
    """What came of a mixture: like the good run, like the bad one, or neither, as it did not run to an end."""

    GOOD = "good"
    BAD = "bad"
    UNRESOLVED = "unresolved"

    def __str__(self) -> str:
        return self.value


class Tests(Protocol):
    """Tries mixtures, each once."""

    at_once: int

    def outcome(self, taken: Deltas) -> Outcome:
        """Return what comes of the good run with these differences."""
        ...

    def try_all(self, several: Sequence[Deltas]) -> None:
        """Try mixtures, at once where that is possible, that will be asked for."""
        ...

    def narrowed(self, left: Deltas) -> None:
        """Be told which differences are still in question."""
        ...


def causes(groups: Sequence[Deltas], tests: Tests, given: Deltas = NONE) -> Deltas:
    """
    Return the differences that turn the good run bad: all of them do, and none of them can be done without.

    Args:
        groups: The differences, by what goes together: whole groups are tried first, then what is in the guilty ones.
        tests: Tries them; all together, and with those *given*, are known to be bad.
        given: Differences that are taken over in every trial, and not in question.

    Raises:
        Whatever *tests* raises, such as for a budget that is used up.
    """
    groups = [each for each in groups if each]
    guilty = _smallest(groups, tests, given)
    alone = [frozenset((each,)) for group in groups if group <= guilty for each in sorted(group)]
    return _smallest(alone, tests, given)


def _smallest(atoms: Sequence[Deltas], tests: Tests, given: Deltas) -> Deltas:
    """Return the union of those atoms that are guilty together; an atom is taken over whole, or not at all."""
    if len(atoms) <= 1:
        return frozenset().union(*atoms)
    found, failing = list[Deltas](), list(atoms)
    while not found or (len(found) < len(failing) and not _is_bad(found, tests, given)):
        passing, failing = _isolated(found, failing, tests, given)
        found += [each for each in failing if each not in passing]
    return frozenset().union(*_without_idle(found, tests, given))


def _isolated(
    passing: Sequence[Deltas], failing: Sequence[Deltas], tests: Tests, given: Deltas
) -> tuple[list[Deltas], list[Deltas]]:
    """Narrow the difference of two sides down until it cannot be halved any more: `dd` of Zeller and Hildebrandt."""
    passing, failing, parts = list(passing), list(failing), 2
    while len(difference := [each for each in failing if each not in passing]) > 1:
        tests.narrowed(frozenset().union(*difference))
        pieces = list(_split(difference, min(parts, len(difference))))
        grown = [[*passing, *piece] for piece in pieces]
        shrunk = [[each for each in failing if each not in piece] for piece in pieces]
        if parts == 2 and (half := _halved(grown, tests, given)) is not Outcome.UNRESOLVED:
            # of two halves the one tells of the other: what is no cause need not be tried again
            if half is Outcome.BAD:
                failing = [each for each in failing if each in grown[0]]
            else:
                passing = grown[0]
        elif (less := _first(grown, Outcome.BAD, tests, given)) is not None:
            failing, parts = [each for each in failing if each in less], 2
        elif (more := _first(shrunk, Outcome.GOOD, tests, given)) is not None:
            passing, parts = more, 2
        elif (less := _first(shrunk, Outcome.BAD, tests, given)) is not None:
            failing, parts = less, max(parts - 1, 2)
        elif (more := _first(grown, Outcome.GOOD, tests, given)) is not None:
            passing, parts = more, max(parts - 1, 2)
        elif parts >= len(difference):
            break
        else:
            parts *= 2
    return passing, failing


def _halved(grown: Sequence[list[Deltas]], tests: Tests, given: Deltas) -> Outcome:
    """Return what comes of the first half; of the other, too, where both can be tried at once."""
    tests.try_all([_taken(each, given) for each in grown[: tests.at_once]])
    return tests.outcome(_taken(grown[0], given))


def _without_idle(found: Sequence[Deltas], tests: Tests, given: Deltas) -> list[Deltas]:
    """Leave out what the rest does as well without, until nothing can be left out."""
    left, kept = list(found), False
    while not kept and len(left) > 1:
        kept = True
        for each in list(left):
            rest = [other for other in left if other is not each]
            if rest and _is_bad(rest, tests, given):
                left, kept = rest, False
    return left


def _split(items: Sequence[Deltas], parts: int) -> Iterator[Sequence[Deltas]]:
    for number in range(parts):
        yield items[len(items) * number // parts : len(items) * (number + 1) // parts]


def _first(mixtures: Sequence[list[Deltas]], wanted: Outcome, tests: Tests, given: Deltas) -> list[Deltas] | None:
    """Return the first mixture that comes out as wanted; as many at once as can be tried at once."""
    for begin in range(0, len(mixtures), tests.at_once):
        several = mixtures[begin : begin + tests.at_once]
        tests.try_all([_taken(each, given) for each in several])
        for each in several:
            if tests.outcome(_taken(each, given)) is wanted:
                return each
    return None


def _is_bad(atoms: Sequence[Deltas], tests: Tests, given: Deltas) -> bool:
    return tests.outcome(_taken(atoms, given)) is Outcome.BAD


def _taken(atoms: Sequence[Deltas], given: Deltas) -> Deltas:
    return given.union(*atoms)
