"""Faults put into the journal on purpose: full disks, failing syncs, signals in the middle of a call, forks."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anew.runner.errors import StoreError
from anew.runner.kernel import door
from anew.runner.store import durability, files, journal_file
from anew.runner.store.journal import JournalWriter
from anew.runner.store.lines import Flaw, iter_journal, read_points, tail


def writer(path: Path, **options: Any) -> JournalWriter:
    return JournalWriter(path, clock=time.monotonic, **options)


def entries(path: Path) -> list[dict[str, Any]]:
    found = list(iter_journal(path))
    assert not [item for item in found if isinstance(item, Flaw)]
    return found  # type: ignore[return-value]  # the rest are entries


def steps(path: Path) -> list[int]:
    return [entry["s"] for entry in entries(path)]


def wait_until(true: Callable[[], Any]) -> None:
    limit = time.monotonic() + 20
    while not true():
        assert time.monotonic() < limit, "it did not come"
        time.sleep(0.005)


def run_python(script: str, *arguments: object, before: tuple[str, ...] = ()) -> str:
    command = [*before, sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- writes that fail -------------------------------------------------------------------------------------------


def fail_after(count: int, monkeypatch: pytest.MonkeyPatch, code: int = errno.ENOSPC) -> None:
    """Let the next write put *count* bytes down, as a disk does that has no more, and then fail."""
    write, left = os.write, [count]

    def short(descriptor: int, data: bytes) -> int:
        if left[0] == 0:
            raise OSError(code, os.strerror(code))
        part, left[0] = data[: left[0]], 0
        return write(descriptor, part)

    monkeypatch.setattr(os, "write", short)


@pytest.mark.parametrize("count", [0, 1, 20, 60])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG])
def test_a_short_write_is_taken_back_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, code: int
) -> None:
    path = tmp_path / "a.jsonl"
    journal = writer(path)
    journal.log({"x": 1.0})
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        fail_after(count, patch, code)
        with pytest.raises(StoreError, match=os.strerror(code)) as caught:
            journal.log({"x": 2.0})
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    journal.log({"x": 3.0})
    journal.close()
    assert [(entry["q"], entry["s"]) for entry in entries(path)] == [(1, 0), (2, 1)]


def test_where_a_torn_line_cannot_be_cut_off_the_next_one_begins_on_a_line_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    journal = writer(path)
    journal.log({"x": 1.0})

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "no")

    for _ in range(2):
        with monkeypatch.context() as patch:
            fail_after(30, patch)
            patch.setattr(os, "ftruncate", refuse)
            with pytest.raises(StoreError):
                journal.log({"x": 2.0})
    journal.log({"x": 3.0})
    journal.log({"x": 4.0})
    journal.close()
    found = list(iter_journal(path))
    assert [item["q"] for item in found if not isinstance(item, Flaw)] == [1, 2, 3]
    assert [item["q"] for item in tail(path, 0)[0]] == [1, 2, 3]
    assert [value for _, _, value in read_points(path, "x")] == [1.0, 3.0, 4.0]
    assert not any("missing" in item.what and "entr" in item.what for item in found if isinstance(item, Flaw))


def test_a_call_that_no_reader_would_take_is_refused_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_file, "MAX_LINE", 1000)
    journal = writer(tmp_path / "a.jsonl")
    with pytest.raises(StoreError, match="too many"):
        journal.append("n", {"x": "long" * 500})
    journal.append("n", {"x": "short"})
    assert [entry["x"] for entry in entries(tmp_path / "a.jsonl")] == ["short"]


_FILL = """
import json, os, subprocess, sys, time
from pathlib import Path
from anew.runner.errors import StoreError
from anew.runner.kernel import door
from anew.runner.store.journal import JournalWriter
from anew.runner.store.lines import Flaw, iter_journal
from anew.runner.store.objects import ObjectStore

disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], check=True)
journal = JournalWriter(disk / "a.jsonl", clock=time.monotonic)
objects = ObjectStore(disk / "objects")
kept = objects.put_bytes(b"kept")
ballast = disk / "ballast"
ballast.write_bytes(b"x" * 600_000)
done = []
def log(step):
    try:
        journal.log({"x": float(step)}, step)
        done.append(step)
    except StoreError as error:
        assert "No space left" in str(error) and "Free some space" in str(error), error
        return False
    return True
