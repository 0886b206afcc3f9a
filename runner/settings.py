"""What the `anew` node of a configuration says, checked, as frozen values.

The node is composed with the user's configuration and taken out of it before main sees it.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin

from anew.runner.errors import ConfigError

S = TypeVar("S")


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputSettings:
    """How stdout and stderr are captured: "fd" (children too), "sys" (Python's own), "off"; limit in bytes."""

    mode: Literal["fd", "sys", "off"] = "fd"
    limit_bytes: int = 16 * 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemSettings:
    """Whether `system/*` metrics are sampled, and every how many seconds."""

    enabled: bool = True
    interval_s: float = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceSettings:
    """What of the project is kept; sizes in bytes, `exclude` as globs relative to the project's root."""

    enabled: bool = True
    max_file_bytes: int = 10 * 2**20
    max_files: int = 5_000
    max_total_bytes: int = 200 * 2**20
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class InputSettings:
    """
    Which files that main reads are recorded, and how.

    Attributes:
        keep_bytes: Inputs up to this size are kept in the store; of larger ones the digest alone.
        notice: Whether files that main opens for reading are noticed without having been declared.
        roots: Folders of data outside the project in which files are noticed too.
        max_files: No more files than this are noticed.
    """

    keep_bytes: int = 10 * 2**20
    notice: bool = True
    roots: tuple[str, ...] = ()
    max_files: int = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvironmentSettings:
    """Names of environment variables to record beside those on the built-in list; a trailing * matches any rest."""

    variables: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RerunSettings:
    """How a re-run is judged: `ignore` lists patterns of metrics that need not come out the same."""

    ignore: tuple[str, ...] = ("time/*", "system/*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """
    How a run is recorded.

    Attributes:
        store: A folder or URL; None for the default.
        quiet: Whether the run's own two lines on stderr are left out.
        tags, note: Given to the run at its start.
        durability_ms: A power cut costs at most so many milliseconds of points; 0 syncs in every call.
        heartbeat_s: Seconds between signs of life, for readers on other hosts.
        deterministic: Whether libraries are told to compute the same each time, where they can.
    """

    store: str | None = None
    quiet: bool = False
    tags: tuple[str, ...] = ()
    note: str | None = None
    durability_ms: int = 500
    heartbeat_s: float = 10.0
    deterministic: bool = False
    output: OutputSettings = field(default_factory=OutputSettings)
    system: SystemSettings = field(default_factory=SystemSettings)
    source: SourceSettings = field(default_factory=SourceSettings)
    inputs: InputSettings = field(default_factory=InputSettings)
    environment: EnvironmentSettings = field(default_factory=EnvironmentSettings)
    rerun: RerunSettings = field(default_factory=RerunSettings)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Settings:
        """
        Read the composed node.

        Raises:
            ConfigError: A key is unknown or a value has the wrong type; the message names it and what would be right.
        """
        return _build(cls, values, "anew")


def _build(cls: type[S], values: Any, where: str) -> S:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where} is {values!r}; it holds keys: {', '.join(_names(cls))}.", key=where)
    hints = typing.get_type_hints(cls)
    read: dict[str, Any] = {}
    for key, value in values.items():
        if key not in hints:
            raise ConfigError(_unknown(cls, str(key), where), key=f"{where}.{key}")
        read[key] = _value(hints[key], value, f"{where}.{key}")
    return cls(**read)


def _names(cls: type[Any]) -> list[str]:
    return [item.name for item in fields(cls)]


def _unknown(cls: type[Any], key: str, where: str) -> str:
    names = _names(cls)
    near = difflib.get_close_matches(key, names, n=1)
    hint = f" Did you mean {where}.{near[0]}?" if near else ""
    return f"There is no setting {where}.{key}.{hint} {where} has: {', '.join(names)}."


def _value(kind: Any, value: Any, where: str) -> Any:
    if is_dataclass(kind):
        assert isinstance(kind, type)
        return _build(kind, value, where)
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
    return _scalar(kind, value, where)


def _scalar(kind: Any, value: Any, where: str) -> Any:
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
