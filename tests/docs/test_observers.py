"""The page on observers: what it builds works, and passes the suite that it speaks of."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from anew.runner.config.compose.node import compose_node
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
