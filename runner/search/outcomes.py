"""What main returned, as the numbers that a search compares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from anew.runner.errors import ValueRefusedError


def objectives(returned: Any, directions: Sequence[str]) -> tuple[float, ...]:
    """
    Return a number for each direction.

    Raises:
        ValueRefusedError: There are none, or not as many, or one is NaN; the message says what main has to return.
    """
    if len(directions) == 1:
        return (_number(returned, returned, directions),)
    try:
        items = None if isinstance(returned, (str, bytes, dict)) else list(returned)
    except TypeError:
        items = None
    if items is None or len(items) != len(directions):
        raise _refusal(returned, directions)
    return tuple(_number(item, returned, directions) for item in items)


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


def _refusal(returned: Any, directions: Sequence[str]) -> ValueRefusedError:
    text = repr(returned)
    shown = text if len(text) <= 60 else f"{text[:57]}..."
    wanted = (
        f"a number to {directions[0]}"
        if len(directions) == 1
        else f"{len(directions)} numbers, to {', '.join(directions)}"
    )
    return ValueRefusedError(
        f"main returned {shown} ({type(returned).__name__}); a search needs {wanted}, such as: return "
        f"{'loss' if len(directions) == 1 else ', '.join('abcdefghij'[: len(directions)])}",
        returned=returned,
    )
