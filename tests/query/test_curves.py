"""Series as curves, however odd their numbers."""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anew.runner.contracts import MetricSeries
from anew.runner.errors import MissingExtraError
from anew.runner.query.curves import Curve, left_out, picture, terminal_plot


def curve(values: list[float], steps: list[int] | None = None, label: str = "run 1") -> Curve:
    array = np.array(values, dtype=np.float64)
    places = np.arange(len(values)) if steps is None else np.array(steps, dtype=np.int64)
    return Curve(label, MetricSeries(name="x", steps=places, values=array, times=array, exact=values))


def plot(*curves: Curve, width: int = 60, log: bool = False, colours: bool = False) -> str:
    return terminal_plot(curves, "loss", width=width, height=12, colours=colours, log=log)


def test_a_plot_has_its_title_its_axes_and_fits() -> None:
    lines = plot(curve([3.0, 2.0, 1.0], [0, 10, 20])).splitlines()
    assert lines[0].strip() == "loss"
    assert len(lines) <= 12
    assert max(map(len, lines)) <= 60
    assert lines[2].lstrip().startswith("3┤")
    assert lines[-2].split()[0] == "0"
    assert lines[-2].split()[-1] == "20"


def test_several_runs_have_a_legend_and_differ_without_colour() -> None:
    text = plot(curve([1.0, 2.0], label="run 4"), curve([2.0, 1.0], label="run 7"))
    assert "run 4" in text
    assert "run 7" in text
    assert "\x1b" not in text
    assert text.splitlines()[-1] == "o run 4  x run 7"
    assert all(text.count(mark) > 2 for mark in "ox")
    assert "\x1b" in plot(curve([1.0, 2.0]), curve([2.0, 1.0]), colours=True)


@pytest.mark.parametrize("count", [2, 12, 13, 30])
@pytest.mark.parametrize("colours", [False, True])
def test_every_curve_can_be_told_and_the_legend_is_below_all_of_them(count: int, colours: bool) -> None:
    curves = [curve([float(n), float(n)], label=f"run {n} opt.lr=0.{n}") for n in range(count)]
    text = terminal_plot(curves, "loss", width=100, height=60, colours=colours)
    drawing, _, legend = text.partition("step")
    assert len(text.splitlines()) <= 60
    looks = re.findall(r"((?:\x1b\[38;5;\d+m)?[^\s\x1b])(?:\x1b\[0m)? run \d+ opt", legend)
    assert len(looks) == len(set(looks)) == count
    assert "run " not in drawing
    for look in looks:
        colour, mark = look[:-1], look[-1]
        assert count > 13 or colour in drawing
        # so many flat lines have a row each
        assert count > 13 or mark == "━" or mark in drawing


def test_a_long_label_is_cut_and_a_curve_without_points_stays_in_the_legend() -> None:
    odd = curve([float("nan")], label="run 2")
    for colours in (False, True):
        text = plot(curve([1.0, 2.0], label="run 1 " + "x" * 90), odd, curve([2.0, 1.0]), colours=colours)
        assert "x…" in text
        assert "run 2" in text
        plain = re.sub(r"\x1b\[[\d;]*m", "", text)
        assert max(map(len, plain.splitlines())) <= 60


def test_colours_of_a_picture_do_not_come_again_before_the_twentieth(tmp_path: Path) -> None:
    path = tmp_path / "plot.svg"
    picture([curve([float(n), n + 1.0], label=f"run {n}") for n in range(24)], "loss", path)
    strokes = re.findall(r'clip-path[^>]*style="fill: none; (stroke[^"]*)"', path.read_text())
    assert len(set(strokes)) >= 24


def test_what_cannot_be_drawn_is_left_out_and_counted() -> None:
    odd = curve([1.0, float("nan"), float("inf"), -float("inf"), -1.0, 0.0])
    assert "┤" in plot(odd)
    assert left_out([odd]) == "3 of 6 points are not finite, and so not drawn."
    assert left_out([odd], log=True) == "5 of 6 points are not finite and greater than 0, and so not drawn."
    assert left_out([curve([1.0])]) == ""
    assert plot(curve([float("nan")])) == ""
    assert plot(curve([-1.0]), log=True) == ""
    assert plot(curve([])) == ""


def test_a_single_point_can_be_seen() -> None:
    for log in (False, True):
        assert sum(line.count("o") for line in plot(curve([1.0]), log=log).splitlines()[1:-1]) == 1


@given(
    st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats()), min_size=1, max_size=20),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_numbers_can_be_plotted(points: list[tuple[int, float]], log: bool) -> None:
    text = plot(curve([value for _, value in points], [step for step, _ in points]), log=log)
    assert len(text.splitlines()) <= 12


def test_a_long_series_is_thinned_and_keeps_its_peaks() -> None:
    values = [0.0] * 300_000
    values[123_456] = 9.0
    values[200_001] = -9.0
    steps, kept = curve(values).points(100, log=False)
    assert len(kept) <= 400
    assert steps[0] == 0
    assert steps[-1] == 299_999
    assert (max(kept), min(kept)) == (9.0, -9.0)
    assert steps == sorted(steps)
    assert kept[steps.index(123_456)] == 9.0


def test_a_short_series_is_drawn_whole() -> None:
    values = [float(number) for number in range(100)]
    assert curve(values).points(100, log=False) == (list(range(100)), values)


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_a_picture_has_the_format_of_its_ending(tmp_path: Path, ending: str, magic: bytes) -> None:
    for log, odd in itertools.product((False, True), ([1.0], [], [float("nan"), 2.0, -1.0])):
        path = tmp_path / f"plot.{ending}"
        picture([curve([1.0, 2.0]), curve(odd, label="run 2")], "cost in $ and $", path, log=log)
        assert path.read_bytes().startswith(magic)


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'anew\[plot\]'"):
        picture([curve([1.0])], "loss", tmp_path / "plot.png")
