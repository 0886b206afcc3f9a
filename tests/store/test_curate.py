"""Curating changes no file of a run, and purging removes nothing that anybody may need."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from anew.runner.errors import RunNotFoundError, RunStateError, ValueRefusedError
from anew.runner.events import Warned
from anew.runner.records import Part, Severity, Status
from anew.runner.store.curate import GRACE_S, delete, note, purge, restore, tag, trashed
from anew.runner.store.folder import FolderStore
from anew.runner.store.integrity import check_store
from tests.helpers.stores import add_run, make_store


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return make_store(tmp_path / "runs")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def age(store: FolderStore) -> None:
    """Make all content older than the grace that a purge gives."""
    old = time.time() - GRACE_S - 10
    for sha256 in store.objects.all():
        os.utime(store.objects.path(sha256), (old, old))


def test_curating_adds_files_and_changes_none(store: FolderStore) -> None:
    add_run(store, metrics={"x": [1.0]}, output="hello\n")
    before = contents(store.layout.run(1).folder)
    tag(store, 1, ["a", "b"])
    tag(store, 1, [], ["a"])
    note(store, 1, "so")
    after = contents(store.layout.run(1).folder)
    assert {name: after[name] for name in before} == before
    assert (store.get(1).tags, store.get(1).note) == (("b",), "so")
    assert len(after) == len(before) + 3 + len(["curated.json"])


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "a\tb", "\x7f", "\x85", " "])
def test_what_is_no_name_in_a_line_is_no_tag(store: FolderStore, name: str) -> None:
    add_run(store)
    with pytest.raises(ValueRefusedError, match="a tag is a name"):
        tag(store, 1, ["good", name])
    assert store.get(1).tags == ()
    tag(store, 1, ["\N{GREEK SMALL LETTER ALPHA} b", "\u200b"])  # these drive no terminal
    tag(store, 1, [], [name])  # one that an earlier version took can be taken away
    assert store.get(1).tags == ("\N{GREEK SMALL LETTER ALPHA} b", "\u200b")


def test_deleting_is_undone_byte_for_byte(store: FolderStore) -> None:
    add_run(store, metrics={"x": [1.0]})
    before = contents(store.layout.run(1).folder)
    assert delete(store, 1) == 1
    assert [record.id for record in trashed(store)] == [1]
    with pytest.raises(RunNotFoundError, match="anew restore 1"):
        store.get(1)
    assert restore(store, "last") == 1
    assert contents(store.layout.run(1).folder) == before
    with pytest.raises(RunNotFoundError, match=r"holds no run '1'; it holds: nothing"):
        restore(store, 1)


def test_a_run_that_is_going_on_is_not_deleted(store: FolderStore) -> None:
    add_run(store, status=None)
    with pytest.raises(RunStateError, match="is going on"):
        delete(store, 1)


def test_a_purge_spares_what_others_refer_to_and_what_is_fresh(store: FolderStore) -> None:
    add_run(store, artifacts={"mine": b"mine", "shared": b"shared"})
    add_run(store, artifacts={"also": b"shared"})
    add_run(store, artifacts={"deleted": b"deleted"})
    delete(store, 1)
    delete(store, 3)
    age(store)
    fresh = store.objects.put_bytes(b"about to be referred to")
    purged = purge(store, [1])
    assert (purged.runs, purged.objects, purged.bytes_freed) == ((1,), 1, 4)
    kept = {artifact.sha256 for record in (store.get(2), *trashed(store)) for artifact in record.artifacts}
    assert set(store.objects.all()) == kept | {fresh}


def test_nothing_is_removed_while_it_is_not_known_what_a_damaged_run_refers_to(store: FolderStore) -> None:
    add_run(store, artifacts={"a": b"one"})
    add_run(store, artifacts={"b": b"two"})
    journal = store.layout.run(1).journal("main")
    journal.write_bytes(journal.read_bytes().replace(b'"k":"a"', b'"k":"b"'))
    age(store)
    delete(store, 2)
    purged = purge(store)
    assert purged.runs == (2,)
    assert purged.objects == 0
    assert "damaged runs 1" in purged.content_kept
    assert len(list(store.objects.all())) == 2


def test_what_is_damage_is_decided_by_its_type_and_not_by_words(store: FolderStore) -> None:
    """Warnings are for people: they say whatever a metric or a file is called."""
    add_run(store, artifacts={"a": b"one"}, warnings=("events/old.csv was left out", "run.json is no source file"))
    store.add_event(store.look_up(1), Warned, text="the metric 'missing_rate' was not kept: it is no number")
    store.add_event(store.look_up(1), Warned, text="the metric 'damage' was not kept: it is no number")
    orphan = store.objects.put_bytes(b"nobody's")
    age(store)
    record = store.get(1)

    assert len(record.warnings) == 4
    assert record.damage == ()
    assert list(check_store(store)) == []
    assert purge(store).content_kept == ""
    assert not store.objects.has(orphan)


def test_damage_says_what_is_lost_where_and_how_to_mend_it(store: FolderStore) -> None:
    add_run(store, metrics={"loss": [3, 2, 1]})
    layout = store.layout.run(1)
    lines = layout.journal("main").read_bytes().splitlines(keepends=True)
    layout.journal("main").write_bytes(lines[0] + lines[2])
    layout.outcome.write_bytes(b"rubbish")
    record = store.get(1)

    assert [(each.part, each.where, each.severity) for each in record.damage] == [
        (Part.OUTCOME, "outcome.json", Severity.ERROR),
        (Part.JOURNAL, "events/main.jsonl", Severity.ERROR),
    ]
    assert [each.hides_content for each in record.damage] == [False, True]
    assert all(each.what.startswith(each.where) and "backup" in each.mend for each in record.damage)
    assert record.warnings == tuple(each.what for each in record.damage)
    assert [(finding.severity, finding.what) for finding in check_store(store) if "LOST" not in finding.what] == [
        (each.severity, each.what) for each in record.damage
    ]


def test_an_interrupted_purge_is_finished_by_the_next(store: FolderStore) -> None:
    add_run(store)
    delete(store, 1)
    store.layout.trashed(1).folder.rename(store.layout.trash / ".purging-1-x")
    assert any("a purge was interrupted" in finding.what for finding in check_store(store))
    purge(store)
    assert not list(check_store(store))
    assert not [path for path in store.layout.trash.iterdir() if path.is_dir()]


def test_a_check_finds_what_is_missing_lost_and_never_started(store: FolderStore) -> None:
    add_run(store, artifacts={"a": b"one"}, source={"train.py": "x = 1\n"})
    number, layout = store.claim()
    old = time.time() - 3600
    os.utime(layout.folder, (old, old))
    store.objects.remove(store.get(1).artifacts[0].sha256)
    path = store.objects.path(store.get(1).source.files[0].sha256)
    path.chmod(0o644)
    path.write_bytes(b"x = 2\n")
    found = {(finding.severity.value, finding.where) for finding in check_store(store)}
    assert found == {("error", "run 1"), ("note", str(store.layout.run(number).folder))}
    texts = [finding.what for finding in check_store(store, deep=True)]
    assert sum("is missing or damaged" in text for text in texts) == 2


def test_what_is_said_of_a_run_later_is_no_sign_of_its_life(store: FolderStore) -> None:
    """A tag given to a run that may be dead must not make it look alive, nor move when it was heard of last."""
    for status in (Status.COMPLETED, None):
        number = add_run(store, status=status, metrics={"loss": [1.0]}, minutes_ago=60)
        before = store.get(number).heartbeat_at
        tag(store, number, ["later"])
        note(store, number, "much later")
        assert store.get(number).tags == ("later",)
        assert store.get(number).heartbeat_at == before
