"""What has become of the runs of a store since one looked, without looking at all of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from anew.runner.store import changes
from anew.runner.store.changes import Changes
from anew.runner.store.curate import purge
from tests.helpers.stores import add_run, make_store


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look whenever asked, and not twice a second."""
    monkeypatch.setattr(changes, "LEAST_S", 0.0)
    monkeypatch.setattr(changes, "_OTHERS_S", 0.0)


def test_nothing_changes_while_nothing_happens(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    add_run(store)
    watched = Changes(store)

    first = watched.version()

    assert watched.since(first).runs == watched.since(first).gone == ()
    assert watched.version() == first


def test_new_runs_and_those_that_are_gone_are_told_to_whoever_asks(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    add_run(store)
    watched = Changes(store)
    first = watched.version()

    number = add_run(store)
    second = watched.since(first)
    store.delete(1)
    third = watched.since(second.version)

    assert (second.runs, second.gone, second.is_stale) == ((number,), (), False)
    assert (third.runs, third.gone) == ((), (1,))
    assert set(watched.since(first).runs) == {number}


def test_a_run_that_goes_on_is_told_with_each_point_and_no_more_once_it_has_ended(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    number = add_run(store, status=None, metrics={"loss": [1.0]})
    watched = Changes(store)
    first = watched.version()

    journal = store.layout.run(number).journal("main")
    other = add_run(store, metrics={"loss": [1.0, 0.5]})
    shutil.copyfile(store.layout.run(other).journal("main"), journal)
    second = watched.since(first)

    assert set(second.runs) == {number, other}
    assert watched.since(second.version).runs == ()


def test_a_tag_makes_all_stale(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    add_run(store)
    watched = Changes(store)
    first = watched.version()

    store.tag(1, "paper")

    assert watched.since(first).is_stale
    assert not watched.since(watched.version()).is_stale


def test_a_number_that_is_claimed_is_no_run_until_it_begins(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    watched = Changes(store)
    first = watched.version()
    number, _ = store.claim()
    claimed = watched.since(first)

    begun = add_run(store)

    assert claimed.runs == ()
    assert number not in watched.since(first).runs
    assert begun in watched.since(first).runs


def test_a_run_that_comes_back_is_there_again(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    add_run(store)
    watched = Changes(store)
    first = watched.version()

    store.delete(1)
    assert watched.since(first).gone == (1,)
    store.restore(1)
    told = watched.since(first)
    store.delete(1)
    purge(store)

    assert (told.runs, told.gone) == ((1,), ())
    assert watched.since(first).gone == (1,)


def test_what_was_forgotten_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_MOST_KEPT", 2)
    store = make_store(tmp_path / "runs")
    add_run(store)
    watched = Changes(store)
    first = watched.version()
    for _ in range(4):
        add_run(store)

    told = watched.since(first)

    assert told.is_stale
    assert told.runs == ()
