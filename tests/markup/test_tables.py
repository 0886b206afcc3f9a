"""What a notebook shows of records: a table that fits, in which nothing of a record is markup."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from anew.runner.query.found import Found
from anew.runner.records import ErrorFacts, Status
from anew.runner.sweep_records import SweepJob, SweepRecord, SweepStart
from tests.helpers.scripts import Project
from tests.helpers.stores import add_run, make_store

NASTY = "<script>alert('\"&')</script>\ud800"


def parsed(html: str) -> ElementTree.Element:
    """The HTML, which is well-formed as XML too, and so can hold no tag that came from a record."""
    html.encode()
    root = ElementTree.fromstring(f"<div>{html}</div>")
    assert {each.tag for each in root.iter()} <= {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "p"}
    return root


def test_runs_that_were_found_are_a_list_that_shows_what_varies(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    for lr in (0.1, 0.2):
        add_run(store, config={"lr": lr, NASTY: NASTY, "same": 1}, metrics={"loss": [lr], NASTY: [1]}, result=lr)
    add_run(store, config={"lr": 0.3, NASTY: "other", "same": 1}, experiment=NASTY)
    found = store.find()
    assert found == [*found] == pickle.loads(pickle.dumps(found)) == copy.copy(found)
    assert isinstance(found, Found)
    assert issubclass(Found, list)
    assert type(found[:1]) is Found
    assert [each.id for each in found] == [3, 2, 1]
    table = parsed(found._repr_html_())
    header = [cell.text for cell in table.iter("th")]
    assert "lr" in header
    assert "same" not in header
    assert "loss" in header
    assert len([*table.iter("tr")]) == 4
    assert len(repr(found).splitlines()) == 3
    parsed(found[-1]._repr_html_())
    parsed(replace(found[0], error=ErrorFacts(type="E", message=NASTY, traceback=""), note=NASTY)._repr_html_())
    nothing = store.find("status == FAILED")
    assert isinstance(nothing, Found)
    parsed(nothing._repr_html_())


def test_many_runs_still_fit_a_cell(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    add_run(store, config={"text": "x" * 10_000, "list": [*range(10_000)], **{f"k{i}": i for i in range(500)}})
    record = store.get(1)
    assert len(record._repr_html_()) < 3_000
    many = Found([record] * 1000)
    assert "and 970 more runs" in many._repr_html_()
    assert len(many._repr_html_()) < 30_000
    assert len(repr(many).splitlines()) == 31


def test_a_series_shows_its_ends(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    add_run(store, metrics={"loss": [float(i) for i in range(1000)]})
    series = store.metrics(1, "loss")
    assert len([*parsed(series._repr_html_()).iter("tr")]) < 40
    assert repr(series) == "MetricSeries('loss': 1000 points, steps 0 to 999, last 999.0)"


def test_a_sweep_shows_its_jobs(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    project.write("""
    @experiment.main
    def main(lr: float = 0.1):
        return lr
    """)
    (tmp_path / "look.py").write_text(
        "import json, sys, train\n"
        "sys.modules['ipykernel'] = json  # as in a notebook\n"
        "sweep = train.main.sweep('lr=0.1,0.2')\n"
        "print(json.dumps([repr(sweep), sweep._repr_html_()]))\n"
    )
    done = project.run(name="look.py")
    text, html = json.loads(done.stdout)
    assert "COMPLETED=2" in text
    assert len([*parsed(html).iter("tr")]) == 6
    assert "sweep 1 of trial: 2 jobs" in done.stderr
    assert done.stderr.count("COMPLETED after") == 2


@pytest.mark.parametrize("jobs", [0, 1000])
def test_a_sweep_of_any_size_fits_a_cell(jobs: int) -> None:
    start = SweepStart.__new__(SweepStart)
    for name, value in (("id", 1), ("experiment", NASTY), ("overrides", (NASTY,))):
        object.__setattr__(start, name, value)
    each = SweepJob(index=0, status=Status.FAILED, overrides=(NASTY,), error=NASTY)
    sweep = SweepRecord(start=start, status=Status.FAILED, jobs=(each,) * jobs)
    assert len([*parsed(sweep._repr_html_()).iter("tr")]) <= 35
    assert len(repr(sweep)) < 300
