"""One run: all that is known of it, and in short what its page begins with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Annotated, Any

from msgspec import Meta

from anew.runner.errors import AnewError, RunNotFoundError
from anew.runner.format import ids
from anew.runner.format.serial import record_to_json, to_json
from anew.runner.query.columns import UNINTERESTING
from anew.runner.query.tabular import flatten
from anew.runner.records import RunRecord, Status
from anew.runner.server.parameters import defaults_of
from anew.runner.server.routes import Asked
from anew.runner.server.site import Site
from anew.runner.server.wire import cell
from anew.runner.store.curate import Trash
from anew.runner.store.happenings import happenings
from anew.runner.store.output_part import read_part
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.typed import as_typed
from anew.runner.sweep.told import children, run_to_json
from anew.runner.wording import ago, typed

Ref = Annotated[str, Meta(min_length=1, max_length=200, description="A number, a uid or its beginning, last.")]
Offset = Annotated[int, Meta(ge=0, le=2**53)]
_MOST_OUTPUT = 1 << 20
_MOST_EVENTS = 1_000
_MOST_METRICS = 1_000
MOST_FILES = 2_000
"""How many files of a kind an answer about a run has."""
_SYSTEM = "system/"


class RunAsked(Asked):
    """Which run."""

    run: Ref


class OutputAsked(Asked):
    """Which run, and from where on, in bytes."""

    run: Ref
    offset: Offset = 0
    limit: Annotated[int, Meta(ge=1, le=_MOST_OUTPUT)] = 1 << 18


class ConfigAsked(Asked, rename={"other": "with"}):
    """Which run, and what it is compared with: "default", or another run."""

    run: Ref
    other: Annotated[str, Meta(max_length=200)] = ""


class MetricsAsked(Asked):
    """Which run, and which of its metrics."""

    run: Ref
    q: Annotated[str, Meta(max_length=1000, description="What their names have in them, whatever its case.")] = ""
    offset: Offset = 0
    limit: Annotated[int, Meta(ge=1, le=_MOST_METRICS)] = 200


class EventsAsked(Asked):
    """Which run, and which of its events."""

    run: Ref
    offset: Offset = 0
    limit: Annotated[int, Meta(ge=1, le=_MOST_EVENTS)] = 200


def record_of(site: Site, ref: str) -> tuple[RunRecord, bool]:
    """Return a run, whole, and whether it was deleted. Raises as `RunStore.get`."""
    try:
        return site.store.get(ref), False
    except RunNotFoundError:
        if isinstance(site.store, RunFolders) and isinstance(ids.parse_ref(ref), ids.ByNumber):
            with suppress(AnewError):
                return Trash(site.store).get(ref), True
        raise


def run(site: Site, asked: RunAsked) -> dict[str, Any]:
    """What is known of a run; of very many metrics and files the first, with how many there are in all in `cut`."""
    record, deleted = record_of(site, asked.run)
    data = run_to_json(record, site.store)
    cut: dict[str, int] = {}
    metrics = data["metrics"]
    if len(metrics) > _MOST_METRICS:
        cut["metrics"] = len(metrics)
        data["metrics"] = {name: metrics[name] for name in islice(metrics, _MOST_METRICS)}
    for holder, name in ((data, "artifacts"), (data, "inputs"), (data["source"], "files")):
        if len(holder[name]) > MOST_FILES:
            cut[name] = len(holder[name])
            holder[name] = holder[name][:MOST_FILES]
    return {**data, "deleted": deleted, "cut": cut}


def metrics(site: Site, asked: MetricsAsked) -> dict[str, Any]:
    """The metrics of a run whose names have a text in them, in the order in which they were first logged."""
    record, _ = record_of(site, asked.run)
    text = asked.q.lower()
    found = [name for name in record.metrics if text in name.lower()]
    told = record_to_json(record, full=False)["metrics"]
    window = found[asked.offset : asked.offset + asked.limit]
    return {"metrics": {name: told[name] for name in window}, "total": len(found)}


def page(site: Site, asked: RunAsked) -> dict[str, Any]:
    """What the page of a run begins with: its facts in short, why it ended, its family, the commands for a terminal."""
    record, deleted = record_of(site, asked.run)
    data = record_to_json(record, full=False)
    return {
        "summary": {**_summary(record, data), "deleted": deleted},
        "why": why_of(record),
        "commands": [] if deleted else list(_commands(record, site.store.url)),
        "family": _family(site, record),
        "observers": [{"name": name, **state} for name, state in data["observers"].items()],
        "hardware": data["hardware"],
        "environment": data["environment"],
        "system_metrics": [name for name in record.metrics if name.startswith(_SYSTEM)][:_MOST_METRICS],
    }


def _summary(record: RunRecord, data: dict[str, Any]) -> dict[str, Any]:
    git = record.source.git
    return {
        "id": record.id,
        "uid": record.uid,
        "experiment": record.experiment,
        "status": record.state,
        "started": record.started_at.timestamp(),
        "ended": record.ended_at.timestamp() if record.ended_at else None,
        "duration": record.duration_s,
        "heard": record.heartbeat_at.timestamp() if record.heartbeat_at else None,
        "command": typed(record.command),
        "cwd": record.command.cwd,
        "user": record.command.user,
        "host": record.hardware.hostname if record.hardware else None,
        "seed": record.seed,
        "result": cell(record.result),
        "tags": list(record.tags),
        "note": record.note,
        "comments": data["comments"],
        "overrides": list(record.overrides),
        "commit": git.commit if git else None,
        "dirty": git.dirty if git else None,
        "exit_code": data.get("exit_code"),
        "verdict": data["verdict"],
        "warnings": data["warnings"],
    }


def why_of(record: RunRecord) -> str | None:
    """Return why a run did not come to its end, in a line; None where it did, or goes on."""
    if record.error is not None:
        message = record.error.message.strip().splitlines()
        return f"{record.error.type}: {message[0]}" if message else record.error.type
    if record.status is Status.LOST:
        heard = f" Its last sign of life was {ago(record.heartbeat_at)}." if record.heartbeat_at else ""
        host = f" on {record.process.hostname}" if record.process else ""
        return f"Its process{host} died without saying how: it was killed, or the machine went down.{heard}"
    if record.status is Status.UNKNOWN:
        return "Nothing was heard of it since: it goes on or has ended, which is known where it was started."
    signal = getattr(record, "signal", None)
    if record.status is Status.INTERRUPTED:
        return f"It was stopped by {signal}." if signal else "It was stopped before its end."
    if record.status is Status.FAILED:
        return f"It was ended by {signal}." if signal else "It failed, and left no error."
    return None


def _commands(record: RunRecord, url: str) -> Iterator[dict[str, str]]:
    number = record.id
    told = [("Everything known of it", f"anew show {number}")]
    follow = " -f" if not record.status.final else ""
    told.append(("What it printed", f"anew logs {number}{follow}"))
    if record.metrics:
        told.append(("Its curves", f"anew plot {number} {_first(record)}"))
    told.append(("Its files", f"anew get {number}"))
    if record.rerun_of is not None and record.rerun_of.id is not None:
        told.append(("What differs from the run that it repeats", f"anew diff {record.rerun_of.id} {number}"))
    told.append(("Run it again", f"anew rerun {number}"))
    yield from ({"what": what, "command": as_typed(command, url)} for what, command in told)


def _first(record: RunRecord) -> str:
    import shlex

    names = [name for name in record.metrics if not name.startswith(UNINTERESTING)] or [*record.metrics]
    return shlex.quote(names[0])


def _family(site: Site, record: RunRecord) -> dict[str, Any]:
    again = site.store.find(f"rerun_of == {record.id}") if record.id is not None else []
    data = record_to_json(record, full=False)
    return {
        "sweep": data["sweep"],
        "parent": data["parent"],
        "children": children(record, site.store),
        "rerun_of": data["rerun_of"],
        "reruns": [{"id": each.id, "verdict": each.verdict.verdict if each.verdict else None} for each in again],
        "why": data["why"],
    }


def output(site: Site, asked: OutputAsked) -> dict[str, Any]:
    """What a run printed, from a place on; `next` is where it goes on, `size` how much there is by now."""
    store = site.folders
    number = store.resolve(asked.run)
    record = site.rows.records([number]).get(number)
    live = record is not None and not record.status.final
    part = read_part(store.present(number), asked.offset, asked.limit, live=live)
    return {"text": part.text, "next": part.end, "size": part.size, "live": live}


def config(site: Site, asked: ConfigAsked) -> dict[str, Any]:
    """A run's configuration, as a tree and by keys; and what of it is other than by default, or in another run."""
    record, _ = record_of(site, asked.run)
    flat = flatten(record.config)
    answer: dict[str, Any] = {
        "tree": cell(dict(record.config)),
        "flat": {key: cell(value) for key, value in flat.items()},
        "overrides": list(record.overrides),
    }
    if asked.other == "default":
        was, known = defaults_of(record, site.store)
        touched = {each.lstrip("+~").partition("=")[0] for each in record.overrides}
        keys = [key for key in flat if key in touched or (key in was and was[key] != flat[key])]
        answer["differences"] = [{"key": key, "was": cell(was.get(key)), "now": cell(flat[key])} for key in keys]
        answer["known"] = known
    elif asked.other:
        was = flatten(site.store.get(asked.other).config)
        keys = [
            key for key in dict.fromkeys((*was, *flat)) if key not in was or key not in flat or was[key] != flat[key]
        ]
        answer["differences"] = [
            {"key": key, "was": cell(was.get(key)), "now": cell(flat.get(key)), "only": _only(key, was, flat)}
            for key in keys
        ]
    return answer


def _only(key: str, was: dict[str, Any], now: dict[str, Any]) -> str | None:
    """Return the side that alone has a key."""
    return None if key in was and key in now else "was" if key in was else "now"


def events(site: Site, asked: EventsAsked) -> dict[str, Any]:
    """What happened in a run, but for its points and its output, which are had elsewhere; oldest first."""
    store = site.folders
    found = _told_events(store, asked.run)
    window = [*islice(found, asked.offset, asked.offset + asked.limit)]
    end = asked.offset + len(window)
    rest = sum(1 for _ in found)
    return {"events": window, "next": end if rest else None, "total": end + rest}


def _told_events(store: RunFolders, ref: str) -> Iterator[dict[str, Any]]:
    run = store.look_up(ref)
    for event in happenings(store.present(run.number), run.record):
        data = to_json(event)
        record = data.pop("record", None)
        if record is not None:
            data["started_at"] = record["started_at"]
        yield {"kind": type(event).__name__, **data}
