"""Runs in an order, by a name of the filter language."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from anew.runner.errors import FilterError
from anew.runner.query.names import More, Version, value_of
from anew.runner.query.tree import read_version
from anew.runner.records import RunRecord


def sort_records(records: Iterable[RunRecord], key: str, more: More | None = None) -> list[RunRecord]:
    """
    Return records sorted by a name of the filter language, the least first; with "-" before it, the greatest first.

    Runs that lack it, and NaN, come last either way; numbers come before texts, and texts before versions.

    Raises:
        FilterError: The key is empty.
    """
    name = key.lstrip("-").strip()
    if not name:
        raise FilterError("The key to sort by is empty. Give a name, such as: --sort loss or --sort=-config.lr")
    ranked = [(record, rank(value_of(record, name, more))) for record in records]
    present = [(record, place) for record, place in ranked if place is not None]
    present.sort(key=lambda item: item[1], reverse=key.startswith("-"))
    return [record for record, _ in present] + [record for record, place in ranked if place is None]


def rank(value: Any) -> tuple[int, Any] | None:
    """Return what a value is sorted by; None for what comes last either way."""
    if value is None or value != value or value == ():
        return None
    if isinstance(value, (int, float)):
        return 0, value
    if isinstance(value, datetime):
        return 0, value.timestamp()
    if isinstance(value, Version) and (version := read_version(value)) is not None:
        return 2, version
    return 1, str(value)
