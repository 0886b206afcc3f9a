"""Whole numbers that Python refuses to print: kept exactly, shown, and like themselves in a re-run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anew.runner.errors import ValueRefusedError
from anew.runner.format.values import MAX_DIGITS, decode, encode, plain
from tests.helpers.scripts import Project, anew

LONG = 10**5000
BODY = """
@experiment.main
def main(how: str = "return", digits: int = 4300, *, run: Run):
    sys.set_int_max_str_digits(digits)
    long = 10**5000
    if how == "metric":
        run.log({"long": long, "short": 1})
    if how == "info":
        run.info({"a": [long], "b": {"c": {long, 3}}})
    return {"return": long, "dict": {"a": [long, -long]}}.get(how, 0)
"""


def test_they_come_back_as_they_were() -> None:
    for value in (LONG, -LONG, [LONG, {"a": LONG}], {LONG: 1}, {LONG, 3}, 10**700, 10**300):
        assert decode(json.loads(json.dumps(encode(value)))) == value
    assert plain(LONG) == f"1{'0' * 5000}"
    with pytest.raises(ValueRefusedError, match="more than 100,000 digits"):
        encode(10 ** (2 * MAX_DIGITS))


@pytest.mark.parametrize("digits", [4300, 640, 0])
@pytest.mark.parametrize("how", ["return", "dict", "metric", "info"])
def test_a_run_with_one_is_a_run_as_any(project: Path, how: str, digits: int) -> None:
    trial = Project(project)
    trial.write(BODY)
    trial.run(f"how={how}", f"digits={digits}")
    record = trial.record()
    assert not record.damage
    if how == "return":
        assert record.result == LONG
    if how == "info":
        assert record.info == {"a": [LONG], "b": {"c": {LONG, 3}}}
    if how == "metric":
        assert record.metrics["short"].last == 1
        assert any("4,200 digits" in warning for warning in record.warnings)
    for words in (
        ["list"],
        ["show", "1"],
        ["list", "--sort", "result"],
        ["list", "result > 5"],
        ["show", "1", "--json"],
    ):
        anew(trial, *words)
    if how != "metric":
        assert "identical" in anew(trial, "rerun", "1").stdout


def test_a_sweep_ranks_them(project: Path) -> None:
    trial = Project(project)
    trial.write(BODY)
    trial.run("-m", "how=return,other", "anew.sweep.direction=minimize")
    assert trial.store.sweep(1).best is not None
    anew(trial, "sweep", "show", "1")
