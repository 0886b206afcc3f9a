"""
A run's record as the documents that Sacred writes: what Omniboard shows, and what people ask MongoDB for.

It is a view: everything in it has a limit, so that no document grows too large, and values that BSON does not have are
shown as the nearest it has. The exact ones are in the run's journal.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import field, replace
from datetime import datetime, timezone
from enum import Enum
from itertools import count
from typing import Any
from urllib.parse import unquote_to_bytes

from anew.runner.dataclass import dataclass
from anew.runner.errors import ValueRefusedError
from anew.runner.format import serial
from anew.runner.format.values import as_float, plain
from anew.runner.records import ContentRef, HardwareFacts, RunRecord, Status

SACRED_FORMAT = "MongoObserver-0.7.0"
FORMAT = 1
# the member of `anew` that says when a run was found to have died without an end
LOST = "lost"
# fields that are rather not there
NOT_NULL = frozenset({"fail_trace", "anew.record"})
MOST_RECORD_BYTES = 4 * 2**20
MOST_NAME_BYTES = 1000
_MOST_CONFIG = 2**20
_MOST_INFO = 2**20
_MOST_LIST = 2**20
_MOST_SMALL = 2**18
_MOST_RESULT = 2**19
_MOST_TRACE = 2**19
_MOST_TEXT = 2**16
_MOST_DEPTH = 40
_INT64 = 2**63

# --- keys -------------------------------------------------------------------------------------------------------

_ODD = r"\0|[\ud800-\udfff]|%(?=[0-9A-Fa-f]{2})"
_BELOW = re.compile(rf"^[$%]|{_ODD}")
_TOP = re.compile(rf"^[$%]|[.,]|{_ODD}")
_CODED = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_EMPTY = "%"
_NO_TEXT = "%="
_MORE = "%more"


def escape_key(key: Any, *, top: bool = False) -> str:
    """
    Return a key as MongoDB and Omniboard take it, another one for each key.

    As in URLs: a `$` or `%` in front, a `%` before two hexadecimal digits, the character 0 and what is no Unicode are
    written as a percent sign and the two digits of each byte; with *top*, where keys become columns and are used in
    queries, `.` and `,` too. The empty key is "%", and one that is no text is "%=" with its text behind.
    """
    if not isinstance(key, str):
        return _NO_TEXT + (_TOP if top else _BELOW).sub(_code, _told(key))
    return (_TOP if top else _BELOW).sub(_code, str(key)) or _EMPTY


def unescape_key(key: str) -> str:
    """Return the key that `escape_key` was given, or its text if it was none."""
    if key == _EMPTY:
        return ""
    return _CODED.sub(_decode, key.removeprefix(_NO_TEXT))


def _code(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))


def _decode(match: re.Match[str]) -> str:
    return unquote_to_bytes(match[0]).decode("utf-8", "surrogatepass")


def _told(key: Any) -> str:
    try:
        return str(plain(key))
    except ValueRefusedError:
        return type(key).__name__


# --- values -----------------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """Return a text as BSON takes it: what is no Unicode is written out."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def short_name(name: str) -> str:
    """Return a name that is not too long to be listed; a longer one ends with the beginning of its SHA-256."""
    data = name.encode("utf-8", "backslashreplace")
    if len(data) <= MOST_NAME_BYTES:
        return data.decode("utf-8")
    return f"{data[:MOST_NAME_BYTES].decode('utf-8', 'ignore')}~{hashlib.sha256(data).hexdigest()[:16]}"


def number(value: float | int) -> float | int:
    """Return a number as BSON takes it: one beyond 64 bits as the nearest double."""
    if isinstance(value, float) or -_INT64 <= value < _INT64:
        return value
    return as_float(value)


def value_view(value: Any, *, most: int = _MOST_CONFIG) -> Any:
    """
    Return a value of the user's as BSON takes it, cut with a note where it is larger than *most* bytes.

    Ints beyond 64 bits become doubles, times with a zone dates, and what else BSON has no type for is told as text as
    `anew show` tells it.
    """
    return _Walk(most).value(value, 0)


def mapping_view(values: Mapping[Any, Any], *, most: int) -> dict[str, Any]:
    """Return a mapping that is a field of a run; its keys are escaped as those that Omniboard makes columns of."""
    return _Walk(most).mapping(values, 0, top=True)


