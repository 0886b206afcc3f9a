"""What main returned, as the numbers that a search compares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from anew.runner.attached.aims import Constraint, direction_of, is_number, picked
from anew.runner.errors import ValueRefusedError


class NotComparableError(ValueRefusedError):
    """What main returned is nothing that a search could compare, and will not be for the next job either."""


def objectives(
    returned: Any, directions: Sequence[str], *, names: Sequence[str] = (), metrics: Mapping[str, Any] | None = None
) -> tuple[float, ...]:
    """
    Return a number for each direction.

    Args:
        returned: What main returned.
        directions: What is done with each number.
        names: Keys of what main returned, or metrics, which are the numbers; none where main returns them.
        metrics: The last value of each metric, by name.

    Raises:
        NotComparableError: There are none, or not as many; the message says what main has to return.
        ValueRefusedError: One is NaN.
    """
    if names:
        picked = [_picked(name, returned, metrics or {}) for name in names]
        return tuple(_number(each, each, directions[:1]) for each in picked)
    if len(directions) == 1:
        return (_number(returned, returned, directions),)
    try:
        items = None if isinstance(returned, (str, bytes, dict)) else list(returned)
    except TypeError:
        items = None
    if items is None or len(items) != len(directions):
        raise _refusal(returned, directions)
    return tuple(_number(item, returned, directions) for item in items)


def violations(
    returned: Any, constraints: Sequence[Constraint], metrics: Mapping[str, Any] | None = None
) -> tuple[float, ...]:
    """
    Return by how much each constraint is missed; it is met from 0 down.

    Raises:
        NotComparableError: There is no number of that name.
    """
    found = []
    for each in constraints:
        value = _picked(each.name, returned, metrics or {}, "constraints")
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise NotComparableError(
                f"hydra.sweeper.constraints={each.text!r}: {each.name} is {value!r}, which is no number.",
                returned=returned,
            ) from None
        found.append(each.missed_by(number))
    return tuple(found)


def names_against(reported: float, returned: Any, metrics: Mapping[str, Any] | None, direction: str) -> tuple[str, ...]:
    """
    Return the names that a job knows the last number which it reported by, where they say that the other direction is
    meant; none where one of them says the search's own.
    """
    named = [*(metrics or {}).items(), *(returned.items() if isinstance(returned, Mapping) else ())]
    same = {str(name) for name, value in named if is_number(value) and value == reported}
    said = {name: found for name in sorted(same) if (found := direction_of(name)) is not None}
    return () if direction in said.values() else tuple(said)


def _picked(name: str, returned: Any, metrics: Mapping[str, Any], option: str = "value") -> Any:
    """Return what a key of the result, or a metric, is. Raises NotComparableError."""
    is_there, found = picked(name, returned, metrics)
    if is_there:
        return found
    keys = returned if isinstance(returned, Mapping) else {}
    there = ", ".join(str(each) for each in dict.fromkeys([*keys, *metrics]))
    raise NotComparableError(
        f"hydra.sweeper.{option}={name} is no key of what main returned, and no metric. There are: {there or 'none'}.",
        returned=returned,
    )


def _number(value: Any, returned: Any, directions: Sequence[str]) -> float:
    shape: Any = getattr(value, "shape", None)
    if isinstance(value, (str, bytes)) or shape:  # an array of one number is one by accident
        raise _refusal(returned, directions)
    try:
        number = float(value)
    except Exception as error:
        raise _refusal(returned, directions) from error
    if math.isnan(number):
        raise ValueRefusedError("main returned NaN, which is better or worse than nothing else.", returned=returned)
    return number


def _refusal(returned: Any, directions: Sequence[str]) -> NotComparableError:
    text = repr(returned)
    shown = text if len(text) <= 60 else f"{text[:57]}..."
    wanted = (
        f"a number to {directions[0]}"
        if len(directions) == 1
        else f"{len(directions)} numbers, to {', '.join(directions)}"
    )
    keys = [str(each) for each in returned] if isinstance(returned, Mapping) else []
    names = [*keys, *(f"NAME{number}" for number in range(1, 1 + len(directions)))][: len(directions)]
    pick = f"hydra.sweeper.value={names[0] if len(names) == 1 else '[' + ','.join(names) + ']'}"
    example = "loss" if len(directions) == 1 else ", ".join("abcdefghij"[: len(directions)])
    return NotComparableError(
        f"main returned {shown} ({type(returned).__name__}); a search needs {wanted}, such as: return {example}. "
        f"Or name keys of it, or metrics: {pick}",
        returned=returned,
    )
