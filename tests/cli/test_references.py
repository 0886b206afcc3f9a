"""What names a run, and what is asked before a part of a name takes one away."""

from __future__ import annotations

from pathlib import Path

import pytest

from anew.runner.store.folder import FolderStore
from tests.helpers.scripts import anew
from tests.helpers.stores import add_run, make_store


@pytest.fixture
def store(project: Path) -> FolderStore:
    store = make_store(project / "runs")
    add_run(store)
    add_run(store)
    return store


def test_a_number_that_is_none_is_not_taken_for_a_uid(store: FolderStore, project: Path) -> None:
    for word in ("0", "01", store.get(1).uid[:3]):
        assert "does not name a run" in anew(project, "delete", word, code=2).stderr
    assert store.numbers() == [2, 1]


def test_what_takes_a_run_away_asks_when_only_a_part_of_its_uid_was_given(store: FolderStore, project: Path) -> None:
    uid = store.get(1).uid
    part = uid[:-1]
    done = anew(project, "delete", part, code=2)
    assert "anew delete 1" in done.stderr
    assert store.numbers() == [2, 1]
    anew(project, "delete", part, "--yes")
    assert store.numbers() == [2]
    assert "anew purge 1" in anew(project, "purge", part, code=2).stderr
    anew(project, "purge", uid, "--yes")
    assert store.trashed_numbers() == []


def test_what_only_looks_takes_a_part_of_a_uid(store: FolderStore, project: Path) -> None:
    assert "Run 2" in anew(project, "show", store.get(2).uid[:-1]).stdout
