"""
Cells: what some hundred points in a row of a series come to, kept beside its columns, so that few of these are read.

numpy is loaded by whoever asks for them.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from anew.runner.dataclass import dataclass
from anew.runner.format.values import as_float

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Cells = npt.NDArray[np.void]

SIZE = 512
"""How many points a cell has."""
_FIELDS = [
    ("least_step", "i8"),
    ("greatest_step", "i8"),
    ("least_time", "f8"),
    ("greatest_time", "f8"),
    ("count", "i8"),
    ("nan", "i8"),
    ("min", "f8"),
    ("max", "f8"),
    ("sum", "f8"),
]


@dataclass(frozen=True, slots=True)
class Column:
    """
    Points of one metric, in the order in which they were logged; arrays where all numbers of them are of one kind.

    Attributes:
        times: In seconds since the run started.
        steps: Of 64 bits.
        values: As they were logged.
    """

    times: Sequence[float]
    steps: Sequence[int]
    values: Sequence[float | int]


@dataclass(frozen=True, slots=True)
class Blocks:
    """
    A series, or what is needed of it.

    Attributes:
        cells: Of each of its rows, what each `SIZE` points in order come to.
        read: Gives the points of some rows. Raises LookupError where they are not there any more.
    """

    cells: Sequence[Cells]
    read: Callable[[Sequence[int]], Sequence[Column]]

    @classmethod
    def of(cls, columns: Sequence[Column]) -> Blocks:
        """Return points that are in memory."""
        return cls([cells_of(each) for each in columns], lambda rows: [columns[row] for row in rows])


def points_of(column: Column, wanted: npt.NDArray[np.bool_] | None = None) -> Cells:
    """Return points as cells of one each; of those cells of `SIZE` that are wanted, or all."""
    import numpy as np

    values = column.values
    kept: Any = slice(None)
    if wanted is not None:
        kept = np.repeat(wanted, SIZE)[: len(column.times)]
    numbers = np.asarray(values if isinstance(values, array) else [*map(as_float, values)], np.float64)[kept]
    made = np.empty(len(numbers), np.dtype(_FIELDS))
    odd = np.isnan(numbers)
    made["least_step"] = made["greatest_step"] = np.asarray(column.steps, np.int64)[kept]
    made["least_time"] = made["greatest_time"] = np.asarray(column.times, np.float64)[kept]
    made["count"], made["nan"] = ~odd, odd
    made["min"] = made["max"] = numbers
    made["sum"] = np.where(odd, 0, numbers)
    return made


def folded(cells: Cells, starts: npt.NDArray[np.int64]) -> Cells:
    """Return what cells come to from each of *starts*, ascending, to the next one. The last one ends with them."""
    import numpy as np

    made = np.empty(len(starts), cells.dtype)
    if not len(starts):
        return made
    # infinities, and sums that are no float any more; NaN is left out by fmin and fmax
    with np.errstate(all="ignore"):
        for name, over in (
            ("least_step", np.minimum),
            ("greatest_step", np.maximum),
            ("least_time", np.minimum),
            ("greatest_time", np.maximum),
            ("count", np.add),
            ("nan", np.add),
            ("min", np.fmin),
            ("max", np.fmax),
            ("sum", np.add),
        ):
            made[name] = over.reduceat(np.ascontiguousarray(cells[name]), starts)
    return made


def cells_of(column: Column) -> Cells:
    """Return what each `SIZE` points come to."""
    import numpy as np

    return folded(points_of(column), np.arange(0, len(column.times), SIZE))


def unpacked(data: bytes, count: int) -> Cells:
    """Return the cells of so many points out of `tobytes`. Raises ValueError where they are of another number."""
    import numpy as np

    found: Cells = np.frombuffer(data, np.dtype(_FIELDS))
    if len(found) != -(-count // SIZE):
        raise ValueError("it has another number of cells")
    return found


def joined(cells: Sequence[Cells]) -> Cells:
    """Return cells behind each other."""
    import numpy as np

    # concatenating what has fields compares the fields of each with those of each
    data = bytearray().join([np.ascontiguousarray(each).tobytes() for each in cells])
    found: Cells = np.frombuffer(data, np.dtype(_FIELDS))
    return found
