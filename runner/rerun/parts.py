"""A place where two runs part, and how far numbers are apart there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.format.values import plain


@dataclass(frozen=True, slots=True)
class Part:
    """A place where two runs part; deviation is relative, None when the two are no numbers or infinitely apart."""

    what: str
    name: str
    step: int | None
    recorded: Any
    now: Any
    deviation: float | None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "what": self.what,
            "name": self.name,
            "step": self.step,
            "recorded": plain(self.recorded),
            "now": plain(self.now),
        }


def same(a: Any, b: Any) -> bool:
    """Whether two numbers are the same, bit for bit: NaN is NaN, and 0.0 is not -0.0."""
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return bool(a == b) and sign(a) == sign(b)


def sign(number: float | int) -> float:
    """Return 1 or -1, the latter for -0.0 too; an int may be too large to be asked for it."""
    return math.copysign(1, number) if isinstance(number, float) else 1 if number >= 0 else -1


def apart(a: Any, b: Any) -> float | None:
    """Return how far a number is from the recorded one, relative to that; None when no tolerance spans it."""
    try:
        difference, size = abs(float(b) - float(a)), abs(float(a))
    except (OverflowError, ValueError):
        return None
    if not math.isfinite(difference):
        return None
    if size == 0:
        return 0.0 if difference == 0 else None
    return difference / size


def value_parts(was: Any, now: Any, what: str, where: str = "") -> Iterator[Part]:
    """Yield where two values of JSON part, at every depth."""
    if isinstance(was, Mapping) and isinstance(now, Mapping) and set(was) == set(now):
        for key in was:
            yield from value_parts(was[key], now[key], what, f"{where}.{key}".lstrip("."))
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for index, (old, new) in enumerate(zip(was, now, strict=True)):
            yield from value_parts(old, new, what, f"{where}[{index}]")
    elif is_number(was) and is_number(now):
        if not same(was, now):
            yield Part(what, where, None, was, now, apart(was, now))
    elif was != now:
        yield Part(what, where, None, was, now, None)


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number, and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
