"""The page on observers: what it builds works, and passes the suite that it speaks of."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from anew.runner import events as ev
from anew.runner.attached.comments import Comment
from anew.runner.attached.media import Histogram
from anew.runner.config.compose.node import compose_node
from anew.runner.records import ContentRef
from tests.helpers.places import ROOT
from tests.helpers.scripts import Project

PAGE = (ROOT / "docs" / "observers.md").read_text()
BLOCKS = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL))


def test_the_observer_on_the_page_follows_a_run(project: Path) -> None:
    (project / "jsonlines.py").write_text(BLOCKS["jsonlines.py"])
    trial = Project(project)
    trial.write(
        """
        @experiment.main
        def main(n: int = 5, *, run: Run):
            for step in range(n):
                run.log({"loss": step / 2}, step=step)
        """
    )
    trial.run("anew.observers.lines._target_=jsonlines.JsonLines", "anew.observers.lines.path=points.jsonl")
    lines = [json.loads(line) for line in (project / "points.jsonl").read_text().splitlines()]
    points = [(each["step"], each["values"]["loss"]) for each in lines if "loss" in each["values"]]
    assert points == [(step, step / 2) for step in range(5)]


def test_the_observer_on_the_page_passes_the_suite(project: Path) -> None:
    for name, text in BLOCKS.items():
        (project / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_jsonlines.py"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "failed" not in done.stdout


def test_every_observer_that_can_be_chosen_is_on_the_page() -> None:
    folder = ROOT / "configs/anew/observers"
    for path in folder.glob("*.yaml"):
        assert f"| `{path.stem}` |" in PAGE
        if path.stem != "files":
            found = compose_node([f"anew/observers=[{path.stem}]"], None)["observers"]
            assert found[path.stem]["_target_"].startswith("anew.observers.")


def test_every_event_is_on_the_page_with_its_fields() -> None:
    table = PAGE.partition("## The events")[2]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
    told = {row[0].strip("|` "): set(re.findall(r"`(\w+)`", row[2])) for row in rows}
    kinds = [each for each in vars(ev).values() if isinstance(each, type) and issubclass(each, ev.Event)]
    common = {each.name for each in fields(ev.Event)}
    assert set(told) == {kind.__name__ for kind in kinds if kind is not ev.Event}
    for kind in kinds:
        if kind is not ev.Event:
            assert {each.name for each in fields(kind)} - common <= told[kind.__name__], kind
    # names of what is inside a field stand behind it
    inside = {each.name for kind in (ContentRef, Histogram, Comment) for each in fields(kind)}
    known = {each.name for kind in kinds for each in fields(kind)} | inside
    assert set().union(*told.values()) <= known
    assert common <= set(re.findall(r"`(\w+)`", table.partition("| event")[0]))


def test_the_observer_that_reads_content_has_it(project: Path) -> None:
    (project / "contents.py").write_text(BLOCKS["contents.py"])
    trial = Project(project)
    trial.write(
        """
        @experiment.main
        def main(*, run: Run):
            run.log_text("what was said", "talk", step=1)
        """
    )
    trial.run("anew.observers.own._target_=contents.Contents")
    assert [path.read_text() for path in (project / "contents").rglob("*") if path.is_file()] == ["what was said"]
