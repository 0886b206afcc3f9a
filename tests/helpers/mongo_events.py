"""Runs as their events, delivered to MongoDB as a follower does it, and what has to be there afterwards."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pymongo.database import Database

from anew.observers.mongo.chunks import chunk_of, entries_of, events_of
from anew.observers.mongo.fold import unpack
from anew.observers.mongo.observer import MongoObserver
from anew.runner import events as ev
from anew.runner.contracts import RunStore
from anew.runner.errors import UnavailableError
from anew.runner.format import ids, serial
from anew.runner.format.replay import replay
from anew.runner.records import (
    CommandFacts,
    ContentRef,
    EnvironmentFacts,
    ErrorFacts,
    GitFacts,
    HardwareFacts,
    RunRecord,
    SeedFacts,
    SourceFacts,
    Status,
    Verdict,
)
from anew.runner.store.folder import FolderStore

Db = Database[dict[str, Any]]
STARTED = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=timezone.utc)
PATIENCE = 400
TRACE = 'Traceback (most recent call last):\n  File "train.py", line 3\nValueError: diverged\n'


def a_record(**changes: Any) -> RunRecord:
    """Return the record of a run that has just started."""
    given: dict[str, Any] = {
        "uid": ids.new_uid(),
        "id": 7,
        "experiment": "digits",
        "started_at": STARTED,
        "command": CommandFacts(argv=("train.py", "lr=0.1"), cwd="/project", target="train.py", function="train:main"),
        "config": {"lr": 0.1, "optimizer": {"name": "sgd"}, "seed": 7},
        "overrides": ("lr=0.1",),
        "seed": 7,
        "seeds": SeedFacts(root=7),
        "source": SourceFacts(root="/project", git=GitFacts(commit="abc", branch="main", dirty=True, diff="+x\n" * 9)),
        "environment": EnvironmentFacts(python="3.11.7", packages={"numpy": "2.0"}, variables={"HOME": "/h"}),
        "hardware": HardwareFacts(hostname="node1", os="Linux 6.1 x86_64", cpu_model="a cpu"),
        **changes,
    }
    return RunRecord(**given)


def start_of(record: RunRecord) -> ev.RunStarted:
    return ev.RunStarted(uid=record.uid, writer="run", q=0, t=0.0, record=record)


def end_of(record: RunRecord, status: Status = Status.COMPLETED, t: float = 90.0, **more: Any) -> ev.RunEnded:
    error = ErrorFacts(type="ValueError", message="diverged", traceback=TRACE) if status is Status.FAILED else None
    return ev.RunEnded(
        uid=record.uid,
        writer="outcome",
        q=0,
        t=t,
        status=status,
        ended_at=record.started_at + timedelta(seconds=t),
        duration_s=t,
        **{"result": 0.25, "error": error, **more},
    )


def points(
    record: RunRecord,
    count: int,
    *,
    names: Sequence[str] = ("loss",),
    writer: str = "main",
    after: int = 0,
    every_s: float = 0.001,
) -> list[ev.MetricsLogged]:
    """Return events that log all the names, each value another one."""
    return [
        ev.MetricsLogged(
            uid=record.uid,
            writer=writer,
            q=q,
            t=q * every_s,
            step=q - 1,
            values={name: q + at / 1000 for at, name in enumerate(names)},
        )
        for q in range(after + 1, after + count + 1)
    ]


def pieces(record: RunRecord, texts: Iterable[str], *, offset: int = 0, after: int = 0) -> list[ev.OutputCaptured]:
    """Return captured output, one text behind the other."""
    events = []
    for q, text in enumerate(texts, after + 1):
        events.append(ev.OutputCaptured(uid=record.uid, writer="output", q=q, t=0.5, text=text, offset=offset))
        offset += len(text.encode())
    return events


def put(store: FolderStore, path: str, data: bytes) -> ContentRef:
    """Put content into a store."""
    return ContentRef(path=path, sha256=store.objects.put_bytes(data), size=len(data))


def whole_run(
    store: FolderStore, *, seed: int = 0, count: int = 300, status: Status = Status.COMPLETED
) -> list[ev.Event]:
    """Return a run in which all kinds of events happen, on two writers; points most of all."""
    chance = random.Random(seed)
    source = SourceFacts(root="/project", files=(put(store, "train.py", b"import helper\n"),))
    record = a_record(source=source, tags=("first",), note="at the start")
    uid = record.uid
    events: list[ev.Event] = []
    numbers: dict[str, int] = defaultdict(int)
    offset = 0

    def add(kind: type[ev.Event], writer: str = "main", **members: Any) -> None:
        numbers[writer] += 1
        events.append(kind(uid=uid, writer=writer, q=numbers[writer], t=len(events) / 100, **members))

    for step in range(count):
        values: dict[str, float | int] = {"loss": 1 / (step + 1), "val.acc": step}
        if step % 7 == 0:
            values["rare"] = chance.choice([float("nan"), float("inf"), 2**70, -1.5])
        add(ev.MetricsLogged, step=step, values=values)
        if chance.random() < 0.3:
            add(ev.MetricsLogged, writer="1.child", step=step, values={"loss.child": float(step)})
        if chance.random() < 0.3:
            text = f"step {step} " + "x" * chance.randrange(50) + "\n"
            add(ev.OutputCaptured, writer="output", text=text, offset=offset)
            offset += len(text)
        kind = chance.random()
        if kind < 0.04:
            add(ev.InfoSet, values={"seen": {str(step): step}, "a.b": step})
        elif kind < 0.06:
            add(ev.ArtifactAdded, artifact=put(store, f"model{step % 3}.pt", b"weights %d" % step))
        elif kind < 0.08:
            add(ev.SourceAdded, files=(put(store, f"pkg/late{step}.py", b"late = %d\n" % step),))
        elif kind < 0.10:
            add(ev.InputUsed, writer="1.child", input=put(store, f"data{step}.csv", b"%d,1\n" % step))
        elif kind < 0.12:
            add(ev.TagsChanged, added=(f"tag{step % 4}",), removed=("first", f"tag{(step + 1) % 4}"))
        elif kind < 0.14:
            add(ev.NoteSet, text=f"note {step}")
        elif kind < 0.16:
            add(ev.Warned, text=f"warning {step}")
        elif kind < 0.18:
            add(ev.SeedsSet, seeded={"numpy": step})
        elif kind < 0.20:
            add(ev.Heartbeat)
    t = len(events) / 100
    end = end_of(record, status, t)
    later = [
        ev.TagsChanged(uid=uid, writer="2.later", q=1, t=t + 5, added=("kept",)),
        ev.Judged(uid=uid, writer="2.later", q=2, t=t + 6, verdict=Verdict(verdict="identical")),
    ]
    return [start_of(record), *events, end, *later]


def batches_of(events: Sequence[ev.Event], sizes: Callable[[], int]) -> Iterator[list[ev.Event]]:
    """Yield events, without the start, in batches."""
    at = 1
    while at < len(events):
        size = sizes()
        yield list(events[at : at + size])
        at += size


def deliver(
    build: Callable[[], MongoObserver],
    events: Sequence[ev.Event],
    *,
    store: RunStore | None = None,
    seed: int = 0,
    batch: int = 40,
    restarts: float = 0.0,
    repeats: float = 0.0,
) -> None:
    """
    Deliver a run as a follower does: each batch again until it is taken, by the same instance or a new one.

    Args:
        build: Makes an instance.
        events: The run's; the start is the first.
        store: What an instance is given to read files from.
        seed: Decides about chance.
        batch: How many events a batch has at most.
        restarts: How likely a new instance takes up the run before a batch.
        repeats: How likely a batch that was taken is delivered again.
    """
    chance = random.Random(seed)
    observer: MongoObserver | None = None
    tries = 0

    def hand_over(action: Callable[[MongoObserver], None]) -> None:
        nonlocal observer, tries
        while True:
            try:
                if observer is None:
                    observer = build()
                    if store is not None:
                        observer.begin(store)
                    observer.handle(events[0])
                action(observer)
                return
            except UnavailableError:
                tries += 1
                assert tries < PATIENCE, "it is never taken"
                time.sleep(0.02)  # it is refused at once while a server starts
                if observer is not None and chance.random() < 0.5:
                    observer.close()
                    observer = None

    def one_at_a_time(some: Sequence[ev.Event]) -> None:
        for event in some:
            hand_over(lambda observer, event=event: observer.handle(event))  # type: ignore[misc]

    for some in batches_of(events, lambda: chance.randint(1, batch)):
        if observer is not None and chance.random() < restarts:
            observer.close()
            observer = None
        if chance.random() < 0.1:
            one_at_a_time(some)
        else:
            hand_over(lambda observer: observer.handle_many(some))  # noqa: B023  # called at once
        if chance.random() < repeats:
            hand_over(lambda observer: observer.handle_many(some))  # noqa: B023
    if observer is not None:
        observer.close()


# --- what is there ----------------------------------------------------------------------------------------------


def run_of(db: Db, uid: str) -> dict[str, Any]:
    """Return the run's document."""
    found = list(db["runs"].find({"anew.uid": uid}))
    assert len(found) == 1, f"there are {len(found)} documents"
    return found[0]


