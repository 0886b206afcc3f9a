"""
Jobs that differ in plain values alone, made from one composition.

Composing a job takes Hydra some 20 ms. Of a thousand jobs that say `lr=0.1` with other numbers, one is composed; what
the others come to is known, as long as nothing in the configuration looks at those values. Wherever that is not
certain, nothing is known here, and the job is composed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import AnyNode, BooleanNode, DictConfig, FloatNode, IntegerNode, OmegaConf, StringNode

from anew.runner.config.direct.words import KEY, Value, read
from anew.runner.config.private import nodes
from anew.runner.config.private.sweeps import OverrideType
from anew.runner.config.signature.spec import TaskSpec
from anew.runner.dataclass import dataclass
from anew.runner.lazy.patterns import regexp

# a reference to another place in the configuration, or to a variable of the environment, which no job changes
_REFERENCE = regexp(rf"\$\{{(?:(?P<key>{KEY})|oc\.env:[A-Za-z_]\w*(?:,[\w./-]*)?)\}}")
_SIGNS = {OverrideType.CHANGE: "", OverrideType.ADD: "+", OverrideType.FORCE_ADD: "++"}
# what each kind of node takes as it is
_TAKES: dict[type, tuple[type, ...]] = {
    AnyNode: (bool, int, float, str),
    BooleanNode: (bool,),
    IntegerNode: (int,),
    FloatNode: (int, float),
    StringNode: (str,),
}


@dataclass(frozen=True, slots=True)
class _Template:
    """
    What a job comes to, and which values are put where in it: key -> its parts, and what converts its values.

    `common` is what it has in common with others, packed; see `alike`.
    """

    config: Mapping[str, Any]
    places: Mapping[str, tuple[tuple[str, ...], type]]
    common: bytes | None


@dataclass(frozen=True, slots=True)
class Made:
    """
    A job that was not composed.

    Attributes:
        config: What it comes to.
        values: What is set in it: key -> value.
        common: What it has in common with the one that was composed, packed; None where it is to be composed, too.
    """

    config: dict[str, Any]
    values: Mapping[str, Any]
    common: bytes | None


class Templates:
    """
    What jobs of one sweep came to, by what they have in common.

    Args:
        spec: Main.
        is_value: Whether a key names a place in the configuration, and no group of files or part of Hydra's.
    """

    def __init__(self, spec: TaskSpec, is_value: Callable[[str], bool]) -> None:
        self._spec = spec
        self._is_value = lru_cache(maxsize=None)(is_value)
        self._kept: dict[tuple[Any, ...], _Template | None] = {}

    def made(self, words: Sequence[str]) -> Made | None:
        """Return what a job comes to; None when it has to be composed."""
        values, shape = self._taken_apart(words)
        template = self._kept.get(shape)
        if template is None:
            return None
        set_there: dict[str, Any] = {}
        changes: dict[str, Any] = {}
        for each in values:
            parts, kind = template.places[each.key]
            try:
                set_there[each.key] = kind(each.value)
            except OverflowError:
                return None
            below = changes
            for part in parts[:-1]:
                below = below.setdefault(part, {})
            below[parts[-1]] = _Leaf(set_there[each.key])
        return Made(_changed(template.config, changes), set_there, template.common)

    def learn(
        self, words: Sequence[str], cfg: DictConfig, config: Mapping[str, Any], common: bytes | None = None
    ) -> None:
        """Take note of a job that was composed, of what it came to, and of what others have in common with it."""
        values, shape = self._taken_apart(words)
        if values and shape not in self._kept:
            self._kept[shape] = self._template(values, cfg, config, common)

    def _taken_apart(self, words: Sequence[str]) -> tuple[list[Value], tuple[Any, ...]]:
        """Return the values that overrides set, and the rest, with where these values stand in it."""
        values: list[Value] = []
        shape: list[Any] = []
        for word in words:
            value = _value_of(word)
            if value is None or not self._is_value(value.key):
                shape.append(word)
            else:
                # what it has in common with others that only set another value
                shape.append((value.sign, value.key, type(value.value).__name__))
                values.append(value)
        return values, tuple(shape)

    def _template(
        self, values: Sequence[Value], cfg: DictConfig, config: Mapping[str, Any], common: bytes | None
    ) -> _Template | None:
        keys = [each.key for each in values]
        if any(_related(one, other) for place, one in enumerate(keys) for other in keys[:place]):
            return None
        if not self._is_unchecked(cfg, keys):
            return None
        if any(reference is None or any(_related(reference, key) for key in keys) for reference in _references(cfg)):
            return None
        places = {}
        for each in values:
            parts = tuple(each.key.split("."))
            kind = _kind_of(_node_at(cfg, parts), each.value)
            if kind is None or not _is_same(_value_at(config, parts), kind(each.value)):
                return None
            places[each.key] = parts, kind
        return _Template(config, places, common)

    def _is_unchecked(self, cfg: DictConfig, keys: Sequence[str]) -> bool:
        """Whether neither main's signature nor a class of its configuration looks at what a value is."""
        if any(hasattr(cls, "__post_init__") or hasattr(cls, "__attrs_attrs__") for cls in _classes(cfg)):
            return False
        if self._spec.schema_kind is not None:
            return self._spec.schema_kind.plain
        kinds = {each.name: each.kind for each in self._spec.roles.fields}
        return all(kinds[root].plain for root in (key.partition(".")[0] for key in keys) if root in kinds)


