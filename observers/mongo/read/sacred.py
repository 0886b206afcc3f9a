"""
Records that Sacred wrote into a MongoDB, told as events of ours.

A document is data that whoever can write to the database made up: every member may be missing, of any type and of any
size. What cannot be understood is left out with a warning; nothing in a document is run, imported, turned into an
object, or used as anything but a value in a query. jsonpickle's forms (`{"py/tuple": [1, 2]}`) stay as they are.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from anew.observers.mongo.client import prefix_of
from anew.observers.mongo.read.members import (
    EPOCH,
    MOST_NAME,
    REDACTED_CHARACTERS,
    Notes,
    PlainValues,
    items_of,
    mapping_of,
    moment_of,
    text_of,
    whole_of,
)
from anew.observers.mongo.read.naming import number_of, started_at, text_of_id
from anew.observers.mongo.read.sacred_files import Files, Put
from anew.observers.mongo.read.sacred_output import output_events
from anew.observers.mongo.read.sacred_series import all_series, points_in_order
from anew.observers.mongo.view import clean
from anew.runner import events as ev
from anew.runner.dataclass import dataclass
from anew.runner.errors import StoreError
from anew.runner.format import ids
from anew.runner.format.redact import redact_name_value, redact_text
from anew.runner.records import (
    CommandFacts,
    EnvironmentFacts,
    ErrorFacts,
    ForeignFacts,
    GitFacts,
    GpuFacts,
    HardwareFacts,
    RunRecord,
    SeedFacts,
    SourceFacts,
    Status,
)

if TYPE_CHECKING:
    from pymongo.database import Database

WRITER = "sacred"
ALIVE_S = 120
_MOST_TRACE = 2**20
_MOST_ITEMS = 10_000
_ERROR = re.compile(r"([^\W\d][\w.]*)(?:: (.*))?", re.DOTALL)
# as `platform.platform()` has it
_PLATFORM = re.compile(r"(Linux)-(.+)-(x86_64|aarch64|arm64|ppc64le|s390x|riscv64|i686)(?:-with-.*)?")
_ENDED = {
    "COMPLETED": Status.COMPLETED,
    "FAILED": Status.FAILED,
    "INTERRUPTED": Status.INTERRUPTED,
    "TIMEOUT": Status.INTERRUPTED,
}
_GOING = ("QUEUED", "RUNNING")

E = TypeVar("E", bound=ev.Event)


def light_record(database: Database[dict[str, Any]], document: Mapping[str, Any]) -> RunRecord:
    """
    Return a record as far as the run's document says; nothing is fetched.

    Files and the series of metrics are not in it. A run that has not ended is LOST when it gave no sign of life for two
    minutes. `id` is the document's where that is a number that a run may have, else None.

    Raises:
        StoreError: The document has no identifier.
    """
    notes = Notes()
    record = _record(_name_of(database), document, notes)
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
        StoreError: The database cannot be read, or the document has no identifier.
    """
    notes = Notes()
    identity = _identity(document)
    light = _record(_name_of(database), document, notes)
    files = Files(database, put, notes)
    root = light.source.root or ""
    sources = files.sources(items_of(mapping_of(document.get("experiment")).get("sources")), root)
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
        inputs=files.inputs(items_of(document.get("resources")), root),
    )
    first = replace(first, warnings=(*light.warnings, *notes.take()))
    yield ev.RunStarted(uid=light.uid, writer="run", q=0, t=0.0, record=first)
    make = _Numbered(light.uid)
    end_s = max(0.0, ((light.heartbeat_at or light.started_at) - light.started_at).total_seconds())
    for t, step, values in points_in_order(all_series(database, identity, light.started_at, notes)):
        yield make(ev.MetricsLogged, t, step=step, values=values)
    yield from output_events(light.uid, document.get("captured_out"), end_s, notes)
    for moment, artifact in files.artifacts(items_of(document.get("artifacts"))):
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


def _identity(document: Mapping[str, Any]) -> Any:
    """Return a document's identifier, whatever it is; in a query it is used behind `$eq`, and means itself alone."""
    from bson import Regex

    found = document.get("_id", document)
    if found is document or isinstance(found, (list, Regex)):
        raise StoreError("A document in the collection 'runs' is no run: it has no identifier that MongoDB takes.")
    return found


# --- the record -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Times:
    """When a run started, gave its last sign of life, and ended; `known` is whether Sacred said when it started."""

    started_at: datetime
    beat_at: datetime
    ended_at: datetime | None
    known: bool


def _times(document: Mapping[str, Any]) -> _Times:
    started, known = started_at(document)
    beat, stop = (moment_of(document.get(name)) for name in ("heartbeat", "stop_time"))
    beat = max(started, beat or started)
    if not _ended(document):
        return _Times(started, beat, None, known)
    ended = max(started, stop or beat)
    return _Times(started, max(beat, ended), ended, known)