step = 0
while log(step):
    step += 1
for put in (lambda: objects.put_bytes(os.urandom(50_000)), lambda: objects.put_file(Path(sys.argv[2]))):
    try:
        put()
    except StoreError as error:
        assert "No space left" in str(error), error
    else:
        raise AssertionError("it was put on a full disk")
assert not list((disk / "objects" / "tmp").glob("*"))
assert list(objects.all()) == [kept] and objects.verify(kept)
for step in range(step + 1, step + 20):
    log(step)
ballast.unlink()
assert log(10**6)
journal.close()
found = list(iter_journal(disk / "a.jsonl"))
assert not [item for item in found if isinstance(item, Flaw)]
assert [item["s"] for item in found] == done
assert len(done) > 1000
"""


def test_a_full_disk_costs_what_did_not_fit_and_nothing_else(tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here, and a disk to fill needs a mount namespace")
    if subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", tmp_path], capture_output=True).returncode:
        pytest.skip("a mount namespace of our own is not permitted here")
    (tmp_path / "large").write_bytes(os.urandom(3 << 20))
    (tmp_path / "disk").mkdir()
    run_python(_FILL, tmp_path / "disk", tmp_path / "large", before=("unshare", "-rm"))


# --- syncing ----------------------------------------------------------------------------------------------------


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of files and folders that are synced, as it happens."""
    seen: list[str] = []
    sync_file, sync_folder = door.sync_data, files.sync_folder

    def note(descriptor: int) -> None:
        seen.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        sync_file(descriptor)

    def note_folder(folder: Path) -> None:
        seen.append(str(folder))
        sync_folder(folder)

    for where in (durability, journal_file):
        monkeypatch.setattr(where, "sync_data", note)
        monkeypatch.setattr(where, "sync_folder", note_folder)
    return seen


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the file of a descriptor is asked of /proc")


def test_a_descriptor_that_main_closes_while_it_is_synced_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Libraries that make daemons close all there are; the next turn syncs what is open then."""
    sync, closed = door.sync_data, threading.Event()

    def close_first(descriptor: int) -> None:
        if not closed.is_set():
            os.close(descriptor)
            closed.set()
        sync(descriptor)

    monkeypatch.setattr(durability, "sync_data", close_first)
    journal = writer(tmp_path / "a.jsonl", durability_ms=10)
    journal.log({"x": 1.0})
    assert closed.wait(10)
    wait_until(lambda: durability._synced.get(journal) == journal.length)
    assert journal.fault is None
    journal.close()


@needs_proc
def test_what_is_written_is_synced_in_the_background_once(tmp_path: Path, syncs: list[str]) -> None:
    path = tmp_path / "a.jsonl"
    journal = writer(path, durability_ms=10)
    wait_until(lambda: str(tmp_path) in syncs)
    journal.log({"x": 1.0})
    before = syncs.count(str(path))
    wait_until(lambda: syncs.count(str(path)) > before)
    count = len(syncs)
    time.sleep(0.1)
    assert len(syncs) == count
    journal.close()
    assert syncs.count(str(tmp_path)) == 1


@needs_proc
def test_with_no_delay_each_call_syncs_before_it_returns(tmp_path: Path, syncs: list[str]) -> None:
    path = tmp_path / "a.jsonl"
    journal = writer(path, durability_ms=0)
    assert syncs == [str(tmp_path)]
    journal.log({"x": 1.0})
    journal.append("n", {"x": "text"})
    assert syncs[1:] == [str(path)] * 2


@needs_proc
def test_a_file_to_be_synced_later_is_synced_with_its_folder(tmp_path: Path, syncs: list[str]) -> None:
    (tmp_path / "file").write_bytes(b"x")
    durability.sync_later(tmp_path / "gone")
    durability.sync_later(tmp_path / "file")
    wait_until(lambda: {str(tmp_path / "file"), str(tmp_path)} <= set(syncs))


def test_a_sync_that_fails_in_the_background_is_reported_when_the_journal_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel tells of a lost page once; who asks again is told that all is well."""

    def fail_once(descriptor: int) -> None:
        monkeypatch.undo()
        raise OSError(errno.EIO, "Input/output error")

    journal = writer(tmp_path / "a.jsonl", durability_ms=10)
    monkeypatch.setattr(durability, "sync_data", fail_once)
    journal.log({"x": 1.0})
    wait_until(lambda: journal.fault)
    with pytest.raises(StoreError, match=r"Cannot sync .*a\.jsonl.*Input/output error"):
        journal.close()
    assert journal.descriptor == -1
    assert steps(tmp_path / "a.jsonl") == [0]


