"""Regular expressions, compiled when they are first used: a start imports 140 of them, 30 ms, and uses few."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

__all__ = ["regexp"]

if TYPE_CHECKING:
    from re import compile as regexp
else:

    def regexp(text, flags=0):
        """Do as `re.compile` does, later."""
        return _Later(text, flags)


class _Later:
    """Stands for a compiled pattern; after the first use its methods are the compiled one's own."""

    def __init__(self, text: Any, flags: int) -> None:
        self._given = text, flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        made = re.compile(*self._given)
        self.__dict__.update((each, getattr(made, each)) for each in dir(made) if not each.startswith("_"))
        return getattr(made, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return re.compile, self._given
