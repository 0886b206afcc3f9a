"""
Two runs' histograms of one name, compared step by step; within a step their order is chance where several log.

Of a run that broke off those that there are have to come again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from anew.runner.attached.media import Histogram
from anew.runner.format.serial import dumps, from_json, parsed, to_json
from anew.runner.rerun.parts import Part

Logged = Sequence[tuple[int, Histogram]]
_MISSING = "none"


def compare_histograms(name: str, was: Logged, now: Logged, *, more: bool) -> Iterator[Part]:
    """
    Yield each step at which the histograms of a name part, bit for bit.

    The deviation is of the range, mean and standard deviation, relative to the greatest value; none where they are not
    of as many values. How many lie in which bin follows from the values, and no tolerance can span it.

    Args:
        name: What they were logged as.
        was: Those on record, with their steps.
        now: Those of the re-run.
        more: Whether more may have come now than are on record.
    """
    old, new = _counted(was), _counted(now)
    gone = sorted((old - new).elements())
    come = sorted((new - old).elements())
    for step in sorted({step for step, _ in (*gone, *(() if more else come))}):
        a, b = (next((text for at, text in side if at == step), _MISSING) for side in (gone, come))
        yield Part("histogram", name, step, a, b, None if _MISSING in (a, b) else _apart(_read(a), _read(b)))


def _counted(logged: Logged) -> Counter[tuple[int, str]]:
    """Return step and content of each, as text that is the same where they are bit for bit."""
    return Counter((step, dumps(to_json(each))) for step, each in logged)


def _read(text: str) -> Histogram:
    return from_json(Histogram, parsed(text.encode()))


def _apart(a: Histogram, b: Histogram) -> float | None:
    if (a.size, a.nans, a.infinities, len(a.counts)) != (b.size, b.nans, b.infinities, len(b.counts)):
        return None
    greatest = max(abs(a.low), abs(a.high))
    pairs = ((a.low, b.low), (a.high, b.high), (a.mean, b.mean), (a.std, b.std))
    distance = max(abs(x - y) for x, y in pairs)
    return distance / greatest if greatest and math.isfinite(distance) else None