def _ended(document: Mapping[str, Any]) -> Status | None:
    """Return how a run ended, None if it has not; a status of a program's own is that of an interrupt."""
    status = document.get("status")
    # code is a kind of str to pymongo, one without a hash
    if type(status) is not str or status in _GOING:
        return None
    known = _ENDED.get(status)
    if known is not None or moment_of(document.get("stop_time")):
        return known or Status.INTERRUPTED
    # such as DIED: whoever wrote that need not say when; nor does PAUSED mean an end
    beat = moment_of(document.get("heartbeat"))
    return None if beat is not None and _is_recent(beat) else Status.INTERRUPTED


def _uid(name: str, identity: Any, started: datetime) -> str:
    """Return a uid that is the same wherever and whenever the run is read: a ULID, with a digest for chance."""
    milliseconds = (started - EPOCH) // timedelta(milliseconds=1)
    told = json.dumps([name, "text" if isinstance(identity, str) else "other", str(identity), milliseconds])
    chance = int.from_bytes(hashlib.sha256(told.encode("ascii")).digest()[:10], "big")
    return ids.at(milliseconds, chance)


def _name_of(database: Database[dict[str, Any]]) -> str:
    prefix = prefix_of(database)
    return f"{database.name}/{prefix}" if prefix else database.name


def _record(database_name: str, document: Mapping[str, Any], notes: Notes) -> RunRecord:
    identity = _identity(document)
    times, ended = _times(document), _ended(document)
    walk = PlainValues()
    config = walk.value(mapping_of(document.get("config")))
    result = walk.value(document.get("result"))
    info = walk.value(
        {key: item for key, item in mapping_of(document.get("info")).items() if not _is_listing(key, item)}
    )
    if walk.cut:
        notes.add("The configuration, result or info is too large or nested too deep; what is left out is '...'.")
    if document.get("status") == "QUEUED":
        notes.add("Sacred put this run into a queue; it is not known to have started.")
    seed = _seed(document)
    meta = mapping_of(document.get("meta"))
    record = RunRecord(
        uid=_uid(database_name, identity, times.started_at),
        id=number_of(identity),
        experiment=_experiment_name(document),
        started_at=times.started_at,
        status=ended or _guess(document, times),
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
        note=redact_text(text_of(meta.get("comment"), REDACTED_CHARACTERS)) or None,
        error=_error(document) if ended is Status.FAILED else None,
        foreign=ForeignFacts(
            program="sacred",
            id=text_of_id(identity),
            status=_own_status(document),
            command=_command_name(document),
        ),
    )
    return replace(record, warnings=(_unknown(record, times),))


def _own_status(document: Mapping[str, Any]) -> str:
    """Return a status that we have no word for; "" for one that we have."""
    status = document.get("status")
    is_ours = type(status) is not str or status in (*_GOING, "COMPLETED", "FAILED", "INTERRUPTED")
    return "" if is_ours else text_of(status, 100).strip()


def _guess(document: Mapping[str, Any], times: _Times) -> Status:
    if document.get("status") == "QUEUED":
        return Status.QUEUED
    return Status.RUNNING if _is_recent(times.beat_at) else Status.LOST


def _is_recent(beat: datetime) -> bool:
    return datetime.now(timezone.utc) - beat <= timedelta(seconds=ALIVE_S)


def _is_listing(key: Any, item: Any) -> bool:
    """Whether a member of info is Sacred's list of where metrics are."""
    return bool(
        key == "metrics"
        and isinstance(item, (list, tuple))
        and all(isinstance(each, Mapping) and set(each) == {"id", "name"} for each in item)
    )


def _experiment_name(document: Mapping[str, Any]) -> str:
    facts = mapping_of(document.get("experiment"))
    # records of long ago have it above
    found = text_of(facts.get("name"), MOST_NAME) or text_of(document.get("name"), MOST_NAME)
    return found.replace("\0", "").strip() or PurePosixPath(text_of(facts.get("mainfile"), MOST_NAME)).stem or "sacred"


def _seed(document: Mapping[str, Any]) -> int | None:
    seed = whole_of(mapping_of(document.get("config")).get("seed"))
    return seed if seed is not None and 0 <= seed < 2**32 else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(text_of(item) for item in items_of(value)[:_MOST_ITEMS] if isinstance(item, str))


