"""What `anew.start` is given as a configuration, as plain values; and recorded values put into it."""

from __future__ import annotations

import dataclasses
import re
from argparse import Namespace
from collections.abc import Callable, Mapping, MutableMapping
from enum import Enum
from pathlib import PurePath
from types import ModuleType, SimpleNamespace
from typing import Any

from anew.runner.errors import ConfigError
from anew.runner.format.redact import REDACTED
from anew.runner.format.values import exact_form, shown

_PLAIN = (bool, int, float, str, type(None))
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_DEEPEST = 50
_ABSENT: Any = object()


def values_of(config: Any) -> dict[str, Any]:
    """
    Return a configuration as plain values, by name: of a mapping, an argparse namespace, a dataclass, or what is alike.

    Raises:
        ConfigError: It is nothing that has names.
    """
    if config is None:
        return {}
    members = _members(config, is_outermost=True)
    if members is None:
        kind = "the class " + config.__name__ if isinstance(config, type) else repr(config)[:80]
        raise ConfigError(
            f"anew.start is given {kind} as configuration; give a dict, a namespace of argparse, or an instance of a "
            "dataclass: anew.start('fit', {'lr': 0.1})"
        )
    return {_name(key): _plain(value, 0) for key, value in members.items()}


def _members(value: Any, *, is_outermost: bool = False) -> Mapping[Any, Any] | None:
    """Return what is in a value by name; None for one without names."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, (type, ModuleType, *_PLAIN)):
        return None
    if dataclasses.is_dataclass(value):
        return {each.name: getattr(value, each.name, None) for each in dataclasses.fields(value)}
    if (fields := getattr(type(value), "__attrs_attrs__", None)) is not None:
        return {each.name: getattr(value, each.name, None) for each in fields}
    is_known = isinstance(value, (Namespace, SimpleNamespace)) or hasattr(type(value), "model_fields")
    if is_known or (is_outermost and hasattr(value, "__dict__") and not callable(value)):
        return {name: each for name, each in vars(value).items() if is_known or not name.startswith("_")}
    return None


def _name(key: Any) -> str:
    return key.name if isinstance(key, Enum) else str(key)


def _plain(value: Any, depth: int) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, PurePath):
        return str(value)
    if depth > _DEEPEST:
        return _text(value)
    if (members := _members(value)) is not None:
        return {_name(key): _plain(each, depth + 1) for key, each in members.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
        return [_plain(each, depth + 1) for each in items]
    try:
        found = shown(value)
    except Exception:  # whatever an object of the user's does when it is looked at
        return _text(value)
    return found if isinstance(found, (list, dict, *_PLAIN)) else _text(value)


def _text(value: Any) -> str:
    """Return what an object is called, the same in each process."""
    name = getattr(value, "__qualname__", None)
    if callable(value) and name is not None:
        return f"{getattr(value, '__module__', '')}.{name}"
    try:
        return _ADDRESS.sub("", repr(value))
    except Exception:
        return f"<{type(value).__qualname__}>"


# --- back into it -------------------------------------------------------------------------------------------------


def put(values: Mapping[str, Any], into: Any, path: str = "") -> None:
    """
    Have a configuration hold these plain values, in place, each as the kind of thing that was there.

    Secrets that are not on record, and objects that no plain value says, stay what they are.

    Raises:
        ConfigError: A value is none of that kind, or what holds it cannot be changed.
    """
    members = _members(into, is_outermost=not path) or {}
    keys = {_name(key): key for key in members}
    for name, value in values.items():
        where = f"{path}{name}"
        now = members[keys[name]] if name in keys else _ABSENT
        if now is not _ABSENT and (_is_same(_plain(now, 0), value) or _is_secret(value)):
            continue
        if now is not _ABSENT and isinstance(value, Mapping) and _members(now) is not None:
            put(value, now, f"{where}.")
            continue
        made = value if now is _ABSENT else _as_was(now, value, where)
        if made is not now:
            _set(into, keys.get(name, name), made, where)
    for name in [each for each in keys if each not in values]:
        _drop(into, keys[name])


def _is_secret(value: Any) -> bool:
    return isinstance(value, str) and REDACTED in value


def _is_same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and exact_form(one) == exact_form(other)


def _as_was(now: Any, value: Any, where: str) -> Any:
    """Return a plain value as the kind of thing that stands in its place."""
    if value is None or now is None:
        return value
    if isinstance(now, (bool, int, float)) and not isinstance(now, Enum):
        return _number(now, value, where)
    if isinstance(now, Enum):
        return _made(lambda: type(now)[value], now, value, where)
    if isinstance(now, (str, PurePath)) and not isinstance(value, (list, Mapping)):
        return _made(lambda: type(now)(value), now, value, where)
    if isinstance(now, (list, tuple, set, frozenset)) and isinstance(value, (list, tuple)):
        items = list(now)
        if len(items) == len(value) and not isinstance(now, (set, frozenset)):
            value = [_as_was(was, each, where) for was, each in zip(items, value, strict=True)]
        return _made(lambda: list(value) if isinstance(now, list) else type(now)(value), now, value, where)
    return now if not isinstance(_plain(now, 0), (bool, int, float)) else value


def _number(now: Any, value: Any, where: str) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(now, bool) is not isinstance(value, bool) or not (is_number or isinstance(value, bool)):
        raise _unfit(now, value, where)
    return float(value) if isinstance(now, float) and is_number else value


def _made(make: Callable[[], Any], now: Any, value: Any, where: str) -> Any:
    try:
        return make()
    except (TypeError, ValueError, KeyError):
        raise _unfit(now, value, where) from None


def _unfit(now: Any, value: Any, where: str) -> ConfigError:
    return ConfigError(f"{where}={value} does not fit: in this program it is {now!r}, {type(now).__name__}.", key=where)


def _set(into: Any, key: Any, value: Any, where: str) -> None:
    try:
        if isinstance(into, MutableMapping):
            into[key] = value
        elif isinstance(into, Mapping):
            raise TypeError
        elif dataclasses.is_dataclass(into):
            object.__setattr__(into, key, value)  # frozen or not: nobody has seen it yet
        else:
            setattr(into, key, value)
    except Exception as error:
        raise ConfigError(
            f"{where}={value} cannot be put into what anew.start was given, {type(into).__name__}: it takes no change. "
            "Give it a dict, a namespace or a dataclass.",
            key=where,
        ) from error


def _drop(into: Any, key: Any) -> None:
    if isinstance(into, MutableMapping):
        del into[key]
    elif isinstance(into, (Namespace, SimpleNamespace)):
        delattr(into, key)
