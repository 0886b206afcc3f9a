"""Of a run with many points each step of a re-run is done once, and is shown on a terminal while it goes on."""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from anew.runner import wording
from anew.runner.records import CommandFacts
from anew.runner.rerun import verdict
from anew.runner.rerun.conduct import run_again
from anew.runner.rerun.options import RerunOptions
from anew.runner.rerun.sides import Side
from anew.runner.store import journal_forms, lines
from anew.runner.store.folder import FolderStore
from tests.helpers.stores import add_run, make_store
from tests.rerun.test_rerun import Again


@pytest.fixture
def trial(project: Path, monkeypatch: pytest.MonkeyPatch) -> Again:
    monkeypatch.setenv("ANEW_STORE", str(project.parent / "runs"))
    return Again(project)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return make_store(tmp_path / "runs")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often lines of the journals of each run are read, by its number."""
    found: Counter[str] = Counter()

    def noting(path: Path, **options: Any) -> Any:
        found[path.parent.parent.name] += 1
        return journal_forms.open_journal(path, **options)

    monkeypatch.setattr(lines, "open_journal", noting)
    return found


def sides(store: FolderStore, metrics: dict[str, list[float]], *others: dict[str, list[float]]) -> list[Side]:
    program = CommandFacts(argv=("a.py",), cwd="/project", entry="program")
    numbers = [add_run(store, metrics=each, output="one line\n") for each in (metrics, *others)]
    return [Side(replace(store.get(number), command=program), store) for number in numbers]


METRICS = {f"m{number}": [float(number), 1.0, 2.0] for number in range(20)}


def test_journals_are_read_once_for_all_metrics_and_not_for_how_a_program_ended(
    store: FolderStore, opened: Counter[str]
) -> None:
    was, now = sides(store, METRICS, METRICS)
    opened.clear()
    assert verdict.compare(was, now).all == []
    assert opened == {"1": 1, "2": 1}


@pytest.mark.parametrize("most", [1, 7, 12, 10**6])
def test_however_many_are_compared_at_once_the_same_comes_of_it(
    most: int, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {**METRICS, "m3": [3.0, 1.0, 2.5], "m7": [7.0], "more": [1.0]}
    del other["m9"]
    was, now = sides(store, METRICS, other)
    expected = verdict.compare(was, now)
    monkeypatch.setattr(verdict, "_MOST_POINTS", most)
    shown: list[str] = []
    found = verdict.compare(was, now, show=shown.append)
    assert (found.all, found.points) == (expected.all, expected.points)
    assert {(part.what, part.name, part.step) for part in found.all} == {
        *(("metric", "m3", 2), ("metric", "m7", None), ("metric", "m9", None), ("metric", "more", None)),
    }
    assert shown[0] == "0 of 116 points compared"


def test_a_run_that_was_run_again_is_read_once_and_compared_once(trial: Again, opened: Counter[str]) -> None:
    trial.write("""
    @experiment.main
    def main(*, run: Run):
        for step in range(2000):
            run.log({"loss": step}, step=step)
    """)
    trial.run()
    shown: list[str] = []
    quiet = subprocess.DEVNULL
    result = run_again(1, (), RerunOptions(), store=None, stdout=quiet, stderr=quiet, show=shown.append)
    assert result.verdict == "identical"
    assert opened["2"] == 2
    assert shown == ["reading run 2 ...", "", "0 of 4000 points compared", "", ""]


@pytest.mark.parametrize(("is_terminal", "written"), [(True, "\r\x1b[Kanew: so far\r\x1b[K"), (False, "")])
def test_what_is_being_done_is_shown_on_a_terminal_alone(
    is_terminal: bool, written: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    wording.show("so far")
    wording.show("")
    assert capsys.readouterr().err == written
