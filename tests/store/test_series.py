"""Series in buckets: whatever way they were come by, they are what all the points are."""

from __future__ import annotations

import math
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anew.runner import events as ev
from anew.runner.contracts import SeriesBuckets
from anew.runner.errors import FilterError, MetricNotFoundError
from anew.runner.format import serial
from anew.runner.records import Status
from anew.runner.store import column_rows, columns
from anew.runner.store.folder import FolderStore
from tests.helpers.stores import add_run

Points = list[tuple[int, float, "float | int"]]


def write(store: FolderStore, number: int, writer: str, points: Points, *, behind: bool = False) -> None:
    """Have a journal of a metric, or go on with it."""
    path = store.layout.run(number).journal(writer)
    path.parent.mkdir(exist_ok=True)
    first = path.read_bytes().count(b"\n") + 1 if behind else 1
    with path.open("ab" if behind else "wb") as file:
        for q, (step, time, value) in enumerate(points, first):
            number_json: Any = value if isinstance(value, int) or math.isfinite(value) else _WORDS[str(value)]
            file.write(
                serial.seal({"q": q, "k": ev.MetricsLogged.kind, "t": time, "s": step, "m": {"loss": number_json}})
            )


_WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def expected(points: Points, found: SeriesBuckets) -> None:
    """Hold buckets to all points, one by one."""
    at = 0 if found.by == "step" else 1
    inside: list[list[float]] = [[] for _ in found.starts]
    for point in points:
        index = int(np.searchsorted(found.starts, point[at], side="right")) - 1
        assert found.starts[index] <= point[at] <= found.ends[index]
        inside[index].append(float(point[2]))
    for index, values in enumerate(inside):
        numbers = [value for value in values if not math.isnan(value)]
        assert (found.count[index], found.nan[index]) == (len(numbers), len(values) - len(numbers))
        if numbers:
            assert (found.min[index], found.max[index]) == (min(numbers), max(numbers))
            if all(map(math.isfinite, numbers)):
                assert found.mean[index] == pytest.approx(math.fsum(each / len(numbers) for each in numbers), rel=1e-12)
        else:
            assert math.isnan(found.min[index])
            assert math.isnan(found.mean[index])


def drawn(count: int, random: random.Random, start: int = 0) -> Points:
    """Return points in which whatever may be is: NaN, infinities, whole numbers, steps that go back."""
    odd: list[float | int] = [math.nan, math.inf, -math.inf, 2**53 + 1, 1e308, 1e308]
    return [
        (
            index if random.random() < 0.9 else random.randrange(-50, count),
            index / 7,
            random.choice(odd) if random.random() < 0.02 else random.gauss(0, 1),
        )
        for index in range(start, start + count)
    ]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderStore:
    """Two runs in a store that keeps columns of however few points."""
    monkeypatch.setattr(columns, "LEAST_BYTES", 1)
    store = FolderStore.open(tmp_path / "runs", create=True)
    add_run(store)
    add_run(store)
    return store


@pytest.mark.parametrize("by", ["step", "time"])
def test_buckets_are_what_all_the_points_are_however_often_a_run_was_looked_at_while_it_grew(
    store: FolderStore, by: str
) -> None:
    chance = random.Random(by)
    points: Points = []
    for size in (1, 300, 5_000, 2, 700):
        more = drawn(size, chance, start=len(points))
        write(store, 1, "main", more, behind=bool(points))
        points += more
        for buckets in (1, 7, 300):
            [found] = store.series(1, "loss", buckets=buckets, by=by)
            assert (found.run, found.name, found.by) == (1, "loss", by)
            assert len(found.starts) <= buckets
            expected(points, found)
    write(store, 1, "child", more := drawn(3_000, chance))
    [found] = store.series(1, "loss", buckets=11, by=by)
    expected(points + more, found)
    again, _ = store.series(1, "loss", buckets=11, by=by)[0], FolderStore.open(store.root)
    for name in ("starts", "ends", "count", "nan", "min", "max", "mean"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))


def test_a_sum_that_no_float_can_hold_has_a_mean_all_the_same(store: FolderStore) -> None:
    write(store, 1, "main", [(step, step / 9, 1.5e308) for step in range(1_000)])
    [found] = store.series(1, "loss", buckets=3)
    assert found.mean.tolist() == [1.5e308] * 3


def test_runs_that_are_asked_for_together_have_the_same_buckets(store: FolderStore) -> None:
    write(store, 1, "main", [(step, step / 9, 1.0) for step in range(100)])
    write(store, 2, "main", [(step, step / 9, 2.0) for step in range(50, 200)])
    first, second = store.series([1, 2, "1"], ["loss"], buckets=4)
    assert first.starts.tolist() == [0, 50]
    assert second.starts.tolist() == [50, 100, 150]
    assert (second.ends - second.starts).tolist() == [49, 49, 49]


def test_steps_from_end_to_end_of_64_bits_are_parted(store: FolderStore) -> None:
    points: Points = [(-(2**63), 0.0, 1), (2**63 - 1, 1.0, 3), (0, 2.0, 2)]
    write(store, 1, "main", points)
    [found] = store.series(1, "loss", buckets=3)
    assert found.mean.tolist() == [1, 2, 3]
    assert found.ends[-1] == 2**63 - 1


def test_what_is_long_is_read_where_buckets_end_and_nowhere_else(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, 1, "main", [(step, step / 9, float(step % 997)) for step in range(40_000)])
    store.series(1, "loss", buckets=2)
    read: list[int] = []
    unpack = column_rows._unpacked

    def counted(data: bytes, count: int) -> Any:
        read.append(count)
        return unpack(data, count)

    monkeypatch.setattr(column_rows, "_unpacked", counted)
    [found] = store.series(1, "loss", buckets=4)
    assert len(read) <= 3
    assert found.count.tolist() == [10_000] * 4
    monkeypatch.setattr(FolderStore, "points", None)
    store.series(1, "loss", buckets=3)


def test_rows_that_are_gone_or_others_meanwhile_are_not_believed(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    points: Points = [(step, step / 9, float(step % 997)) for step in range(20_000)]
    write(store, 1, "main", points)
    store.series(1, "loss", buckets=2)
    with closing(sqlite3.connect(store.layout.index)) as database, database:
        database.execute("DELETE FROM columns WHERE part IN (2, -3)")
    [found] = store.series(1, "loss", buckets=9)
    expected(points, found)


def test_what_there_is_not_and_what_makes_no_sense_is_said(store: FolderStore) -> None:
    write(store, 1, "main", [(0, 0.0, 1.0)])
    assert [each.run for each in store.series([2, 1], "loss")] == [1]
    with pytest.raises(MetricNotFoundError, match="no metric 'lass'"):
        store.series([1, 2], ["lass"])
    several: tuple[Any, ...] = (0, -1, 2.5, True, 10**9)
    for wrong in several:
        with pytest.raises(FilterError, match="buckets=500"):
            store.series(1, "loss", buckets=wrong)
    with pytest.raises(FilterError, match="'time'"):
        store.series(1, "loss", by="epoch")
    assert store.series([], "loss") == []
    assert Status.COMPLETED is store.get(1).status
