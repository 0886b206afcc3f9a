"""Series as curves: in the terminal, or as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner.contracts import MetricSeries
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
_PICTURE_COLUMNS = 2000
_SHADES = 20
_LINES = ("-", "--", "-.", ":")


@dataclass(frozen=True, slots=True)
class Curve:
    """A series with the name it has in the legend."""

    label: str
    series: MetricSeries

    def drawable(self, *, log: bool) -> npt.NDArray[np.bool_]:
        """Return which points can be drawn: finite ones, and on a logarithmic scale those above 0."""
        import numpy as np

        keep: npt.NDArray[np.bool_] = np.isfinite(self.series.values)
        return keep & (self.series.values > 0) if log else keep

    def points(self, columns: int, *, log: bool) -> tuple[list[int], list[float]]:
        """
        Return steps and values to draw in so many columns, at most four a column.

        First, last, least and greatest of each column draw the same picture as all points would (M4: Jugel et al.,
        "A visualization-oriented time series data aggregation", VLDB 2014), for a series in order of its steps.
        """
        import numpy as np

        keep = self.drawable(log=log)
        steps, values = self.series.steps[keep], self.series.values[keep]
        if len(values) > 4 * columns:
            bounds = np.linspace(0, len(values), columns + 1).astype(np.int64)
            chosen = {
                int(index)
                for start, end in pairwise(bounds)
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


def left_out(curves: Sequence[Curve], *, log: bool = False) -> str:
    """Return a sentence on points that cannot be drawn; empty when there are none."""
    total = sum(len(curve.series.values) for curve in curves)
    drawn = sum(int(curve.drawable(log=log).sum()) for curve in curves)
    why = "finite and greater than 0" if log else "finite"
    return f"{total - drawn} of {total} points are not {why}, and so not drawn." if drawn < total else ""


@dataclass(frozen=True, slots=True)
class _Axis:
    """Numbers laid out from 0 to 1, with ticks: the library that draws cannot do with extreme ones."""

    least: float
    greatest: float
    log: bool

    @classmethod
    def of(cls, numbers: Sequence[float], *, log: bool = False) -> _Axis:
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
    curves: Sequence[Curve], title: str, *, width: int, height: int, colours: bool, log: bool = False
) -> str:
    """
    Return a plot as text, at most *width* columns by *height* lines, or more where the legend below it is longer.

    Curves differ in colour, or else, and where there are more than colours, in their marks. Empty when no point can be
    drawn. Not thread-safe: the library has one figure per process.
    """
    points = [curve.points(2 * width, log=log) for curve in curves]
    steps = [step for some, _ in points for step in some]
    if not steps:
        return ""
    across = _Axis.of(steps)
    up = _Axis.of([value for _, values in points for value in values], log=log)
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
    for name, (places, labels) in (("x", _whole_ticks(min(steps), max(steps))), ("y", up.ticks(_VALUE_TICKS))):
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


def picture(curves: Sequence[Curve], title: str, path: Path, *, log: bool = False) -> None:
    """
    Write a plot as a picture; the format follows from the file's ending.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OSError: The file cannot be written.
        ValueError: The ending is none that matplotlib knows.
    """
    try:
        from matplotlib import colormaps
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("A picture needs matplotlib. To install it: pip install 'anew[plot]'") from error
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    # the ten strong colours, then their ten light ones; then again, in other lines
    shades = [colormaps["tab20"](number) for number in range(_SHADES)]
    colours = [*shades[::2], *shades[1::2]]
    for number, curve in enumerate(curves):
        steps, values = curve.points(_PICTURE_COLUMNS, log=log)
        line = _LINES[number // len(colours) % len(_LINES)]
        look: dict[str, Any] = {"color": colours[number % len(colours)], "linestyle": line}
        axes.plot(steps, values, label=curve.label, marker="o" if len(values) == 1 else None, **look)
    # a name is a name, not mathematics: "$" would make it a formula
    axes.set_title(title, parse_math=False)
    axes.set_xlabel("step")
    if log:
        axes.set_yscale("log")
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        # below, where it covers no curve
        widest = max(len(curve.label) for curve in curves)
        figure.legend(loc="outside lower center", ncols=max(1, min(4, 100 // (widest + 8))), fontsize="small")
        figure.set_figheight(5 + len(curves) / 20)
    figure.savefig(path, dpi=120)
