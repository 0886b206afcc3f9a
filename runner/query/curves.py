"""Series as curves: in the terminal, or as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner.contracts import MetricSeries, SeriesBuckets
from anew.runner.dataclass import dataclass
from anew.runner.errors import MissingExtraError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_FINE = "braille"
_SINGLE = "o"
_MARKS = "ox+#*@%&=~^abcdefghijklmnpqrstuvwyzABCDEFGHIJKLMNPQRSTUVWYZ"
# of the 256 of terminals: apart from each other, on dark and on light; and how one is chosen
_COLOURS = (33, 208, 34, 160, 129, 37, 205, 142, 244, 94, 45, 214)
_COLOURED = "\x1b[38;5;{}m{}\x1b[0m"
_LEAST_HEIGHT = 8
_STEP_TICKS = 7
_VALUE_TICKS = 5
PICTURE_COLUMNS = 2000
_SHADES = 20
_BAND_POINTS = 400
_EDGE = "·"
_LINES = ("-", "--", "-.", ":")


@dataclass(frozen=True, slots=True)
class Curve:
    """
    A series with the name it has in the legend.

    Attributes:
        band: Of a mean over several runs, at each step the least and the greatest of them; then there are few points.
    """

    label: str
    series: MetricSeries
    band: tuple[Sequence[float], Sequence[float]] | None = None

    def drawable(self, *, log: bool, log_x: bool = False) -> npt.NDArray[np.bool_]:
        """Return which points can be drawn: finite ones, and on a logarithmic scale those above 0."""
        import numpy as np

        keep: npt.NDArray[np.bool_] = np.isfinite(self.series.values)
        keep = keep & (self.series.steps > 0) if log_x else keep
        return keep & (self.series.values > 0) if log else keep

    def edges(self, *, log: bool, log_x: bool = False) -> list[tuple[list[int], list[float]]]:
        """Return the two sides of its band as steps and values to draw; none where it has no band."""
        keep = self.drawable(log=log, log_x=log_x).tolist()
        steps = self.series.steps.tolist()
        return [
            (
                [
                    step
                    for step, is_kept, value in zip(steps, keep, side, strict=True)
                    if is_kept and (value > 0 or not log)
                ],
                [value for is_kept, value in zip(keep, side, strict=True) if is_kept and (value > 0 or not log)],
            )
            for side in self.band or ()
        ]

    def points(self, columns: int, *, log: bool, log_x: bool = False) -> tuple[list[int], list[float]]:
        """
        Return steps and values to draw in so many columns, at most four a column.

        First, last, least and greatest of each column draw the same picture as all points would (M4: Jugel et al.,
        "A visualization-oriented time series data aggregation", VLDB 2014), for a series in order of its steps.
        """
        import numpy as np

        keep = self.drawable(log=log, log_x=log_x)
        steps, values = self.series.steps[keep], self.series.values[keep]
        if len(values) > 4 * columns:
            bounds = _columns(steps, columns, log=log_x)
            chosen = {
                int(index)
                for start, end in pairwise(bounds)
                if start < end
                for index in (
                    start,
                    start + np.argmin(values[start:end]),
                    start + np.argmax(values[start:end]),
                    end - 1,
                )
            }
            picked = np.array(sorted(chosen))
            steps, values = steps[picked], values[picked]
        return steps.tolist(), values.tolist()


def _columns(steps: npt.NDArray[np.int64], columns: int, *, log: bool) -> npt.NDArray[np.int64]:
    """Return where the points of each column begin, and where the last one ends."""
    import numpy as np

    count = len(steps)
    if not log or (np.diff(steps) < 0).any():
        return np.linspace(0, count, columns + 1).astype(np.int64)
    # a decade is as wide as the next, and has a tenth of the points
    edges = np.geomspace(float(steps[0]), float(steps[-1]), columns + 1)[1:-1]
    return np.array([0, *np.searchsorted(steps, edges), count], np.int64)


def outline(found: SeriesBuckets) -> MetricSeries:
    """Return a series of the least and the greatest point of each bucket, which draws the same picture as all would."""
    import numpy as np

    steps = np.stack([found.starts, found.ends], axis=1).ravel()
    values = np.stack([found.min, found.max], axis=1).ravel()
    return MetricSeries(name=found.name, steps=steps, values=values, times=np.zeros(len(steps)), exact=values.tolist())


def means(found: SeriesBuckets) -> MetricSeries:
    """Return a series of the mean of each bucket, at its first step."""
    import numpy as np

    zeros = np.zeros(len(found.starts))
    return MetricSeries(name=found.name, steps=found.starts, values=found.mean, times=zeros, exact=found.mean.tolist())


def smoothed(series: MetricSeries, weight: float) -> MetricSeries:
    """
    Return a series of means of all values so far, each of which counts *weight* as much as the one behind it.

    What is no finite number stays, and bears on no other.
    """
    import numpy as np

    values: list[float] = []
    mean = total = 0.0
    for value in series.values.tolist():
        if math.isfinite(value):
            # as a mean of what there was, so that it does not begin at 0
            total = total * weight + 1
            mean += (value - mean) / total
        values.append(mean if math.isfinite(value) else value)
    return replace(series, values=np.array(values, np.float64), exact=values)


def mean_of(curves: Sequence[Curve], label: str) -> Curve:
    """
    Return the mean of several curves over the steps that all of them have come to, with the band that they lie in.

    Between the steps that a curve has it is a straight line; where they have too many, a few hundred are taken.
    """
    import numpy as np

    sides = []
    for curve in curves:
        keep = curve.drawable(log=False)
        order = np.argsort(curve.series.steps[keep], kind="stable")
        sides.append((curve.series.steps[keep][order].astype(np.float64), curve.series.values[keep][order]))
    sides = [side for side in sides if len(side[0])]
    first = max((steps[0] for steps, _ in sides), default=0)
    last = min((steps[-1] for steps, _ in sides), default=-1)
    grid = np.unique(np.concatenate([steps for steps, _ in sides])) if sides else np.empty(0)
    grid = grid[(grid >= first) & (grid <= last)]
    if len(grid) > _BAND_POINTS:
        grid = np.unique(np.linspace(grid[0], grid[-1], _BAND_POINTS).astype(np.int64)).astype(np.float64)
    values = np.array([np.interp(grid, steps, values) for steps, values in sides]).reshape(len(sides), len(grid))
    mean = values.mean(axis=0) if len(sides) else np.empty(0)
    series = replace(
        curves[0].series, steps=grid.astype(np.int64), values=mean, times=np.zeros(len(grid)), exact=mean.tolist()
    )
    band = (values.min(axis=0).tolist(), values.max(axis=0).tolist()) if len(sides) else ([], [])
    return Curve(label, series, band)


def left_out(curves: Sequence[Curve], *, log: bool = False, log_x: bool = False) -> str:
    """Return a sentence on points that cannot be drawn; empty when there are none."""
    total = sum(len(curve.series.values) for curve in curves)
    drawn = sum(int(curve.drawable(log=log, log_x=log_x).sum()) for curve in curves)
    why = "finite and greater than 0" if log else "finite, at steps greater than 0," if log_x else "finite"
    return f"{total - drawn} of {total} points are not {why}, and so not drawn." if drawn < total else ""


@dataclass(frozen=True, slots=True)
class Axis:
    """Numbers laid out from 0 to 1, with ticks: the library that draws cannot do with extreme ones."""

    least: float
    greatest: float
    log: bool

    @classmethod
    def of(cls, numbers: Sequence[float], *, log: bool = False) -> Axis:
        return cls(min(numbers), max(numbers), log)

    def place(self, number: float) -> float:
        least, greatest, number = (self._scaled(value) for value in (self.least, self.greatest, number))
        # halves, since the whole range may be more than a float can hold
        width = greatest / 2 - least / 2
        return (number / 2 - least / 2) / width if width else 0.5

    def _scaled(self, number: float) -> float:
        return math.log10(number) if self.log else number

    def ticks(self, count: int) -> tuple[list[float], list[str]]:
        """Return places and labels of so many ticks, with as many digits as tell them apart."""
        parts = [part / (count - 1) for part in range(count)] if self.least < self.greatest else [0.5]
        numbers = [self._at(part) for part in parts]
        for digits in range(3, 18):
            labels = [f"{number:.{digits}g}" for number in numbers]
            if len(set(labels)) == len(labels):
                break
        return parts, labels

    def _at(self, part: float) -> float:
        number = self._scaled(self.least) * (1 - part) + self._scaled(self.greatest) * part
        if not self.log:
            return number
        # rounding must not lead beyond the greatest number, nor beyond what a float can hold
        return 10**number if number < math.log10(self.greatest) else self.greatest


def terminal_plot(
    curves: Sequence[Curve],
    title: str,
    *,
    width: int,
    height: int,
    colours: bool,
    log: bool = False,
    log_x: bool = False,
) -> str:
    """
    Return a plot as text, at most *width* columns by *height* lines, or more where the legend below it is longer.

    Curves differ in colour, or else, and where there are more than colours, in their marks. Empty when no point can be
    drawn. Not thread-safe: the library has one figure per process.
    """
    points = [curve.points(2 * width, log=log, log_x=log_x) for curve in curves]
    steps = [step for some, _ in points for step in some]
    if not steps:
        return ""
    across = Axis.of(steps, log=log_x)
    edges = [edge for curve in curves for edge in curve.edges(log=log, log_x=log_x)]
    up = Axis.of([value for _, values in (*points, *edges) for value in values], log=log)
    looks = _looks(len(curves), colours=colours)
    below = _legend([curve.label for curve in curves], looks, width) if len(curves) > 1 else []

    import plotext

    figure = plotext.figure
    figure.clear()
    shown = [(x, y, look) for (x, y), look in zip(points, looks, strict=True) if x]
    if colours:
        plotext.add_theme("anew", sequence=[look.colour for *_, look in shown])
    figure.theme("anew" if colours else "colorless")
    figure.plot_size(width, max(height - len(below), min(height, _LEAST_HEIGHT)))
    figure.title(title)
    figure.label("step", "x")
    for x, y, look in shown:
        signal = figure.signal(
            [across.place(step) for step in x],
            [up.place(value) for value in y],
            marker=_SINGLE if len(x) == 1 and look.mark == _FINE else look.mark,
        )
        if len(x) > 1:
            signal.lines()
        figure.draw(signal)
    for x, y in edges:
        figure.draw(figure.signal([across.place(step) for step in x], [up.place(value) for value in y], marker=_EDGE))
    ticks = across.ticks(_VALUE_TICKS) if log_x else _whole_ticks(min(steps), max(steps))
    for name, (places, labels) in (("x", ticks), ("y", up.ticks(_VALUE_TICKS))):
        figure.ruler(name).lim(0, 1)
        figure.ruler(name).ticks(places, labels)
    text = str(figure.build())
    drawn = (text if colours else plotext.uncolorize(text)).splitlines()
    return "\n".join([*(line.rstrip() for line in drawn), *below])


@dataclass(frozen=True, slots=True)
class _Look:
    """What one curve is drawn with."""

    mark: str
    colour: int | None

    def sample(self) -> str:
        """Return what stands for it in the legend."""
        mark = "━" if self.mark == _FINE else self.mark
        return mark if self.colour is None else _COLOURED.format(self.colour, mark)


def _looks(count: int, *, colours: bool) -> list[_Look]:
    """Return what tells so many curves apart."""
    is_fine = count == 1 or (colours and count <= len(_COLOURS))
    return [
        _Look(
            _FINE if is_fine else _MARKS[number % len(_MARKS)],
            _COLOURS[number % len(_COLOURS)] if colours else None,
        )
        for number in range(count)
    ]


def _legend(labels: Sequence[str], looks: Sequence[_Look], width: int) -> list[str]:
    """Return the lines of the legend: as many labels in each as there is room for, in columns."""
    texts = [label if len(label) <= width - 4 else f"{label[: width - 5]}…" for label in labels]
    wide = max(map(len, texts))
    row = max(1, width // (wide + 4))
    entries = [f"{look.sample()} {text:<{wide}}" for look, text in zip(looks, texts, strict=True)]
    return ["  ".join(entries[first : first + row]).rstrip() for first in range(0, len(entries), row)]


def _whole_ticks(first: int, last: int) -> tuple[list[float], list[str]]:
    """Return places and labels of ticks from first to last: there are no half steps."""
    if first == last:
        return [0.5], [str(first)]
    steps = sorted({first + (last - first) * part // (_STEP_TICKS - 1) for part in range(_STEP_TICKS)})
    return [(step - first) / (last - first) for step in steps], [str(step) for step in steps]


def write_picture(figure: Any, path: Path) -> None:
    """Write a figure. Raises OSError, and ValueError for a name without a file in it, or of an unknown format."""
    if not path.name:
        raise ValueError("that is a folder; name a file, such as plot.png")
    figure.savefig(path, dpi=120)


def empty_figure() -> Any:
    """Return a figure of matplotlib to draw in. Raises MissingExtraError."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("A picture needs matplotlib. To install it: pip install 'anew[plot]'") from error
    return Figure(figsize=(8, 5), layout="constrained")


