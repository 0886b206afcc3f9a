"""
Part of a configuration, read into frozen values: each by its type, and what is wrong said by its key.

A field's metadata says what its type does not: "least", the least whole number that it takes where that is not 1, and
"unasked", that nobody sets it.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, get_args, get_origin

from anew.runner.errors import ConfigError
from anew.runner.wording import nearest

S = TypeVar("S")
Root = tuple[type[Any], str]
"""The whole, and what it is called: a key may stand in the wrong part of it."""


def read(cls: type[S], values: Any, where: str) -> S:
    """
    Return a mapping as a frozen value of dataclasses. Safe in threads.

    Args:
        cls: Of which class.
        values: The mapping.
        where: What it is called.

    Raises:
        ConfigError: A key is unknown or a value has the wrong type; the message names it and what would be right.
    """
    return _part(cls, values, where, (cls, where))


def places_of(name: str, cls: Any, where: str) -> list[str]:
    """Return the keys of that name, in full: `anew.sweep.workers` for "workers"."""
    asked = _asked(cls)
    found = [f"{where}.{name}"] if name in asked else []
    for key, (kind, _) in asked.items():
        if is_dataclass(kind):
            assert isinstance(kind, type)
            found += places_of(name, kind, f"{where}.{key}")
    return found


# read once for each class: many runs of a process read their settings
@cache
def _asked(cls: Any) -> dict[str, tuple[Any, Field[Any]]]:
    """Return the type of each field that may be set, and the field."""
    hints = typing.get_type_hints(cls)
    return {each.name: (hints[each.name], each) for each in fields(cls) if not each.metadata.get("unasked")}


def _part(cls: type[S], values: Any, where: str, root: Root) -> S:
    asked = _asked(typing.cast(Any, cls))
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where} is {values!r}; it holds keys: {', '.join(asked)}.", key=where)
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key not in asked:
            raise ConfigError(_unknown(cls, str(key), where, root), key=f"{where}.{key}")
        kind, each = asked[key]
        if is_dataclass(kind):
            assert isinstance(kind, type)
            found[key] = _part(kind, value, f"{where}.{key}", root)
        else:
            found[key] = _value(kind, value, f"{where}.{key}", each.metadata.get("least", 1))
    return cls(**found)


def _unknown(cls: Any, key: str, where: str, root: Root) -> str:
    names = [*_asked(cls)]
    elsewhere = places_of(key, *root)
    hint = f" Did you mean {' or '.join(elsewhere)}?" if elsewhere else nearest(key, names, where + ".")
    return f"There is no setting {where}.{key}.{hint} {where} has: {', '.join(names)}."


def _value(kind: Any, value: Any, where: str, least: int) -> Any:
    if get_origin(kind) is tuple:
        items = [value] if isinstance(value, str) else value
        if isinstance(items, (list, tuple)) and all(isinstance(item, (str, int, float)) for item in items):
            return tuple(str(item) for item in items)
        raise ConfigError(f"{where} is {value!r}; it takes a list of texts, such as {where}=[a,b].", key=where)
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
        if value is False and "off" in get_args(kind):
            return "off"
        raise ConfigError(f"{where} is {value!r}; it takes one of: {', '.join(get_args(kind))}.", key=where)
    return _scalar(kind, value, where, least)


def _scalar(kind: Any, value: Any, where: str, least: int) -> Any:
    if int in get_args(kind):
        if value is None or (type(value) is int and value >= least):
            return value
        raise ConfigError(f"{where} is {value!r}; it takes a whole number from {least} on, or null.", key=where)
    if bool in get_args(kind):
        if value is None or isinstance(value, bool):
            return value
        raise ConfigError(f"{where} is {value!r}; it takes true, false or null.", key=where)
    if type(None) in get_args(kind):
        if value is None or isinstance(value, (str, int, float)):
            return None if value is None else str(value)
        raise ConfigError(f"{where} is {value!r}; it takes a text, or null.", key=where)
    if kind is bool and isinstance(value, bool):
        return value
    if kind in (int, float) and type(value) in (int, float) and value >= 0 and (kind is float or value % 1 == 0):
        return kind(value)
    words = {bool: "true or false", int: "a whole number from 0 on", float: "a number from 0 on"}
    raise ConfigError(f"{where} is {value!r}; it takes {words.get(kind, kind)}.", key=where)
