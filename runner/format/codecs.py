"""
Frozen dataclasses as JSON and back: each annotation that the records use has its codec.

What is read may be anybody's, so that only what has the types of the fields passes.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin

from anew.runner.dataclass import dataclass
from anew.runner.format.values import decode, encode, from_iso, iso, number_from_json, number_to_json, plain

T = TypeVar("T")
MALFORMED = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What the loading of values that are anybody's may raise."""
# beyond these, times in another zone would be none that Python knows
_FIRST_YEAR, _LAST_YEAR = 1900, 9000


class DamagedError(ValueError):
    """Bytes that are not what was written."""


@dataclass(frozen=True, slots=True)
class Codec:
    """How values of one annotated type become JSON (stored and shown) and are read back."""

    store: Callable[[Any], Any]
    show: Callable[[Any], Any]
    load: Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


def _of_type(kind: type) -> Callable[[Any], Any]:
    """Return what lets values of one type pass. Raises TypeError for others: what is read may be anybody's."""

    def load(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"a value of type {kind.__name__} was expected, not {type(value).__name__}")
        return value

    return load


def _whole(value: Any) -> int:
    if type(value) is not int or not -_GREATEST < value < _GREATEST:
        raise TypeError(f"a whole number was expected, not {type(value).__name__!s}")
    return value


def _moment(text: str) -> datetime:
    moment = from_iso(text)
    if moment.tzinfo is None or not _FIRST_YEAR <= moment.year < _LAST_YEAR:
        raise ValueError(f"{text!r} is no time of a run")
    return moment


def _any_mapping(value: Any) -> Any:
    found = decode(value)
    if not isinstance(found, dict):
        raise TypeError(f"names and values were expected, not {type(found).__name__}")
    return found


# what `float` still takes; seeds of 64 bits are the greatest that there are
_GREATEST = 2**128
_ANY = Codec(encode, plain, decode)
_ANY_MAPPING = Codec(encode, plain, _any_mapping)
_NUMBER = Codec(number_to_json, number_to_json, number_from_json)
_TIME = Codec(iso, iso, _moment)
_SIMPLE = {
    str: Codec(_same, _same, _of_type(str)),
    bool: Codec(_same, _same, _of_type(bool)),
    int: Codec(_same, _same, _whole),
    float: _NUMBER,
    datetime: _TIME,
    Any: _ANY,
}


@cache
def codec_of(kind: Any) -> Codec:
    """Return the codec of an annotation; the records use few forms, and a new form must be added here."""
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        rest = [argument for argument in arguments if argument is not type(None)]
        inner = _NUMBER if float in rest else codec_of(rest[0])
        return _optional(inner)
    if origin is tuple:
        return _many(codec_of(arguments[0]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _ANY_MAPPING if arguments[1] is Any else _mapped(codec_of(arguments[1]))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return Codec(lambda v: v.value, lambda v: v.value, kind)
    if is_dataclass(kind):
        return _object(kind)
    raise TypeError(f"there is no codec for {kind!r} yet")


def _optional(inner: Codec) -> Codec:
    def guard(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda value: None if value is None else function(value)

    return Codec(guard(inner.store), guard(inner.show), guard(inner.load))


def _many(inner: Codec) -> Codec:
    is_list = _of_type(list)
    return Codec(
        lambda values: [inner.store(value) for value in values],
        lambda values: [inner.show(value) for value in values],
        lambda values: tuple([inner.load(value) for value in is_list(values)]),
    )


def _mapped(inner: Codec) -> Codec:
    return Codec(
        lambda values: {key: inner.store(value) for key, value in values.items()},
        lambda values: {key: inner.show(value) for key, value in values.items()},
        lambda values: {key: inner.load(value) for key, value in values.items()},
    )


@cache
def codecs_of(kind: Any) -> dict[str, Codec]:
    """Return how the fields of a record, or of its facts, become JSON."""
    hints = typing.get_type_hints(kind)
    return {item.name: codec_of(hints[item.name]) for item in fields(kind)}


def _object(kind: Any) -> Codec:
    codecs = codecs_of(kind)
    stores = [(name, codec.store) for name, codec in codecs.items()]
    shows = [(name, codec.show) for name, codec in codecs.items()]
    loads = {name: codec.load for name, codec in codecs.items()}

    def load(data: Mapping[str, Any]) -> Any:
        return kind(**{name: loads[name](value) for name, value in data.items() if name in loads})

    return Codec(
        lambda value: {name: store(getattr(value, name)) for name, store in stores},
        lambda value: {name: show(getattr(value, name)) for name, show in shows},
        load,
    )


def to_json(value: Any) -> dict[str, Any]:
    """Return a record or one of its facts in the stored, lossless form."""
    result: dict[str, Any] = codec_of(typing.cast(Any, type(value))).store(value)
    return result


def from_json(kind: type[T], data: Mapping[str, Any]) -> T:
    """Return what `to_json` was given. Raises DamagedError when members are missing or of a wrong type."""
    try:
        result: T = codec_of(typing.cast(Any, kind)).load(data)
    except MALFORMED as error:
        raise DamagedError(f"not a {kind.__name__}: {error}") from error
    return result


def fields_from_json(kind: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return some fields of what `to_json` was given. Raises DamagedError when one is of a wrong type."""
    codecs = codecs_of(kind)
    try:
        return {name: codecs[name].load(value) for name, value in data.items() if name in codecs}
    except MALFORMED as error:
        raise DamagedError(f"not a {kind.__name__}: {error}") from error
