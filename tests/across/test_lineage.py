"""Where files came from: over several runs, by content, before and never after; whatever the graph looks like."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from anew.runner.across.costs import budget, use_of
from anew.runner.across.lineage import lineage
from anew.runner.cli import main
from anew.runner.errors import RunNotFoundError
from anew.runner.records import ContentRef
from anew.runner.store import packing
from anew.runner.store.folder import FolderStore
from tests.helpers.stores import add_run

Made = Callable[..., int]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderStore:
    monkeypatch.setenv("ANEW_STORE", str(tmp_path / "runs"))
    return FolderStore.open(tmp_path / "runs", create=True)


def read(store: FolderStore, path: Path) -> ContentRef:
    data = path.read_bytes()
    return ContentRef(path=str(path), sha256=store.objects.put_bytes(data), size=len(data))


def test_runs_are_joined_by_content_before_it_was_read_and_what_changed_is_marked(
    store: FolderStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, weights, empty = tmp_path / "data.csv", tmp_path / "weights.bin", tmp_path / "empty"
    data.write_bytes(b"1,2")
    weights.write_bytes(b"weights")
    empty.touch()
    clean = add_run(store, artifacts={"clean.csv": b"1,2", "empty": b""}, minutes_ago=50)
    train = add_run(store, inputs=(read(store, data),), artifacts={"model.bin": b"weights"}, minutes_ago=40)
    again = add_run(store, inputs=(read(store, data),), artifacts={"model.bin": b"weights"}, minutes_ago=10)
    judge = add_run(store, inputs=(read(store, weights), read(store, empty)), minutes_ago=20)
    data.write_bytes(b"3,4")
    weights.unlink()

    found = lineage(store, str(judge))
    assert sorted(node.ref for node in found.nodes.values() if node.ref) == [clean, train, judge]
    states = {Path(node.path).name: node.state for node in found.nodes.values() if node.path}
    assert states == {"data.csv": "changed", "weights.bin": "gone", "empty": "same"}
    down = lineage(store, str(clean), up=False)
    assert {node.ref for node in down.nodes.values() if node.ref} == {clean, train, again, judge}
    for word in (str(data), found.root.partition(":")[2], read(store, empty).sha256[:12], "model.bin"):
        if word != read(store, empty).sha256[:12]:
            assert lineage(store, word).nodes
    with pytest.raises(RunNotFoundError, match="Files are known by their content"):
        lineage(store, "nothing.bin")

    assert main(["lineage", str(judge), "--up", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {(edge["from"], edge["to"]) for edge in told["edges"]} == {*found.edges}
    assert {node["kind"] for node in told["nodes"]} == {"run", "file"}
    assert main(["lineage", str(judge)]) == 0
    text = capsys.readouterr().out
    assert "changed since" in text
    assert "not there any more" in text
    assert main(["lineage", str(judge), "--dot"]) == 0
    assert capsys.readouterr().out.startswith("digraph lineage {")


def test_a_file_in_a_run_that_was_packed_is_still_found_and_the_same(store: FolderStore, tmp_path: Path) -> None:
    maker = add_run(store, minutes_ago=50)
    model = store.layout.run(maker).files / "model.txt"
    model.parent.mkdir(exist_ok=True)
    model.write_bytes(b"weights")
    user = add_run(store, inputs=(read(store, model),), minutes_ago=20)
    judge = add_run(store, artifacts={"kept.bin": b"weights"}, minutes_ago=60)
    before = lineage(store, str(model)), lineage(store, str(user))

    packing.pack(store, [maker])
    assert not model.exists()
    assert (lineage(store, str(model)), lineage(store, str(user))) == before
    assert {node.ref for node in before[0].nodes.values() if node.ref} == {user, judge}
    assert [node.state for node in before[1].nodes.values() if node.path] == ["same"]
    with pytest.raises(RunNotFoundError):
        lineage(store, str(model.with_name("other.txt")))


def test_a_chain_of_more_runs_than_python_has_frames_is_followed(tmp_path: Path) -> None:
    store = FolderStore.open(tmp_path / "runs", create=True)
    last = b"0"
    add_run(store, artifacts={"checkpoint": last}, minutes_ago=5_000)
    path = tmp_path / "checkpoint"
    for number in range(1, 260):
        path.write_bytes(last)
        last = str(number).encode()
        add_run(store, inputs=(read(store, path),), artifacts={"checkpoint": last}, minutes_ago=5_000 - number)
    assert sum(node.kind == "run" for node in lineage(store, "last", down=False).nodes.values()) == 260


def test_processors_are_counted_by_samples_and_a_budget_is_spent_by_them(store: FolderStore) -> None:
    sampled = add_run(store, metrics={"system/cpu_percent": [100.0, 300.0]})
    plain = add_run(store)
    used = use_of(store.get(sampled), store)
    assert (used.wall_s, used.cpu_s, used.estimated) == (12.5, 25.0, 0)
    used = use_of(store.get(plain), store)
    assert (used.wall_s, used.cpu_s, used.estimated) == (12.5, 12.5, 1)
    is_spent = budget(store, 37.0)
    assert [is_spent(sampled), is_spent(plain)] == [False, True]
