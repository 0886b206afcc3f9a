"""Times, durations, sizes and values as short texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from anew.runner.format.values import plain

_UNITS = ((86400 * 365, "y"), (86400 * 30, "mo"), (86400 * 7, "w"), (86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def ago(moment: datetime, now: datetime | None = None) -> str:
    """Return how long ago a time was, in one unit: "3 min ago"; "in 5 s" for one that is to come."""
    seconds = ((now or datetime.now(timezone.utc)) - moment).total_seconds()
    if abs(seconds) < 1:
        return "now"
    for length, unit in _UNITS:
        if abs(seconds) >= length:
            text = f"{int(abs(seconds) // length)} {unit}"
            return f"{text} ago" if seconds > 0 else f"in {text}"
    return "now"


def duration(seconds: float | None) -> str:
    """Return a duration in one or two units: "0.3 s", "12 s", "2 min 5 s", "3 h 20 min"."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next((i for i, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)


def size(count: int) -> str:
    """Return a number of bytes: "812 B", "3.4 KiB", "1.2 GiB"."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def short(value: Any) -> str:
    """Return a value in little space: floats to five digits, texts and lists of texts as they are, the rest as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, tuple) and all(isinstance(item, str) for item in value):
        return printable(" ".join(value))
    if (
        isinstance(value, Mapping)
        and len(value) <= 3
        and all(isinstance(item, (int, float)) for item in value.values())
    ):
        return " ".join(f"{printable(str(key))}={short(item)}" for key, item in value.items())
    return exact(value)


def exact(value: Any) -> str:
    """Return a value in full, as it would be typed."""
    if isinstance(value, str):
        return printable(value)
    return printable(json.dumps(plain(value), ensure_ascii=False))


def printable(text: str) -> str:
    """Return text on one line, control characters and surrogates escaped: a record must not drive a terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode() for letter in text
    )
