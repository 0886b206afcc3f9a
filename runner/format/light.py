"""
Light records as text: a run without its bulk, in parts that are read when they are asked for.

A filter and a sort look at a metric or a key of the configuration, a list at a handful of fields; hardly anything looks
at the rest, which takes ten times as long to read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from anew.runner.attached.unread import unread
from anew.runner.format import serial
from anew.runner.format.serial import DamagedError
from anew.runner.records import RunRecord

# fmt: off
_PARTS: tuple[tuple[str, ...], ...] = (
    ("metrics",),
    ("config",),
    ("sweep", "parent", "rerun_of", "pruned", "why"),
    ("uid", "id", "experiment", "started_at", "ended_at", "heartbeat_at", "duration_s", "status", "result", "choices",
     "overrides", "seed", "tags", "note", "verdict", "damage", "warnings"),
)
# fmt: on
_PART_OF = {name: number for number, names in enumerate(_PARTS) for name in names}
_FIELDS = {item.name: item for item in fields(RunRecord)}
_REST = tuple(name for name in _FIELDS if name not in _PART_OF)


def to_text(record: RunRecord) -> str:
    """Return a record without its bulk: a line of JSON for each part."""
    data = serial.light_to_json(record)
    parts = [{name: data.pop(name) for name in names} for names in _PARTS]
    return "\n".join(map(serial.dumps, (*parts, data)))


def of_text(text: str, again: Callable[[], RunRecord]) -> RunRecord:
    """
    Return the record of a text, of which nothing is read yet.

    Args:
        text: What `to_text` gave.
        again: Gives the record in another way, should the text turn out to be none; must not raise.
    """

    def read(name: str) -> Mapping[str, Any]:
        part = _PART_OF.get(name, len(_PARTS))
        names = _PARTS[part] if part < len(_PARTS) else _REST
        try:
            values = serial.fields_from_json(RunRecord, serial.parsed(text.split("\n")[part].encode()))
            return {each: values[each] if each in values else _default(each) for each in names}
        except (DamagedError, LookupError, UnicodeError):
            record = again()
            return {each: getattr(record, each) for each in _FIELDS}

    return unread(RunRecord, read)


def _default(name: str) -> Any:
    """Return what a field is that an earlier version did not write. Raises LookupError for one that has to be there."""
    field = _FIELDS[name]
    if field.default is not MISSING:
        return field.default
    if field.default_factory is MISSING:
        raise LookupError(name)
    return field.default_factory()