def kept_points(db: Db, run_id: int) -> dict[str, list[tuple[Any, Any, datetime]]]:
    """Return the points of each metric, part after part: step, value, time."""
    kept: dict[str, list[tuple[Any, Any, datetime]]] = defaultdict(list)
    for document in db["metrics"].find({"run_id": run_id}).sort([("name", 1), ("anew.part", 1)]):
        arrays = [document["steps"], document["values"], document["timestamps"]]
        assert len({len(array) for array in arrays}) == 1, f"{document['name']}: {[len(array) for array in arrays]}"
        assert document["anew"]["n"] == len(arrays[0])
        arrays[2] = [moment.astimezone(timezone.utc) for moment in arrays[2]]
        kept[document["name"]] += zip(*arrays, strict=True)
    return dict(kept)


def logged_points(events: Iterable[ev.Event], started_at: datetime) -> dict[str, list[tuple[Any, Any, datetime]]]:
    """Return the points that were logged, as MongoDB keeps them."""
    logged: dict[str, list[tuple[Any, Any, datetime]]] = defaultdict(list)
    for event in events:
        if isinstance(event, ev.MetricsLogged):
            moment = started_at + timedelta(milliseconds=round(event.t * 1000))
            moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
            for name, value in event.values.items():
                shown = float(value) if isinstance(value, int) and abs(value) >= 2**63 else value
                logged[name].append((event.step, shown, moment))
    return dict(logged)


