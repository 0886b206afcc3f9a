"""By what a good run is told from a bad one: a number or another value that it came to, or how it failed."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.errors import RerunError
from anew.runner.format.values import exact_form
from anew.runner.query.filters import value_of
from anew.runner.records import ErrorFacts, RunRecord, Status
from anew.runner.why.isolate import Outcome
from anew.runner.wording import nearest, short, some

FAILURE = "failure"
RESULT = "result"
# what is left of a difference, at which no further cause is looked for
REST = 0.1
_P = 0.05
_MOST_SPLITS = 20_000
_FRAME = re.compile(r'^ +File "(?P<file>[^"]+)", line \d+, in (?P<name>.+)$', re.MULTILINE)


NOTHING: Any = object()
"""What a run came to that did not come so far; None is what it may have returned."""


@dataclass(frozen=True, slots=True)
class Yardstick:
    """
    What is looked at of a run.

    Attributes:
        name: A metric, of which the last value counts, "result" or what is in it, or "failure".
    """

    name: str

    @property
    def is_failure(self) -> bool:
        """Whether it is how the run failed."""
        return self.name == FAILURE

    def of(self, record: RunRecord) -> Any:
        """Return what a run came to; of failures None for one that went well, else NOTHING where there is none."""
        if self.is_failure:
            return failure_of(record)
        if record.status is not Status.COMPLETED:
            return NOTHING
        if self.name == RESULT:
            return record.result
        found = value_of(record, self.name)
        return NOTHING if found is None else found


@dataclass(frozen=True, slots=True)
class Scale:
    """
    What the good run came to, and the bad one.

    Attributes:
        good: A number, another value, or how it failed.
        bad: The same.
        is_failure: Whether those are failures.
    """

    good: Any
    bad: Any
    is_failure: bool = False

    @property
    def is_number(self) -> bool:
        """Whether there is something between the two."""
        return is_number(self.good) and is_number(self.bad)

    def outcome(self, record_ended_well: bool, value: Any) -> Outcome:
        """
        Return whether a value is more like the good run's or the bad one's.

        Of numbers the nearer side counts. Anything else has to be the very same, or is neither.
        """
        if self.is_failure:
            good = record_ended_well if self.good is None else value == self.good
            return Outcome.BAD if value == self.bad else Outcome.GOOD if good else Outcome.UNRESOLVED
        if value is NOTHING:
            return Outcome.UNRESOLVED
        if self.is_number and is_number(value):
            return self._nearer(float(value))
        for side, known in ((Outcome.GOOD, self.good), (Outcome.BAD, self.bad)):
            if exact_form(known) == exact_form(value):
                return side
        return Outcome.UNRESOLVED

    def _nearer(self, value: float) -> Outcome:
        good, bad = float(self.good), float(self.bad)
        if math.isnan(value) or math.isnan(good) or math.isnan(bad):
            same = [math.isnan(each) == math.isnan(value) for each in (good, bad)]
            return Outcome.UNRESOLVED if same[0] == same[1] else Outcome.GOOD if same[0] else Outcome.BAD
        if math.isinf(good) or math.isinf(bad) or math.isinf(value):
            return Outcome.GOOD if value == good else Outcome.BAD if value == bad else Outcome.UNRESOLVED
        return Outcome.GOOD if abs(value - good) < abs(value - bad) else Outcome.BAD

    def share(self, value: Any) -> float | None:
        """Return which part of the way from good to bad a value is; None where there is no way."""
        if not (self.is_number and is_number(value)) or self.good == self.bad:
            return None
        share = (float(value) - float(self.good)) / (float(self.bad) - float(self.good))
        return share if math.isfinite(share) else None

    def rests(self, value: Any, tolerance: float | None) -> bool:
        """Whether enough is left between a value and the bad run's to look for a further cause."""
        share = self.share(value)
        if share is None or share >= 1:
            return False
        if tolerance is not None:
            return abs(float(value) - float(self.bad)) > tolerance
        return 1 - share > REST


