"""Records and events to JSON and back; sealing, which makes damage visible.

A sealed line is a JSON object whose last member "c" is the CRC-32 of all bytes before it. The journal's lines,
`run.json` and `outcome.json` are sealed. Loading ignores members it does not know and gives missing ones their
default, so that neighbouring versions can read each other.
"""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any
from zlib import crc32

from anew.runner import events as ev
from anew.runner.dataclass import dataclass
from anew.runner.errors import StoreFormatError
from anew.runner.format.codecs import MALFORMED, Codec, codec_of
from anew.runner.format.codecs import DamagedError as DamagedError
from anew.runner.format.codecs import codecs_of as codecs_of
from anew.runner.format.codecs import fields_from_json as fields_from_json
from anew.runner.format.codecs import from_json as from_json
from anew.runner.format.codecs import to_json as to_json
from anew.runner.format.values import number_from_json
from anew.runner.lazy.patterns import regexp
from anew.runner.records import FORMAT, RunRecord

_SEAL = b',"c":"'
# whether this may be a sealed line whose seal is damaged
looks_sealed = regexp(rb',"[^"]":"[^"]{8}"\}.?\Z', re.DOTALL).search
_GREATEST_NUMBER = 2**63
_NEW_IN_OUTCOME = frozenset({"writers", "seals", "output_bytes", "output_sealed", "output_turns", "unkept", "losses"})
_NEW_IN_ENTRIES = frozenset({"om", "g"})
# after some three hundred years a time would be none that Python knows
LONGEST_S = 1e10
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


# --- sealing --------------------------------------------------------------------------------------------


def dumps(value: Any) -> str:
    """Return compact, ASCII, strict JSON: one line, whatever the value holds."""
    return _ENCODER.encode(value)


def seal(value: Mapping[str, Any]) -> bytes:
    """Return a JSON object as one sealed line, newline included."""
    return seal_text(dumps(value))


def seal_text(text: str) -> bytes:
    """Return the text of a JSON object, as `dumps` gives it, as one sealed line, newline included."""
    head = text[:-1].encode("ascii")
    return b'%s%s"c":"%08x"}\n' % (head, b"," if len(head) > 1 else b"", crc32(head))


def unseal(line: bytes) -> dict[str, Any]:
    """
    Return the object of a sealed line, without its seal.

    Raises:
        DamagedError: The checksum is missing or wrong, or the line is no JSON object.
    """
    head, mark, tail = line.rpartition(_SEAL)
    # one byte more is the newline; if that is damaged, nothing is lost
    if not mark or len(tail) > 11 or tail[8:10] != b'"}':
        raise DamagedError("the checksum is missing")
    if b"%08x" % crc32(head) != tail[:8]:
        raise DamagedError("the checksum is wrong")
    return parsed(head + b"}")


def unseal_or_older(data: bytes) -> dict[str, Any]:
    """
    Return the object of a sealed line, or of JSON without a seal, as earlier versions wrote some files.

    Raises:
        DamagedError: As `unseal`; a seal whose name is damaged is not taken for none.
    """
    return unseal(data) if looks_sealed(data) else parsed(data)


