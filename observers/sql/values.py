"""Values as a column takes them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from anew.runner.format.values import as_float, number_to_json, plain

_EXACT_UP_TO = 2**53
_MOST_KEY_BYTES = 1000


def number_of(value: Any) -> float | None:
    """Return a number as a double, None for what is no number; truth values are none."""
    return None if isinstance(value, bool) or not isinstance(value, (int, float)) else double_of(value)[0]


def double_of(value: float | int) -> tuple[float, str | None]:
    """Return a number as a double, and as text where that is not all."""
    if isinstance(value, float):
        if value and math.isfinite(value):
            return value, None
        text = str(number_to_json(float(value)))  # a SQLite file keeps no NaN, and of -0.0 no sign
        return value, None if text == "0.0" else text
    if abs(value) <= _EXACT_UP_TO:
        return float(value), None
    return as_float(value), str(value)


def in_utc(moment: datetime | None) -> datetime | None:
    """Return a time in UTC: a SQLite file keeps no zone."""
    return None if moment is None else moment.astimezone(timezone.utc)


def later(moment: datetime, seconds: float) -> datetime | None:
    """Return a time in UTC, or None for one that no calendar has."""
    try:
        return in_utc(moment + timedelta(seconds=seconds))
    except (OverflowError, ValueError):
        return None


def text_of(text: str) -> str:
    """Return a text without what no database takes: the character 0, and what is no Unicode."""
    if "\0" in text:
        text = text.replace("\0", "\\x00")
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def key_of(text: str) -> str:
    """Return a text that an index takes; PostgreSQL has a limit of some 2,700 bytes for all columns together."""
    text = text_of(text)
    data = text.encode("utf-8")
    if len(data) <= _MOST_KEY_BYTES:
        return text
    digest = hashlib.sha256(data).hexdigest()[:16]
    return data[: _MOST_KEY_BYTES - 17].decode("utf-8", "ignore") + "~" + digest


def json_of(value: Any) -> Any:
    """Return a value as JSON that a database takes. Raises ValueRefusedError."""
    return _cleaned(plain(value))


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, Mapping):
        return {text_of(key): _cleaned(item) for key, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, (list, tuple)) else value


def deeply_merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        before = merged.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            value = deeply_merged(before, value)
        merged[key] = value
    return merged
