"""An error at any call that touches the store: what is said is so, and what is there can be read."""

from __future__ import annotations

import errno
import os
import random
import shutil
from pathlib import Path

import pytest

from tests.helpers.faults import KINDS, Faults, compiled

# how many calls fail in each command; `make torture` sets more
TRIALS = int(os.environ.get("ANEW_FAULTS", "6"))


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    return Faults(tmp_path / "project", compiled(tmp_path))


def chosen(calls: int) -> list[tuple[int, str]]:
    """Calls that are to fail, and how, spread over all of them."""
    chance = random.Random(calls if TRIALS < 50 else None)
    places = sorted(chance.sample(range(1, calls + 1), min(TRIALS, calls)))
    return [(at, list(KINDS)[index % len(KINDS)]) for index, at in enumerate(places)]


def test_calls_are_counted_and_fail(faults: Faults) -> None:
    calls = faults.calls(["train.py"])
    assert calls > 20
    shutil.rmtree(faults.folder / "runs")
    done = faults.run(["train.py"], 1, "EIO")
    assert os.strerror(errno.EIO) in done.stderr
    assert done.returncode not in (0, 70)


def test_a_run_with_an_error_at_any_call_is_what_is_said_of_it(faults: Faults) -> None:
    calls = faults.calls(["train.py"])
    for at, kind in chosen(calls):
        shutil.rmtree(faults.folder / "runs", ignore_errors=True)
        faults.run(["train.py"], at, kind)

    assert not faults.wrong, "\n".join(faults.wrong)


@pytest.mark.parametrize("line", ["list", "delete last", "sync ./runs ./runs-too"])
def test_a_command_with_an_error_at_any_call_leaves_a_store_that_can_be_read(faults: Faults, line: str) -> None:
    words = line.split()
    faults.calls(["train.py"])
    shutil.copytree(faults.folder / "runs", faults.folder / "kept")

    def as_it_was() -> None:
        for name in ("runs", "runs-too"):
            shutil.rmtree(faults.folder / name, ignore_errors=True)
        shutil.copytree(faults.folder / "kept", faults.folder / "runs")

    as_it_was()
    calls = faults.calls(words)
    for at, kind in chosen(calls)[: max(2, TRIALS // 2)]:
        as_it_was()
        faults.run(words, at, kind)

    assert not faults.wrong, "\n".join(faults.wrong)
