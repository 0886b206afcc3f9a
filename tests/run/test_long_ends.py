"""The end of a run with many points: what is written and read for it does not grow with them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import anew
from anew.runner.store.journal_forms import length_of, open_journal
from anew.runner.store.logged import Metric


def bytes_read() -> int:
    """Return how many bytes this process has read, by whatever call."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.partition(":")[2]) for line in lines if line.startswith("rchar"))


def end_of(points: int, store: Path, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Log that many points of two metrics; return the bytes that the end reads, and how many numbers it looks at."""
    done: Counter[str] = Counter()
    run = anew.start("long", {"points": points}, store=store, quiet=True)
    for step in range(points):
        run.log({"a": step / 7, "b": step}, step)
    settle = Metric.settle

    def settled(metric: Metric) -> None:
        done["numbers"] += len(metric._new)
        settle(metric)

    with monkeypatch.context() as patch:
        patch.setattr(Metric, "settle", settled)
        before = bytes_read()
        run.finish()
        done["bytes"] = bytes_read() - before
    found: Any = anew.open_store(str(store)).get(run.id or 0)
    assert (found.metrics["a"].count, found.metrics["b"].last) == (points, points - 1)
    return done


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="nobody tells here how much was read")
def test_the_end_reads_no_more_and_looks_at_no_more_numbers_of_a_run_with_five_times_the_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_of(1, tmp_path / "runs", monkeypatch)  # imports what the others need, too
    few, many = (end_of(points, tmp_path / "runs", monkeypatch) for points in (16_000, 80_000))
    with open_journal(tmp_path / "runs" / "3" / "events" / "main.jsonl") as file:
        assert many["bytes"] <= few["bytes"] + (1 << 16) < length_of(file) / 3
    assert few["numbers"] <= 2 * 512
    assert many["numbers"] <= 2 * 512
