"""
Records that Sacred wrote into a MongoDB, told as events of ours.

A document is data that whoever can write to the database made up: every member may be missing, of any type and of any
size. What cannot be understood is left out with a warning; nothing in a document is run, imported, turned into an
object, or used as anything but a value in a query. jsonpickle's forms (`{"py/tuple": [1, 2]}`) stay as they are.
"""

from __future__ import annotations

import hashlib
import heapq
import io
import json
import posixpath
import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from anew.observers.mongo.client import in_our_words, place
from anew.runner import events as ev
from anew.runner.errors import StoreError, UnavailableError
from anew.runner.format.redact import REDACTED, is_secret_name, redact_name_value, redact_text
from anew.runner.records import (
    CommandFacts,
    ContentRef,
    EnvironmentFacts,
    ErrorFacts,
    GitFacts,
    GpuFacts,
    HardwareFacts,
    RunRecord,
    SeedFacts,
    SourceFacts,
    Status,
)
from anew.runner.wording import in_a_line

if TYPE_CHECKING:
    from bson import ObjectId
    from bson.codec_options import CodecOptions
    from pymongo.collection import Collection
    from pymongo.database import Database

WRITER = "sacred"
ALIVE_S = 120
MOST_POINTS = 10_000_000
MOST_METRICS = 100_000
MOST_FILES = 100_000
MOST_CONTENT_BYTES = 2**40
MOST_OUTPUT = 256 * 2**20
_PIECE_BYTES = 64 * 1024
_MOST_MERGED = 1000
_MOST_GROUP = 10_000
_MOST_VALUES = 2_000_000
_MOST_DEPTH = 60
_MOST_NAME = 1000
_MOST_TRACE = 2**20
_MOST_ITEMS = 10_000
_MOST_WARNINGS = 200
_REDACTED_CHARACTERS = 2000
_INT64 = 2**63
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# so far that a few centuries more do not go beyond what a datetime holds
_LATEST = datetime(9000, 1, 1, tzinfo=timezone.utc)
_MD5 = re.compile(r"[0-9a-f]{32}")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_ERROR = re.compile(r"([^\W\d][\w.]*)(?:: (.*))?", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
_ERASE = re.compile(r"\x1b\[[012]?K")
_ENDED = {
    "COMPLETED": Status.COMPLETED,
    "FAILED": Status.FAILED,
    "INTERRUPTED": Status.INTERRUPTED,
    "TIMEOUT": Status.INTERRUPTED,
}
_GOING = ("QUEUED", "RUNNING")

Put = Callable[[BinaryIO], "tuple[str, int]"]
E = TypeVar("E", bound=ev.Event)


# --- what is offered --------------------------------------------------------------------------------------------


def light_record(database: Database[dict[str, Any]], document: Mapping[str, Any]) -> RunRecord:
    """
    Return a record as far as the run's document says; nothing is fetched.

    Files and the series of metrics are not in it. A run that has not ended is LOST when it gave no sign of life for two
    minutes. `id` is the document's where that is a number that a run may have, else None.

    Raises:
        StoreError: The document has no identifier that Sacred gives.
    """
    notes = _Notes()
    record = _record(database.name, document, notes)
    return replace(record, warnings=(*record.warnings, *notes.take()))


def events(database: Database[dict[str, Any]], document: Mapping[str, Any], put: Put) -> Iterator[ev.Event]:
    """
    Yield what happened in a run that Sacred recorded; the same events for the same document and what belongs to it.

    First `RunStarted`, then the metrics in order of time, output, artifacts, info, warnings, and `RunEnded` if it has
    ended, else a last `Heartbeat`. Output has the writer "output", the rest the writer "sacred".

    Args:
        database: Where the document is from; metrics and files are read from it.
        document: The run's, from the collection `runs`.
        put: Keeps a stream of bytes and gives its SHA-256 and its size.

    Raises:
        StoreError: The database cannot be read, or the document has no identifier that Sacred gives.
    """
    notes = _Notes()
    identity = _identity(document)
    light = _record(database.name, document, notes)
    files = _Files(database, put, notes)
    root = light.source.root or ""
    sources = files.sources(_list(_dict(document.get("experiment")).get("sources")), root)
    first = replace(
        light,
        status=Status.RUNNING,
        ended_at=None,
        duration_s=None,
        heartbeat_at=None,
        result=None,
        error=None,
        info={},
        source=replace(light.source, files=sources),
        inputs=files.inputs(_list(document.get("resources")), root),
    )
    first = replace(first, warnings=(*light.warnings, *notes.take()))
    yield ev.RunStarted(uid=light.uid, writer="run", q=0, t=0.0, record=first)
    make = _Numbered(light.uid)
    end_s = max(0.0, ((light.heartbeat_at or light.started_at) - light.started_at).total_seconds())
    for t, step, values in _points(_all_series(database, identity, light.started_at, notes)):
        yield make(ev.MetricsLogged, t, step=step, values=values)
    yield from _output(light.uid, document.get("captured_out"), end_s, notes)
    for moment, artifact in files.artifacts(_list(document.get("artifacts"))):
        t = end_s if moment is None else max(0.0, (moment - light.started_at).total_seconds())
        yield make(ev.ArtifactAdded, t, artifact=artifact)
    if light.info:
        yield make(ev.InfoSet, end_s, values=light.info)
    for text in notes.take():
        yield make(ev.Warned, end_s, text=text)
    if not _ended(document):
        yield make(ev.Heartbeat, end_s)
        return
    duration = light.duration_s or 0.0
    yield ev.RunEnded(
        uid=light.uid,
        writer="outcome",
        q=0,
        t=duration,
        status=light.status,
        ended_at=light.ended_at or light.started_at,
        duration_s=duration,
        result=light.result,
        error=light.error,
    )


class _Numbered:
    """Makes the events of one writer, numbered."""

    def __init__(self, uid: str) -> None:
        self._uid = uid
        self._q = 0

    def __call__(self, kind: type[E], t: float, **values: Any) -> E:
        self._q += 1
        return kind(uid=self._uid, writer=WRITER, q=self._q, t=t, **values)


class _Notes:
    """What could not be taken over, in sentences: the first of them, and how many more."""

    def __init__(self) -> None:
        self._waiting: dict[str, None] = {}
        self._left = _MOST_WARNINGS
        self._more = 0

    def add(self, text: str) -> None:
        """Note a sentence; the same again counts once as long as it waits."""
        if text in self._waiting:
            return
        if self._left > 0:
            self._left -= 1
            self._waiting[text] = None
        else:
            self._more += 1

    def take(self) -> tuple[str, ...]:
        """Return those that were noted since the last call."""
        texts = tuple(self._waiting)
        if self._more:
            texts += (f"{self._more} more warnings are left out here.",)
        self._waiting.clear()
        self._more = 0
        return texts


# --- members of any type ----------------------------------------------------------------------------------------


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()


def _text(value: Any, most: int = 4096) -> str:
    """Return a text, cut; "" for what is none."""
    return _clean(value[:most]) if isinstance(value, str) else ""


def _clean(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _whole(value: Any) -> int | None:
    """Return a whole number of 64 bits, None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and -_INT64 <= value < _INT64:
        return int(value)
    return None


def _moment(value: Any) -> datetime | None:
    """Return a time in UTC that can be reckoned with, None for anything else; Sacred writes times without a zone."""
    if not isinstance(value, datetime):
        return None
    try:
        moment = value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)
    except (OverflowError, ValueError):
        return None
    return moment if _EPOCH <= moment < _LATEST else None


def _named(name: Any) -> str:
    """Return a name for a message."""
    return repr(name[:200]) if isinstance(name, str) else f"a {type(name).__name__}"


def _identity(document: Mapping[str, Any]) -> int | str | ObjectId:
    """Return a document's identifier, of a type that cannot mean anything else in a query."""
    found = _reference(document.get("_id"))
    if found is None:
        raise StoreError("A document in the collection 'runs' is no run: its identifier is none that Sacred gives.")
    return found


def _reference(value: Any) -> int | str | ObjectId | None:
    """Return the identifier of a document, or None for what is none."""
    from bson import ObjectId

    if isinstance(value, ObjectId) or (type(value) is str and 0 < len(value) <= _MOST_NAME and "\0" not in value):
        return value
    return _whole(value)


class _Plain:
    """
    One walk through a value of a document, which leaves plain values of a size and depth that a record takes.

    What stands under the name of a secret is left out, as from every record.
    """

    def __init__(self) -> None:
        self._left = _MOST_VALUES
        self.cut = False

    def value(self, value: Any, name: str = "", depth: int = 0) -> Any:
        """Return a value as it goes into a record."""
        self._left -= 1
        if value is None or isinstance(value, bool) or type(value) is float:
            return value
        if isinstance(value, (Mapping, list, tuple)):
            return self._container(value, name, depth)
        if name and is_secret_name(name[:_MOST_NAME]) and isinstance(value, (str, int, bytes)) and value:
            return REDACTED
        return self._leaf(value)

    def _container(self, value: Any, name: str, depth: int) -> Any:
        if depth >= _MOST_DEPTH or self._left <= 0:
            self.cut = True
            return "..."
        if isinstance(value, Mapping):
            result: dict[str, Any] = {}
            for key, item in value.items():
                if self._left <= 0:
                    self.cut = True
                    break
                known = key if isinstance(key, str) else str(self._leaf(key))
                result[_clean(known)] = self.value(item, known, depth + 1)
            return result
        if self._left < len(value):
            self.cut = True
            value = value[: max(0, self._left)]
        return [self.value(item, name, depth + 1) for item in value]

    def _leaf(self, value: Any) -> Any:
        from bson import Decimal128, ObjectId

        if isinstance(value, str):
            return redact_text(_clean(value)) if len(value) <= _REDACTED_CHARACTERS else _clean(value)
        if isinstance(value, int):
            return int(value) if value.bit_length() <= 1024 else f"a number of {value.bit_length()} bits"
        if isinstance(value, float):
            return float(value)
        if isinstance(value, bytes):
            return bytes(value)
        if isinstance(value, datetime):
            # a zone that was made up may be none that can be written
            return _moment(value) or f"a time: {value.replace(tzinfo=None).isoformat()}"
        if isinstance(value, (ObjectId, Decimal128)):
            return str(value)
        return f"a {type(value).__name__}"


# --- the record -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Times:
    """When a run started, gave its last sign of life, and ended; `known` is whether Sacred said when it started."""

    started_at: datetime
    beat_at: datetime
    ended_at: datetime | None
    known: bool


def _times(document: Mapping[str, Any]) -> _Times:
    from bson import ObjectId

    start, beat, stop = (_moment(document.get(name)) for name in ("start_time", "heartbeat", "stop_time"))
    identity = document.get("_id")
    made = _moment(identity.generation_time) if isinstance(identity, ObjectId) else None
    queued = _moment(_dict(document.get("meta")).get("queue_time"))
    started = start or queued or made or beat or stop or _EPOCH
    beat = max(started, beat or started)
    if not _ended(document):
        return _Times(started, beat, None, start is not None)
    ended = max(started, stop or beat)
    return _Times(started, max(beat, ended), ended, start is not None)


def _ended(document: Mapping[str, Any]) -> Status | None:
    """Return how a run ended, None if it has not; a status of a program's own is that of an interrupt."""
    status = document.get("status")
    # code is a kind of str to pymongo, one without a hash
    if type(status) is not str or status in _GOING:
        return None
    known = _ENDED.get(status)
    return Status.INTERRUPTED if known is None and _moment(document.get("stop_time")) else known


def _uid(name: str, identity: Any, started_at: datetime) -> str:
    """Return a uid that is the same wherever and whenever the run is read: a ULID, with a digest for chance."""
    milliseconds = (started_at - _EPOCH) // timedelta(milliseconds=1)
    told = json.dumps([name, "text" if isinstance(identity, str) else "other", str(identity), milliseconds])
    chance = int.from_bytes(hashlib.sha256(told.encode("ascii")).digest()[:10], "big")
    value = milliseconds << 80 | chance
    return "".join(_ALPHABET[value >> 5 * i & 31] for i in reversed(range(26)))


def _record(database_name: str, document: Mapping[str, Any], notes: _Notes) -> RunRecord:
    identity = _identity(document)
    times, ended = _times(document), _ended(document)
    walk = _Plain()
    config = walk.value(_dict(document.get("config")))
    result = walk.value(document.get("result"))
    info = walk.value({key: item for key, item in _dict(document.get("info")).items() if not _is_listing(key, item)})
    if walk.cut:
        notes.add("The configuration, result or info is too large or nested too deep; what is left out is '...'.")
    status = document.get("status")
    if isinstance(status, str) and status not in (*_GOING, "COMPLETED", "FAILED", "INTERRUPTED"):
        notes.add(f"The status that Sacred recorded is {_named(status)}.")
    if status == "QUEUED":
        notes.add("Sacred put this run into a queue; it is not known to have started.")
    seed = _seed(document)
    meta = _dict(document.get("meta"))
    record = RunRecord(
        uid=_uid(database_name, identity, times.started_at),
        id=identity if isinstance(identity, int) and 0 < identity < 2**53 else None,
        experiment=_experiment_name(document),
        started_at=times.started_at,
        status=ended or _guess(times),
        ended_at=times.ended_at,
        duration_s=None if times.ended_at is None else (times.ended_at - times.started_at).total_seconds(),
        heartbeat_at=times.beat_at,
        command=_command(document),
        config=config,
        overrides=_overrides(document),
        result=result if ended else None,
        seed=seed or 0,
        seeds=None if seed is None else SeedFacts(root=seed, origin="config"),
        source=_source(document),
        environment=_environment(document),
        hardware=_hardware(document),
        info=info,
        note=redact_text(_text(meta.get("comment"), _REDACTED_CHARACTERS)) or None,
        error=_error(document) if ended is Status.FAILED else None,
    )
    return replace(record, warnings=(_unknown(record, times),))


def _guess(times: _Times) -> Status:
    alive = datetime.now(timezone.utc) - times.beat_at <= timedelta(seconds=ALIVE_S)
    return Status.RUNNING if alive else Status.LOST


def _is_listing(key: Any, item: Any) -> bool:
    """Whether a member of info is Sacred's list of where metrics are."""
    return bool(
        key == "metrics"
        and isinstance(item, (list, tuple))
        and all(isinstance(each, Mapping) and set(each) == {"id", "name"} for each in item)
    )


def _experiment_name(document: Mapping[str, Any]) -> str:
    facts = _dict(document.get("experiment"))
    # records of long ago have it above
    found = _text(facts.get("name"), _MOST_NAME) or _text(document.get("name"), _MOST_NAME)
    return found.replace("\0", "").strip() or PurePosixPath(_text(facts.get("mainfile"), _MOST_NAME)).stem or "sacred"


def _seed(document: Mapping[str, Any]) -> int | None:
    seed = _whole(_dict(document.get("config")).get("seed"))
    return seed if seed is not None and 0 <= seed < 2**32 else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(item) for item in _list(value)[:_MOST_ITEMS] if isinstance(item, str))


def _overrides(document: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(map(_argument, _texts(_dict(_dict(document.get("meta")).get("options")).get("UPDATE"))))


def _argument(word: str) -> str:
    name, mark, value = word[:_REDACTED_CHARACTERS].partition("=")
    return f"{name}={redact_name_value(name, value)}" if mark else redact_text(name)


def _command(document: Mapping[str, Any]) -> CommandFacts:
    """Return the words that are known to have been typed; the options of Sacred's own command line are not."""
    mainfile = _text(_dict(document.get("experiment")).get("mainfile"))
    meta = _dict(document.get("meta"))
    name = (
        _text(_dict(meta.get("options")).get("COMMAND")) or _text(meta.get("command")) or _text(document.get("command"))
    )
    updates = _overrides(document)
    words = (mainfile, name, *(("with", *updates) if updates else ()))
    return CommandFacts(argv=tuple(word for word in words if word), cwd="", target=mainfile)


def _source(document: Mapping[str, Any]) -> SourceFacts:
    facts = _dict(document.get("experiment"))
    repositories = [each for each in _list(facts.get("repositories"))[:100] if isinstance(each, Mapping)]
    git = [
        GitFacts(
            commit=_text(each.get("commit"), 100) or None,
            branch=None,
            dirty=each.get("dirty") is True,
            remote=redact_text(_text(each.get("url"), _REDACTED_CHARACTERS)) or None,
        )
        for each in repositories
    ]
    others = (f"It also uses files of {each.remote or 'a repository'} at commit {each.commit}." for each in git[1:])
    return SourceFacts(
        root=_text(facts.get("base_dir")) or None, git=git[0] if git else None, notes=tuple(others), method="imports"
    )


def _environment(document: Mapping[str, Any]) -> EnvironmentFacts | None:
    host, facts = _dict(document.get("host")), _dict(document.get("experiment"))
    version = host.get("python_version")
    if isinstance(version, (list, tuple)) and version:  # as Sacred once wrote it: implementation, version
        version = version[-1]
    variables = {
        _text(name): redact_name_value(_text(name, 200), _text(value, _REDACTED_CHARACTERS))
        for name, value in list(_dict(host.get("ENV")).items())[:_MOST_ITEMS]
        if isinstance(name, str) and isinstance(value, str)
    }
    packages = dict(_packages(facts.get("dependencies")))
    if not (isinstance(version, str) or packages or variables):
        return None
    return EnvironmentFacts(python=_text(version, 100), packages=packages, variables=variables)


def _packages(value: Any) -> Iterator[tuple[str, str]]:
    for item in _list(value)[:_MOST_ITEMS]:
        pair = item.partition("==")[::2] if isinstance(item, str) else _list(item)
        if len(pair) == 2 and all(isinstance(each, str) for each in pair) and pair[0]:
            yield _text(pair[0], 200), "" if pair[1] == "<unknown>" else _text(pair[1], 200)


def _hardware(document: Mapping[str, Any]) -> HardwareFacts | None:
    host = _dict(document.get("host"))
    if not host:
        return None
    system = host.get("os")
    words = [_text(each, 500) for each in (system if isinstance(system, (list, tuple)) else [system])[:2]]
    # "Linux", "Linux-6.1-x86_64-with-glibc2.36"
    name = words[-1] if len(words) == 2 and words[1].startswith(words[0]) else " ".join(filter(None, words))
    cores = _whole(host.get("cpu_count")) or 0
    return HardwareFacts(
        hostname=_text(host.get("hostname"), 500),
        os=name,
        cpu_model=_text(host.get("cpu"), 500),
        cpu_cores=cores,
        cpu_allowed=float(cores),
        gpus=tuple(_gpus(_dict(host.get("gpus")))),
    )


def _gpus(facts: Mapping[str, Any]) -> Iterator[GpuFacts]:
    for each in _list(facts.get("gpus"))[:1000]:
        model = _text(_dict(each).get("model"), 500)
        megabytes = _whole(_dict(each).get("total_memory")) or 0
        if model:
            size = megabytes * 2**20 if 0 < megabytes < 2**40 else 0
            yield GpuFacts(name=model, memory_bytes=size, driver=_text(facts.get("driver_version"), 100))


def _error(document: Mapping[str, Any]) -> ErrorFacts:
    trace = document.get("fail_trace")
    lines = [trace] if isinstance(trace, str) else [item for item in _list(trace)[:100_000] if isinstance(item, str)]
    whole = "".join(line[:_MOST_TRACE] for line in lines)
    half = _MOST_TRACE // 2
    text = whole if len(whole) <= 2 * half else f"{whole[:half]}\n...\n{whole[-half:]}"
    # from the end: behind the exception there may be notes; one text may have a whole traceback in it
    tail = [line for item in lines[-100:] for line in ([item] if item is not trace else item[-half:].splitlines())]
    for line in reversed(tail[-1000:]):
        if match := _ERROR.fullmatch(line[:_MOST_TRACE].rstrip("\n")):
            return ErrorFacts(type=_clean(match[1][:500]), message=_clean(match[2] or ""), traceback=_clean(text))
    last = tail[-1].strip() if tail else ""
    return ErrorFacts(type="Exception", message=_text(last, _MOST_TRACE), traceback=_clean(text))


def _unknown(record: RunRecord, times: _Times) -> str:
    """Return what Sacred does not record, or did not in this run, in one sentence."""
    missing = {
        "when it started": not times.known,
        "its seed": record.seeds is None,
        "the main function": True,
        "the interpreter's options": True,
        "the working directory": True,
        "the packages": record.environment is None or not record.environment.packages,
        "the commit": record.source.git is None or record.source.git.commit is None,
        "the changes that were not committed": record.source.git is not None and record.source.git.dirty,
        "the machine": record.hardware is None,
        "its memory and cores": record.hardware is not None,
        "the settings of threads": True,
    }
    names = [name for name, is_missing in missing.items() if is_missing]
    return f"This run was recorded by Sacred; not known are: {', '.join(names[:-1])} and {names[-1]}."


# --- reading ----------------------------------------------------------------------------------------------------


class _DamagedError(Exception):
    """Something in the database that cannot be read, in words that end a sentence."""


@contextmanager
def _reading(database: Database[dict[str, Any]]) -> Iterator[None]:
    """
    Read from the database.

    Raises:
        StoreError: It cannot be reached.
        _DamagedError: What was asked for cannot be given or understood.
    """
    from bson.errors import BSONError
    from pymongo.errors import PyMongoError

    try:
        with in_our_words(database):
            yield
    except UnavailableError as error:
        raise StoreError(str(error)) from None
    except (PyMongoError, BSONError, RecursionError, OverflowError, ValueError, TypeError, KeyError) as error:
        told = in_a_line(redact_text(str(error)[:_REDACTED_CHARACTERS]), 200)
        raise _DamagedError(f"{type(error).__name__}: {told}") from None


def _options() -> CodecOptions[dict[str, Any]]:
    """Return how documents are decoded: times out of range and broken text are no reason to fail."""
    from bson.codec_options import CodecOptions, DatetimeConversion

    return CodecOptions(
        tz_aware=True,
        unicode_decode_error_handler="replace",
        datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    )


# --- metrics ----------------------------------------------------------------------------------------------------

_Values = Sequence[float | int]
_Point = tuple[float, int, int, float, int, "float | int"]


@dataclass(frozen=True, slots=True)
class _Part:
    """A metric's points from one document, in the order in which they were logged; times in seconds from the start."""

    times: array[float]
    steps: array[int]
    values: _Values


def _all_series(
    database: Database[dict[str, Any]], identity: Any, started_at: datetime, notes: _Notes
) -> dict[str, list[_Part]]:
    """Return all points of a run by the metrics' names."""
    series: dict[str, list[_Part]] = {}
    left = MOST_POINTS
    for document in _metric_documents(database, identity, notes):
        name = document.get("name")
        if type(name) is not str or not 0 < len(name) <= _MOST_NAME:
            notes.add(f"A metric was left out: its name is {_named(name)}.")
            continue
        if left <= 0 or (name not in series and len(series) >= MOST_METRICS):
            notes.add(f"Metrics were left out: more than {MOST_POINTS} points, or than {MOST_METRICS} metrics.")
            break
        part = _part(document, left, started_at, notes)
        left -= len(part.steps)
        if part.steps:
            series.setdefault(_clean(name), []).append(part)
    for parts in series.values():
        parts.sort(key=lambda part: part.times[0])
    return series


def _metric_documents(database: Database[dict[str, Any]], identity: Any, notes: _Notes) -> Iterator[Mapping[str, Any]]:
    """Yield the documents of a run's metrics; one that cannot be decoded does not stand in the way of the others."""
    import bson
    from bson.codec_options import CodecOptions
    from bson.raw_bson import RawBSONDocument

    raw: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
    collection = database.with_options(codec_options=raw)["metrics"]
    options = _options()
    wanted = {"name": 1, "steps": 1, "values": 1, "timestamps": 1}
    with closing(collection.find({"run_id": {"$eq": identity}}, wanted)) as cursor:
        while True:
            try:
                with _reading(database):
                    packed = next(cursor, None)
            except _DamagedError as error:
                notes.add(f"Metrics were left out: they cannot be read ({error}).")
                return
            if packed is None:
                return
            try:
                with _reading(database):
                    document = bson.decode(packed.raw, codec_options=options)
            except _DamagedError as error:
                notes.add(f"A metric was left out: it cannot be read ({error}).")
                continue
            yield document


def _part(document: Mapping[str, Any], most: int, started_at: datetime, notes: _Notes) -> _Part:
    """Return the points of a document that are whole, at most so many."""
    told = f"metric {_named(document.get('name'))}"
    steps, values, moments = (_list(document.get(name)) for name in ("steps", "values", "timestamps"))
    count = min(len(steps), len(values), len(moments), most)
    if not len(steps) == len(values) == len(moments):
        notes.add(f"Of {told} there are {len(steps)} steps, {len(values)} values and {len(moments)} times.")
    elif count < len(steps):
        notes.add(f"Points of {told} were left out: the run has more than {MOST_POINTS}.")
    times: array[float] = array("d")
    numbers: array[int] = array("q")
    kept: list[float | int] = []
    t, dropped, undated = 0.0, 0, 0
    for index in range(count):
        step, value, moment = _step(steps[index]), _value(values[index]), _moment(moments[index])
        if step is None or value is None:
            dropped += 1
            continue
        if moment is None:
            undated += 1
        else:
            t = max(0.0, (moment - started_at).total_seconds())
        times.append(t)
        numbers.append(step)
        kept.append(value)
    if dropped:
        notes.add(f"Points of {told} were left out: {dropped} have a step or a value that is no number.")
    if undated:
        notes.add(f"{undated} points of {told} have no time that can be read; they have that of the point before.")
    return _Part(times, numbers, _packed(kept))


def _step(value: Any) -> int | None:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else _whole(value)


def _value(value: Any) -> float | int | None:
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int) and value.bit_length() <= 1024:
        return int(value)
    return None


def _packed(values: list[float | int]) -> _Values:
    """Return the same numbers in less memory, where they are all of one type."""
    if all(type(value) is float for value in values):
        return array("d", values)
    if all(type(value) is int and -_INT64 <= value < _INT64 for value in values):
        return array("q", [int(value) for value in values])
    return values


def _points(series: Mapping[str, list[_Part]]) -> Iterator[tuple[float, int, dict[str, float | int]]]:
    """Yield (t, step, values) in order of time, each metric's points in their own; what is of one moment is one."""
    names = list(series)
    group: list[tuple[float, int, dict[str, float | int]]] = []
    places: dict[tuple[float, int], int] = {}
    latest: dict[int, int] = {}
    now = -1.0
    streams = (_stream(index, series[name]) for index, name in enumerate(names))
    for key, _, index, t, step, value in heapq.merge(*streams):
        if key != now or len(group) >= _MOST_GROUP:
            yield from group
            now = key
            group, places, latest = [], {}, {}
        at = places.get((t, step), -1)
        # never into one that comes before this metric's last point
        if at <= latest.get(index, -1) or len(group[at][2]) >= _MOST_MERGED:
            at = places[(t, step)] = len(group)
            group.append((t, step, {}))
        group[at][2][names[index]] = value
        latest[index] = at
    yield from group


def _stream(index: int, parts: list[_Part]) -> Iterator[_Point]:
    """Yield a metric's points with what to sort them by first: a clock that was set back changes no order."""
    newest, number = 0.0, 0
    for part in parts:
        for t, step, value in zip(part.times, part.steps, part.values, strict=True):
            newest = max(newest, t)
            number += 1
            yield newest, number, index, t, step, value


# --- output -----------------------------------------------------------------------------------------------------


def _output(uid: str, text: Any, t: float, notes: _Notes) -> Iterator[ev.OutputCaptured]:
    """Yield captured output in pieces, as a terminal would show it; when a line was printed is not known."""
    if not isinstance(text, str):
        if text is not None:
            notes.add(f"Captured output was left out: it is {_named(text)}, not text.")
        return
    if len(text) > MOST_OUTPUT:
        notes.add(f"Captured output was cut: it has {len(text)} characters.")
    offset = 0
    for number, piece in enumerate(_pieces(text[:MOST_OUTPUT]), start=1):
        yield ev.OutputCaptured(uid=uid, writer="output", q=number, t=t, text=piece, offset=offset)
        offset += len(piece.encode("utf-8"))


def _pieces(text: str) -> Iterator[str]:
    """Yield text as it ends up on a terminal, in pieces of at most 64 KiB in UTF-8."""
    waiting: list[str] = []
    size = 0
    lines = _clean(text).replace("\r\n", "\n").split("\n")
    last = len(lines) - 1
    for index, line in enumerate(lines):
        shown = _overwritten(line) if _CONTROL.search(line) else line
        waiting += (shown, "\n") if index < last else (shown,)
        size += len(shown) + 1
        if size >= _PIECE_BYTES // 2:
            yield from _cut("".join(waiting).encode("utf-8"))
            waiting, size = [], 0
    yield from _cut("".join(waiting).encode("utf-8"))


def _overwritten(line: str) -> str:
    """
    Return a line as it is at its end: of what was written over something, the later.

    The model of a terminal that runs are captured with does more, in a time that depends on what is printed; this one
    goes once over a text that somebody may have made up.
    """
    result = ""
    for part in reversed(line.split("\r")):
        text = _printed(part)
        result += text[len(result) :]
        if _ERASE.search(part):
            break
    return result


def _printed(text: str) -> str:
    text = _SEQUENCE.sub("", text)
    if "\b" in text:
        characters: list[str] = []
        for character in text:
            if character != "\b":
                characters.append(character)
            elif characters:
                characters.pop()
        text = "".join(characters)
    return _CONTROL.sub("", text)


def _cut(data: bytes) -> Iterator[str]:
    begin = 0
    while begin < len(data):
        end = _boundary(data, begin + _PIECE_BYTES)
        yield data[begin:end].decode("utf-8")
        begin = end


def _boundary(data: bytes, at: int) -> int:
    """Return the last place up to *at* where a character begins, or the end."""
    if len(data) <= at:
        return len(data)
    while data[at] & 0xC0 == 0x80:
        at -= 1
    return at


# --- files ------------------------------------------------------------------------------------------------------


class _Files:
    """The files of one run, from GridFS to where they are kept; those with the same identifier are fetched once."""

    def __init__(self, database: Database[dict[str, Any]], put: Put, notes: _Notes) -> None:
        self._database = database
        self._put = put
        self._notes = notes
        self._kept: dict[Any, tuple[str, int] | None] = {}
        self._left = MOST_FILES
        self._bytes_left = MOST_CONTENT_BYTES

    def sources(self, pairs: Sequence[Any], root: str) -> tuple[ContentRef, ...]:
        """Return what `experiment.sources` lists."""
        return self._listed("source file", pairs, root)

    def inputs(self, pairs: Sequence[Any], root: str) -> tuple[ContentRef, ...]:
        """Return what `resources` lists."""
        return self._listed("input", pairs, root)

    def artifacts(self, items: Sequence[Any]) -> Iterator[tuple[datetime | None, ContentRef]]:
        """Yield artifacts and when they were uploaded; of several with one name the last."""
        named: dict[str, Any] = {}
        for item in self._within(items):
            given = _dict(item).get("name")
            name = _artifact_name(given)
            if name is None:
                self._notes.add(f"An artifact was left out: it is called {_named(given)}.")
                continue
            if name != given and name in named:
                self._notes.add(f"The artifact {_named(given)} was left out: {_named(name)} is another.")
                continue
            if name != given:
                self._notes.add(f"The artifact {_named(given)} is called {_named(name)} here.")
            named[name] = _dict(item).get("file_id")
        for name, file_id in named.items():
            entry = self._entry("artifact", name, file_id)
            kept = self._content("artifact", name, entry)
            if kept is not None:
                moment = _moment(entry.get("uploadDate")) if entry else None
                yield moment, ContentRef(path=name, sha256=kept[0], size=kept[1])

    def _listed(self, what: str, pairs: Sequence[Any], root: str) -> tuple[ContentRef, ...]:
        found: dict[str, ContentRef] = {}
        for pair in self._within(pairs):
            given, reference = pair if isinstance(pair, (list, tuple)) and len(pair) == 2 else (None, None)
            path = _project_path(given, root)
            if path is None:
                self._notes.add(f"The {what} that is called {_named(given)} was left out: that is no path.")
                continue
            entry = self._entry(what, path, reference, (str(given), posixpath.join(root, str(given))))
            kept = self._content(what, path, entry)
            if kept is not None:
                found[path] = ContentRef(path=path, sha256=kept[0], size=kept[1])
        return tuple(found[path] for path in sorted(found))

    def _within(self, items: Sequence[Any]) -> Sequence[Any]:
        if len(items) > self._left:
            self._notes.add(f"Files were left out: the run lists more than {MOST_FILES}.")
        taken = items[: self._left]
        self._left -= len(taken)
        return taken

    def _entry(self, what: str, name: str, reference: Any, filenames: Sequence[str] = ()) -> Mapping[str, Any] | None:
        """Return the document of a file; Sacred refers to some by name and MD5 and does not always keep those."""
        by_digest = isinstance(reference, str) and _MD5.fullmatch(reference) is not None and bool(filenames)
        if by_digest:
            query: dict[str, Any] = {"filename": {"$in": list(filenames)}, "md5": {"$eq": reference}}
        else:
            identity = _reference(reference)
            if identity is None:
                self._notes.add(f"The {what} {_named(name)} was left out: where it is, is {_named(reference)}.")
                return None
            query = {"_id": {"$eq": identity}}
        collection: Collection[dict[str, Any]] = self._database.get_collection("fs.files", codec_options=_options())
        try:
            with _reading(self._database):
                entry = collection.find_one(query, {"length": 1, "uploadDate": 1})
        except _DamagedError as error:
            self._notes.add(f"The {what} {_named(name)} was left out: it cannot be read ({error}).")
            return None
        if entry is None:
            why = f"Sacred recorded its MD5 only, {reference}" if by_digest else "the database does not have it"
            self._notes.add(f"The content of the {what} {_named(name)} is not known: {why}.")
        return entry

    def _content(self, what: str, name: str, entry: Mapping[str, Any] | None) -> tuple[str, int] | None:
        if entry is None:
            return None
        identity = _reference(entry.get("_id"))
        if identity not in self._kept:
            self._kept[identity] = None
            try:
                self._kept[identity] = self._fetch(identity, entry.get("length"))
            except _DamagedError as error:
                self._notes.add(f"The content of the {what} {_named(name)} is not known: {error}.")
                return None
        return self._kept[identity]

    def _fetch(self, identity: Any, length: Any) -> tuple[str, int]:
        size = _step(length)
        if size is None or size < 0 or identity is None:
            raise _DamagedError("the database does not say how long it is")
        if size > self._bytes_left:
            raise _DamagedError(f"the files of the run are larger than {MOST_CONTENT_BYTES} bytes")
        chunks = _Chunks(self._database, identity, size)
        with io.BufferedReader(chunks, _PIECE_BYTES) as stream:
            try:
                kept = self._put(stream)
            except Exception:
                # whatever became of it on its way through `put`
                if chunks.problem is not None:
                    raise _DamagedError(chunks.problem) from None
                raise
        self._bytes_left -= size
        return kept


class _Chunks(io.RawIOBase):
    """
    A file in GridFS, from its chunks one after another, each of which is looked at before it is believed.

    Attributes:
        problem: Why it cannot be read, once that is so.
    """

    def __init__(self, database: Database[dict[str, Any]], identity: Any, size: int) -> None:
        self.problem: str | None = None
        self._database = database
        chunks: Collection[dict[str, Any]] = database.get_collection("fs.chunks", codec_options=_options())
        self._cursor = chunks.find({"files_id": {"$eq": identity}}, {"n": 1, "data": 1, "_id": 0}).sort("n", 1)
        self._size = size
        self._read = 0
        self._next = 0
        self._data = memoryview(b"")

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read some bytes. Raises StoreError when the database cannot be reached, OSError for a damaged file."""
        if not self._data and not self._take():
            return 0
        count = min(len(buffer), len(self._data))
        buffer[:count] = self._data[:count]
        self._data = self._data[count:]
        return count

    def close(self) -> None:
        """Let go of the cursor."""
        if not self.closed:
            self._cursor.close()
        super().close()

    def _take(self) -> bool:
        """Fetch a chunk; False at the end."""
        try:
            if self.problem is not None:
                raise _DamagedError(self.problem)
            with _reading(self._database):
                chunk = next(self._cursor, None)
            if chunk is None:
                if self._read != self._size:
                    raise _DamagedError(f"of {self._size} bytes the database has {self._read}")
                return False
            data = chunk.get("data")
            if _step(chunk.get("n")) != self._next or not isinstance(data, bytes):
                raise _DamagedError("parts of it are missing or damaged")
            if (not data and self._size) or self._read + len(data) > self._size:
                raise _DamagedError("parts of it have a wrong length")
        except _DamagedError as error:
            self.problem = str(error)
            raise OSError(f"A file in MongoDB at {place(self._database)} is damaged: {error}") from None
        self._next += 1
        self._read += len(data)
        self._data = memoryview(bytes(data))
        return bool(data)


def _artifact_name(name: Any) -> str | None:
    """Return what an artifact may be called: its name as a relative path that stays below; None if nothing is left."""
    if not isinstance(name, str) or len(name) > _MOST_NAME:
        return None
    parts = (part.strip() for part in _clean(name).replace("\0", "").split("/"))
    return "/".join(part for part in parts if part not in ("", ".", "..")) or None


def _project_path(name: Any, root: str) -> str | None:
    """Return a file's path as records have it: relative where it is below the root, else absolute; None for no path."""
    if not isinstance(name, str) or not 0 < len(name) <= 4096 or "\0" in name or "\0" in root:
        return None
    path, above = _clean(name), root
    if _DRIVE.match(root) or _DRIVE.match(name):
        path, above = path.replace("\\", "/"), root.replace("\\", "/")
    whole = posixpath.normpath(path if _is_absolute(path) else posixpath.join(above, path))
    above = posixpath.normpath(above) if above else ""
    if above and whole.startswith(above.rstrip("/") + "/"):
        return whole[len(above.rstrip("/")) + 1 :]
    if _is_absolute(whole) and (_is_absolute(path) or above):
        return whole
    return None if whole.startswith("..") or whole == "." or above else whole


def _is_absolute(path: str) -> bool:
    return path.startswith("/") or _DRIVE.match(path) is not None
