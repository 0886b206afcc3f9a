"""
What a regular expression comes to before it is compiled: `a{99999999}` is twelve letters, and gigabytes of program.

The library writes out what is repeated, as often as it must be there, and knows neither a limit nor the clock while it
does so. The text is therefore walked first: that takes no longer than reading it, needs nothing of the library's own
parts, which may change, and where it is not exact it finds more than there is, not less.
"""

from __future__ import annotations

from dataclasses import field

from anew.runner.dataclass import dataclass
from anew.runner.lazy.patterns import regexp

MOST_STEPS = 10_000
"""Steps of one expression; some 400 bytes each."""
LONGEST = 1_000
# flags by which the rest of it is read by other rules: blanks that mean nothing, sets inside sets
_OTHER_RULES = regexp(r"\(\?[a-zA-Z0-9-]*[xV]")
_COMMENT = regexp(r"\(\?#(?:[^)\\]|\\.)*\)")
_SET = regexp(r"\[\^?(?:\[:\^?[\w ]+:\]|\\.|[^\\])(?:\[:\^?[\w ]+:\]|\\.|[^\]\\])*\]")
_COUNT = regexp(r"\{(?=,?[0-9])([0-9]*)(?:,([0-9]*))?\}")


@dataclass(slots=True)
class _Level:
    """A group as far as it was walked: what it comes to, and of that the last item, which may be repeated."""

    steps: int = 1
    last: int = 0

    def add(self, steps: int) -> None:
        self.steps += steps
        self.last = steps

    def repeat(self, times: int) -> None:
        # at the start it is letters, or the library's to refuse
        self.last = max(self.last, 1)
        self.steps += self.last * (times - 1)
        self.last *= times


@dataclass(slots=True)
class _Walk:
    """The groups around a place in an expression, from the whole of it inwards."""

    levels: list[_Level] = field(default_factory=lambda: [_Level()])

    def close(self) -> None:
        # one too many is the library's to refuse
        if len(self.levels) > 1:
            steps = self.levels.pop().steps
            self.levels[-1].add(steps)


def steps_of(pattern: str) -> int:
    """
    Return how many steps an expression comes to, all that is repeated written out.

    Raises:
        ValueError: It is longer than `LONGEST`, comes to more than `MOST_STEPS`, or changes how it is read; the
            message is a part of a sentence.
    """
    if len(pattern) > LONGEST:
        raise ValueError(f"the regular expression has {len(pattern):,} letters; {LONGEST:,} are read")
    walk = _Walk()
    at = 0
    while at < len(pattern):
        at = _step(pattern, at, walk)
    while len(walk.levels) > 1:
        walk.close()
    steps = walk.levels[0].steps
    if steps > MOST_STEPS:
        raise ValueError(
            f"the regular expression repeats too much: written out it has {_many(steps)} steps, and {MOST_STEPS:,} are "
            "looked for; * and + are as many as there are"
        )
    return steps


def _many(steps: int) -> str:
    return f"{steps:,}" if steps < 10**12 else f"more than {10**12:,}"


def _step(pattern: str, at: int, walk: _Walk) -> int:
    """Walk over what stands at a place, and return where the next begins."""
    level = walk.levels[-1]
    letter = pattern[at]
    if letter == "\\":
        level.add(1)
        return at + 2
    if letter == "[" and (found := _SET.match(pattern, at)):
        level.add(1)
        return found.end()
    if letter == "{" and (found := _COUNT.match(pattern, at)):
        # a number of many digits takes Python long to read, and is too large anyway
        level.repeat(max(1, *(int(each[:12]) for each in found.groups("0") if each)))
        return found.end()
    if letter == "(":
        if found := _COMMENT.match(pattern, at):
            return found.end()
        if _OTHER_RULES.match(pattern, at):
            raise ValueError("the flags x and V of regular expressions are not read here")
        walk.levels.append(_Level())
    elif letter == ")":
        walk.close()
    else:
        level.add(1)
    return at + 1
