"""Values as the page is sent them: strict JSON that JavaScript reads without losing a digit."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from typing import Any

import msgspec

from anew.runner.errors import AnewError
from anew.runner.format.values import plain

# JavaScript has no whole numbers beyond, but in 64 bits of a float
_EXACT = 2**53
_LONGEST_DIGITS = 640
_ENCODER = msgspec.json.Encoder()


def encoded(value: Any) -> bytes:
    """Return an answer as bytes of JSON; what msgspec refuses (half a character, a number of any size) is escaped."""
    try:
        return _ENCODER.encode(value)
    except (ValueError, TypeError, OverflowError, msgspec.MsgspecError):
        return json.dumps(msgspec.to_builtins(value), allow_nan=False).encode("ascii")


def cell(value: Any) -> Any:
    """Return a value of a run as a table shows it; what JSON has no number for as {"number": text}."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if -_EXACT <= value <= _EXACT else {"number": _digits(value)}
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"number": str(float(value))}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, Mapping):
        return {str(key): cell(item) for key, item in value.items()}
    if isinstance(value, (Sequence, Set)) and not isinstance(value, (bytes, bytearray)):
        return [cell(item) for item in value]
    try:
        return cell(plain(value))
    except AnewError:
        return str(value)


def _digits(value: int) -> str:
    # more digits than Python prints, or anybody reads
    return str(value) if value.bit_length() < 2000 else hex(value)[:_LONGEST_DIGITS]


def number(value: float) -> float | None:
    """Return a number of a series; None for one that cannot be drawn."""
    return value if math.isfinite(value) else None


def listed(text: str | None) -> list[str]:
    """Return the items of a list in a query: separated by commas, those with a comma or a quote quoted as in CSV."""
    if not text:
        return []
    try:
        return [item for row in csv.reader([text]) for item in row if item]
    except csv.Error:
        return [item for item in text.split(",") if item]
