"""Many runs in one process: what they have alike is looked at once, and looked at again where it has changed."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import anew
from anew import Experiment
from anew.runner import origins
from anew.runner.capture import elsewhere, unseen
from anew.runner.capture.digests import DigestCache
from anew.runner.capture.keeper import Keeper
from anew.runner.capture.unseen import Unseen
from anew.runner.config.direct import command
from anew.runner.config.direct.base import Base
from anew.runner.places import Places
from anew.runner.settings import Settings, SourceSettings
from anew.runner.store import durability
from anew.runner.store.journal import JournalWriter
from anew.runner.store.objects import ObjectStore

NAME = "anew_test_many"


@pytest.fixture(autouse=True)
def _gone() -> Iterator[None]:
    yield
    sys.modules.pop(NAME, None)


@Experiment("many").main
def tiny(x: float = 1.0) -> float:
    """Return a square."""
    return x * x


class Calls:
    """What replaces functions by themselves, counted; of this thread alone, since others sync what takes long."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._thread = threading.get_ident()
        self.counts: dict[str, int] = {}
        self._patch = patch

    def count(self, holder: Any, name: str) -> None:
        """Count the calls of a function, from now on."""
        before = getattr(holder, name)

        def counted(*given: Any, **named: Any) -> Any:
            if threading.get_ident() == self._thread:
                self.counts[name] = self.counts.get(name, 0) + 1
            return before(*given, **named)

        self._patch.setattr(holder, name, counted)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Calls that a test counts."""
    return Calls(monkeypatch)


def started(store: Path) -> None:
    """Record a run that no function is."""
    with anew.start("many", {"x": 1.0}, store=store, quiet=True):
        pass


@pytest.mark.parametrize("way", ["called", "started"])
def test_a_further_run_syncs_its_start_its_journal_and_its_end_and_nothing_twice(
    way: str, tmp_path: Path, calls: Calls
) -> None:
    def once() -> None:
        if way == "called":
            tiny.run("x=2", store=tmp_path / "runs")
        else:
            started(tmp_path / "runs")

    once()
    durability.settle()
    for name in ("fsync", "fdatasync"):
        calls.count(os, name)
    for _ in range(3):
        once()
    assert sum(calls.counts.values()) <= 3 * 7
    if way == "started":
        assert sum(len(files) for *_, files in os.walk(tmp_path / "runs" / "3")) == 4


def test_what_a_further_run_costs_does_not_grow_with_the_contents_of_its_project(
    tmp_path: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        (tmp_path / f"part{number}.py").write_text(f"{number}\n")
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(origins, "project_root", lambda start: tmp_path)
    for _ in range(3):
        # what has changed a moment before is not relied on, as the folder in which the first run makes the store; and
        # the first that relies on a list marks its contents
        time.sleep(0.12)
        first = tiny.run(store=tmp_path / "runs")
    calls.count(ObjectStore, "touch")
    calls.count(Keeper, "take")
    again = tiny.run(store=tmp_path / "runs")
    assert calls.counts == {}
    assert again.source.files == first.source.files
    assert len(again.source.files) > 30


def test_settings_that_are_the_same_are_checked_once_and_others_are_checked(tmp_path: Path, calls: Calls) -> None:
    store = tmp_path / "runs"
    tiny.run("x=2", store=store)
    calls.count(Settings, "from_mapping")
    for number in range(3):
        assert tiny.run(f"x={number}", store=store).tags == ()
    assert not calls.counts
    assert tiny.run("x=2", "anew.tags=[a]", store=store).tags == ("a",)
    assert calls.counts == {"from_mapping": 1}
    with pytest.raises(anew.AnewError, match="no setting"):
        tiny.run("x=2", "anew.tag=[a]", store=store)
    assert tiny.run("x=2", store=store).tags == ()


def test_what_is_typed_of_the_settings_is_that_runs_alone() -> None:
    given = {"quiet": False, "source": {"exclude": [], "keep": "content"}, "tags": []}
    found = command._settings(Base("", given, ()), [command._read("anew.source.keep=digest")], {})
    assert found["source"] == {"exclude": [], "keep": "digest"}
    assert given["source"] == {"exclude": [], "keep": "content"}


def wait_until(true: Callable[[], Any]) -> None:
    """Wait for something that comes by itself."""
    until = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


class Kept:
    """Where content goes."""

    def __init__(self) -> None:
        self.found: dict[str, bytes] = {}

    def put_bytes(self, data: bytes, *, sync: bool = True) -> str:
        """Keep content."""
        # a real digest: what was read is known to this process, and to the tests after this one
        digest = hashlib.sha256(data).hexdigest()
        self.found[digest] = data
        return digest

    def touch(self, sha256: str) -> bool:
        """Whether it is here."""
        return sha256 in self.found

    def touch_all(self, digests: tuple[str, ...]) -> bool:
        """Whether all are here."""
        return all(each in self.found for each in digests)


def test_a_module_elsewhere_is_read_again_when_it_has_changed_or_is_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, kept = tmp_path / "outside" / f"{NAME}.py", Kept()
    file.parent.mkdir()
    file.write_text("a = 1\n")
    long_ago = file.stat().st_mtime - 1000
    os.utime(file, (long_ago, long_ago))
    module = sys.modules[NAME] = ModuleType(NAME)
    module.__file__ = str(file)
    monkeypatch.setattr(DigestCache, "now_ns", staticmethod(lambda: 2**62))
    places, settings = Places(tmp_path / "project"), SourceSettings()

    def found(objects: Kept) -> str:
        [mine] = [each for each in elsewhere.modules_elsewhere(places, objects, settings) if each.path == str(file)]
        assert mine.size == file.stat().st_size
        return mine.sha256

    first = found(kept)
    reads: list[str] = []
    before = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        reads.append(str(path))
        return before(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert found(kept) == first
    assert str(file) not in reads
    other = Kept()
    assert found(other) == first
    assert other.found[first] == b"a = 1\n"
    file.write_text("a = 22\n")
    assert kept.found[found(kept)] == b"a = 22\n"
    assert str(file) in reads


def test_what_is_in_memory_is_looked_at_where_files_are_watched_alone(tmp_path: Path, calls: Calls) -> None:
    calls.count(unseen, "mapped_files")
    nothing = Unseen(list)
    nothing.begin()
    assert nothing.uses() == []
    assert not calls.counts
    if not sys.platform.startswith("linux"):
        return
    (tmp_path / "data").write_bytes(b"x")
    os.utime(tmp_path / "data", (1, 1))
    something = Unseen(lambda: [str(tmp_path / "data")])
    something._since += 10
    something.begin()
    assert something.uses() == []
    assert calls.counts == {"mapped_files": 1}


def test_journals_that_come_one_after_the_other_are_synced_without_waking_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[int] = []
    before = durability._wake.notify
    first = JournalWriter(tmp_path / "0.jsonl", clock=lambda: 1.0)
    wait_until(lambda: durability._turn_at > 0)
    first.close()

    def notify() -> None:
        woken.append(1)
        before()

    monkeypatch.setattr(durability._wake, "notify", notify)
    for number in range(1, 4):
        journal = JournalWriter(tmp_path / f"{number}.jsonl", clock=lambda: 1.0)
        journal.append("t", {"v": ["a"]})
        journal.close()
    assert not woken
    last = JournalWriter(tmp_path / "last.jsonl", clock=lambda: 1.0)
    last.append("t", {"v": ["a"]})
    wait_until(lambda: durability._synced.get(last) == last.length)
    assert last.is_named
    quick = JournalWriter(tmp_path / "quick.jsonl", clock=lambda: 1.0, durability_ms=1)
    assert woken
    quick.close()
    last.close()
