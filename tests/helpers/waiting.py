"""Waiting for what other processes and threads do: until it is so, and never longer than a test can bear."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PAUSE_S = 0.01


def until(condition: Callable[[], T], what: str = "it", *, seconds: float = 30) -> T:
    """Wait until *condition* gives something true, and return that; *what* is said when it does not come to pass."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"{what} did not come to pass within {seconds:g} s"
        time.sleep(PAUSE_S)
    return value
