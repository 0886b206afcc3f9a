"""Values given in Python, written as overrides: in Hydra's grammar, and so that what arrives is what was given."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from anew.runner.errors import ConfigError
from anew.runner.lazy.patterns import regexp

_KEY = regexp(r"[+~]{0,2}[\w.@/:$-]+", re.ASCII)
_BARE = regexp(r"[A-Za-z_][\w./-]*", re.ASCII)
_MEANS_MORE = frozenset({"null", "true", "false", "inf", "nan"})
_KEY_OF_DICT = regexp(r"[A-Za-z_][\w./+*%@?|-]*", re.ASCII)
_MOST_DEPTH = 50


def overrides_of(given: Sequence[object], values: Mapping[str, Any], *, choices: bool = False) -> list[str]:
    """
    Return overrides in their order: texts as they are, then each mapping's members, then *values*.

    Args:
        given: Texts, such as "lr=0.1", and mappings of keys, such as {"opt.lr": 0.1}.
        values: Keys that are names.
        choices: Whether a list or a range stands for the values of a sweep.

    Raises:
        ConfigError: A key or a value cannot be written as an override.
    """
    found: list[str] = []
    for each in (*given, values):
        if isinstance(each, str):
            found.append(each)
        elif isinstance(each, Mapping):
            found += [_override(key, value, choices) for key, value in each.items()]
        else:
            raise ConfigError(
                f"{each!r} is no override: give texts such as 'lr=0.1', mappings such as {{'opt.lr': 0.1}}, or lr=0.1"
            )
    return found


def _override(key: object, value: Any, choices: bool) -> str:
    if not (isinstance(key, str) and _KEY.fullmatch(key)):
        raise ConfigError(f"{key!r} is no key of a configuration; one looks like 'lr' or 'opt.lr'.", key=key)
    value = _of_numpy(value)
    if choices and isinstance(value, (list, tuple, range)):
        if not value:
            raise ConfigError(f"{key} has no values to sweep over. A list stands for those: {key}=[0.1, 0.2]", key=key)
        return f"{key}={','.join(_written(each, key, 0) for each in value)}"
    return f"{key}={_written(value, key, 0)}"


def _of_numpy(value: Any) -> Any:
    """Return an array or a number of another library as Python has it."""
    return value.tolist() if callable(getattr(value, "tolist", None)) else value


def _written(value: Any, key: str, depth: int) -> str:
    """Return a value in Hydra's grammar. Raises ConfigError."""
    value = _of_numpy(value)
    if depth > _MOST_DEPTH:
        raise ConfigError(f"{key} is nested too deep to be an override.", key=key)
    if isinstance(value, Enum):
        return quoted(value.name)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return repr(float(value)) if math.isfinite(value) else str(float(value))
    if isinstance(value, (str, os.PathLike)):
        return quoted(os.fspath(value), key)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        members = (f"{_key_of_dict(name, key)}:{_written(each, key, depth + 1)}" for name, each in value.items())
        return f"{{{','.join(members)}}}"
    if isinstance(value, (list, tuple, range)):
        return f"[{','.join(_written(each, key, depth + 1) for each in value)}]"
    raise ConfigError(
        f"{key} is a {type(value).__name__}, which no configuration holds: texts, numbers, true, false, none, lists "
        "and mappings of these can be given.",
        key=key,
    )


def quoted(text: object, key: str = "") -> str:
    """Return a text as a value: bare where that is the same, else in quotes. Raises ConfigError for what is none."""
    if not isinstance(text, str):
        raise ConfigError(f"{key} is {text!r}, which is no text.", key=key)
    if _BARE.fullmatch(text) and text.lower() not in _MEANS_MORE:
        return text
    # `${` would be filled in; a backslash counts only before that, before a quote and at the end
    literal = re.sub(r"(\\*)\$\{", lambda found: f"{found[1] * 2}\\${{", text)
    escaped = re.sub(r"(\\*)'", lambda found: f"{found[1] * 2}\\'", literal)
    closed = re.sub(r"\\+\Z", lambda found: found[0] * 2, escaped)
    return f"'{closed}'"


def _key_of_dict(name: object, key: str) -> str:
    if type(name) is int:
        return str(name)
    if isinstance(name, str) and _KEY_OF_DICT.fullmatch(name) and name.lower() not in _MEANS_MORE:
        return name
    raise ConfigError(f"{key} holds the key {name!r}, which cannot be written in an override.", key=key)