def picture(curves: Sequence[Curve], title: str, path: Path, *, log: bool = False, log_x: bool = False) -> None:
    """
    Write a plot as a picture; the format follows from the file's ending.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OSError: The file cannot be written.
        ValueError: The ending is none that matplotlib knows.
    """
    figure = empty_figure()
    from matplotlib import colormaps

    axes = figure.add_subplot()
    # the ten strong colours, then their ten light ones; then again, in other lines
    shades = [colormaps["tab20"](number) for number in range(_SHADES)]
    colours = [*shades[::2], *shades[1::2]]
    for number, curve in enumerate(curves):
        steps, values = curve.points(PICTURE_COLUMNS, log=log, log_x=log_x)
        line = _LINES[number // len(colours) % len(_LINES)]
        look: dict[str, Any] = {"color": colours[number % len(colours)], "linestyle": line}
        axes.plot(steps, values, label=curve.label, marker="o" if len(values) == 1 else None, **look)
        if curve.band is not None:
            low, high = curve.band
            axes.fill_between(curve.series.steps, low, high, color=look["color"], alpha=0.2, linewidth=0)
    # a name is a name, not mathematics: "$" would make it a formula
    axes.set_title(title, parse_math=False)
    axes.set_xlabel("step")
    if log:
        axes.set_yscale("log")
    if log_x:
        axes.set_xscale("log")
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        # below, where it covers no curve
        widest = max(len(curve.label) for curve in curves)
        figure.legend(loc="outside lower center", ncols=max(1, min(4, 100 // (widest + 8))), fontsize="small")
        figure.set_figheight(5 + len(curves) / 20)
    write_picture(figure, path)
