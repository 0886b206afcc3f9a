"""A place where two runs part, and how far numbers are apart there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.format.values import exact_form, plain
from anew.runner.wording import told_apart


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
    """Whether two numbers are the same, bit for bit: NaN is NaN, 0.0 is not -0.0, and 1 is not 1.0."""
    if isinstance(a, float) is not isinstance(b, float):
        return False
    if isinstance(a, float) and math.isnan(a):
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
    """Yield where two values part, at every depth and bit for bit; see `exact_form`."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        old, new = ({exact_form(key): (key, item) for key, item in each.items()} for each in (was, now))
        if old.keys() == new.keys():
            for form, (key, item) in old.items():
                yield from value_parts(item, new[form][1], what, f"{where}.{key}".lstrip("."))
            return
    elif type(was) is type(now) and isinstance(was, (list, tuple)) and len(was) == len(now):
        for index, (one, other) in enumerate(zip(was, now, strict=True)):
            yield from value_parts(one, other, what, f"{where}[{index}]")
        return
    if is_number(was) and is_number(now):
        if not same(was, now):
            yield Part(what, where, None, *told_apart(was, now), apart(was, now))
    elif exact_form(was) != exact_form(now):
        yield Part(what, where, None, *told_apart(was, now), None)


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number, and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
