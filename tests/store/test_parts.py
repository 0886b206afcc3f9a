"""Parts of what a run left: of a series between two places, of its output from a place on, of its events."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anew.runner import events as ev
from anew.runner.store.cells import SIZE, Blocks, Column
from anew.runner.store.happenings import happenings
from anew.runner.store.output_part import read_part
from anew.runner.store.zoomed import count_of, pointwise, within
from tests.helpers.stores import add_run, make_store

LOG = "first line\nsecond \N{SNOWMAN} line\nthird"


def rows(steps: list[int], width: int) -> Blocks:
    """Return a series in rows of a width; values and times are the places of the points."""
    parts = [steps[begin : begin + width] for begin in range(0, len(steps), width)]
    begins = range(0, len(steps), width)
    columns = [
        Column(
            [float(begin + index) for index in range(len(part))],
            part,
            [float(begin + index) for index in range(len(part))],
        )
        for begin, part in zip(begins, parts, strict=True)
    ]
    return Blocks.of(columns)


@given(
    st.lists(st.integers(-50, 50), min_size=1, max_size=60), st.integers(1, 7), st.integers(-60, 60), st.integers(0, 60)
)
def test_all_points_between_two_places_are_there_and_no_others(
    steps: list[int], width: int, least: int, span: int
) -> None:
    part = within(rows(steps, width), "step", least, least + span)
    found = pointwise({1: part}, "loss", "step")

    expected = sorted((step, float(index)) for index, step in enumerate(steps) if least <= step <= least + span)
    told = [*zip(found[0].starts.tolist(), found[0].mean.tolist(), strict=True)] if found else []
    assert told == expected
    assert count_of(part) == len(expected)


def test_only_what_lies_at_the_ends_is_read() -> None:
    read: list[int] = []
    whole = rows([*range(20 * SIZE)], SIZE)

    def noted(wanted: Any) -> Any:
        read.extend(wanted)
        return whole.read(wanted)

    part = within(Blocks(whole.cells, noted), "step", 3 * SIZE + 5, 12 * SIZE - 6)

    assert count_of(part) == 9 * SIZE - 10
    assert read == [3, 11]


def test_without_bounds_all_of_it_is_there() -> None:
    assert count_of(within(rows([5, 3, 5], 2), "time", -math.inf, math.inf)) == 3


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_output_in_parts_is_the_output(tmp_path: Path, limit: int) -> None:
    store = make_store(tmp_path / "runs")
    layout = store.layout.run(add_run(store, output=LOG))

    text, place = "", 0
    while (part := read_part(layout, place, max(limit, 3), live=False)).end > place:
        text, place = text + part.text, part.end

    assert text == LOG
    assert place == part.size == len(LOG.encode())


def test_a_line_that_may_be_written_anew_is_left_out_while_it_may(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    layout = store.layout.run(add_run(store, output=LOG))

    part = read_part(layout, 0, 1000, live=True)

    assert part.text == "first line\nsecond \N{SNOWMAN} line\n"
    assert read_part(layout, part.end, 1000, live=True).text == ""
    assert read_part(layout, part.end, 1000, live=False).text == "third"
    assert read_part(layout, 10_000, 1000, live=False).end == part.size


def test_a_run_without_output_has_none(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")

    assert read_part(store.layout.run(add_run(store)), 0, 10, live=False).size == 0


def test_what_happened_is_told_from_start_to_end_without_points(tmp_path: Path) -> None:
    store = make_store(tmp_path / "runs")
    number = add_run(store, metrics={"loss": [1.0] * 5}, artifacts={"a": b"1"})

    found = [*happenings(store.layout.run(number), store.get(number))]
    whole = [event for event in store.events(number) if not isinstance(event, ev.MetricsLogged)]

    assert found == whole
    assert [type(event).__name__ for event in found] == ["RunStarted", "ArtifactAdded", "RunEnded"]
