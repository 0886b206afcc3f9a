"""From a composed configuration to values: what main is given, and what the record keeps."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any

from omegaconf import DictConfig, OmegaConf

from anew.runner.config.private import nodes
from anew.runner.config.signature.annotations import Kind, WrongValueError
from anew.runner.config.signature.parameters import RESERVED
from anew.runner.config.signature.spec import TaskSpec
from anew.runner.errors import ConfigError
from anew.runner.wording import nearest


def declared(schema: Any) -> DictConfig:
    """
    Return a class, or an instance, as the primary configuration that declares it.

    Its dictionaries take new keys as they are (`sizes={a: 1}`, where Hydra would want a +): their type says so.
    """
    node = OmegaConf.structured(schema)
    assert isinstance(node, DictConfig)
    _open_dicts(node)
    return node


def _open_dicts(node: DictConfig) -> None:
    for key in node:
        below = nodes.child(node, key)
        if not isinstance(below, DictConfig):
            continue
        if is_dataclass(OmegaConf.get_type(below)) or hasattr(OmegaConf.get_type(below), "__attrs_attrs__"):
            if nodes.is_open(below):
                _open_dicts(below)
        else:
            OmegaConf.set_struct(below, False)


def users_part(cfg: DictConfig) -> DictConfig:
    """Return a copy of a configuration, its type and flags too, without the node `hydra`, which is not copied."""
    with nodes.set_aside(cfg, "hydra"):
        return copy.deepcopy(cfg)


def arguments(spec: TaskSpec, cfg: DictConfig) -> Mapping[str, Any]:
    """
    Return the values of main's parameters, the run excepted.

    Raises:
        ConfigError: A value is missing, unknown or not of the type that main asks for.
    """
    if spec.roles.config is None:
        return signature_values(spec, cfg)
    if spec.schema_kind is not None:
        return {spec.roles.config: schema_values(spec, spec.schema_kind, cfg)}
    return {spec.roles.config: cfg}


def signature_values(spec: TaskSpec, cfg: DictConfig) -> dict[str, Any]:
    """Return main's typed parameters. Raises ConfigError."""
    names = [each.name for each in spec.roles.fields]
    unknown = [str(key) for key in cfg if key not in names and key not in RESERVED]
    if unknown:
        raise _no_parameter(spec, unknown[0], names)
    kept = set(cfg)  # `in` would leave out what is missing; a key taken out by ~key leaves main its default
    given = [each for each in spec.roles.fields if each.name in kept or each.make is None]
    _refuse_missing(spec, cfg, [each.name for each in given])
    return {each.name: _restored(spec, each.kind, cfg, each.name) for each in given}


def schema_values(spec: TaskSpec, kind: Kind, cfg: DictConfig) -> Any:
    """Return the instance of the dataclass that main is annotated with. Raises ConfigError."""
    refuse_missing(spec, cfg)
    _refuse_unknown(spec, users_part(cfg), "")
    try:
        return kind.restore(OmegaConf.to_object(users_part(cfg)), "config")
    except WrongValueError as error:
        where = spec.place_of(error.where.removeprefix("config."))
        raise ConfigError(f"{str(error).removeprefix('config.')} ({where})") from None


def _refuse_unknown(spec: TaskSpec, node: DictConfig, where: str) -> None:
    """Refuse a key that the class of its node has no field for: an instance has no place for it. Raises ConfigError."""
    cls: Any = OmegaConf.get_type(node)
    names = [str(name) for name in getattr(cls, "__dataclass_fields__", {})]
    names += [str(each.name) for each in getattr(cls, "__attrs_attrs__", ())]
    for key in node:
        if names and str(key) not in names and not (not where and key in RESERVED):
            raise ConfigError(
                f"{cls.__name__} has no field {str(key)!r} (given as {where}{key!s}; {spec.place})."
                f"{nearest(str(key), names, where)} It has: {', '.join(names)}."
            )
        below = nodes.child(node, key)
        if isinstance(below, DictConfig) and nodes.is_open(below):
            _refuse_unknown(spec, below, f"{where}{key!s}.")