def parsed(data: bytes) -> dict[str, Any]:
    """Return a JSON object. Raises DamagedError, whatever *data* is."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"no JSON: {error}") from error
    if not isinstance(value, dict):
        raise DamagedError("no JSON object")
    return value


# --- records --------------------------------------------------------------------------------------------

_HEAVY = (
    (("source",), "files"),
    (("source",), "beside"),
    (("source", "git"), "diff"),
    (("environment",), "packages"),
    (("environment",), "imported"),
    (("provenance",), "unresolved"),
)
# fmt: off
LATER = frozenset({
    "id", "status", "ended_at", "duration_s", "heartbeat_at", "result", "artifacts", "metrics", "media", "comments",
    "error", "verdict", "pruned", "damage", "observers", "unkept", "losses",
})
# fmt: on


def record_to_json(record: RunRecord, *, full: bool = True) -> dict[str, Any]:
    """Return a record as `--json` shows it: strict JSON. Unless *full*, without the bulk.

    The bulk: source files and their diff, packages and which were imported, the unresolved configuration.
    """
    data: dict[str, Any] = codec_of(RunRecord).show(record)
    hardware = data["hardware"]
    if hardware is not None:
        cpu = {"model": hardware.pop("cpu_model"), "cores": hardware.pop("cpu_cores")}
        hardware["cpu"] = {**cpu, "allowed": hardware.pop("cpu_allowed")}
    return data if full else _without_heavy(data)


def light_to_json(record: RunRecord) -> dict[str, Any]:
    """Return a record in the stored form without the bulk, for an index."""
    return _without_heavy(to_json(record))


def _without_heavy(data: dict[str, Any]) -> dict[str, Any]:
    for section, member in _HEAVY:
        holder: Any = data
        for name in section:
            holder = (holder.get(name) if isinstance(holder, dict) else None) or {}
        if isinstance(holder, dict):
            holder.pop(member, None)
    return data


def start_to_json(record: RunRecord) -> dict[str, Any]:
    """Return what `run.json` holds: the record as it is before user code starts."""
    return {key: value for key, value in to_json(record).items() if key not in LATER}


def record_from_start(data: Mapping[str, Any], *, light: bool = False) -> RunRecord:
    """
    Return the record that `run.json` holds; with *light* without the bulk.

    Raises:
        StoreFormatError: A newer version wrote it.
        DamagedError: It is no record.
    """
    if type(data.get("format")) is int and data["format"] > FORMAT:
        raise StoreFormatError(
            f"This run was written in format {data['format']}; this version of anew reads up to {FORMAT}. "
            "To read it: pip install --upgrade anew",
            format=data["format"],
        )
    known = {key: value for key, value in data.items() if key not in LATER}
    return from_json(RunRecord, _without_heavy(known) if light else known)


# --- events ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Member:
    """One field of an event as a line holds it."""

    key: str
    name: str
    codec: Codec
    optional: bool
    left_out: Any = MISSING


def _members(kind: Any) -> tuple[_Member, ...]:
    """Return what a line holds of a kind of event beside its number and time, in order."""
    return _described(kind)


@cache
def _described(kind: Any) -> tuple[_Member, ...]:
    hints, keys = typing.get_type_hints(kind), ev.keys(kind)
    return tuple(
        _Member(
            key=keys[item.name],
            name=item.name,
            codec=codec_of(hints[item.name]),
            optional=item.default is not MISSING or item.default_factory is not MISSING,
            left_out=item.default if item.metadata["later"] else MISSING,
        )
        for item in fields(kind)
        if item.name in keys and item.name not in _OF_ALL
    )


_OF_ALL = ev.keys(ev.Event)
NUMBER_KEY, TIME_KEY = _OF_ALL["q"], _OF_ALL["t"]
_STEP_KEY, _VALUES_KEY = (ev.keys(ev.MetricsLogged)[name] for name in ("step", "values"))


def has_entry(event: ev.Event) -> bool:
    """Whether an event is of a kind that journals hold; a later version may have others."""
    return type(event) is ev.KINDS.get(event.kind)


def _stored(event: ev.Event) -> dict[str, Any]:
    return {
        member.key: member.codec.store(value)
        for member in _members(type(event))
        if (value := getattr(event, member.name)) is not member.left_out
    }


def _loaded(kind: type[ev.Event], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that a line holds. Raises one of MALFORMED."""
    return {
        member.name: member.codec.load(data[member.key])
        for member in _members(kind)
        if not member.optional or member.key in data
    }


