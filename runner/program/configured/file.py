"""`--config params.yaml`: a file that a program is configured by, whose keys are parameters."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError
from anew.runner.program.configured.forms import Form, UnreadableError, UnwritableError, changed, leaves
from anew.runner.program.configured.in_ini import Ini
from anew.runner.program.configured.in_json import Json
from anew.runner.program.configured.in_toml import Toml
from anew.runner.program.configured.in_yaml import Yaml
from anew.runner.program.fields import type_of
from anew.runner.program.found import Found, is_key
from anew.runner.program.parameters import InFile, Parameter
from anew.runner.wording import in_a_line

_FORMS: Mapping[str, Form] = {
    ".yaml": Yaml(), ".yml": Yaml(), ".json": Json(), ".toml": Toml(), ".ini": Ini(), ".cfg": Ini(), ".conf": Ini(),
}  # fmt: skip
_MOST_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """
    A configuration file, as it was read.

    Attributes:
        path: Where it is, absolute.
        text: What is in it.
        parameters: Its keys that can be given another value.
        left: Those that cannot, by name, with the reason.
    """

    path: Path
    text: str
    parameters: tuple[Parameter, ...]
    left: tuple[tuple[str, str], ...] = ()

    def changed(self, values: Mapping[str, Any]) -> str:
        """
        Return its text with other values, by the names of its parameters; as it is, where they are its own.

        Raises:
            ConfigError: A value cannot be written there.
        """
        changes = {
            each.way.path: values[each.name]
            for each in self.parameters
            if isinstance(each.way, InFile) and each.name in values and not is_same(values[each.name], each.default)
        }
        if not changes:
            return self.text
        try:
            return changed(self.text, _form_of(self.path), changes)
        except UnwritableError as error:
            raise ConfigError(f"{self.path.name!r} cannot be had with other values: {error}.") from None


def is_same(value: Any, default: Any) -> bool:
    """Whether a value is what the file says; 1 and 1.0 are one number."""
    numbers = isinstance(value, (int, float)) and isinstance(default, (int, float))
    if numbers and bool not in (type(value), type(default)):
        return repr(float(value)) == repr(float(default))
    return type(value) is type(default) and repr(value) == repr(default)


def read_config_file(given: str) -> ConfigFile:
    """
    Read a configuration file. Nothing in it is run.

    Raises:
        ConfigError: There is none, it is of no known form, or it is not what its name says.
    """
    path = Path(os.path.abspath(given))
    form = _form_of(path)
    try:
        if path.is_dir():
            raise ConfigError(f"--config {given} is a folder; give a file, such as params.yaml")
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError(f"--config {given} has {path.stat().st_size} bytes, which is no configuration.")
        with path.open(encoding="utf-8-sig", newline="") as opened:
            text = opened.read()
        read = form.read(text)
    except FileNotFoundError:
        raise ConfigError(f"--config {given}: there is no such file.") from None
    except OSError as error:
        raise ConfigError(f"--config {given} cannot be read: {in_a_line(error)}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"--config {given} is no text in UTF-8.") from None
    except UnreadableError as error:
        raise ConfigError(f"--config {given} cannot be read as {path.suffix[1:].upper()}: {error}") from None
    found, left = [], []
    for keys, value in leaves(read.data):
        name = ".".join(keys)
        if why := _why_not(keys, value):
            left.append((name, why))
            continue
        way = InFile(keys, str(path))
        found.append(Parameter(name, type_of(value), read.line_of(keys), way, default=value, may_be_none=value is None))
    return ConfigFile(path, text, tuple(found), tuple(left))


def _form_of(path: Path) -> Form:
    form = _FORMS.get(path.suffix.lower())
    if form is None:
        raise ConfigError(f"--config takes a file of YAML, JSON, TOML or INI, by its name: {', '.join(_FORMS)}; "
                          f"not {path.name!r}")  # fmt: skip
    return form


def _why_not(keys: tuple[str, ...], value: Any) -> str | None:
    if any("." in each for each in keys) or not is_key(".".join(keys)):
        return "its name is no name of Python, or one that Python, Hydra or anew keeps for itself"
    if not _is_plain(value):
        return "its value is no number, text, truth, or list of those"
    return "its value refers to others" if _refers(value) else None


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(each) and not isinstance(each, dict) for each in value)
    return value is None or isinstance(value, (bool, int, float, str)) or value == {}


def _refers(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_refers, value))
    return isinstance(value, str) and ("${" in value or "%(" in value)


def with_file(found: Found, file: ConfigFile) -> Found:
    """
    Return a program's parameters with those of its configuration file.

    A name that is both is one parameter, which is given in both ways; it begins with what the file says.
    """
    own = {each.name: each for each in file.parameters}
    options = [_beginning(each, own[each.name]) if each.name in own else each for each in found.parameters]
    added = [each for name, each in own.items() if name not in found.by_name]
    return replace(found, parameters=(*options, *added))


def _beginning(option: Parameter, in_file: Parameter) -> Parameter:
    value = in_file.default
    if option.type == "float" and type(value) is int:
        value = float(value)
    is_fit = type_of(value) == option.type and (not option.choices or value in option.choices)
    return replace(option, default=value) if is_fit and not option.is_required else option


def fitting(file: ConfigFile, parameters: Iterable[Parameter]) -> ConfigFile:
    """Return a file with those parameters alone whose types the program's options of the same name have, too."""
    others = {each.name: each for each in parameters if not isinstance(each.way, InFile)}
    kept = [
        each
        for each in file.parameters
        if each.name not in others
        or others[each.name].type in (each.type, "any")
        or _are_numbers(each, others[each.name])
    ]
    return replace(file, parameters=tuple(kept))


def _are_numbers(one: Parameter, other: Parameter) -> bool:
    return {one.type, other.type} <= {"int", "float"}
