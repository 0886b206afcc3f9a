"""Events in a list: each once, in order, and what they come to."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import yaml

import anew.configs
from anew.observers.memory import MemoryObserver
from anew.runner import events as ev
from anew.runner.config.build import build_observer
from anew.runner.contracts import Observer
from anew.runner.errors import RunStateError
from anew.runner.format.replay import replay
from anew.runner.format.values import from_iso
from anew.runner.records import CommandFacts, RunRecord, Status
from tests.helpers.scripts import Project

STARTED = from_iso("2026-03-01T12:00:00.250000Z")
UID, OTHER = "01kjmz5n7a8y3v0c2xq9r4tw6b", "01kjmz5n7a8y3v0c2xq9r4tw6c"


def start(uid: str = UID) -> ev.RunStarted:
    record = RunRecord(
        uid=uid, experiment="digits", started_at=STARTED, command=CommandFacts(argv=("train.py",), cwd="/project")
    )
    return ev.RunStarted(uid=uid, writer="run", q=0, t=0.0, record=record)


def point(q: int, value: float, step: int, *, uid: str = UID, writer: str = "main") -> ev.MetricsLogged:
    return ev.MetricsLogged(uid=uid, writer=writer, q=q, t=q / 8, step=step, values={"loss": value})


def piece(q: int, offset: int, text: str) -> ev.OutputCaptured:
    return ev.OutputCaptured(uid=UID, writer="output", q=q, t=1.0, offset=offset, text=text)


def end(uid: str = UID) -> ev.RunEnded:
    return ev.RunEnded(
        uid=uid, writer="outcome", q=0, t=9.0, status=Status.FAILED, ended_at=STARTED, duration_s=9.0, result=0.5
    )


def taken(*events: ev.Event) -> MemoryObserver:
    memory = MemoryObserver()
    for event in events:
        memory.handle(event)
    return memory


def test_events_are_kept_in_the_order_in_which_they_came() -> None:
    events = (start(), point(1, 0.5, 3), piece(1, 0, "x"), point(2, 0.25, 1), point(1, 0.1, 0, writer="child"), end())

    memory = taken(*events)

    assert memory.events == events
    assert memory.of(ev.MetricsLogged) == (events[1], events[3], events[4])
    assert memory.of(ev.Event) == events
    assert memory.of(ev.Judged) == ()
    assert memory.points() == {"loss": [(3, 0.5), (1, 0.25), (0, 0.1)]}


def test_an_event_that_comes_twice_is_kept_once_and_in_its_place() -> None:
    events = (start(), point(1, 0.5, 1), point(2, 0.25, 2), end())

    memory = taken(*events, *events[1:3], start())

    assert memory.events == events


def test_the_record_is_what_the_events_come_to() -> None:
    events = (start(), point(1, 0.5, 3), ev.TagsChanged(uid=UID, writer="main", q=2, t=1.0, added=("a",)), end())

    record = taken(*events).record()

    assert record == replay(start().record, events[1:])
    assert (record.status, record.tags, record.metrics["loss"].last, record.result) == (Status.FAILED, ("a",), 0.5, 0.5)


def test_output_that_is_written_anew_takes_the_place_of_what_was_there() -> None:
    memory = taken(start(), piece(1, 0, "one\n"), piece(2, 4, " 50%\n"), piece(3, 9, "away\n"), piece(4, 4, "100%\n"))

    assert memory.output() == "one\n100%\n"


def test_of_several_runs_the_one_that_was_started_last_is_spoken_of() -> None:
    memory = taken(start(), point(1, 0.5, 1), start(OTHER), point(1, 7.0, 1, uid=OTHER), end())

    assert memory.points() == {"loss": [(1, 7.0)]}
    assert memory.points(UID) == {"loss": [(1, 0.5)]}
    assert memory.record().status is Status.RUNNING
    assert memory.record(UID).status is Status.FAILED
    assert memory.record(UID).uid == UID


def test_what_was_taken_stays_until_it_is_cleared() -> None:
    memory = taken(start(), end())

    memory.close()
    assert len(memory.events) == 2
    assert repr(memory) == "MemoryObserver(2 events)"
    memory.clear()
    assert list(memory.events) == []


def test_without_a_run_there_is_no_record() -> None:
    for memory in (MemoryObserver(), taken(point(1, 0.5, 1))):
        for ask in (memory.record, memory.points, memory.output):
            with pytest.raises(RunStateError, match="No run has been observed"):
                ask()
    with pytest.raises(RunStateError, match=f"'nothing'.*{UID}"):
        taken(start()).record("nothing")


def test_other_threads_may_look_while_events_come() -> None:
    memory = taken(start())
    failures: list[Exception] = []
    done = threading.Event()

    def look() -> None:
        try:
            while not done.is_set():
                assert len(memory.points().get("loss", [])) <= len(memory.events)
        except Exception as error:
            failures.append(error)

    watchers = [threading.Thread(target=look) for _ in range(3)]
    for watcher in watchers:
        watcher.start()
    for q in range(1, 3001):
        memory.handle(point(q, q / 2, q))
    done.set()
    for watcher in watchers:
        watcher.join()

    assert not failures
    assert len(memory.points()["loss"]) == 3000


def test_an_instance_given_in_python_has_the_run_afterwards(project: Path) -> None:
    trial = Project(project)
    trial.write(
        """\
from anew.observers.memory import MemoryObserver
memory = MemoryObserver()
experiment = Experiment("trial", observers=[memory])
@experiment.main
def main(n: int = 5, *, run: Run):
    for step in range(n):
        run.log({"loss": step / 2}, step=step)
    print("hello")
import atexit
@atexit.register
def last():
    with open("seen", "w") as file:
        print(memory.points()["loss"], memory.record().status, repr(memory.output()), file=file)
"""
    )

    trial.run()

    assert (project / "seen").read_text() == "[(0, 0.0), (1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0)] COMPLETED 'hello\\n'\n"


def test_the_configuration_that_comes_along_builds_the_observer() -> None:
    spec = yaml.safe_load((Path(anew.configs.__file__).parent / "anew" / "observers" / "memory.yaml").read_text())

    assert spec.pop("host") == "thread"
    observer = build_observer("memory", spec)

    assert isinstance(observer, MemoryObserver)
    assert isinstance(observer, Observer)
