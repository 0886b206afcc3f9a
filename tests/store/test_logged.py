"""What a writer tells of its journal is what a reader finds in it, whatever came between."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anew.runner import events as ev
from anew.runner.format import serial
from anew.runner.records import CommandFacts, ContentRef, RunRecord, Status
from anew.runner.store import reading
from anew.runner.store.files import write_new
from anew.runner.store.journal import JournalWriter
from anew.runner.store.lines import Flaw, iter_journal
from anew.runner.store.logged import Told
from anew.runner.store.paths import RunLayout
from anew.runner.store.reading import read_run

START = RunRecord(
    uid="u" * 26,
    experiment="e",
    started_at=datetime(2026, 1, 2, tzinfo=timezone.utc),
    command=CommandFacts(argv=(), cwd="/"),
    status=Status.RUNNING,
)


def run_in(folder: Path) -> RunLayout:
    layout = RunLayout(folder)
    layout.events.mkdir(parents=True)
    write_new(layout.record, serial.seal(serial.start_to_json(START)))
    return layout


def journal(layout: RunLayout, writer: str = "main") -> JournalWriter:
    began = time.monotonic()
    return JournalWriter(layout.journal(writer), clock=lambda: time.monotonic() - began)


def told_by(writer: JournalWriter) -> Told:
    writer.close()
    told = writer.told()
    assert told is not None
    return told


def alike(layout: RunLayout, told: Told | None) -> bool:
    """Whether a record is the same with and without what the writer tells; NaN is like NaN."""
    quick, read = read_run(layout, 1, told), read_run(layout, 1)
    return repr(quick) == repr(read)


def reads_again(layout: RunLayout, told: Told, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the journal is read in spite of what its writer tells."""
    read: list[Path] = []

    def iterate(path: Path) -> Iterator[dict[str, Any] | Flaw]:
        read.append(path)
        return iter_journal(path)

    with monkeypatch.context() as patch:
        patch.setattr(reading, "iter_journal", iterate)
        assert alike(layout, told)
    return read.count(told.path) > 1


NUMBERS = st.one_of(
    st.floats(),
    st.integers(-(2**70), 2**70),
    st.booleans(),
    st.floats(allow_nan=False).map(np.float64),
    st.integers(-100, 100).map(np.int64),
)
CALLS = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(["a", "b", "c%d", "näme", "d/e"]), NUMBERS, min_size=1, max_size=4),
        st.one_of(st.none(), st.integers(-3, 5), st.integers(2**62, 2**63 - 1)),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(calls=CALLS)
def test_it_tells_what_its_lines_come_to(tmp_path_factory: pytest.TempPathFactory, calls: Sequence[Any]) -> None:
    layout = run_in(tmp_path_factory.mktemp("run"))
    writer = journal(layout)
    for values, step in calls:
        writer.log(values, step)
    assert alike(layout, told_by(writer))


@pytest.mark.parametrize("values", [{"a": 0.5}, {"a": 0.5, "b": 1.5}, {"a": 3, "b": math.nan}])
def test_many_points_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: Mapping[str, float]
) -> None:
    layout = run_in(tmp_path)
    writer = journal(layout)
    for step in range(2000):
        writer.log({name: number * step for name, number in values.items()}, step)
    told = told_by(writer)
    assert not reads_again(layout, told, monkeypatch)
    assert {name: each.count for name, each in told.metrics.items()} == dict.fromkeys(values, 2000)


def test_other_lines_between_points_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = run_in(tmp_path)
    writer = journal(layout)
    for step in range(100):
        writer.log({"a": float(step)}, step)
        writer.append(*serial.body(ev.TagsChanged, added=(f"t{step}",)))
        writer.append(*serial.body(ev.ArtifactAdded, artifact=ContentRef(path="p", sha256="0" * 64, size=step)))
    told = told_by(writer)
    assert not reads_again(layout, told, monkeypatch)
    record = read_run(layout, 1, told)
    assert record is not None
    assert len(record.tags) == 100
    assert record.artifacts[0].size == 99


def test_beside_signs_of_life_of_the_guard_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = run_in(tmp_path)
    writer, guard = journal(layout), journal(layout, "guard")
    writer.log({"a": 1.0}, 0)
    guard.append(*serial.body(ev.Heartbeat))
    guard.close()
    assert not reads_again(layout, told_by(writer), monkeypatch)


def test_beside_points_of_a_child_all_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = run_in(tmp_path)
    writer, child = journal(layout), journal(layout, "p1")
    for step in range(3):
        writer.log({"a": 1.0 + step}, step)
        child.log({"a": -1.0 - step}, step + 10)
    child.close()
    assert reads_again(layout, told_by(writer), monkeypatch)


