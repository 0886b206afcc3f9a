"""`anew run NOTEBOOK.ipynb`: a copy is executed, with parameters, and kept."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from anew.runner.errors import ConfigError
from anew.runner.program.notebook import _injected, read_notebook
from anew.runner.records import Status
from tests.helpers.scripts import ANEW, Project, anew
from tests.helpers.waiting import until

pytest.importorskip("nbclient")

FIRST = "import os, random\nfrom helper import twice"
PARAMETERS = "lr = 0.1\nhow = ''\n!true\nsteps = len(how) + 2"
BODY = """\
import anew, time
for step in range(steps):
    print("step:", step, "loss:", lr * random.random())
anew.current_run().log({"x": twice(lr)}, step=0)
if how == "raise":
    raise ValueError("no")
if how == "sleep":
    print("asleep", flush=True)
    time.sleep(60)
hash("a")"""


def _cell(source: str, *tags: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": f"cell-{len(source)}",
        "metadata": {"tags": list(tags)},
        "outputs": [],
        "source": source.splitlines(keepends=True),
    }


def _notebook(*cells: dict[str, Any], kernel: str = "python3", language: str = "python") -> dict[str, Any]:
    about = {"kernelspec": {"name": kernel, "language": language, "display_name": kernel}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": about, "cells": list(cells)}


@pytest.fixture(autouse=True)
def _ipython_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))


@pytest.fixture
def trial(project: Path) -> Project:
    (project / "pyproject.toml").touch()
    folder = project / "sub"
    folder.mkdir()
    (folder / "helper.py").write_text("def twice(x):\n    return 2 * x\n")
    cells = (_cell(FIRST), _cell(PARAMETERS, "parameters"), _cell(BODY))
    (folder / "fit.ipynb").write_text(json.dumps(_notebook(*cells)))
    return Project(project)


def test_a_notebook_is_a_run_and_is_run_anew(trial: Project) -> None:
    before = (trial.folder / "sub/fit.ipynb").read_bytes()
    listed = json.loads(anew(trial, "run", "sub/fit.ipynb", "--params", "--json").stdout)
    assert [(each["name"], each["default"]) for each in listed] == [("lr", 0.1), ("how", "")]
    anew(trial, "run", "--metrics", "auto", "sub/fit.ipynb", "lr=0.5")
    record = trial.record()
    assert (record.experiment, record.status, record.config) == ("fit", Status.COMPLETED, {"lr": 0.5, "how": ""})
    assert record.command is not None
    assert record.source is not None
    assert record.command.entry == "notebook"
    assert "sub/fit.ipynb" in {each.path for each in record.source.files}
    assert record.metrics["x"].last == 1.0
    assert record.metrics["loss"].count == 2
    assert [each.path for each in record.artifacts] == ["fit.ipynb"]
    executed = json.loads((trial.folder / "runs/1/files/fit.ipynb").read_text())
    sources = ["".join(each["source"]) for each in executed["cells"]]
    assert sources == [FIRST, PARAMETERS, "# Parameters\nlr = 0.5", BODY]
    assert executed["cells"][3]["outputs"]
    assert (trial.folder / "sub/fit.ipynb").read_bytes() == before
    (trial.folder / "sub/fit.ipynb").write_text("gone")
    assert "identical" in anew(trial, "rerun", "1").stdout
    anew(trial, "rerun", "1", "lr=1")
    assert trial.record().metrics["x"].last == 2.0


def test_it_ends_as_its_cells_do(trial: Project) -> None:
    failed = anew(trial, "run", "sub/fit.ipynb", "how=raise", code=1)
    record = trial.record()
    assert record.error is not None
    assert (record.status, record.error.type, record.error.message) == (Status.FAILED, "ValueError", "no")
    assert "----> " in failed.stderr
    assert [each.path for each in record.artifacts] == ["fit.ipynb"]
    words = [*ANEW, "run", "sub/fit.ipynb", "how=sleep"]
    process = subprocess.Popen(words, cwd=trial.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    until(lambda: process.stdout is not None and process.stdout.readline().strip() == "asleep")
    process.send_signal(2)
    process.communicate(timeout=60)
    record = trial.record()
    assert (record.status, process.returncode) == (Status.INTERRUPTED, 130)
    assert [each.path for each in record.artifacts] == ["fit.ipynb"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["no.ipynb"], "There is no file 'no.ipynb'. Did you mean"),
        (["text.ipynb"], "is no notebook"),
        (["old.ipynb"], "format 4"),
        (["bare.ipynb", "lr=1"], "has no parameters"),
        (["bare.ipynb", "--", "x"], "takes no words"),
        (["wrong.ipynb"], "SyntaxError"),
        (["r.ipynb"], "needs the kernel 'ir'"),
    ],
)
def test_what_cannot_be_run_is_said(project: Path, words: list[str], told: str) -> None:
    made = {
        "text": "text",
        "old": json.dumps({"nbformat": 3, "worksheets": []}),
        "bare": json.dumps(_notebook(_cell("lr = 1"))),
        "wrong": json.dumps(_notebook(_cell("lr = = 1", "parameters"))),
        "r": json.dumps(_notebook(_cell("lr <- 1"), kernel="ir", language="R")),
    }
    for name, text in made.items():
        (project / f"{name}.ipynb").write_text(text)
    done = subprocess.run([*ANEW, "run", *words], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_values_take_the_place_of_those_injected_before(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    cells = (_cell("x = 1", "parameters"), _cell("x = 3", "injected-parameters"), _cell("x"))
    path.write_text(json.dumps(_notebook(*cells)))
    content = read_notebook(str(path)).content
    assert content is not None
    injected = _injected(content, {"x": 4})
    assert ["".join(each["source"]) for each in injected["cells"]] == ["x = 1", "# Parameters\nx = 4", "x"]
    assert len(_injected(content, {})["cells"]) == 2
    with pytest.raises(ConfigError, match="There is no file"):
        read_notebook(str(tmp_path / "b.ipynb"))