class _Walk:
    """One walk through a value; counts what it takes in a document."""

    def __init__(self, most: int) -> None:
        self._left = most

    def value(self, value: Any, depth: int) -> Any:
        self._left -= 12
        if value is None or isinstance(value, bool):
            return value
        if type(value) is int or type(value) is float:
            return number(value)
        if type(value) is str:
            return self._text(value)
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value
        if isinstance(value, (Mapping, list, tuple, Set)):
            return self._container(value, depth)
        return self._other(value, depth)

    def mapping(self, values: Mapping[Any, Any], depth: int, *, top: bool = False) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, item in values.items():
            name = escape_key(key, top=top)
            if name in result:
                # of keys that are no texts two may be told alike: NaN twice, objects of one class
                name = next(each for each in (f"{name} #{n}" for n in count(2)) if each not in result)
            self._left -= len(name)
            if self._left <= 0:
                result[_MORE] = f"{len(values) - len(result)} more are left out here"
                break
            result[name] = self.value(item, depth + 1)
        return result

    def _container(self, value: Any, depth: int) -> Any:
        if depth >= _MOST_DEPTH:
            return self._text(_told(value))
        if isinstance(value, Mapping):
            return self.mapping(value, depth)
        items: Sequence[Any] = sorted(value, key=repr) if isinstance(value, Set) else value
        result: list[Any] = []
        for index, item in enumerate(items):
            self._left -= len(str(index))
            if self._left <= 0:
                result.append(f"... {len(items) - index} more are left out here")
                break
            result.append(self.value(item, depth + 1))
        return result

    def _other(self, value: Any, depth: int) -> Any:
        if isinstance(value, (int, float)) and not isinstance(value, Enum):
            return number(float(value) if isinstance(value, float) else int(value))
        try:
            shown = plain(value)
        except ValueRefusedError:
            return type(value).__name__
        if isinstance(shown, (Mapping, list)):
            return self._container(shown, depth)
        return self._text(str(shown))

    def _text(self, text: str) -> str:
        most = min(_MOST_TEXT, max(100, self._left))
        cut = clean(text[:most])
        if len(text) > most:
            cut += f"... (cut: {len(text)} characters in all)"
        self._left -= len(cut) if cut.isascii() else len(cut.encode("utf-8"))
        return cut


def _texts(texts: Iterable[str], most: int = _MOST_SMALL) -> list[str]:
    result: list[str] = value_view(list(texts), most=most)
    return result


# --- the start --------------------------------------------------------------------------------------------------