def _overrides(document: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(map(_argument, _texts(mapping_of(mapping_of(document.get("meta")).get("options")).get("UPDATE"))))


def _argument(word: str) -> str:
    name, mark, value = word[:REDACTED_CHARACTERS].partition("=")
    return f"{name}={redact_name_value(name, value)}" if mark else redact_text(name)


def _command(document: Mapping[str, Any]) -> CommandFacts:
    """Return the words that are known to have been typed; the options of Sacred's own command line are not."""
    mainfile = text_of(mapping_of(document.get("experiment")).get("mainfile"))
    name = _command_name(document)
    updates = _overrides(document)
    words = (mainfile, name, *(("with", *updates) if updates else ()))
    return CommandFacts(argv=tuple(word for word in words if word), cwd="", entry="sacred", target=mainfile)


def _command_name(document: Mapping[str, Any]) -> str:
    meta = mapping_of(document.get("meta"))
    return (
        text_of(mapping_of(meta.get("options")).get("COMMAND"))
        or text_of(meta.get("command"))
        or text_of(document.get("command"))
    )


def _source(document: Mapping[str, Any]) -> SourceFacts:
    facts = mapping_of(document.get("experiment"))
    repositories = [each for each in items_of(facts.get("repositories"))[:100] if isinstance(each, Mapping)]
    git = [
        GitFacts(
            commit=text_of(each.get("commit"), 100) or None,
            branch=None,
            dirty=each.get("dirty") is True,
            remote=redact_text(text_of(each.get("url"), REDACTED_CHARACTERS)) or None,
        )
        for each in repositories
    ]
    others = (f"It also uses files of {each.remote or 'a repository'} at commit {each.commit}." for each in git[1:])
    return SourceFacts(
        root=text_of(facts.get("base_dir")) or None, git=git[0] if git else None, notes=tuple(others), method="imports"
    )


def _environment(document: Mapping[str, Any]) -> EnvironmentFacts | None:
    host, facts = mapping_of(document.get("host")), mapping_of(document.get("experiment"))
    version = host.get("python_version")
    if isinstance(version, (list, tuple)) and version:  # as Sacred once wrote it: implementation, version
        version = version[-1]
    variables = {
        text_of(name): redact_name_value(text_of(name, 200), text_of(value, REDACTED_CHARACTERS))
        for name, value in list(mapping_of(host.get("ENV")).items())[:_MOST_ITEMS]
        if isinstance(name, str) and isinstance(value, str)
    }
    packages = dict(_packages(facts.get("dependencies")))
    if not (isinstance(version, str) or packages or variables):
        return None
    return EnvironmentFacts(python=text_of(version, 100), packages=packages, variables=variables)


def _packages(value: Any) -> Iterator[tuple[str, str]]:
    for item in items_of(value)[:_MOST_ITEMS]:
        pair = item.partition("==")[::2] if isinstance(item, str) else items_of(item)
        if len(pair) == 2 and all(isinstance(each, str) for each in pair) and pair[0]:
            yield text_of(pair[0], 200), "" if pair[1] == "<unknown>" else text_of(pair[1], 200)


def _hardware(document: Mapping[str, Any]) -> HardwareFacts | None:
    host = mapping_of(document.get("host"))
    if not host:
        return None
    system = host.get("os")
    words = [text_of(each, 500) for each in (system if isinstance(system, (list, tuple)) else [system])[:2]]
    # "Linux", "Linux-6.1-x86_64-with-glibc2.36"
    name = words[-1] if len(words) == 2 and words[1].startswith(words[0]) else " ".join(filter(None, words))
    if found := _PLATFORM.fullmatch(name):
        name = " ".join(found.groups())
    cores = whole_of(host.get("cpu_count")) or 0
    return HardwareFacts(
        hostname=text_of(host.get("hostname"), 500),
        os=name,
        cpu_model=text_of(host.get("cpu"), 500),
        cpu_cores=cores,
        cpu_allowed=float(cores),
        gpus=tuple(_gpus(mapping_of(host.get("gpus")))),
    )


def _gpus(facts: Mapping[str, Any]) -> Iterator[GpuFacts]:
    for each in items_of(facts.get("gpus"))[:1000]:
        model = text_of(mapping_of(each).get("model"), 500)
        megabytes = whole_of(mapping_of(each).get("total_memory")) or 0
        if model:
            size = megabytes * 2**20 if 0 < megabytes < 2**40 else 0
            yield GpuFacts(name=model, memory_bytes=size, driver=text_of(facts.get("driver_version"), 100))


def _error(document: Mapping[str, Any]) -> ErrorFacts:
    trace = document.get("fail_trace")
    lines = [trace] if isinstance(trace, str) else [item for item in items_of(trace)[:100_000] if isinstance(item, str)]
    whole = "".join(line[:_MOST_TRACE] for line in lines)
    half = _MOST_TRACE // 2
    text = whole if len(whole) <= 2 * half else f"{whole[:half]}\n...\n{whole[-half:]}"
    # from the end: behind the exception there may be notes; one text may have a whole traceback in it
    tail = [line for item in lines[-100:] for line in ([item] if item is not trace else item[-half:].splitlines())]
    for line in reversed(tail[-1000:]):
        if match := _ERROR.fullmatch(line[:_MOST_TRACE].rstrip("\n")):
            return ErrorFacts(type=clean(match[1][:500]), message=clean(match[2] or ""), traceback=clean(text))
    last = tail[-1].strip() if tail else ""
    return ErrorFacts(type="Exception", message=text_of(last, _MOST_TRACE), traceback=clean(text))


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
