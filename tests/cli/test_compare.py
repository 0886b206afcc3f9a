"""`anew compare`: several runs side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anew.runner.cli import main
from tests.helpers.stores import add_run, make_store


def test_runs_stand_side_by_side(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    store = make_store(project / "runs")
    for lr in (0.1, 0.2, 0.3):
        packages = {"numpy": "2.0", "torch": "2.1" if lr < 0.3 else "2.2"}
        add_run(store, config={"lr": lr, "n": 5}, metrics={"loss": [lr]}, packages=packages, result={"acc": lr})

    assert main(["compare", "1", "3", "2"]) == 0
    out = capfd.readouterr().out
    assert [line.split() for line in out.splitlines() if "torch" in line or " lr" in line] == [
        ["lr", "0.1", "0.3", "0.2"],
        ["torch", "2.1", "2.2", "2.1"],
    ]
    assert "numpy" not in out

    assert main(["compare", "1-3", "--json"]) == 0
    shown = json.loads(capfd.readouterr().out)
    assert [run["id"] for run in shown["runs"]] == [1, 2, 3]
    assert shown["config"] == {"lr": [0.1, 0.2, 0.3]}
    assert shown["result"] == {"acc": [0.1, 0.2, 0.3]}

    assert main(["compare", "1", "2", "--all", "--csv"]) == 0
    rows = capfd.readouterr().out.splitlines()
    assert rows[0] == "section,name,run 1,run 2"
    assert "packages,numpy,2.0,2.0" in rows


def test_a_word_that_names_none_is_said_and_that_one_run_is_left(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = make_store(project / "runs")
    add_run(store)
    assert main(["compare", "1", "9"]) == 2
    said = capfd.readouterr()
    assert "No run '9'" in said.err
    assert "Run 1 alone is compared with nothing. To see it: anew show 1" in said.err
    add_run(store)
    assert main(["compare", "1", "2", "9"]) == 2
    said = capfd.readouterr()
    assert "No run '9'" in said.err
    assert said.out
