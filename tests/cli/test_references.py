"""What names a run, and what is asked before a part of a name takes one away."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from anew.runner.store.folder import FolderStore
from tests.helpers.scripts import ANEW, anew
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


# --- many at once -------------------------------------------------------------------------------------------------


def test_deleting_what_a_filter_names_says_how_many_and_asks(store: FolderStore, project: Path) -> None:
    done = anew(project, "delete", "status == COMPLETED", code=2)
    assert "2 runs: 1, 2" in done.stderr
    assert "anew delete 'status == COMPLETED' --yes" in done.stderr
    assert store.numbers() == [2, 1]
    ours, theirs = pty.openpty()
    for answer, left in ((b"n\n", [2, 1]), (b"y\n", [])):
        os.write(ours, answer)
        asked = subprocess.run([*ANEW, "delete", "1-2"], cwd=project, stdin=theirs, capture_output=True, check=True)
        assert b"2 runs: 1, 2. Is it meant? [y/N]" in asked.stderr
        assert store.numbers() == left
    os.close(ours)
    os.close(theirs)
    rows = json.loads(anew(project, "restore", "status == COMPLETED", "--json").stdout)
    assert [row["id"] for row in rows] == [1, 2]
    anew(project, "delete", "1-9", "--yes")
    assert "the deleted 2 runs 1, 2" in anew(project, "purge", "1-2", code=2).stderr
    assert json.loads(anew(project, "purge", "1-2", "--yes", "--json").stdout)["runs"] == [2, 1]


def test_a_command_that_changes_runs_changes_none_when_one_is_not_there(store: FolderStore, project: Path) -> None:
    for words in (["delete", "1", "99", "--yes"], ["tag", "1", "99", "x"], ["note", "1", "tag:nope", "text"]):
        done = anew(project, *words, code=2)
        assert "No run" in done.stderr
        assert "Nothing was" in done.stderr
    assert store.numbers() == [2, 1]
    assert not store.get(1).tags
    assert store.get(1).note is None


def test_a_run_that_cannot_be_deleted_is_said_and_the_others_are(store: FolderStore, project: Path) -> None:
    add_run(store, status=None)
    done = anew(project, "delete", "1-3", "--yes", "--json", code=2)
    assert [row["error"] is None for row in json.loads(done.stdout)] == [True, True, False]
    assert "is going on" in done.stderr
    assert store.numbers() == [3]


def test_tags_and_notes_are_given_to_many(store: FolderStore, project: Path) -> None:
    anew(project, "tag", "1-2", "paper", "best")
    assert store.get(1).tags == store.get(2).tags == ("paper", "best")
    rows = json.loads(anew(project, "tag", "tag:paper", "best", "--remove", "--json").stdout)
    assert [(row["id"], row["tags"]) for row in rows] == [(1, ["paper"]), (2, ["paper"])]
    anew(project, "note", "1", "2", "so it is")
    assert {record.note for record in store.find()} == {"so it is"}
    anew(project, "tag", "2", "2024")
    assert store.get(2).tags == ("paper", "2024")


@pytest.mark.parametrize("words", [["show"], ["logs"], ["metrics"], ["show", "--json"], ["logs", "--json"]])
def test_what_looks_at_runs_takes_many_and_says_which_are_not_there(
    store: FolderStore, project: Path, words: list[str]
) -> None:
    done = anew(project, *words, "1-2", "99", code=2)
    assert "No run '99'" in done.stderr
    if "--json" in words:
        assert len(json.loads(done.stdout)) == 2
    done = anew(project, *words, "tag:nope", code=2)
    assert "tag 'nope'" in done.stderr


def test_a_command_for_one_run_says_what_is_for_many(store: FolderStore, project: Path) -> None:
    assert "anew verify 1-2" in anew(project, "rerun", "1-2", code=2).stderr
    assert "Two runs are compared" in anew(project, "diff", "1", code=2).stderr
    anew(project, "diff", "1-2")


def test_series_of_many_say_whose_they_are(store: FolderStore, project: Path) -> None:
    add_run(store, metrics={"loss": [1.0, 0.5], "3": [7.0]})
    add_run(store, metrics={"loss": [2.0]})
    lines = anew(project, "metrics", "3-4", "loss", "--csv").stdout.splitlines()
    assert [line.split(",")[:4] for line in lines] == [
        ["run", "metric", "step", "value"],
        ["3", "loss", "0", "1.0"],
        ["3", "loss", "1", "0.5"],
        ["4", "loss", "0", "2.0"],
    ]
    assert list(json.loads(anew(project, "metrics", "3", "3", "--json").stdout)) == ["3"]
    done = anew(project, "metrics", "1-4", "loss", code=2)
    assert "Run 1 has no metric" in done.stderr
    assert "0.5" in done.stdout
    assert "run 3" in anew(project, "plot", "1-4", "loss").stdout
