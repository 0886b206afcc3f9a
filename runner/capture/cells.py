"""The cells of a notebook, or the inputs of an IPython shell, that ran in this process: where main is in no file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from anew.runner.format.cells import join


def executed_cells(function: Callable[..., Any], *, is_called: bool = False) -> str | None:
    """
    Return what ran so far, in that order, as one source file; None where the main function was made by none of it.

    The cell that is running is the last one. What ran more than once is there as often, each time as it was then. With
    *is_called* the function stands for what they do, and is made nowhere.
    """
    if is_called:
        return all_cells()
    module = sys.modules.get(function.__module__)
    if function.__module__ != "__main__" and getattr(module, "__file__", None) is not None:
        return None
    cells = _cells()
    return join(cells) if any(f"def {function.__name__}" in text for _, text in cells) else None


def all_cells() -> str | None:
    """Return all that ran so far, as `executed_cells` does; None where this is no IPython."""
    cells = _cells()
    return join(cells) if cells else None


def _cells() -> list[tuple[int, str]]:
    return [(number, text) for number, text in enumerate(_history()) if text.strip()]


def _history() -> list[str]:
    """Return the inputs of this process's IPython, with magics as the Python that they are turned into."""
    shell_of = getattr(sys.modules.get("IPython"), "get_ipython", None)
    history = getattr(shell_of() if shell_of is not None else None, "history_manager", None)
    return list(getattr(history, "input_hist_parsed", ()))
