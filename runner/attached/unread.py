"""Frozen values whose fields are read when one of them is first asked for: most of a list is never looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T", bound="Readable")
Reader = Callable[[str], Mapping[str, Any]]
"""Gives, for the name of a field, its value, and those of the fields that are read with it."""


class Readable:
    """
    The base of a frozen dataclass with slots: a field that has no value yet is read.

    Two threads may read the same one, to the same value. To whoever looks there is no difference: a value that has been
    read is equal to one that was made, is compared, copied, pickled and replaced as one.
    """

    __slots__ = ("_reader",)

    if not TYPE_CHECKING:  # else a name that is mistyped would pass

        def __getattr__(self, name):
            reader = None if name not in type(self).__dataclass_fields__ else reader_of(self)
            if reader is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            for field, value in reader(name).items():
                object.__setattr__(self, field, value)
            return object.__getattribute__(self, name)


def unread(kind: type[T], reader: Reader) -> T:
    """Return a value of which nothing is read yet."""
    value = object.__new__(kind)
    object.__setattr__(value, "_reader", reader)
    return value


def altered(value: T, **changes: Any) -> T:
    """Return a value with some fields changed, as `dataclasses.replace` does; what is not read of it stays unread."""
    reader = reader_of(value)
    if reader is None:
        return replace(value, **changes)  # type: ignore[type-var]  # each that is Readable is a dataclass

    def read(name: str) -> Mapping[str, Any]:
        values = reader(name)
        return {**values, **{each: changes[each] for each in changes.keys() & values.keys()}}

    return unread(type(value), read)


def reader_of(value: Readable) -> Reader | None:
    """Return what reads the fields of a value; None of one that was made with all of them."""
    try:
        reader: Reader = object.__getattribute__(value, "_reader")
    except AttributeError:
        return None
    return reader
