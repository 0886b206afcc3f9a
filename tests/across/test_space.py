"""What runs take on the disk is told once, wherever it lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from anew.runner.across.space import Space, space
from anew.runner.store import packing
from anew.runner.store.folder import FolderStore
from tests.helpers.stores import add_run, make_store

BIG = os.urandom(1 << 20)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    store = make_store(tmp_path / "runs")
    add_run(store, experiment="a", artifacts={"shared": BIG, "own": BIG[::-1]})
    add_run(store, experiment="b", artifacts={"shared": BIG}, output="x" * (1 << 20))
    add_run(store, experiment="b", artifacts={"again": BIG[7:]})
    return store


def asked(store: FolderStore, where: str = "") -> tuple[dict[str, int], Space]:
    found = space(store, store.find(where), ["experiment"])
    assert found.total == (
        sum(each.folders + each.content for each in found.groups) + found.shared + found.others + found.rest
    )
    assert found.rest >= 0
    return {each.by["experiment"]: round(each.content / 2**20) for each in found.groups}, found


def test_shared_content_counts_once(store: FolderStore) -> None:
    content, found = asked(store)
    assert content == {"a": 1, "b": 1}
    assert found.shared >> 20 == 1
    assert found.others == 0
    by_name = {each.by["experiment"]: each for each in found.groups}
    assert by_name["b"].folders - by_name["a"].folders >= 1 << 20
    assert by_name["b"].runs == 2


def test_what_was_not_asked_for_is_apart(store: FolderStore) -> None:
    content, found = asked(store, "id == 1")
    assert content == {"a": 1}
    assert (found.shared >> 20, found.others >> 20) == (1, 1)
    store.delete(1)
    assert asked(FolderStore.open(store.root))[1].others >> 20 == 1


def test_packed_runs_take_what_they_take_in_the_pack(store: FolderStore) -> None:
    before = asked(store)[1]
    packing.pack(store, [1, 2, 3])
    after = asked(FolderStore.open(store.root))[1]
    assert after.shared == before.shared
    assert [each.content for each in after.groups] == [each.content for each in before.groups]
    assert 0 < sum(each.folders for each in after.groups) < 1 << 18  # the output is one letter
    assert after.total < before.total - (1 << 19)
