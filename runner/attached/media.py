"""Pictures, texts, tables and histograms of a run, each of a name and, mostly, of a step."""

from __future__ import annotations

from anew.runner.dataclass import dataclass

HISTOGRAM = "histogram"


@dataclass(frozen=True, kw_only=True, slots=True)
class Histogram:
    """
    How many values lie where, in bins of one width from `low` to `high`; the last one has its upper edge, too.

    Attributes:
        counts: For each bin; none where no value is finite.
        low, high: The least and the greatest finite value, or a half below and above where they are one value.
        mean, std: Of the finite values; 0 where there are none.
        nans: How many values were NaN.
        infinities: How many were infinite, of either sign.
    """

    low: float
    high: float
    counts: tuple[int, ...]
    mean: float = 0.0
    std: float = 0.0
    nans: int = 0
    infinities: int = 0

    @property
    def edges(self) -> tuple[float, ...]:
        """The edges of the bins, one more than there are bins; none where there are no bins."""
        bins = len(self.counts)
        if not bins:
            return ()
        # weighted from both sides, so that nothing overflows where the two are far apart
        inner = (self.low * ((bins - i) / bins) + self.high * (i / bins) for i in range(1, bins))
        return (self.low, *inner, self.high)

    @property
    def size(self) -> int:
        """How many values there were in all."""
        return sum(self.counts) + self.nans + self.infinities


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaSummary:
    """
    What was logged under one name that is no number.

    Attributes:
        kind: "figure", "image", "text", "table" or "histogram", as it was last.
        count: How many there were.
        step: That of the last one; None for one without.
        path: The artifact that holds the last one; empty for a histogram, which lies in the journal.
    """

    kind: str
    count: int
    step: int | None = None
    path: str = ""