def kept_events(db: Db, uid: str) -> dict[tuple[str, int], ev.Event]:
    """Return the events in the journal by writer and number, but for the start and the output."""
    found: dict[tuple[str, int], ev.Event] = {}
    for chunk in _chunks(db, uid):
        for event in events_of(uid, chunk_of(chunk)):
            known = found.setdefault((event.writer, event.q), event)
            assert str(known) == str(event)
    return found


def kept_output(db: Db, uid: str) -> str:
    """Return the captured output as the pieces in the journal make it."""
    log = bytearray()
    numbers: list[int] = []
    for chunk in _chunks(db, uid):
        if chunk[0]["w"] == "output":
            for _, entry in entries_of(chunk_of(chunk)):
                numbers.append(entry["q"])
                log[entry["o"] :] = entry["x"].encode()
    assert numbers == list(range(1, len(numbers) + 1))
    return log.decode()


def _chunks(db: Db, uid: str) -> Iterator[list[Mapping[str, Any]]]:
    parts: list[Mapping[str, Any]] = []
    for document in db["anew_journal"].find({"run": uid}).sort([("w", 1), ("q", 1), ("part", 1)]):
        parts.append(document)
        if document["part"] == document["parts"] - 1:
            yield parts
            parts = []
    assert not parts


def printed(events: Iterable[ev.Event]) -> str:
    """Return the captured output of events in order."""
    log = bytearray()
    for event in events:
        if isinstance(event, ev.OutputCaptured):
            log[event.offset :] = event.text.encode()
    return log.decode()


def told(value: Any) -> str:
    """Return a value as text, in which NaN equals NaN."""
    return repr(value)


def assert_kept(db: Db, events: Sequence[ev.Event], *, in_order: bool = True) -> dict[str, Any]:
    """Look at everything that is kept of a run that has been delivered whole; return its document."""
    start = events[0]
    assert isinstance(start, ev.RunStarted)
    uid, record = start.uid, start.record
    run = run_of(db, uid)
    kept, logged = kept_points(db, run["_id"]), logged_points(events, record.started_at)
    assert kept.keys() == logged.keys()
    for name, expected in logged.items():
        order = (lambda some: some) if in_order else (lambda some: sorted(some, key=repr))
        if told(order(kept[name])) != told(order(expected)):
            pytest.fail(_difference(name, kept[name], expected))
    names = [each["name"] for each in run["info"]["metrics"]]
    assert sorted(names) == sorted(logged)
    _assert_record(run, events)
    expected_events = {
        (event.writer, event.q): told(event)
        for event in events
        if not isinstance(event, (ev.RunStarted, ev.OutputCaptured))
    }
    found = {key: told(event) for key, event in kept_events(db, uid).items()}
    assert found == expected_events
    assert kept_output(db, uid) == printed(events)
    if len(printed(events)) < 500_000:
        assert run["captured_out"] == printed(events)
    return run


def _assert_record(run: Mapping[str, Any], events: Sequence[ev.Event]) -> None:
    start = events[0]
    assert isinstance(start, ev.RunStarted)
    expected = replace(replay(start.record, events[1:]), id=run["_id"])
    kept = unpack(run["anew"]["record"], start.uid)
    assert kept is not None
    kept_json, expected_json = serial.light_to_json(kept), serial.light_to_json(expected)
    for name in expected_json:
        assert _sorted(kept_json[name]) == _sorted(expected_json[name]), name
    sources = dict(run["experiment"]["sources"])
    assert set(sources) == {file.path for file in expected.source.files if file.kept}
    assert [each["name"] for each in run["artifacts"]] == [file.path for file in expected.artifacts]


def _sorted(value: Any) -> Any:
    """Return a value with a metric's or a tag's place among others left out: two writers have no common order."""
    if isinstance(value, list):
        return sorted((_sorted(each) for each in value), key=repr)
    return {key: _sorted(item) for key, item in sorted(value.items())} if isinstance(value, dict) else value


def _difference(name: str, kept: Sequence[Any], logged: Sequence[Any]) -> str:
    at = next((at for at, pair in enumerate(zip(kept, logged, strict=False)) if repr(pair[0]) != repr(pair[1])), None)
    doubled = len(kept) - len({repr(point) for point in kept})
    return f"{name}: {len(kept)} points of {len(logged)}, {doubled} doubled; the first difference is at {at}"