def event_to_body(event: ev.Event) -> tuple[str, dict[str, Any]]:
    """Return a journal entry's kind and its members, without number, time and seal; what is not known is left out."""
    return event.kind, {key: value for key, value in _stored(event).items() if value or key not in _NEW_IN_ENTRIES}


def body(kind: type[ev.Event], **values: Any) -> tuple[str, dict[str, Any]]:
    """Return kind and members of an entry that has no number yet. Raises ValueRefusedError."""
    members = _members(kind)
    return kind.kind, {each.key: each.codec.store(values[each.name]) for each in members if each.name in values}


def event_from_entry(uid: str, writer: str, entry: Mapping[str, Any]) -> ev.Event | None:
    """Return the event of a journal entry, or None for a kind that a newer version wrote. Raises DamagedError."""
    name = entry.get(ev.KIND_KEY)
    if type(name) is not str:
        raise DamagedError("it has no kind")
    kind = ev.KINDS.get(name)
    if kind is None:
        return None
    try:
        check_place(entry)
        return kind(uid=uid, writer=writer, q=entry[NUMBER_KEY], t=entry[TIME_KEY], **_loaded(kind, entry))
    except MALFORMED as error:
        raise DamagedError(f"no entry of kind {kind.kind!r}: {error}") from error


def check_place(entry: Mapping[str, Any]) -> None:
    """Refuse an entry without a number and a time. Raises DamagedError; afterwards they can be taken out of it."""
    number, t = entry.get(NUMBER_KEY), entry.get(TIME_KEY)
    if type(number) is not int or not 0 < number < _GREATEST_NUMBER:
        raise DamagedError("it has no number")
    if (type(t) is not float and type(t) is not int) or not -LONGEST_S < t < LONGEST_S:
        raise DamagedError("it has no time")


def points_of(entry: Mapping[str, Any]) -> tuple[dict[str, float | int], int, float] | None:
    """
    Return numbers by name, step and time of a line of metrics, and None for any other entry.

    The short way to what a `MetricsLogged` would hold, since there may be millions; number and time of the entry have
    been checked before. Raises DamagedError.
    """
    if entry.get(ev.KIND_KEY) != ev.MetricsLogged.kind:
        return None
    try:
        numbers = {
            name: value if type(value) is float else number_from_json(value)
            for name, value in entry[_VALUES_KEY].items()
        }
        return numbers, _step(entry[_STEP_KEY]), entry[TIME_KEY]
    except MALFORMED as error:
        raise DamagedError(f"no metrics: {error}") from error


def point_of(entry: Mapping[str, Any], name: str) -> tuple[float, int, float | int] | None:
    """Return time, step and number of one metric in an entry, None when it has none. Raises DamagedError."""
    if entry.get(ev.KIND_KEY) != ev.MetricsLogged.kind:
        return None
    try:
        values = entry[_VALUES_KEY]
        if name not in values:
            return None
        return entry[TIME_KEY], _step(entry[_STEP_KEY]), number_from_json(values[name])
    except MALFORMED as error:
        raise DamagedError(f"no metrics: {error}") from error


def _step(value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise TypeError("its step is no whole number of 64 bits")
    return value


def outcome_to_json(event: ev.RunEnded) -> dict[str, Any]:
    """Return what `outcome.json` holds; what earlier versions did not write is left out where it is not known."""
    members = {key: value for key, value in _stored(event).items() if value is not None or key not in _NEW_IN_OUTCOME}
    return {"format": FORMAT, "uid": event.uid, **members}


def outcome_from_json(uid: str, data: Mapping[str, Any]) -> ev.RunEnded:
    """Return the end of a run. Raises DamagedError."""
    try:
        values = _loaded(ev.RunEnded, data)
        check_place({NUMBER_KEY: 1, TIME_KEY: values["duration_s"]})
        return ev.RunEnded(uid=uid, writer="outcome", q=0, t=values["duration_s"], **values)
    except MALFORMED as error:
        raise DamagedError(f"no outcome: {error}") from error
