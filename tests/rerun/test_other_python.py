"""A run that was recorded on one Python is run again on another: the difference is listed, and nothing else breaks."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.places import ROOT
from tests.helpers.scripts import ANEW, Project, checked

pytestmark = pytest.mark.interpreter
PROBE = "import platform, sys; import anew.runner.cli, hydra; print(sys.version_info[:2], platform.python_version())"
MAIN = """
    import random
    from concurrent.futures import ProcessPoolExecutor
    from dataclasses import dataclass
    from typing import Literal, Optional
    import numpy as np
    @dataclass
    class Size:
        width: int = 3
        unit: Optional[str] = None
    def work(n):
        anew.current_run().log({f"part{n}": n})
        return len(open("rows.txt").read())
    @experiment.main
    def main(size: Size = Size(), kind: Literal["sum", "fail"] = "sum", *, run: Run):
        drawn = [random.random(), float(np.random.normal()), float(run.rng("it").normal())]
        run.log({"drawn": drawn[0]}, step=0)
        (run.dir / "drawn.txt").write_text(repr(drawn))
        run.log_artifact("drawn.txt")
        print("drawn", drawn)
        with ProcessPoolExecutor(2) as pool:
            lengths = list(pool.map(work, range(2)))
        if kind == "fail":
            raise ValueError("no such kind") from KeyError(kind)
        return {"drawn": drawn, "lengths": lengths, "size": size}
"""


@pytest.fixture(scope="module")
def other() -> tuple[str, str]:
    """Another Python that anew is installed for, and its version: `make dev` and `make pythons` make them here."""
    own, mine = str(sys.version_info[:2]), platform.python_version()
    for path in [ROOT / ".venv/bin/python", *sorted(ROOT.glob(".venv-pythons/*/bin/python"))]:
        try:
            done = subprocess.run([path, "-c", PROBE], capture_output=True, text=True)
        except OSError:  # of a root folder, and this is another
            continue
        series, _, version = done.stdout.strip().rpartition(" ")
        if done.returncode == 0 and series != own and version != mine:
            return str(path), version
    pytest.skip("no other Python that anew is installed for is here: make pythons-near")


@pytest.fixture
def trial(project: Path) -> Project:
    trial = Project(project)
    (project / "rows.txt").write_text("1 2 3")
    trial.write(MAIN)
    return trial


def on(python: str, trial: Project, *words: str, code: int = 0) -> str:
    """Run a script, or `anew`, on a Python; return what it prints."""
    command = [python, *(words if words[0].endswith(".py") else (*ANEW[1:], *words))]
    done = subprocess.run(command, cwd=trial.folder, capture_output=True, text=True, timeout=180)
    return checked(done, code).stdout


@pytest.mark.parametrize("forth", [True, False], ids=["from here", "to here"])
@pytest.mark.parametrize("kind", ["sum", "fail"])
def test_the_difference_is_listed_and_nothing_else_breaks(
    trial: Project, other: tuple[str, str], kind: str, forth: bool
) -> None:
    versions = [(sys.executable, platform.python_version()), other]
    (first, recorded), (second, now) = versions if forth else reversed(versions)
    on(first, trial, "train.py", f"kind={kind}", "size.width=5", code=int(kind == "fail"))

    shown: dict[str, Any] = json.loads(on(second, trial, "rerun", "1", "--json"))

    assert (shown["verdict"], shown["first_difference"]) == ("identical", None)
    assert shown["differences"]["python"]["version"] == {"recorded": recorded, "now": now, "restored": False}
    assert set(shown["differences"]) <= {"python", "packages", "origins", "variables", "libraries"}
    runs = [trial.record(number) for number in (1, 2)]
    assert [run.environment and run.environment.python for run in runs] == [recorded, now]
    assert runs[0].result == runs[1].result
    assert [run.error and run.error.message for run in runs] == ["no such kind" if kind == "fail" else None] * 2
    for python, version in versions:  # and each reads what the other wrote
        listed = json.loads(on(python, trial, "list", "--json"))
        assert [row["environment"]["python"] for row in listed] == [now, recorded], version
        assert recorded in on(python, trial, "diff", "1", "2")
        assert "drawn" in on(python, trial, "logs", "1")
        on(python, trial, "check", "--deep")


def test_a_job_of_a_sweep_is_run_again(trial: Project, other: tuple[str, str]) -> None:
    """Its configuration and its seed were made by the sweep."""
    python, version = other
    on(python, trial, "train.py", "-m", "size.width=1,2", "anew.sweep.workers=2")

    shown = json.loads(on(sys.executable, trial, "rerun", "2", "--json"))

    assert (shown["verdict"], shown["differences"]["python"]["version"]["recorded"]) == ("identical", version)
    assert trial.record().config["size"]["width"] == trial.record(2).config["size"]["width"]


def test_a_sweep_is_carried_on(trial: Project, other: tuple[str, str]) -> None:
    """What one Python planned, another finishes: what is left of it is no pickle of the first."""
    python, version = other
    trial.write(
        """
    @experiment.main
    def main(n: int = 1):
        if not os.path.exists("mended"): assert n != 2
        return n
    """
    )
    on(python, trial, "train.py", "-m", "n=1,2,3", code=1)
    (trial.folder / "mended").touch()

    on(sys.executable, trial, "sweep", "resume", "1")

    shown = json.loads(on(python, trial, "list", "--json"))
    done = {row["config"]["n"]: row["environment"]["python"] for row in shown if row["status"] == "COMPLETED"}
    assert set(done) == {1, 2, 3}
    assert (done[1], done[2]) == (version, platform.python_version())