class _Leaf:
    """A value in a tree of changes, whose other members are trees."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _changed(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy with changes; what does not change is shared, so that a hundred thousand have room."""
    found = dict(config)
    for key, change in changes.items():
        found[key] = change.value if isinstance(change, _Leaf) else _changed(config[key], change)
    return found


@lru_cache(maxsize=4096)
def _value_of(word: str) -> Value | None:
    """Return what an override sets, where that is a plain value; most are read without Hydra, which takes 1 ms."""
    found = read(word)
    if found is None:
        return _parsed(word)
    return None if found.value is None or isinstance(found.value, list) else found


def _parsed(word: str) -> Value | None:
    """Return what an override sets by Hydra's own reading; what is wrong with it is said where it is composed."""
    try:
        override = OverridesParser.create().parse_override(word)
        value = override.value()
    except Exception:
        return None
    is_plain = override.type in _SIGNS and override.package is None and not override.is_sweep_override()
    key = override.key_or_group
    if not is_plain or not re.fullmatch(KEY, key) or type(value) not in (bool, int, float, str):
        return None
    if (isinstance(value, float) and not math.isfinite(value)) or (isinstance(value, str) and not _is_inert(value)):
        return None
    return Value(_SIGNS[override.type], key, value)


def _is_inert(text: str) -> bool:
    return "$" not in text and "\\" not in text and text != "???"


def _related(one: str, other: str) -> bool:
    """Whether one place is the other, or lies in it."""
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _references(cfg: DictConfig) -> Iterator[str | None]:
    """Yield the places that the configuration refers to; None for what is not known to be one."""
    for text in _texts(OmegaConf.to_container(cfg, resolve=False)):
        if "$" not in text:
            continue
        rest = _REFERENCE.sub("", text)
        if "$" in rest or "\\" in text:
            yield None
        yield from (found["key"] for found in _REFERENCE.finditer(text) if found["key"] is not None)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _classes(node: Any) -> Iterator[Any]:
    """Yield the classes that a configuration's nodes were declared by."""
    if isinstance(node, DictConfig):
        if (cls := OmegaConf.get_type(node)) not in (None, dict):
            yield cls
        for key in node if nodes.is_open(node) else ():
            yield from _classes(nodes.child(node, key))


def _node_at(cfg: DictConfig, parts: Sequence[str]) -> Any:
    node: Any = cfg
    for part in parts:
        if not isinstance(node, DictConfig) or not nodes.is_open(node):
            return None
        node = nodes.child(node, part)
    return node


def _value_at(config: Any, parts: Sequence[str]) -> Any:
    for part in parts:
        if not isinstance(config, Mapping) or part not in config:
            return None
        config = config[part]
    return config


def _kind_of(node: Any, value: Any) -> type | None:
    """Return what makes of a value what a node holds; None where that is not certain."""
    if type(value) not in _TAKES.get(type(node), ()):
        return None
    return float if type(node) is FloatNode else type(value)


def _is_same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)
