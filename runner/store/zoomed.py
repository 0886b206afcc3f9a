"""A part of a series: the points between two places, of which only what lies at its ends is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from anew.runner.contracts import SeriesBuckets
from anew.runner.store.cells import Blocks, Column, cells_of, joined, points_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from anew.runner.store.cells import Cells


def within(blocks: Blocks, by: str, least: float, greatest: float) -> Blocks:
    """
    Return the points of a series that lie between two places, both included.

    Args:
        blocks: The series.
        by: "step" or "time".
        least: The first place; an infinity for no bound.
        greatest: The last one.

    Raises:
        LookupError: Points are not there any more.
    """
    ends = [(some[f"least_{by}"], some[f"greatest_{by}"]) for some in blocks.cells]
    inside = [row for row, (low, high) in enumerate(ends) if (low >= least).all() and (high <= greatest).all()]
    cut = [
        row
        for row, (low, high) in enumerate(ends)
        if row not in {*inside} and not ((high < least) | (low > greatest)).all()
    ]
    columns = [_cut(each, by, least, greatest) for each in (blocks.read(cut) if cut else ())]
    columns = [each for each in columns if len(each.times)]
    count = len(inside)

    def read(rows: Sequence[int]) -> list[Column]:
        whole = iter(blocks.read([inside[row] for row in rows if row < count]))
        return [next(whole) if row < count else columns[row - count] for row in rows]

    return Blocks([*(blocks.cells[row] for row in inside), *map(cells_of, columns)], read)


def _cut(column: Column, by: str, least: float, greatest: float) -> Column:
    places = column.steps if by == "step" else column.times
    kept = [index for index, place in enumerate(places) if least <= place <= greatest]
    return Column(
        [column.times[index] for index in kept],
        [column.steps[index] for index in kept],
        [column.values[index] for index in kept],
    )


def count_of(blocks: Blocks) -> int:
    """Return how many points there are."""
    return sum(int(some["count"].sum() + some["nan"].sum()) for some in blocks.cells)


def pointwise(series: Mapping[int, Blocks], name: str, by: str) -> list[SeriesBuckets]:
    """
    Return series point by point, each a bucket of its own, in the order of their places.

    Args:
        series: Run -> its points; of runs without any there is nothing.
        name: What they are called.
        by: "step" or "time".

    Raises:
        LookupError: Points are not there any more.
    """
    found = []
    for run, blocks in series.items():
        rows = blocks.read(range(len(blocks.cells)))
        if rows:
            found.append(_each(run, name, by, joined([points_of(row) for row in rows])))
    return found


def _each(run: int, name: str, by: str, cells: Cells) -> SeriesBuckets:
    import numpy as np

    # of one place in the order in which they were logged: several writers, or parts that were read apart
    cells = cells[np.lexsort((cells["least_time"], cells[f"least_{by}"]))]
    places = cells[f"least_{by}"].copy()
    values: npt.NDArray[np.float64] = cells["min"].copy()
    count, nan = cells["count"].copy(), cells["nan"].copy()
    return SeriesBuckets(
        run=run, name=name, by=by, starts=places, ends=places, count=count, nan=nan, min=values, max=values, mean=values
    )