def test_many_journals_share_one_thread_and_close_while_it_syncs(tmp_path: Path) -> None:
    for round_number in range(20):
        journals = [writer(tmp_path / f"{round_number}-{i}.jsonl", durability_ms=1) for i in range(10)]
        for journal in journals:
            journal.log({"x": 1.0})
        assert [thread.name for thread in threading.enumerate()].count("anew-sync") == 1
        for journal in journals:
            journal.close()
            assert journal.fault is None
            assert journal not in durability._periods
            assert journal not in durability._synced


# --- signals ----------------------------------------------------------------------------------------------------


_LOG_FROM_A_HANDLER = """
import itertools, signal, sys, time
from pathlib import Path
from anew.runner.store.journal import JournalWriter
from anew.runner.store.lines import Flaw, iter_journal
path = Path(sys.argv[1])
journal = JournalWriter(path, clock=time.monotonic)
numbers = itertools.count()
hits = 0
def handler(*_):
    global hits
    number = next(numbers)  # a handler can be interrupted by the next one
    journal.log({"handler": float(number)}, number)
    journal.append("n", {"x": number})
    hits = max(hits, number)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
step = 0
while hits < 1000:
    journal.log({"main": float(step)}, step)
    step += 1
signal.setitimer(signal.ITIMER_REAL, 0, 0)
journal.close()
found = list(iter_journal(path))
assert not [item for item in found if isinstance(item, Flaw)]
every = list(range(next(numbers)))
assert [item["s"] for item in found if "main" in item.get("m", ())] == list(range(step))
assert sorted(item["s"] for item in found if "handler" in item.get("m", ())) == every
assert sorted(item["x"] for item in found if item["k"] == "n") == every
"""


def test_a_signal_handler_may_log_in_the_middle_of_a_call(tmp_path: Path) -> None:
    """With a plain lock this would wait for itself for ever."""
    run_python(_LOG_FROM_A_HANDLER, tmp_path / "a.jsonl")


_RAISE_FROM_A_HANDLER = """
import random, signal, sys, time
from pathlib import Path
from anew.runner.store.journal import JournalWriter
from anew.runner.store.lines import Flaw, iter_journal
path = Path(sys.argv[1])
journal = JournalWriter(path, clock=time.monotonic)
class Stop(BaseException):
    pass
def handler(*_):
    raise Stop
signal.signal(signal.SIGALRM, handler)
dice, acknowledged, step = random.Random(0), [], 0
for _ in range(2000):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.00005 + dice.random() * 0.0002)
        while True:
            step += 1
            journal.log({"x": float(step)}, step)
            acknowledged.append(step)
    except Stop:
        pass
journal.log({"x": 0.0}, 0)
journal.close()
found = list(iter_journal(path))
assert not [item for item in found if isinstance(item, Flaw)], found
there = [item["s"] for item in found]
assert set(acknowledged) <= set(there) and len(there) == len(set(there))
"""


def test_an_exception_out_of_a_signal_handler_never_costs_a_point_nor_a_number(tmp_path: Path) -> None:
    run_python(_RAISE_FROM_A_HANDLER, tmp_path / "a.jsonl")


@pytest.mark.parametrize("written", [0, 25, None])
def test_an_interrupted_write_is_settled_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int | None
) -> None:
    """As if a handler had raised when nothing, a part, or all of the line was there."""
    path = tmp_path / "a.jsonl"
    journal = writer(path)
    journal.log({"x": 1.0}, 1)
    write = os.write

    def interrupted(descriptor: int, data: bytes) -> int:
        write(descriptor, data[:written])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            journal.log({"x": 2.0}, 2)
    journal.log({"x": 3.0}, 3)
    assert steps(path) == ([1, 2, 3] if written is None else [1, 3])


