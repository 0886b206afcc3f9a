"""A value of a filter as it was typed, and what it is compared with."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from enum import Enum
from functools import lru_cache
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.lazy.patterns import regexp

AGE = regexp(r"-?(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)(?:\s*ago)?")
_DAYS = {"today": 0, "yesterday": 1}
_AGES = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as typed: its text, and whether it was quoted and so is a text whatever it looks like."""

    text: str
    quoted: bool

    def like(self, other: Any) -> Any:
        """Return the value, read as the kind of thing that it is compared with."""
        if isinstance(other, str) and not isinstance(other, Enum):
            return self.text
        if isinstance(other, datetime):
            return moment(self.text)
        if isinstance(other, (int, float)) and (age := _age(self.text)) is not None:
            return age
        return self.text if self.quoted else plain(self.text)


@lru_cache(maxsize=1000)  # it is asked for each run
def _age(text: str) -> float | None:
    """Return the seconds that an age has; None for any other text."""
    age = AGE.fullmatch(text)
    return None if age is None else float(age[1]) * _AGES[age[2]]


@lru_cache(maxsize=1000)
def plain(text: str) -> Any:
    """Return what a text stands for that is not quoted: a truth value, None, a number, or itself."""
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def moment(text: str) -> datetime | None:
    """Return the time that a date, a day or an age stands for; None for any other text."""
    if (age := _age(text)) is not None:
        return _ago(age)
    if (days := _DAYS.get(text.lower())) is not None:
        begin = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        return (begin - timedelta(days=days)).astimezone()
    if text.lower() == "now":
        return _ago(0)
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return found if found.tzinfo else found.astimezone()
    except (ValueError, OverflowError, OSError):  # the last two: a local time at an end of the calendar
        return None


def _ago(seconds: float) -> datetime | None:
    try:
        return datetime.now(timezone.utc) - timedelta(seconds=seconds)
    except OverflowError:
        return None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A name, what it is compared by, and with what; `in` is "==" with each item of the list."""

    name: str
    operator: str
    literal: Literal
