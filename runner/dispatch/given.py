"""Observers that are given in Python."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

from anew.runner.errors import ConfigError


def observers_by_name(observers: Sequence[Any]) -> dict[str, Any]:
    """Return observers under names that are file names, each its own. Raises ConfigError for what is none."""
    named: dict[str, Any] = {}
    for observer in observers:
        if not callable(observer) and not callable(getattr(observer, "handle", None)):
            raise ConfigError(
                f"{observer!r} is no observer: give a function of one event, or a class or instance with handle(event) "
                "and close(); see anew.Observer"
            )
        stem = re.sub(r"\W+", "_", getattr(observer, "__name__", type(observer).__name__)) or "observer"
        numbered = (f"{stem}_{number}" for number in itertools.count(2))
        named[stem if stem not in named else next(name for name in numbered if name not in named)] = observer
    return named
