"""What counts as a metric's number, and as its step: anything that is one real number, whoever made it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

from anew.runner.lazy.modules import later

if TYPE_CHECKING:
    import decimal
else:
    decimal = later("decimal")

LEAST_STEP, GREATEST_STEP = -(2**63), 2**63 - 1
_MAX_DEPTH = 20
# Python writes and reads integers of at most 4300 digits (14,284 bits) unless it is told otherwise.
_MAX_BITS = 14_000
_NON_FINITE = {"nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}


class NotANumberError(ValueError):
    """Why a value cannot be logged, in words that can follow the name of the metric."""


def real_number(value: Any) -> int | float:
    """
    Return one number as a plain float or int.

    Taken are int, float, bool, Decimal, Fraction, and whatever has an `item()` that gives one of these: scalars and
    arrays of one element of numpy, torch, jax and the like. None of these libraries is imported.

    Raises:
        NotANumberError: It is none, or an integer of more than 4,200 digits.
    """
    number = _scalar(value)
    if isinstance(number, float):
        return float.__pos__(number)
    if number.bit_length() > _MAX_BITS:
        raise NotANumberError("an integer of more than 4,200 digits cannot be kept")
    return int.__pos__(number)


def number_text(number: int | float) -> str:
    """Return a plain number as JSON text; NaN and the infinities as strings."""
    text = repr(number)
    return _NON_FINITE.get(text, text)


def whole_step(value: Any) -> int:
    """
    Return a step as an int.

    Raises:
        NotANumberError: It is no whole number, or does not fit into 64 bits.
    """
    try:
        number = _scalar(value)
    except NotANumberError:
        number = math.nan
    if isinstance(number, bool) or not (isinstance(number, int) or number.is_integer()):
        raise NotANumberError(f"its step is {_shown(value)}, not a whole number")
    if not LEAST_STEP <= number <= GREATEST_STEP:
        raise NotANumberError(f"its step, {_shown(value)}, does not fit into 64 bits")
    return int(number)


def flattened(values: Mapping[Any, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """
    Yield (name, value), nested mappings with "/" between the names and whole numbers as names taken as text.

    A name that is no text comes as it is, and so does a mapping nested too deeply: both are to be refused.
    """
    for name, value in values.items():
        if prefix and type(name) is int:
            name = str(name)
        if not isinstance(name, str):
            yield name, value
        elif depth < _MAX_DEPTH and issubclass(type(value), Mapping):
            yield from flattened(value, f"{prefix}{name}/", depth + 1)
        else:
            yield prefix + name, value


def _scalar(value: Any) -> int | float:
    """Return a value as a Python number, a truth value as bool. Raises NotANumberError, whatever the value does."""
    try:
        if isinstance(value, (float, int)):
            return value
        item = getattr(value, "item", None)
        number = value if item is None else item()
        if isinstance(number, (float, int)):
            return number
        if isinstance(number, (Real, decimal.Decimal)):
            return float(number)
    except Exception as error:
        array = _array(value)
        reason = "" if array else f" ({_shortened(str(error))})"
        raise NotANumberError(f"a metric is one number, not {array or _kind(value)}{reason}") from error
    raise NotANumberError(f"a metric is one number, not {_array(value) or _kind(value)}")


def _array(value: Any) -> str:
    """Return a description of an array of several elements, or "" for anything else."""
    try:
        shape = tuple(value.shape)
    except Exception:
        return ""
    return f"an array of shape {shape}" if shape else ""


def _kind(value: Any) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _shown(value: Any) -> str:
    try:
        return _shortened(repr(value))
    except Exception:
        return _kind(value)


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
