"""Series in few buckets, each with the least, the greatest and the mean of all its points: none of them is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from anew.runner.contracts import SeriesBuckets
from anew.runner.dataclass import dataclass
from anew.runner.errors import FilterError
from anew.runner.store.cells import Blocks, folded, joined, points_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from anew.runner.store.cells import Cells

MOST = 1_000_000
"""A million buckets are drawn by nobody."""
# a power of two, by which no float that matters loses a digit: of so many times more points a mean is a float still
_SMALLER = 2.0**-64


@dataclass(frozen=True, slots=True)
class _Grid:
    """
    Buckets beside each other, the same for all runs.

    Attributes:
        by: "step" or "time".
        edges: Where each begins, ascending.
        ends: Where each ends; that step is in it, that time is the first of the next one but for the last.
    """

    by: str
    edges: npt.NDArray[Any]
    ends: npt.NDArray[Any]

    def of(self, places: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the bucket of each place."""
        import numpy as np

        return np.searchsorted(self.edges, places, side="right") - 1

    def ends_of(self, cells: Cells) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return the first and the last place of cells."""
        return cells[f"least_{self.by}"], cells[f"greatest_{self.by}"]


def refuse_odd(buckets: Any, by: Any) -> None:
    """Raise FilterError for what is no number of buckets, or nothing that they can be equally wide in."""
    if type(buckets) is not int or not 0 < buckets <= MOST:
        raise FilterError(f"buckets={buckets!r}: a series comes in 1 to {MOST:,} buckets, such as buckets=500.")
    if by not in ("step", "time"):
        raise FilterError(f"by={by!r}: buckets are equally wide in 'step' or in 'time'.")


def bucketed(series: Mapping[int, Blocks], name: str, buckets: int, by: str) -> list[SeriesBuckets]:
    """
    Return the series of several runs in at most so many buckets, which are the same for all of them.

    Args:
        series: Run -> its points, in any order; of runs without any there is nothing.
        name: What they are called.
        buckets: How many, from 1 on.
        by: "step" or "time": buckets are equally wide in that.

    Raises:
        LookupError: Points are not there any more.
    """
    cells = {run: joined(blocks.cells) for run, blocks in series.items()}
    cells = {run: some for run, some in cells.items() if len(some)}
    if not cells:
        return []
    grid = _grid([*cells.values()], buckets, by)
    return [_of_run(run, name, series[run], some, grid) for run, some in cells.items()]


def _grid(cells: Sequence[Cells], buckets: int, by: str) -> _Grid:
    import numpy as np

    least = min(some[f"least_{by}"].min() for some in cells)
    greatest = max(some[f"greatest_{by}"].max() for some in cells)
    if by == "step":
        # Python's whole numbers: the range may be more than 64 bits can hold
        first, width = int(least), int(greatest) - int(least) + 1
        count = min(buckets, width)
        edges = [first + width * part // count for part in range(count + 1)]
        return _Grid(by, np.array(edges[:-1], np.int64), np.array([edge - 1 for edge in edges[1:]], np.int64))
    bounds = np.unique(np.linspace(least, greatest, buckets + 1))
    return _Grid(by, bounds[:-1], bounds[1:]) if len(bounds) > 1 else _Grid(by, bounds, bounds)


def _of_run(run: int, name: str, blocks: Blocks, cells: Cells, grid: _Grid) -> SeriesBuckets:
    import numpy as np

    last = len(grid.edges) - 1
    low, high = (np.minimum(grid.of(places), last) for places in grid.ends_of(cells))
    is_whole = low == high
    # a cell that lies in several buckets is read
    parts = [cells[is_whole], *_read(blocks, ~is_whole)]
    some = joined(parts)
    where = np.minimum(grid.of(grid.ends_of(some)[0]), last)
    found, chosen = _gathered(some, where)
    with np.errstate(all="ignore"):
        mean = np.where(found["count"] > 0, found["sum"] / found["count"], np.nan)
    too_much = ~np.isfinite(found["sum"]) & np.isfinite(found["min"]) & np.isfinite(found["max"])
    if too_much.any():
        mean[too_much] = _smaller_means(blocks, grid, last)[chosen[too_much]]
    return SeriesBuckets(
        run=run,
        name=name,
        by=grid.by,
        starts=grid.edges[chosen],
        ends=grid.ends[chosen],
        count=found["count"].copy(),
        nan=found["nan"].copy(),
        min=found["min"].copy(),
        max=found["max"].copy(),
        # of what is rounded a mean may come to lie beside what it is the mean of
        mean=np.clip(mean, found["min"], found["max"]),
    )


def _gathered(cells: Cells, where: npt.NDArray[np.int64]) -> tuple[Cells, npt.NDArray[np.int64]]:
    """Return what cells come to in each bucket that has some, and which buckets those are."""
    import numpy as np

    if (np.diff(where) < 0).any():
        order = np.argsort(where, kind="stable")
        cells, where = cells[order], where[order]
    starts = np.flatnonzero(np.diff(where, prepend=-1))
    return folded(cells, starts), where[starts]


def _read(blocks: Blocks, wanted: npt.NDArray[np.bool_]) -> list[Cells]:
    """Return the points of those cells that are wanted. Raises LookupError."""
    import numpy as np

    ends = np.cumsum([len(cells) for cells in blocks.cells])
    mine = np.split(wanted, ends[:-1])
    rows = [row for row, some in enumerate(mine) if some.any()]
    return [points_of(column, mine[row]) for row, column in zip(rows, blocks.read(rows), strict=True)]


def _smaller_means(blocks: Blocks, grid: _Grid, last: int) -> npt.NDArray[np.float64]:
    """Return the means of all buckets by numbers so much smaller that a sum of them is a float."""
    import numpy as np

    some = joined(_read(blocks, np.ones(sum(map(len, blocks.cells)), np.bool_)))
    some["sum"] *= _SMALLER
    found, chosen = _gathered(some, np.minimum(grid.of(grid.ends_of(some)[0]), last))
    means = np.full(last + 1, np.nan)
    with np.errstate(all="ignore"):
        means[chosen] = found["sum"] / found["count"] / _SMALLER
    return means
