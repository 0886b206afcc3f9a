"""The cells of a notebook as one source file, and that file as cells again."""

from __future__ import annotations

import re
from collections.abc import Iterable

from anew.runner.dataclass import dataclass
from anew.runner.lazy.patterns import regexp

# with a hyphen, so that it stands before no module of the project
FILE_NAME = "notebook-cells.py"
_MARK = regexp(r"^# %% \[(\d+)\]\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Cell:
    """
    One cell that ran.

    Attributes:
        number: Its number in the order of running.
        line: The line of the file that it begins in, from 1.
        text: Python.
    """

    number: int
    line: int
    text: str


def join(cells: Iterable[tuple[int, str]]) -> str:
    """Return numbers and texts of cells as one file, in the form that editors take for cells."""
    return "\n".join(f"# %% [{number}]\n{text.rstrip()}\n" for number, text in cells)


def split(text: str) -> list[Cell]:
    """Return the cells of a file, in order."""
    marks = list(_MARK.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return [
        Cell(int(mark[1]), text.count("\n", 0, mark.end()) + 1, text[mark.end() : end])
        for mark, end in zip(marks, ends, strict=True)
    ]
