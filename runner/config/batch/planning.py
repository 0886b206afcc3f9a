"""How far the planning of a large sweep has got, on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from anew.runner.wording import say, show

T = TypeVar("T")

_PATIENCE_S = 2.0
_LINE_S = 10.0
_TERMINAL_S = 0.2


def counted(jobs: Sequence[T], *, quiet: bool) -> Iterator[tuple[int, T]]:
    """Yield jobs with their indices; when that takes long, say how many there are and how far they have got."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    due_s = time.monotonic() + _PATIENCE_S
    has_said = False
    for index, job in enumerate(jobs):
        if not quiet and time.monotonic() >= due_s:
            due_s = time.monotonic() + (_TERMINAL_S if is_terminal else _LINE_S)
            text = f"{index} of {len(jobs)} jobs planned"
            (show if is_terminal else say)(text)
            has_said = True
        yield index, job
    if has_said:
        show("")