# --- forks ------------------------------------------------------------------------------------------------------


def in_a_fork(do: Callable[[], None]) -> None:
    """Do something in a forked child. It must not fail nor hang there."""
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        code = 1
        try:
            do()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_never_writes_into_its_parents_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    journal = writer(path)
    journal.log({"x": 1.0})

    def misuse() -> None:
        assert journal.forked
        calls: list[Callable[[], object]] = [
            lambda: journal.log({"x": 2.0}),
            lambda: journal.append("n", {}),
            journal.sync,
        ]
        for call in calls:
            with pytest.raises(StoreError, match="forked"):
                call()
        journal.close()

    in_a_fork(misuse)
    assert not journal.forked
    journal.log({"x": 3.0})
    assert steps(path) == [0, 1]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_while_threads_log_goes_on_and_so_does_its_child(tmp_path: Path) -> None:
    """Whatever lock another thread held at the fork, nobody is there to let go of it in the child."""
    path = tmp_path / "a.jsonl"
    journal = writer(path, durability_ms=1)
    going = True

    def log_on(name: str) -> None:
        while going:
            journal.log({name: 1.0})

    threads = [threading.Thread(target=log_on, args=(f"t{i}",)) for i in range(3)]
    for thread in threads:
        thread.start()

    def go_on(number: int, depth: int, before: JournalWriter) -> None:
        mine = before.successor(tmp_path / f"{number}-{depth}.jsonl")
        mine.log({"x": 1.0})
        if depth < 2:
            in_a_fork(lambda: go_on(number, depth + 1, mine))
        mine.log({"x": 2.0})
        mine.close()

    for number in range(20):
        in_a_fork(lambda number=number: go_on(number, 1, journal))  # type: ignore[misc]  # bound as a default
    going = False
    for thread in threads:
        thread.join()
    journal.close()
    assert entries(path)
    for number in range(20):
        assert steps(tmp_path / f"{number}-1.jsonl") == [0, 1]
        assert steps(tmp_path / f"{number}-2.jsonl") == [1, 2]


# --- any damage -------------------------------------------------------------------------------------------------


def mangled(data: bytes, dice: random.Random) -> bytes:
    """Return a journal with something cut out, put in, doubled, moved or overwritten, anywhere."""
    result = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at, length = dice.randrange(len(result) + 1), dice.choice([1, 3, 40, 300])
        part = bytes(result[at : at + length])
        kind = dice.choice(["cut", "put", "double", "move", "zero"])
        if kind == "put":
            result[at:at] = dice.randbytes(length)
        elif kind == "double":
            result[at:at] = part
        else:
            result[at : at + length] = bytes(len(part)) if kind == "zero" else b""
            if kind == "move":
                to = dice.randrange(len(result) + 1)
                result[to:to] = part
    return bytes(result)


def test_whatever_happens_to_the_bytes_no_wrong_entry_is_read_and_none_twice(tmp_path: Path) -> None:
    path, broken = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    journal = writer(path)
    for i in range(40):
        journal.log({"x": float(i), "y": -i}, i)
    journal.close()
    data = path.read_bytes()
    whole = {entry["q"]: entry for entry in entries(path)}
    lines = {line: number for number, line in enumerate(data.split(b"\n"), 1) if line}
    dice = random.Random(7)
    for _ in range(1000):
        changed = mangled(data, dice)
        broken.write_bytes(changed)
        intact = {lines[line] for line in changed.split(b"\n") if line in lines}
        found = list(iter_journal(broken))
        read = [item for item in found if not isinstance(item, Flaw)]
        # a line is intact, too, when only the newlines beside it are damaged
        legible = {number for line, number in lines.items() if line in changed}
        numbers = {entry["q"] for entry in read}
        assert intact <= numbers <= legible
        assert len(read) == len(numbers)
        assert all(whole[entry["q"]] == entry for entry in read)
        assert {step for _, step, _ in read_points(broken, "x")} == {number - 1 for number in numbers}
