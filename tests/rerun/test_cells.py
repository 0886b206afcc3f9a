"""Main functions that were made in cells of a notebook, or in an IPython shell, run again from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.rerun.test_rerun import Again

pytest.importorskip("ipykernel")

EXPERIMENT = "from anew import Experiment, Run\nexperiment = Experiment('note')"
MAIN = """@experiment.main
def main(lr: float = 0.1, *, run: Run):
    run.log({"loss": lr * factor})
    return helper(lr)"""
HELPER = "import math\nfactor = 2\ndef helper(x): return math.floor(x * 100) * factor"

# a kernel, in a process that asks it to run cells and waits for each
KERNEL = """
import json, sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel()
try:
    for cell in json.loads(sys.stdin.read()):
        reply = client.execute_interactive(cell, timeout=60)
finally:
    client.stop_channels()
    manager.shutdown_kernel()
"""
SHELL = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
shell = InteractiveShell.instance(config=Config(HistoryManager={"hist_file": ":memory:"}))
for cell in json.loads(sys.stdin.read()):
    shell.run_cell(cell, store_history=True)
"""
WAYS = {"kernel": KERNEL, "shell": SHELL}


@pytest.fixture
def trial(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Again:
    monkeypatch.setenv("ANEW_STORE", str(project.parent / "runs"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    return Again(project)


def notebook(trial: Again, *cells: str, way: str = "shell", **env: str) -> str:
    """Run cells; return what they printed."""
    done = subprocess.run(
        [sys.executable, "-c", WAYS[way]],
        input=json.dumps(cells),
        cwd=trial.folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def again(trial: Again, ref: int, *args: str, **how: Any) -> dict[str, Any]:
    runs = len(trial.store.find())
    shown = trial.again(str(ref), *args, **how)
    # the cells called nothing else that is recorded
    assert len(trial.store.find()) == runs + 1
    return shown


@pytest.mark.parametrize("way", WAYS)
def test_a_main_in_cells_is_run_again_from_the_cells_as_they_ran(way: str, trial: Again) -> None:
    said = notebook(trial, HELPER, EXPERIMENT, MAIN, "record = main.run('lr=0.25')\nprint(record.result)", way=way)
    assert "50" in said
    assert "in no file" not in said
    record = trial.record(1)
    assert record.command.entry == "cells"
    assert record.warnings == ()
    [kept] = [file.sha256 for file in record.source.files if file.path == "notebook-cells.py"]
    text = trial.store.objects.path(kept).read_bytes()
    assert text.decode().split("# %% [")[-1].startswith("4]\nrecord = main.run")
    assert again(trial, 1)["verdict"] == "identical"
    assert again(trial, 2)["verdict"] == "identical"
    assert again(trial, 1, "lr=0.5")["verdict"] == "different"
    assert trial.record(4).result == 100


@pytest.mark.long
def test_each_version_of_main_is_the_one_that_ran(trial: Again) -> None:
    second = MAIN.replace("return helper(lr)", "return 'second'")
    notebook(trial, HELPER, EXPERIMENT, MAIN, "main.run()", "factor = 3", "main.run()", second, "main.run(); 1 + 1")
    assert [trial.record(number).result for number in (1, 2, 3)] == [20, 30, "second"]
    for number in (1, 2, 3):
        assert again(trial, number)["verdict"] == "identical"


@pytest.mark.long
def test_what_other_cells_did_is_done_again_as_in_a_notebook(trial: Again) -> None:
    """Magics, an error that ended a cell, a module that a cell wrote, an await, a loop of runs, a record used later."""
    cells = [
        "%%writefile made.py\ndef helper(x): return x + 1\n",
        "!touch touched; pip --version > pip.txt",
        "%time from made import helper\nfactor = 1",
        "1 / 0\nfactor = 100",
        EXPERIMENT,
        "import asyncio\nawait asyncio.sleep(0)\nfactor += await asyncio.sleep(0, 1)",
        MAIN,
        "for lr in (0.5, 1.5):\n    best = main.run(f'lr={lr}')",
        "main.run(f'lr={best.result}')",
    ]
    notebook(trial, *cells)
    assert [trial.record(number).result for number in (1, 2, 3)] == [1.5, 2.5, 3.5]
    (trial.folder / "made.py").write_text("raise SystemExit('this is of today')\n")
    (trial.folder / "touched").unlink()
    for number in (1, 2, 3):
        assert again(trial, number)["verdict"] == "identical"
    assert not (trial.folder / "touched").exists()


def test_a_module_that_a_cell_makes_of_text_is_made_again(trial: Again) -> None:
    source = f"{EXPERIMENT}\nfactor = 2\ndef helper(x): return x\n{MAIN}\n"
    make = f"import types, sys\nmade = sys.modules['made'] = types.ModuleType('made')\nexec({source!r}, vars(made))"
    notebook(trial, make, "made.main.run()")
    assert again(trial, 1)["verdict"] == "identical"


@pytest.mark.long
def test_what_main_lacks_since_a_cell_was_left_at_another_run_is_said(trial: Again) -> None:
    lacking = MAIN.replace("return helper(lr)", "return base.result if lr > 0.2 else 1")
    notebook(trial, "factor = 2", EXPERIMENT, lacking, "base = main.run()", "main.run('lr=0.3')")
    shown = again(trial, 2, code=3)
    assert shown["verdict"] == "different"
    assert "cell [4] calls a main itself, and was left there" in " ".join(shown["notes"])


@pytest.mark.long
def test_where_the_cells_come_to_no_main_it_is_said_why(trial: Again) -> None:
    needs = "import os\nif 'THERE' not in os.environ: raise RuntimeError('nothing is there')\n"
    notebook(trial, "factor = 2", EXPERIMENT, f"{needs}{HELPER}\n{MAIN}", "main.run()", THERE="1")
    failed = trial.anew("rerun", "1", code=2)
    assert "no function 'main'" in failed.stderr
    assert "cell [3] ended with RuntimeError: nothing is there" in failed.stderr
    assert "which are on record, and in no file" in trial.anew("rerun", "1", "--code", "current", code=2).stderr


def test_cells_that_are_left_out_of_the_source_are_said_to_be_lost_when_they_are_recorded(trial: Again) -> None:
    notebook(trial, HELPER, EXPERIMENT, MAIN, "main.run('anew.source.exclude=[notebook-*]')")
    assert any("'notebook-cells.py' is code" in each for each in trial.record(1).warnings)
    assert "which are not on record" in trial.anew("rerun", "1", code=2).stderr


def test_a_secret_in_a_cell_is_said_as_of_any_source(trial: Again) -> None:
    notebook(trial, HELPER, "password = 'hunter2hunter2'", EXPERIMENT, MAIN, "main.run()")
    assert any("'notebook-cells.py' is kept as source, with" in each for each in trial.record(1).warnings)


@pytest.mark.long
def test_a_sweep_of_a_main_in_cells_can_be_taken_up_again_and_its_jobs_be_run_again(trial: Again) -> None:
    fails = MAIN.replace(
        "    return", "    import os\n    if lr > 0.3 and 'WHOLE' not in os.environ: 1 / 0\n    return"
    )
    notebook(trial, HELPER, EXPERIMENT, fails, "main.sweep('lr=0.1,0.2,0.4', workers=2)")
    assert sorted(record.status.value for record in trial.store.find()) == ["COMPLETED", "COMPLETED", "FAILED"]
    failed = next(record for record in trial.store.find() if record.status.value == "FAILED")
    done = next(record for record in trial.store.find() if record.status.value == "COMPLETED")
    assert done.command.entry == "cells"
    assert again(trial, done.id or 0)["verdict"] == "identical"
    trial.anew("sweep", "resume", "1", WHOLE="1")
    assert again(trial, failed.id or 0)["verdict"] == "identical"
    assert trial.store.sweep(1).status.value == "COMPLETED"
