"""What `run.json` holds as text: what many runs of a process have alike is written once while it is the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from anew.runner.format.serial import LATER, codecs_of, dumps
from anew.runner.records import RunRecord

_NAMES = tuple(item.name for item in fields(RunRecord) if item.name not in LATER)
# values of which those that are equal are the same JSON, as 1 and True are not
_ALIKE = frozenset({"experiment", "source", "environment", "hardware", "tags", "warnings"})
_latest: dict[str, tuple[Any, str]] = {}


def start_to_texts(record: RunRecord) -> dict[str, str]:
    """Return the members of what `start_to_json` gives, in order, as JSON. Safe between threads."""
    return {name: _text(name, getattr(record, name)) for name in _NAMES}


def _text(name: str, value: Any) -> str:
    if value is None:
        return "null"
    known = _latest.get(name)
    if known is not None and known[0] == value:
        return known[1]
    text = dumps(codecs_of(RunRecord)[name].store(value))
    if name in _ALIKE:
        _latest[name] = value, text
    return text


def object_text(members: Mapping[str, str]) -> str:
    """Return a JSON object as `dumps` gives it, of members whose names are plain and whose values are JSON already."""
    return "{" + ",".join([f'"{name}":{text}' for name, text in members.items()]) + "}"