def refuse_missing(spec: TaskSpec, cfg: DictConfig) -> None:
    """Refuse a typed configuration in which something that must be given is not. Raises ConfigError."""
    _refuse_missing(spec, cfg, [str(key) for key in cfg if key not in RESERVED])


def _refuse_missing(spec: TaskSpec, cfg: DictConfig, names: list[str]) -> None:
    missing = [key for name in names for key in _missing_below(cfg, name)]
    if missing:
        words = " ".join(f"{key}=VALUE" for key in missing)
        verb = "is" if len(missing) == 1 else "are"
        raise ConfigError(
            f"{', '.join(f'{key}=' for key in missing)} {verb} needed: {_started(spec)} {words}",
            keys=tuple(missing),
        )


def _missing_below(cfg: DictConfig, name: str) -> list[str]:
    if name not in set(cfg) or OmegaConf.is_missing(cfg, name):
        return [name]
    node = nodes.child(cfg, name)
    return sorted(OmegaConf.missing_keys(node)) if nodes.is_open(node) else []


def _started(spec: TaskSpec) -> str:
    """Return how main is started: as it says by itself, or as a script."""
    script = spec.place.rpartition(":")[0].rpartition("/")[2]
    return str(getattr(spec.function, "started_by", f"python {script}"))


def _no_parameter(spec: TaskSpec, key: str, names: list[str]) -> ConfigError:
    return ConfigError(
        f"{spec.function.__qualname__} ({spec.place}) has no parameter {key!r}.{nearest(key, names)} "
        f"It has: {', '.join(names)}.",
        key=key,
    )


def _restored(spec: TaskSpec, kind: Kind, cfg: DictConfig, name: str) -> Any:
    value = cfg[name]
    if OmegaConf.is_config(value):
        value = OmegaConf.to_object(value)
    try:
        return value if kind.plain else kind.restore(value, name)
    except WrongValueError as error:
        raise ConfigError(f"{error} (a parameter of {spec.function.__qualname__}, {spec.place})") from None


# --- for the record -----------------------------------------------------------------------------------------------


def recorded(cfg: DictConfig) -> dict[str, Any]:
    """
    Return a configuration as plain values: interpolations resolved, enums by name, paths as text, "???" as it is.

    What cannot be resolved is kept as it is written: main may never ask for it, or register its resolver first.
    """
    plain = _plain_node(cfg)
    assert isinstance(plain, dict)
    return plain


def recorded_value(parent: Any, key: Any) -> Any:
    """Return one value of a configuration as `recorded` does. Raises OmegaConfBaseException."""
    if OmegaConf.is_missing(parent, key):
        return "???"
    value = parent[key]
    if OmegaConf.is_config(value):
        return _plain_node(value)
    return _plain(value, nodes.child(parent, key))


def _plain_node(node: Any) -> Any:
    try:
        found = OmegaConf.to_container(node, resolve=True, enum_to_str=True)
    except Exception:
        found = _one_by_one(node)
    return _plain(found, node)


def _one_by_one(node: Any) -> Any:
    if not OmegaConf.is_config(node):
        return node
    is_sequence = isinstance(node, nodes.SEQUENCES)
    values = {key: _one(node, key) for key in (range(len(node)) if is_sequence else list(node.keys()))}
    return list(values.values()) if is_sequence else values


def _one(node: Any, key: Any) -> Any:
    if OmegaConf.is_missing(node, key):
        return "???"
    try:
        return _one_by_one(node[key])
    except Exception:
        return str(nodes.written_below(node, key))


def _plain(value: Any, node: Any) -> Any:
    """Turn what resolvers and types put there into plain values; an object becomes the text that made it."""
    if value is None or (isinstance(value, (bool, int, float, str, bytes)) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {_plain_key(key): _plain(item, _below(node, key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, _below(node, index)) for index, item in enumerate(value)]
    raw = nodes.written(node)
    return raw if isinstance(raw, str) else repr(value)


def _plain_key(key: Any) -> Any:
    return key.name if isinstance(key, Enum) else key


def _below(node: Any, key: Any) -> Any:
    try:
        return nodes.child(node, key) if OmegaConf.is_config(node) else None
    except Exception:
        return None
