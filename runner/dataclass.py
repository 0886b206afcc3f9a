"""`dataclass` as the standard library has it, made quicker: what is alike in all classes is written once.

`dataclasses` writes the source of `__repr__`, `__eq__` and `__hash__` for each class and compiles it, until Python 3.13
one by one. A run imports about 120 such classes before its main begins, and 30 of the 110 ms that it took to import all
of anew went into that.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, /, *, eq=True, repr=True, **options):
        """Do as `dataclasses.dataclass` does with the same options; `order` and `unsafe_hash` are not for here."""
        if cls is None:
            return lambda each: dataclass(each, eq=eq, repr=repr, **options)
        own = vars(cls)
        made = dataclasses.dataclass(eq=False, repr=False, **options)(cls)
        if repr and "__repr__" not in own:
            made.__repr__ = _repr
        if eq and "__eq__" not in own:
            made.__eq__ = _eq
        if eq and "__hash__" not in own:
            made.__hash__ = _hash if options.get("frozen") else None
        return made


@cache
def _names(cls: Any, kept: str) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls) if getattr(field, kept))


@cache
def _values(cls: Any) -> attrgetter[Any]:
    # of one name alone attrgetter gives the value and no tuple, in which NaN would equal itself
    names = _names(cls, "compare")
    return attrgetter(*names, *names[:1]) if names else attrgetter("__class__", "__class__")


@recursive_repr()
def _repr(self: Any) -> str:
    fields = (f"{name}={getattr(self, name)!r}" for name in _names(self.__class__, "repr"))
    return f"{self.__class__.__qualname__}({', '.join(fields)})"


def _eq(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    get = _values(self.__class__)
    return get(self) == get(other)


def _hash(self: Any) -> int:
    return hash(_values(self.__class__)(self))