def first_document(record: RunRecord, number_: int, sweep: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """
    Return the document that a run has at first, whole but for its content.

    Args:
        record: The run.
        number_: Its number in the database.
        sweep: Of which sweep it is: `number` in the database, `uid` and `index`.
    """
    document: dict[str, Any] = {
        "_id": number_,
        "format": SACRED_FORMAT,
        "command": clean(record.command.function.rpartition(":")[2] or "main")[:MOST_NAME_BYTES],
        "start_time": record.started_at,
        "experiment": _experiment(record),
        "host": _host(record),
        "config": mapping_view(record.config, most=_MOST_CONFIG),
        "captured_out": "",
        "anew": {
            "uid": record.uid,
            "format": FORMAT,
            "experiment": short_name(record.experiment),
            "rev": 0,
            **({} if record.parent is None else {"parent": record.parent.uid}),
        },
    }
    fields = changing_fields(replace(record, id=number_), Parts())
    fields["meta.command"] = document["command"]
    fields["meta.options"] = {"UPDATE": _texts(record.overrides)}
    for path, value in fields.items():
        if value is not None or path not in NOT_NULL:
            put(document, path, value)
    if sweep is not None:
        document["anew"]["sweep"] = dict(sweep)
        document["meta"]["sweep"] = dict(sweep)
    if record.tags or record.note or sweep is not None:
        # the one time that anew writes what Omniboard's users edit; later it is theirs. A tag is what they filter by.
        tags = _texts((*record.tags, *([f"sweep:{sweep['number']}"] if sweep is not None else [])))
        notes = _cut(record.note or "", _MOST_TEXT)
        document["omniboard"] = {**({"tags": tags} if tags else {}), **({"notes": notes} if notes else {})}
        # so that who reads can tell it from what was given there
        document["anew"]["omniboard"] = document["omniboard"]
    return document


def put(document: dict[str, Any], path: str, value: Any) -> None:
    """Set a field that is named by its path."""
    *above, last = path.split(".")
    for name in above:
        document = document.setdefault(name, {})
    document[last] = value


def _experiment(record: RunRecord) -> dict[str, Any]:
    environment, git = record.environment, record.source.git
    packages = environment.packages if environment else {}
    return {
        "name": short_name(record.experiment),
        "base_dir": _cut(record.source.root or record.command.cwd),
        "mainfile": _cut(record.command.target or next(iter(record.command.argv), "")),
        "sources": [],
        "dependencies": _texts(f"{name}=={version}" for name, version in packages.items()),
        "repositories": []
        if git is None
        else [{"url": _cut(git.remote or ""), "commit": git.commit, "dirty": git.dirty}],
    }


def _host(record: RunRecord) -> dict[str, Any]:
    hardware, environment, process = record.hardware, record.environment, record.process
    host: dict[str, Any] = {"hostname": process.hostname if process else ""}
    if hardware is not None:
        name, _, version = hardware.os.partition(" ")
        host = {"hostname": hardware.hostname, "os": [name, version], "cpu": hardware.cpu_model}
        if hardware.gpus:
            host["gpus"] = _gpus(hardware)
    if environment is not None:
        host["python_version"] = environment.python
        host["ENV"] = dict(environment.variables)
    return mapping_view(host, most=_MOST_SMALL)


def _gpus(hardware: HardwareFacts) -> dict[str, Any]:
    models = [{"model": gpu.name, "total_memory": gpu.memory_bytes // 2**20} for gpu in hardware.gpus]
    return {"driver_version": hardware.gpus[0].driver, "gpus": models}


def _cut(text: str, most: int = 4096) -> str:
    return clean(text[:most])


# --- what changes -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parts:
    """
    What a run's document refers to.

    Attributes:
        metrics: What stands in `info.metrics`.
        source, artifact: The ObjectId of content in GridFS, None for what is not there.
        warnings: What could not be kept, in sentences.
        positions: Up to which number of each writer events are in the record.
    """

    metrics: Sequence[Mapping[str, Any]] = ()
    source: Callable[[ContentRef], Any] = lambda _: None
    artifact: Callable[[ContentRef], Any] = lambda _: None
    warnings: Sequence[str] = ()
    positions: Mapping[str, int] = field(default_factory=dict)


def changing_fields(record: RunRecord, parts: Parts) -> dict[str, Any]:
    """Return the fields, named by their paths, that change as a run goes on; those of NOT_NULL may be None."""
    packed = pack(record)
    notes = list(parts.warnings)
    info = mapping_view({key: item for key, item in record.info.items() if key != "metrics"}, most=_MOST_INFO)
    if "metrics" in record.info:
        info["%6Detrics"] = value_view(record.info["metrics"], most=_MOST_SMALL)
    return {
        "status": record.status.value,
        "heartbeat": _date(record.heartbeat_at or record.started_at),
        "stop_time": _date(record.ended_at),
        "result": value_view(record.result, most=_MOST_RESULT),
        "fail_trace": _trace(record),
        "info": {**info, "metrics": _listed("metrics", parts.metrics, 60, notes)},
        "experiment.sources": _files("source files", record.source.files, parts.source, notes),
        "resources": _files("inputs", record.inputs, parts.source, notes),
        "artifacts": [
            {"name": name, "file_id": file}
            for name, file in _files("artifacts", record.artifacts, parts.artifact, notes)
        ],
        "meta.comment": _cut(record.note or "", _MOST_TEXT),
        "anew.record": packed,
        "anew.at": {escape_key(name, top=True): last for name, last in sorted(parts.positions.items()) if packed},
        "anew.ended": record.status.final,
        "anew.tags": _texts(record.tags),
        "anew.note": _cut(record.note, _MOST_TEXT) if record.note else None,
        "anew.comments": _texts(f"{each.by}, {each.at:%Y-%m-%d %H:%M} UTC: {each.text}" for each in record.comments),
        "anew.pruned": record.pruned,
        "anew.verdict": record.verdict.verdict if record.verdict else None,
        "anew.warnings": _texts([*notes, *record.warnings], _MOST_SMALL),
    }


def pack(record: RunRecord) -> bytes | None:
    """Return a record without its bulk as `anew.record` holds it; None if it is too large for that."""
    packed = zlib.compress(serial.dumps(serial.light_to_json(record)).encode("ascii"), 1)
    return packed if len(packed) <= MOST_RECORD_BYTES else None


def _files(
    what: str, files: Sequence[ContentRef], place: Callable[[ContentRef], Any], notes: list[str]
) -> list[list[Any]]:
    found = ([short_name(file.path), place(file)] for file in files)
    return _listed(what, [pair for pair in found if pair[1] is not None], 60, notes)


def _listed(what: str, items: Sequence[Any], extra: int, notes: list[str]) -> list[Any]:
    """Return as many as there is room for."""
    left = _MOST_LIST
    for index, item in enumerate(items):
        name = item["name"] if isinstance(item, Mapping) else item[0]
        left -= len(name.encode("utf-8")) + extra
        if left < 0:
            notes.append(f"Only {index} of {len(items)} {what} are listed here; anew show lists all.")
            return list(items[:index])
    return list(items)


def _date(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(timezone.utc)


def _trace(record: RunRecord) -> list[str] | None:
    """Return the traceback in lines; in the middle of a very long one some is left out."""
    if record.status is not Status.FAILED or record.error is None:
        return None
    text = record.error.traceback or f"{record.error.type}: {record.error.message}\n"
    half = _MOST_TRACE // 2
    if len(text) > 2 * half:
        text = f"{text[:half]}\n... {len(text) - 2 * half} characters are left out here ...\n{text[-half:]}"
    lines = clean(text).splitlines(keepends=True)
    if len(lines) > 10_000:
        lines = [*lines[:5000], f"... {len(lines) - 10_000} lines are left out here ...\n", *lines[-5000:]]
    return lines
