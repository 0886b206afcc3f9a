"""
Typed parameters, or a dataclass, and what overrides make of them, as OmegaConf would have it and without OmegaConf.

Only what needs no conversion is for here: a whole number for `int`, a text for `str`, lists and dataclasses of such.
All else, and whatever is wrong, is `NotPlainError`: OmegaConf and Hydra then say what it comes to, in their words.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Union

from anew.runner.config.direct.words import NotPlainError, Value
from anew.runner.config.direct.yamlwritten import is_simple
from anew.runner.config.signature.annotations import WrongValueError
from anew.runner.config.signature.spec import TaskSpec

_MISSING = dataclasses.MISSING


def read_fields(spec: TaskSpec, overrides: Sequence[Value]) -> tuple[dict[str, Any], dict[str, Any]]:
    """
    Return a configuration as plain values, and what main is called with.

    Raises:
        NotPlainError: It takes OmegaConf to say.
    """
    changes = _tree(overrides)
    if spec.schema is None or (spec.schema_kind is None and not spec.roles.fields):
        if spec.roles.config is not None or changes:
            raise NotPlainError
        return {}, {}
    try:
        if spec.schema_kind is not None:
            node = _node(spec.schema, changes)
            assert spec.roles.config is not None
            return _recorded(node), {spec.roles.config: spec.schema_kind.restore(_made(node), "config")}
        values = _values(spec.schema, changes)
        config = {name: _recorded(value) for name, value in values.items()}
        kinds = {each.name: each.kind for each in spec.roles.fields}
        return config, {
            name: _made(value) if kinds[name].plain else kinds[name].restore(_made(value), name)
            for name, value in values.items()
        }
    except WrongValueError:
        raise NotPlainError from None


def _tree(overrides: Sequence[Value]) -> dict[str, Any]:
    """Return overrides as a tree, its leaves in `_Leaf`."""
    tree: dict[str, Any] = {}
    for each in overrides:
        *above, last = each.key.split(".")
        below: Any = tree
        for part in above:
            below = below.setdefault(part, {})
            if isinstance(below, _Leaf):
                raise NotPlainError
        if each.sign or last in below:
            raise NotPlainError
        below[last] = _Leaf(each.value)
    return tree


class _Leaf:
    """A value in a tree of changes, whose other members are trees."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class _Node:
    """
    A dataclass and its values, of which no instance is made yet.

    What is on record are these: `__post_init__` may make others of them, and would do so once more in a re-run.
    """

    __slots__ = ("cls", "values")

    def __init__(self, cls: Any, values: Mapping[str, Any]) -> None:
        self.cls, self.values = cls, values


def _node(schema: Any, changes: Mapping[str, Any]) -> _Node:
    return _Node(schema if isinstance(schema, type) else type(schema), _values(schema, changes))


def _made(value: Any) -> Any:
    """Return a value as main is given it; an instance of a dataclass as `OmegaConf.to_object` makes it."""
    if isinstance(value, _Node):
        return value.cls(**{name: _made(each) for name, each in value.values.items()})
    return value


def _values(schema: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a dataclass, or of an instance, with changes."""
    cls = schema if isinstance(schema, type) else type(schema)
    if not _is_plain_class(cls):
        raise NotPlainError
    fields = dataclasses.fields(cls)
    if not changes.keys() <= {each.name for each in fields}:
        raise NotPlainError
    hints = {each.name: each.type for each in fields}
    if any(isinstance(each, str) for each in hints.values()):
        hints = typing.get_type_hints(cls)
    return {
        each.name: _changed(hints[each.name], _default(schema, each), changes.get(each.name, {})) for each in fields
    }


def _is_frozen(cls: Any) -> bool:
    return bool(cls.__dataclass_params__.frozen)


def _is_plain_class(cls: type) -> bool:
    """Whether a class is a dataclass that OmegaConf takes as any other, and neither as frozen nor as a mapping."""
    return (
        dataclasses.is_dataclass(cls)
        and not _is_frozen(cls)
        and not issubclass(cls, (dict, list))
        and all(each.init and not each.metadata and is_simple(each.name) for each in dataclasses.fields(cls))
        and not any(
            isinstance(each, dataclasses.InitVar) or (isinstance(each, str) and "InitVar" in each)
            for each in getattr(cls, "__annotations__", {}).values()
        )
    )


def _default(schema: Any, field: dataclasses.Field[Any]) -> Callable[[], Any]:
    """Return what makes a field's value where no override gives it."""
    if not isinstance(schema, type):
        return lambda: getattr(schema, field.name)
    if field.default_factory is not _MISSING:
        return field.default_factory

    def given() -> Any:
        if field.default is _MISSING:
            raise NotPlainError
        return field.default

    return given


def _changed(hint: Any, default: Callable[[], Any], change: Any) -> Any:
    """Return the value of a field: as it is by default, or as a change has it."""
    value = default()
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        # of a class that is derived from the field's another one would be made
        if isinstance(change, _Leaf) or type(value) is not hint:
            raise NotPlainError
        return _node(value, change)
    if isinstance(change, _Leaf):
        # a default that does not fit is refused before any value is set
        _fitted(hint, value) if value != "???" else None
        return _fitted(hint, change.value)
    if change:
        raise NotPlainError
    return _fitted(hint, value)


def _fitted(hint: Any, value: Any) -> Any:
    """Return a value for a place of a type, a copy where it can change. Raises NotPlainError."""
    if typing.get_origin(hint) in (Union, types.UnionType):
        members = typing.get_args(hint)
        inner = [each for each in members if each is not type(None)]
        if len(inner) != 1 or len(members) != 2:
            raise NotPlainError
        return None if value is None else _fitted(inner[0], value)
    origin = typing.get_origin(hint) or hint
    if hint is Any:
        return _any(value)
    if origin is list and type(value) is list:
        [item] = typing.get_args(hint) or (Any,)
        return [_fitted(item, each) for each in value]
    if origin is dict and type(value) is dict and all(type(each) is str and is_simple(each) for each in value):
        _, item = typing.get_args(hint) or (str, Any)
        return {key: _fitted(item, each) for key, each in value.items()}
    if hint is float and type(value) in (int, float):
        return _leaf(_as_float(value))
    if hint in (bool, int, str) and type(value) is hint:
        return _leaf(value)
    if isinstance(hint, type) and issubclass(hint, Enum) and type(value) is hint:
        return value
    raise NotPlainError


def _any(value: Any) -> Any:
    if type(value) is list:
        return [_any(each) for each in value]
    if type(value) is dict and all(type(each) is str and is_simple(each) for each in value):
        return {key: _any(each) for key, each in value.items()}
    return _leaf(value)


def _leaf(value: Any) -> Any:
    if value is None or type(value) in (bool, int):
        return value
    if (type(value) is float and value - value == 0) or (type(value) is str and is_simple(value)):
        return value
    raise NotPlainError


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        raise NotPlainError from None


def _recorded(value: Any) -> Any:
    """Return a value as it is on record."""
    if isinstance(value, Enum):
        if not is_simple(value.name):
            raise NotPlainError
        return value.name
    if isinstance(value, dict):
        return {key: _recorded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_recorded(each) for each in value]
    if isinstance(value, _Node):
        return {name: _recorded(each) for name, each in value.values.items()}
    return value