def yardstick(good: RunRecord, bad: RunRecord, metric: str | None, result: bool) -> Yardstick:
    """
    Return by what two runs are told apart: what was asked for, or the one thing in which they differ.

    Raises:
        RerunError: One of them lacks it, they do not differ in anything, or in several metrics.
    """
    if metric is not None or result:
        return _asked(good, bad, metric or RESULT)
    if failure_of(bad) is not None and failure_of(bad) != failure_of(good):
        return Yardstick(FAILURE)
    if exact_form(good.result) != exact_form(bad.result):
        return Yardstick(_in_result(good.result, bad.result))
    differing = [
        name
        for name, summary in good.metrics.items()
        if name in bad.metrics and exact_form(summary.last) != exact_form(bad.metrics[name].last)
    ]
    if not differing:
        raise RerunError(
            f"Runs {good.id} and {bad.id} came to the same: there is nothing to explain. To see in what else they "
            f"differ: anew diff {good.id} {bad.id}"
        )
    if len(differing) > 1:
        raise RerunError(
            f"Runs {good.id} and {bad.id} differ in {len(differing)} metrics ({some(differing, 6)}). Which is it? "
            f"anew why {good.id} {bad.id} --metric {differing[0]}"
        )
    return Yardstick(differing[0])


def _in_result(good: Any, bad: Any) -> str:
    """Return the one number in two results that differs, by its name; else the results. Raises RerunError."""
    if not (isinstance(good, Mapping) and isinstance(bad, Mapping)):
        return RESULT
    both = [key for key in good if key in bad and exact_form(good[key]) != exact_form(bad[key])]
    numbers = [key for key in both if is_number(good[key]) and is_number(bad[key])]
    if len(numbers) > 1:
        raise RerunError(
            f"What the two runs returned differs in {len(numbers)} numbers ({some(numbers, 6)}). Which is it? "
            f"--metric {RESULT}.{numbers[0]}"
        )
    return f"{RESULT}.{numbers[0]}" if numbers else RESULT


def _asked(good: RunRecord, bad: RunRecord, name: str) -> Yardstick:
    found = Yardstick(name)
    for run in (good, bad):
        if found.of(run) is NOTHING:
            why = "did not complete" if run.status is not Status.COMPLETED else f"has no {name!r}"
            raise RerunError(f"Run {run.id} {why}, by which the two were to be told apart.{_near(name, run)}")
    if exact_form(found.of(good)) == exact_form(found.of(bad)):
        raise RerunError(
            f"Runs {good.id} and {bad.id} both have {name} {short(found.of(good))}: there is nothing to explain."
        )
    return found


def _near(name: str, run: RunRecord) -> str:
    return nearest(name.removeprefix("metric."), run.metrics) if run.metrics else ""


def failure_of(record: RunRecord) -> str | None:
    """Return how a run failed, so that the same failure of other code is known again; None for one that did not."""
    if record.status in (Status.LOST, Status.INTERRUPTED):
        return f"it was stopped by {record.signal or 'the end of its process'}"
    if record.status is not Status.FAILED:
        return None
    if record.error is None:
        return f"exit code {record.exit_code}"
    return f"{record.error.type} in {_place(record.error)}"


def _place(error: ErrorFacts) -> str:
    """Return the innermost frame of a traceback: a line's number is another as soon as one is added above it."""
    frames = list(_FRAME.finditer(error.traceback))
    if not frames:
        return error.message
    return f"{frames[-1]['name']} of {frames[-1]['file'].rpartition('/')[2]}"


def is_more_than_chance(good: Sequence[float], bad: Sequence[float]) -> tuple[bool, float]:
    """
    Return whether two groups of values differ by more than chance, and p.

    By the exact permutation test of the difference of means (R. A. Fisher, The Design of Experiments, 1935): the part
    of all ways to deal the values into two such groups in which the means lie as far apart. At least four values a
    group are needed for p below 0.05. Of more than 20,000 ways as many are drawn, the same each time, and the one that
    was seen counts as one of them (M. Dwass, Annals of Mathematical Statistics 28, 1957).
    """
    values, count = [*good, *bad], len(good)
    total, apart = sum(values), abs(fmean(good) - fmean(bad))
    is_whole = math.comb(len(values), count) <= _MOST_SPLITS
    chance = random.Random(0)
    ways = combinations(values, count) if is_whole else (chance.sample(values, count) for _ in range(_MOST_SPLITS))
    sums = list(map(sum, ways))
    as_far = sum(abs(each / count - (total - each) / len(bad)) >= apart * (1 - 1e-12) for each in sums)
    p = as_far / len(sums) if is_whole else (as_far + 1) / (len(sums) + 1)
    return p < _P, p


def is_number(value: Any) -> bool:
    """Whether it can be more or less than another."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
