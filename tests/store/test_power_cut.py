"""
A power cut at any place: what was acknowledged by then is there, whichever of two models the file system follows.

A script that does all that runs do is recorded, call by call; then its store is built as it may be after a cut, and
read. `ANEW_CUTS` says at how many places; `make torture` takes many.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

from anew.runner.records import RunRecord, Status
from anew.runner.store.folder import FolderStore
from tests.helpers.power import STRENGTHS, Call, Disk, compiler, recorded
from tests.helpers.scripts import Project

pytestmark = pytest.mark.long

CUTS = int(os.environ.get("ANEW_CUTS", "150"))
DURABILITY_S, SLACK_S = 0.05, 2.0
SCRIPT = """
import hashlib, multiprocessing
said = os.open("acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def acknowledge(*words):
    os.write(said, " ".join(map(str, words)).encode())
def points(run, name, count):
    for step in range(count):
        run.log({name: float(step)}, step)
        acknowledge("point", run.id, name, step)
def keep(run, name, size):
    (run.dir / name).write_bytes(os.urandom(size))
    run.log_artifact(run.dir / name)
    acknowledge("artifact", run.id, name, hashlib.sha256((run.dir / name).read_bytes()).hexdigest())
def spawned():
    points(anew.current_run(), "spawned", 5)
@experiment.main
def main(n: int = 1, long: bool = False, jobs: int = 0, *, run: Run):
    acknowledge("started", run.id)
    if jobs:
        acknowledge("planned", jobs)
    points(run, "x", 10)
    keep(run, "small", 100)
    print("printed by", run.id)
    if long:
        child = os.fork()
        if child == 0:
            points(run, "forked", 5)
            os._exit(0)
        os.waitpid(child, 0)
        child = multiprocessing.get_context("spawn").Process(target=spawned)
        child.start()
        child.join()
        time.sleep(2.8)
        keep(run, "large", 1_200_000)
        run.input("train.py")
        points(run, "y", 10)
    return n
"""
FOOTER = """
if __name__ == "__main__":
    quick = "anew.durability_ms=50"
    for words in (["n=1"], ["n=2", "long=true"], ["n=3"]):
        acknowledge("completed", main.run(*words, quick).id)
    main.sweep("n=4,5", "jobs=2", quick)
    acknowledge("completed", 4)
    acknowledge("completed", 5)
"""


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    """What the script did to its files."""
    if compiler() is None or not sys.platform.startswith("linux"):
        pytest.skip("there is no C compiler here to record calls with")
    root, work = tmp_path_factory.mktemp("power"), tmp_path_factory.mktemp("recording")
    (root / "pyproject.toml").touch()
    script = Project(root).write(SCRIPT)
    script.write_text(script.read_text().replace('\nif __name__ == "__main__":\n    main()\n', FOOTER))
    found = recorded([sys.executable, str(script)], root, work, {"ANEW_STORE": ""})
    assert {"create", "write", "sync", "datasync", "link", "rename", "mkdir"} <= {call.what for call in found}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("strength", STRENGTHS)
def test_what_was_acknowledged_is_there_after_a_power_cut(calls: list[Call], tmp_path: Path, strength: str) -> None:
    root = Path(next(call.path for call in calls if call.path.endswith("/acknowledged"))).parent
    dice = random.Random(20)
    places = sorted([*dice.choices(range(1, len(calls)), k=CUTS), len(calls)])
    disk, words, wrong, done = Disk(root), list[tuple[float, list[str]]](), Counter[str](), 0
    for place in places:
        for call in calls[done:place]:
            disk.do(call)
            if call.what == "write" and call.path.endswith("/acknowledged"):
                words.append((call.time, call.data.decode().split()))
        done = place
        target = tmp_path / "after"
        disk.build(target, strength, dice)
        wrong.update(what for what in _lost(target / "runs", words, calls[place - 1].time))
        shutil.rmtree(target)
    told = Counter(word[1][0] for word in words)
    assert told == {"started": 5, "planned": 2, "artifact": 6, "point": 70, "completed": 5}
    assert not wrong, f"lost in {len(places)} cuts: {dict(wrong)}"


def _lost(runs: Path, words: list[tuple[float, list[str]]], now: float) -> list[str]:
    """Return what is not there of what was acknowledged, by its kind."""
    if not words:
        return []
    store, lost = FolderStore.open(runs), list[str]()
    completed = {word[1] for _, word in words if word[0] == "completed"}
    for time, (kind, *rest) in words:
        if kind == "planned":
            if len(store.sweep(1).jobs) != int(rest[0]):
                lost.append(kind)
            continue
        record = store.get(int(rest[0])) if (runs / rest[0] / "run.json").exists() else None
        if record is None:
            lost.append(f"{kind} (of a run that is gone)")
        elif kind == "completed":
            lost += _missing(store, record)
        elif kind == "artifact" and not _has_artifact(store, record, *rest[1:]):
            lost.append(kind)
        elif kind == "point" and (rest[0] in completed or time + DURABILITY_S + SLACK_S < now):
            series = store.metrics(int(rest[0]), rest[1]) if rest[1] in record.metrics else None
            if series is None or int(rest[2]) not in series.steps:
                lost.append(f"{kind} {rest[1]}")
    return lost


def _missing(store: FolderStore, record: RunRecord) -> list[str]:
    """Return what is not there of a run that was said to be completed."""
    assert record.id is not None
    found = [f"completed: {damage.what}" for damage in record.damage]
    if record.status is not Status.COMPLETED:
        found.append(f"completed: {record.status}")
    if "".join(store.output(record.id)) != f"printed by {record.id}\n":
        found.append("completed: output")
    kept = [file for file in (*record.source.files, *record.inputs, *record.artifacts) if file.kept]
    return found + [f"completed: content of {file.path}" for file in kept if not store.objects.verify(file.sha256)]


def _has_artifact(store: FolderStore, record: RunRecord, name: str, sha256: str) -> bool:
    digests = {file.path: file.sha256 for file in record.artifacts}
    return digests.get(name) == sha256 and store.objects.verify(sha256)


def test_the_model_loses_what_is_not_synced_and_nothing_else(tmp_path: Path) -> None:
    """Without this the test above could not fail."""
    root = tmp_path / "root"

    def call(what: str, name: str = "", data: bytes = b"", other: str = "") -> Call:
        return Call(what, 0.0, 1, f"{root}/{name}".rstrip("/"), f"{root}/{other}" if other else "", 0, data)

    def after(strength: str, *calls: Call) -> set[tuple[str, bytes]]:
        found = set()
        for seed in range(40):
            disk = Disk(root)
            for each in calls:
                disk.do(each)
            disk.build(tmp_path / "after", strength, random.Random(seed))
            files = [path for path in (tmp_path / "after").rglob("*") if path.is_file()]
            found |= {(path.name, path.read_bytes()) for path in files} or {("", b"")}
            shutil.rmtree(tmp_path / "after")
        return found

    made = (call("create", "a"), call("write", "a", b"text"))
    for strength in STRENGTHS:
        assert ("", b"") in after(strength, *made)
        assert ("", b"") in after("synced", *made, call("sync", "a"))
        assert ("a", b"") in after(strength, *made, call("sync"))
        assert after(strength, *made, call("sync", "a"), call("sync")) == {("a", b"text")}
        renamed = (*made, call("sync", "a"), call("sync"), call("rename", "a", other="b"))
        assert after(strength, *renamed) == {("a", b"text"), ("b", b"text")}
        assert after(strength, *renamed, call("sync")) == {("b", b"text")}
    assert after("ordered", *made, call("sync", "a")) == {("a", b"text")}
    assert ("a", b"\0\0\0\0") in after("ordered", *made, call("sync"))