def harm_a_tag(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"first"', b'"fIrst"'))


@pytest.mark.parametrize("harm", [harm_a_tag, lambda path: os.truncate(path, 10), Path.unlink])
def test_a_file_that_is_not_what_was_written_is_read(tmp_path: Path, harm: Any) -> None:
    layout = run_in(tmp_path)
    writer = journal(layout)
    writer.append(*serial.body(ev.TagsChanged, added=("first",)))
    writer.log({"a": 1.0}, 0)
    told = told_by(writer)
    harm(told.path)
    assert alike(layout, told)


@pytest.mark.parametrize("written", [0, 25, None])
def test_a_write_that_was_broken_off_is_told_right_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int | None
) -> None:
    layout = run_in(tmp_path)
    writer = journal(layout)
    writer.log({"a": 1.0}, 1)
    write = os.write

    def interrupted(descriptor: int, data: bytes) -> int:
        write(descriptor, data[:written])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            writer.log({"a": 2.0}, 2)
    writer.log({"a": 1.5}, 3)
    writer.close()
    assert (writer.told() is None) == (written is None)
    assert alike(layout, writer.told())


def test_threads_and_signal_handlers_wait_for_each_other_without_end_and_tell_all(tmp_path: Path) -> None:
    """The thread that logs first goes without the lock; nobody may come between, nor wait for ever."""
    script = f"""
import signal, sys, threading, time
sys.path[:0] = {sys.path!r}
from pathlib import Path
from anew.runner.store.journal import JournalWriter
from anew.runner.store.lines import Flaw, iter_journal
path = Path({str(tmp_path)!r}) / "a.jsonl"
journal = JournalWriter(path, clock=time.monotonic)
journal.log({{"first": 0.0}}, 0)
counts = {{"first": 1, "handler": 0, "other": 0, "another": 0}}
def handler(*_):
    journal.log({{"handler": 1.0}}, counts["handler"])
    counts["handler"] += 1
def others(name):
    for step in range(3000):
        journal.log({{name: 2.0}}, step)
        counts[name] += 1
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
sys.setswitchinterval(1e-5)
threads = [threading.Thread(target=others, args=(name,)) for name in ("other", "another")]
[thread.start() for thread in threads]
while any(thread.is_alive() for thread in threads):
    journal.log({{"first": 3.0}}, counts["first"])
    counts["first"] += 1
signal.setitimer(signal.ITIMER_REAL, 0)
[thread.join() for thread in threads]
journal.close()
found = list(iter_journal(path))
assert not [item for item in found if isinstance(item, Flaw)]
seen = dict.fromkeys(counts, 0)
for entry in found:
    for name in entry["m"]:
        seen[name] += 1
told = journal.told()
assert counts == seen == {{name: each.count for name, each in told.metrics.items()}}, (counts, seen)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=100)


def test_a_journal_closed_by_another_thread_is_written_by_none_after(tmp_path: Path) -> None:
    """The first thread has no lock: its descriptor may not be closed, and given to another file, in its middle."""
    writer = JournalWriter(tmp_path / "a.jsonl", clock=time.monotonic)
    refused = threading.Event()

    def log() -> None:
        try:
            step = 0
            while True:
                writer.log({"x": 1.0}, step)
                step += 1
        except OSError:
            refused.set()

    thread = threading.Thread(target=log)
    thread.start()
    while writer.number < 50:
        time.sleep(0)
    writer.close()
    other = os.open(tmp_path / "other", os.O_CREAT | os.O_RDWR)
    thread.join()
    assert refused.is_set()
    assert os.fstat(other).st_size == 0
    os.close(other)
    assert (tmp_path / "a.jsonl").stat().st_size == writer.length


def test_times_are_those_of_the_clock_to_the_microsecond_and_never_go_back(tmp_path: Path) -> None:
    times = sorted(
        [0.0, 0.0000004, 0.0004999, 0.0004999, 0.9999996, 1.1, 4.1, 4.1000004, 4.1009996, 52.113456, 1e6 + 0.1]
    )
    clock = iter([times[0], *times])
    writer = JournalWriter(tmp_path / "a.jsonl", clock=lambda: next(clock))
    writer.log({"x": 1.0}, 0)
    for step in range(len(times)):
        writer.log({"x": 1.0}, step)
    writer.close()
    found = [entry["t"] for entry in iter_journal(tmp_path / "a.jsonl") if isinstance(entry, dict)][1:]
    assert found == sorted(found)
    assert all(abs(seen - given) < 1.1e-6 for seen, given in zip(found, times, strict=True))
