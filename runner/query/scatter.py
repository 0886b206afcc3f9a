"""Runs as points over two of their names, or as lines over several: in the terminal, or as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anew.runner.attached.aims import is_number
from anew.runner.dataclass import dataclass
from anew.runner.format.values import as_float
from anew.runner.query.curves import Axis, empty_figure, write_picture
from anew.runner.wording import printable

_TICKS = 5
_MARK = "o"
_EDGE = 1e-3
_LEAST_HEIGHT = 8
# of the 256 of terminals: from dark blue to yellow, as viridis
_SHADES = (54, 61, 31, 36, 41, 112, 184)


@dataclass(frozen=True, slots=True)
class Scale:
    """
    What one name is over several runs, as places on an axis.

    Attributes:
        name: The name.
        values: What it is, of each run.
        words: What it is where that is no number for some: texts, in order, whose places are 0, 1, 2, ...
        log: Whether numbers are laid out by their logarithms.
    """

    name: str
    values: tuple[float, ...]
    words: tuple[str, ...] = ()
    log: bool = False

    @classmethod
    def of(cls, name: str, values: Sequence[Any], *, log: bool = False) -> Scale:
        """Return values laid out; those that are all numbers as such, any others as words."""
        if all(is_number(value) for value in values):
            return cls(name, tuple(map(as_float, values)), (), log)
        texts = [printable(str(value)) for value in values]  # they are a record's, and drawn as they are
        words = tuple(sorted(set(texts)))
        places = {word: float(place) for place, word in enumerate(words)}
        return cls(name, tuple(places[text] for text in texts), words)

    def can_draw(self, index: int) -> bool:
        """Whether a run has a place."""
        value = self.values[index]
        return math.isfinite(value) and (value > 0 or not self.log)

    def only(self, indices: Sequence[int]) -> Scale:
        """Return the same of some of the runs."""
        return Scale(self.name, tuple(self.values[index] for index in indices), self.words, self.log)

    def laid_out(self) -> tuple[list[float], list[float], list[str]]:
        """Return places from 0 to 1, and places and labels of ticks. There is one value at least."""
        if self.words:
            most = len(self.words) - 1
            places = [value / most if most else 0.5 for value in self.values]
            return places, [index / most if most else 0.5 for index in range(most + 1)], list(self.words)
        axis = Axis.of(self.values, log=self.log)
        places = [axis.place(value) for value in self.values]
        return places, *axis.ticks(_TICKS)


def drawable(scales: Sequence[Scale]) -> list[Scale]:
    """Return scales without the runs that have no place on one of them."""
    kept = [index for index in range(len(scales[0].values)) if all(scale.can_draw(index) for scale in scales)]
    return [scale.only(kept) for scale in scales]


def terminal_scatter(x: Scale, y: Scale, *, width: int, height: int, colours: bool) -> str:
    """Return runs as points, as text; not thread-safe, as `curves.terminal_plot`. There is one run at least."""
    import plotext

    figure = plotext.figure
    figure.clear()
    figure.theme("default" if colours else "colorless")
    figure.plot_size(width, height)
    figure.label(x.name, "x")
    figure.title(y.name)
    along, up = x.laid_out(), y.laid_out()
    figure.draw(figure.signal(along[0], up[0], marker=_MARK))
    for name, (_, places, labels) in (("x", along), ("y", up)):
        figure.ruler(name).lim(-_EDGE, 1 + _EDGE)
        figure.ruler(name).ticks(places, labels)
    text = str(figure.build())
    drawn = (text if colours else plotext.uncolorize(text)).splitlines()
    return "\n".join(line.rstrip() for line in drawn)


def terminal_parallel(scales: Sequence[Scale], *, width: int, height: int, colours: bool) -> str:
    """
    Return runs as lines from axis to axis, as text, by colour of where they end on the last.

    Not thread-safe, as `curves.terminal_plot`. There is one run at least, and two scales.
    """
    import plotext

    figure = plotext.figure
    figure.clear()
    laid = [scale.laid_out() for scale in scales]
    last = laid[-1][0]
    runs = sorted(range(len(last)), key=lambda index: last[index])
    if colours:
        shades = [_SHADES[min(int(last[run] * len(_SHADES)), len(_SHADES) - 1)] for run in runs]
        plotext.add_theme("anew-axes", sequence=shades)
    figure.theme("anew-axes" if colours else "colorless")
    below = [
        f"{at}: {_ends(scale, labels)}" for at, (scale, (*_, labels)) in enumerate(zip(scales, laid, strict=True), 1)
    ]
    figure.plot_size(width, max(height - len(below), _LEAST_HEIGHT))
    across = [at / (len(laid) - 1) for at in range(len(laid))]
    for run in runs:
        signal = figure.signal(across, [places[run] for places, *_ in laid], marker="braille")
        signal.lines()
        figure.draw(signal)
    figure.ruler("x").lim(-_EDGE, 1 + _EDGE)
    figure.ruler("x").ticks(across, [str(at) for at in range(1, len(laid) + 1)])
    figure.ruler("y").lim(-_EDGE, 1 + _EDGE)
    figure.ruler("y").ticks([0.0, 1.0], ["low", "high"])
    text = str(figure.build())
    drawn = (text if colours else plotext.uncolorize(text)).splitlines()
    return "\n".join([*(line.rstrip() for line in drawn), *below])


def _ends(scale: Scale, labels: Sequence[str]) -> str:
    """Return what an axis is, and from where to where it goes, up."""
    return f"{scale.name}, {', '.join(labels) if scale.words else f'{labels[0]} to {labels[-1]}'}"


def scatter_picture(x: Scale, y: Scale, path: Path) -> None:
    """Write runs as points, as a picture. Raises MissingExtraError, OSError, ValueError, as `curves.picture`."""
    figure = empty_figure()
    axes = figure.add_subplot()
    axes.scatter(x.values, y.values, s=28, alpha=0.7)
    for scale, axis in ((x, axes.xaxis), (y, axes.yaxis)):
        if scale.words:
            axis.set_ticks(range(len(scale.words)), [_literal(word) for word in scale.words])
        axis.set_label_text(scale.name, parse_math=False)
    if x.log:
        axes.set_xscale("log")
    if y.log:
        axes.set_yscale("log")
    axes.grid(alpha=0.3)
    write_picture(figure, path)


def parallel_picture(scales: Sequence[Scale], path: Path) -> None:
    """Write runs as lines from axis to axis, by colour of where they end on the last. Raises as `scatter_picture`."""
    figure = empty_figure()
    from matplotlib import colormaps

    axes = figure.add_subplot()
    laid = [scale.laid_out() for scale in scales]
    last = laid[-1][0]
    for run in sorted(range(len(last)), key=lambda index: last[index]):
        axes.plot(
            range(len(laid)), [places[run] for places, *_ in laid], color=colormaps["viridis"](last[run]), alpha=0.7
        )
    for at, (_, places, labels) in enumerate(laid):
        axes.axvline(at, color="black", linewidth=0.8)
        for place, label in zip(places, labels, strict=True):
            axes.text(at + 0.02, place, _literal(label), fontsize="x-small", va="center", bbox=_PAPER)
    axes.set_xticks(range(len(scales)), [_literal(scale.name) for scale in scales])
    axes.set_yticks([])
    axes.set_xlim(-0.05, len(scales) - 1 + 0.25)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    write_picture(figure, path)


_PAPER = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.5}


def _literal(text: str) -> str:
    """Return a text that is not taken for a formula."""
    return text.replace("$", r"\$")
