"""A store with runs of many kinds, and its page, once for all tests that only look."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from anew.runner.records import ErrorFacts, Status
from anew.runner.store.curate import note, tag
from anew.runner.store.folder import FolderStore
from tests.helpers.serving import Page, served
from tests.helpers.stores import add_run, make_store

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> FolderStore:
    """Eight runs: two that ended well, a failed one, one with odd numbers, one with hostile names, a damaged one."""
    store = make_store(tmp_path_factory.mktemp("page") / "runs")
    for lr in (0.1, 0.2):
        add_run(
            store,
            config={"lr": lr, "model": {"name": "mlp"}},
            metrics={"loss": [lr / (step + 1) for step in range(20)], "system/cpu": [1.0] * 5},
            result=lr,
            output=f"line of {lr}\n\x1b[31mred\x1b[0m\n",
            source={"train.py": f"lr = {lr}\n", "same.py": "x = 1\n"},
            artifacts={"page.html": b"<script>alert(1)</script>", "picture.png": b"\x89PNG", "model.bin": b"\0" * 10},
            packages={"numpy": f"{lr}"},
        )
    error = ErrorFacts(type="ValueError", message="boom", traceback="")
    add_run(store, config={"lr": 0.3}, status=Status.FAILED, error=error)
    odd = [1.0, math.nan, math.inf, -math.inf, 5.0]
    add_run(
        store, config={"lr": 0.4, "big": 2**70, "odd": math.nan}, metrics={"loss": odd, "big": [2**70]}, result=2**64
    )
    add_run(
        store,
        config={HOSTILE: HOSTILE, "a,b": 1, 'q"q': "\ud800"},
        metrics={HOSTILE: [1.0], "a,b": [2.0]},
        output=f"{HOSTILE}\n",
        artifacts={f"{HOSTILE}.html": b"<b>x</b>", "../../up.txt": b"text"},
        experiment=HOSTILE,
    )
    tag(store, 5, [HOSTILE])
    note(store, 5, HOSTILE)
    add_run(store, config={"lr": 0.5})
    (store.layout.run(6).record).write_bytes(b"nonsense\n")
    return store


@pytest.fixture(scope="module")
def page(looked_at: FolderStore) -> Iterator[Page]:
    """The page of `looked_at`, read-only."""
    with served(looked_at.root, "--read-only") as page:
        yield page


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """A store of one's own, with two runs."""
    store = make_store(tmp_path / "runs")
    for lr in (0.1, 0.2):
        add_run(store, config={"lr": lr}, metrics={"loss": [lr, lr / 2]}, result=lr)
    return store
