"""Words that other programs have, words that are too much, and words that hold spaces."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from anew.runner.store.folder import FolderStore
from tests.helpers.scripts import anew
from tests.helpers.stores import add_run, make_store


@pytest.fixture
def store(project: Path) -> FolderStore:
    store = make_store(project / "runs")
    add_run(store, tags=["paper"])
    return store


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("ls", "list"), ("rm", "delete"), ("cmp", "compare"), ("help", "--help"), ("lst", "list"), ("tail", "logs")],
)
def test_a_command_of_other_programs_is_told_as_ours(store: FolderStore, project: Path, typed: str, meant: str) -> None:
    assert f"There is no command '{typed}'. Did you mean: anew {meant}?" in anew(project, typed, "1", code=2).stderr


def test_every_word_of_other_programs_leads_to_a_command(store: FolderStore, project: Path) -> None:
    from anew.runner.cli.group import _COMMANDS, _ELSEWHERE

    assert not set(_ELSEWHERE) & set(_COMMANDS)
    assert {meant.split()[0] for meant in _ELSEWHERE.values()} <= {*_COMMANDS, "--help", "--version"}


def test_what_is_too_much_is_told_with_what_is_taken(store: FolderStore, project: Path) -> None:
    said = anew(project, "sweep", "show", "1", "2", code=2).stderr
    assert said == (
        "anew: anew sweep show takes [OPTIONS] [REF]; what is too much: 2. To see how: anew sweep show --help\n"
    )
    # click of 8.1 and of later says the first half in other words
    said = anew(project, "list", "--zzz", code=2).stderr
    assert re.search(r"No such option:? '?--zzz'?\. To see how: anew list --help", said)


def test_a_store_without_a_name_is_refused_by_every_command(store: FolderStore, project: Path) -> None:
    for words in (["--store", "", "list"], ["list", "--store="], ["check", "--store", " "]):
        assert "name is empty" in anew(project, *words, code=2).stderr


def test_plot_without_a_name_or_with_a_wrong_one_tells_the_metrics_there_are(project: Path) -> None:
    store = make_store(project / "runs")
    add_run(store, metrics={"loss": [1.0], "test/acc": [2.0]})
    add_run(store)
    assert "such as: anew plot 1 loss. There are: loss, test/acc." in anew(project, "plot", "1", code=2).stderr
    assert "and 2 has none" in anew(project, "plot", "2", code=2).stderr
    assert "such as: anew plot last loss" in anew(project, "plot", code=2).stderr
    assert "it has: loss, test/acc. Did you mean 'loss'?" in anew(project, "plot", "1", "los", code=2).stderr


def test_a_tag_with_spaces_is_shown_as_one_and_an_empty_one_refused(store: FolderStore, project: Path) -> None:
    assert anew(project, "tag", "1", "a b").stdout == 'Run 1: paper "a b"\n'
    assert 'paper "a b"' in anew(project, "show", "1").stdout
    assert len(anew(project, "list", 'tag == "a b"').stdout.splitlines()) == 2
    assert "one of these is empty" in anew(project, "tag", "1", "", code=2).stderr
    assert "one of these is empty" in anew(project, "tag", "1", "x", " ", code=2).stderr
    assert store.get(1).tags == ("paper", "a b")


def test_the_command_is_a_module_too_and_takes_none_from_where_it_is_started(store: FolderStore, project: Path) -> None:
    listed, refused = anew(project, "list", "--json").stdout, anew(project, "lst", code=2).stderr
    Path(project, "platform.py").write_text("raise SystemExit('this is not the standard library')")
    for word, *said in (("list --json", 0, listed, ""), ("lst", 2, "", refused)):
        command = [sys.executable, "-m", "anew", *word.split()]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True)
        assert [done.returncode, done.stdout, done.stderr] == said
