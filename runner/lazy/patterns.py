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

    def _compiled(self) -> re.Pattern[Any]:
        # `re` keeps it, or makes one that is equal
        made: re.Pattern[Any] = re.compile(*self._given)
        return made

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        made = self._compiled()
        self.__dict__.update((each, getattr(made, each)) for each in dir(made) if not each.startswith("_"))
        return getattr(made, name)

    def __eq__(self, other: object) -> bool:
        # a match names the pattern that was compiled
        return self is other or self._compiled() == (other._compiled() if isinstance(other, _Later) else other)

    def __hash__(self) -> int:
        return hash(self._compiled())

    def __reduce__(self) -> tuple[Any, ...]:
        return re.compile, self._given
