"""Is a difference real? Means of few numbers, what they may be by chance, and what tests say where SciPy is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from anew.runner.dataclass import dataclass
from anew.runner.errors import MissingExtraError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# fixed, so that the same runs give the same interval each time
_SEED = 20_000
_RESAMPLES = 20_000
_LEVEL = 0.95

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """
    One number of each of several runs.

    Attributes:
        values: The numbers, finite.
        mean: Of these.
        std: Of a sample, with n - 1 in the denominator; None of one.
        interval: In which the mean is, 95 times of 100; None of one number.
    """

    values: tuple[float, ...]
    mean: float
    std: float | None
    interval: Interval | None

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self.values)


@dataclass(frozen=True, kw_only=True, slots=True)
class Test:
    """What a test of two samples says: its statistic, and how likely one as large is without a difference."""

    statistic: float
    p: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """
    How a second sample is beside a first.

    Attributes:
        value: The mean of the second less that of the first.
        interval: In which it is, 95 times of 100; None where a sample has one number.
        welch: Welch's t-test; None without SciPy, and where it says nothing.
        mann_whitney: The test of Mann and Whitney; likewise.
    """

    value: float
    interval: Interval | None
    welch: Test | None
    mann_whitney: Test | None

    @property
    def is_shown(self) -> bool:
        """Whether the interval leaves no difference out."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


def sample_of(values: Sequence[float]) -> Sample:
    """
    Return what numbers come to.

    The interval is that of a bootstrap: the middle 95 % of the means of 20,000 samples drawn with replacement, by a
    fixed seed, with each number put from the mean by sqrt(n / (n - 1)) of what it is, without which it is too narrow
    for few (Hesterberg, "What Teachers Should Know About the Bootstrap", 2015).

    Args:
        values: Finite numbers, one or more.
    """
    n = len(values)
    mean = math.fsum(value / n for value in values)
    std = math.hypot(*((value - mean) / math.sqrt(n - 1) for value in values)) if n > 1 else None
    interval = _middle(_means(values, 0)) if n > 1 else None
    return Sample(values=tuple(values), mean=mean, std=std, interval=interval)


def difference_of(first: Sample, second: Sample) -> Difference:
    """Return how the second of two samples is beside the first; both drawn anew for the interval."""
    interval = None
    if first.n > 1 and second.n > 1:
        interval = _middle(_means(second.values, 2) - _means(first.values, 1))
    welch, mann_whitney = _tests(first, second)
    return Difference(value=second.mean - first.mean, interval=interval, welch=welch, mann_whitney=mann_whitney)


def _means(values: Sequence[float], stream: int) -> npt.NDArray[np.float64]:
    """Return the means of samples of as many numbers."""
    import numpy as np

    n = len(values)
    numbers = np.array(values, np.float64)
    mean = (numbers / n).sum()
    wide = (numbers - mean) * math.sqrt(n / (n - 1))
    random = np.random.Generator(np.random.PCG64([_SEED, stream]))
    sums = np.zeros(_RESAMPLES)
    for _ in range(n):  # one number of each sample at a time: there may be thousands of runs
        sums += wide[random.integers(0, n, _RESAMPLES)] / n
    means: npt.NDArray[np.float64] = mean + sums
    return means


def _middle(means: npt.NDArray[np.float64]) -> Interval:
    import numpy as np

    low, high = np.quantile(means, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]).tolist()
    return low, high


def has_scipy() -> bool:
    """Whether the tests can be had."""
    try:
        _scipy()
    except MissingExtraError:
        return False
    return True


def _scipy() -> Any:
    try:
        from scipy import stats
    except ImportError as error:
        raise MissingExtraError(
            "Welch's t and Mann-Whitney need SciPy. To install it: pip install 'anew[stats]'"
        ) from error
    return stats


def _tests(first: Sample, second: Sample) -> tuple[Test | None, Test | None]:
    if first.n < 2 or second.n < 2 or not has_scipy():
        return None, None
    stats = _scipy()
    ranks = stats.mannwhitneyu(second.values, first.values, alternative="two-sided")
    mann_whitney = Test(statistic=float(ranks.statistic), p=float(ranks.pvalue))
    if not first.std and not second.std:
        return None, mann_whitney  # no spread, and so nothing to measure a difference by
    means = stats.ttest_ind(second.values, first.values, equal_var=False)
    return Test(statistic=float(means.statistic), p=float(means.pvalue)), mann_whitney


def sentence(first: str, second: str, a: Sample, b: Sample, found: Difference, direction: str | None) -> str:
    """
    Say in one sentence how the second of two samples is beside the first.

    Args:
        first: What the first is called.
        second: What the second is called.
        a: The first.
        b: The second.
        found: Their difference.
        direction: Which is better: "minimize" or "maximize"; None when it is not known.
    """
    sign = -1 if found.value < 0 else 1
    if direction is None:
        word = "greater" if sign > 0 else "smaller"
    else:
        word = "better" if (sign > 0) == (direction == "maximize") else "worse"
    # a filter is no word that a sentence could begin with
    subject = second.capitalize() if second.startswith("run ") else second
    counts = f"n = {a.n} + {b.n}"
    if found.interval is None:
        few = f"{subject} is {word} by {_short(abs(found.value))} points ({counts})"
        return f"{few}; of one run a side nobody can tell whether that is chance."
    low, high = sorted(sign * each for each in found.interval)
    size, low_text, high_text = _alike(abs(found.value), low, high)
    around = f"(95 % {low_text} to {high_text}, {counts})"
    if not found.is_shown:
        return f"No difference between {first} and {second} is shown: {second} is {word} by {size} points {around}."
    return f"{subject} is {word} by {size} points {around}."


def _short(number: float) -> str:
    return f"{number:.2g}"


def _alike(*numbers: float) -> list[str]:
    """Return numbers with the same decimals: two digits of the largest, and one of each that has any by then."""
    largest = max(map(abs, numbers))
    if largest == 0 or not 1e-4 <= largest < 1e6:
        return [f"{number:.2g}" for number in numbers]
    decimals = max(0, 1 - math.floor(math.log10(largest)))
    return [f"{number:.{decimals}f}" for number in numbers]
