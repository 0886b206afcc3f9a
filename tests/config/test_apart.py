"""Hydra's own part, composed by another process, so that many runs of this one do without Hydra."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.releases import HYDRA_1_4

pytestmark = pytest.mark.skipif(HYDRA_1_4, reason="Hydra 1.4 composes each time")

SCRIPT = """\
import json, sys
from anew import Experiment, Run
experiment = Experiment("apart")
@experiment.main
def main(x: float = 1.0, ask: bool = False, *, run: Run) -> list[str]:
    if ask:
        run.dir
    return sorted(str(path.relative_to(run.dir.parent)) for path in run.dir.rglob("*.yaml")) if ask else []
bare, asked = main.run("x=2"), main.run("ask=true")
import pathlib
left = sorted(path.name for path in pathlib.Path("runs", str(bare.id)).iterdir())
print(json.dumps({"hydra": "hydra" in sys.modules, "left": left, "asked": asked.result, "x": bare.config["x"]}))
"""


def said(folder: Path, **variables: str) -> dict[str, object]:
    (folder / "apart.py").write_text(SCRIPT)
    environ = {**os.environ, "ANEW_STORE": "runs", **variables}
    found: dict[str, object] = json.loads(
        subprocess.check_output([sys.executable, "apart.py"], cwd=folder, env=environ)
    )
    return found


def test_the_first_call_of_an_installation_leaves_hydra_out_of_the_process(tmp_path: Path) -> None:
    found = said(tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert found == {
        "hydra": False,
        "left": ["events", "outcome.json", "output.log", "run.json"],
        "asked": ["files/.hydra/config.yaml", "files/.hydra/hydra.yaml", "files/.hydra/overrides.yaml"],
        "x": 2.0,
    }


def test_where_nothing_can_be_kept_hydra_composes_each_time(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way of a folder")
    found = said(tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert found["hydra"] is True
    assert found["x"] == 2.0
