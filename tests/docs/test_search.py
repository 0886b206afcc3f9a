"""The page on searches: its files make a project, in which its commands run, one after the other."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from anew.runner.search.settings import PRUNERS, SAMPLERS
from anew.runner.store.folder import FolderStore
from tests.helpers.places import ROOT
from tests.helpers.scripts import ANEW

PAGE = (ROOT / "docs/search.md").read_text()


def test_every_command_of_the_page_runs(project: Path) -> None:
    pytest.importorskip("optuna")
    for name, text in re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    lines = [line for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    for line in lines:
        words = shlex.split(line.removeprefix("$ "), comments=True)
        command = [*{"python": [sys.executable], "anew": ANEW}[words[0]], *words[1:]]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        assert "stops its good jobs" not in done.stdout + done.stderr, "what is reported goes where the search goes"
    store = FolderStore.open(project / "runs")
    assert len(store.sweep(1).jobs) == 8, "it was made longer"
    conditional = store.sweep(2).jobs
    assert all(("model=mlp" in job.overrides) == (len(job.overrides) == 3) for job in conditional)
    best = store.sweep(3).best
    assert best is not None
    assert best.metrics["size"] <= 6
    assert [job.overrides for job in store.sweep(4).jobs[:2]] == [("rate=0.3",), ("rate=0.2",)]
    assert store.sweep(5).jobs[0].overrides[0].startswith("rate=")
    assert len(store.sweep(6).jobs) == 8
    assert len(store.sweep(7).jobs) <= 8
    done = subprocess.run([sys.executable, "found.py"], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "8"


def test_every_option_is_on_the_page() -> None:
    shipped = yaml.safe_load((ROOT / "configs/hydra/sweeper/optuna.yaml").read_text())
    for option in set(shipped) - {"defaults", "_target_", "_recursive_", "n_jobs"}:
        assert f"hydra.sweeper.{option}" in PAGE or f"`{option}`" in PAGE, option
    for name in (*SAMPLERS, *PRUNERS):
        assert name in PAGE
