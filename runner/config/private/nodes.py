"""What is private in OmegaConf: nodes as they are, without being resolved, checked or copied."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, nullcontext
from typing import Any

import omegaconf
from omegaconf import DictConfig, ListConfig, OmegaConf, StringNode, flag_override
from omegaconf._utils import get_omega_conf_dumper
from omegaconf.basecontainer import BaseContainer

from anew.runner.dataclass import dataclass

# OmegaConf 2.4 has a third container, for fields annotated as tuples, which 2.3 makes lists.
# Instead: `OmegaConf.is_sequence`, once 2.4 is the floor.
_tuple_config: type[Any] | None = getattr(omegaconf, "TupleConfig", None)
SEQUENCES: tuple[type[Any], ...] = (ListConfig,) if _tuple_config is None else (ListConfig, _tuple_config)


# `Container._get_node`: a child that may be missing, None or an interpolation, as a node.
# Instead: an `OmegaConf.get_node(container, key)`; `container[key]` resolves, and raises for what is missing.
def child(container: Any, key: Any) -> Any:
    """Return the node below a key; None when there is none."""
    if isinstance(container, DictConfig):
        return container._get_node(key, validate_access=False)
    return container._get_node(key) if key < len(container) else None


# `Node._value`: what is written in a node. Instead: `OmegaConf.to_container(resolve=False)`, which copies all.
def written(node: Any) -> Any:
    """Return what a node holds, unresolved; None when it is no node."""
    return getattr(node, "_value", lambda: None)()


def written_below(container: Any, key: Any) -> Any:
    """Return what is written below a key, unresolved; None when there is nothing."""
    return written(child(container, key))


# `Node._is_interpolation`, of a node at hand. Instead: `OmegaConf.is_interpolation(container, key)`, which takes a key
# of the kind that main's own code would use.
def is_interpolation(node: Any) -> bool:
    """Whether a node refers to something else."""
    return bool(node._is_interpolation())


# `Node._is_none`, `_is_missing`: of a node at hand. Instead: `OmegaConf.is_missing(container, key)`, as above.
def is_open(node: Any) -> bool:
    """Whether a node is a container that something can be set in; a tuple of OmegaConf 2.4 can only be replaced."""
    if not isinstance(node, (DictConfig, ListConfig)):
        return False
    return not (node._is_none() or node._is_missing() or node._is_interpolation())


# `BaseContainer`, the class of all containers. Instead: `OmegaConf.is_config`, which a DictConfig of None is too.
def is_container(node: Any) -> bool:
    """Whether a node is a container, be it None, missing or an interpolation."""
    return isinstance(node, BaseContainer)


# `omegaconf._conversion_warnings`: what is on record is plain (an enumeration's name, a path's text) and is converted
# when it is put back, which 2.4 warns about. Instead: `OmegaConf.update(merge=False)`, which takes texts as keys only.
_conversion_warnings: Callable[[bool], Any] = getattr(
    sys.modules.get("omegaconf._conversion_warnings"), "_conversion_warnings", nullcontext
)


def put(container: Any, key: Any, value: Any) -> None:
    """Set a value, converted to what its node is declared as, whatever the container's flags say."""
    with flag_override(container, ["struct", "readonly"], [False, False]), _conversion_warnings(False):
        container[key] = value


# `__dict__["_content"]`: a key that a structured configuration would not let go of. Instead: none; `del` is refused.
def drop(container: DictConfig, key: Any) -> None:
    """Take a key out, whatever the container's type says."""
    container.__dict__["_content"].pop(key)


# `__dict__["_content"]`: `cfg` without Hydra's part, which is larger than most users' and need not be copied.
# Instead: `OmegaConf.masked_copy`, which loses the type and the flags of the root.
@contextmanager
def set_aside(container: DictConfig, key: str) -> Iterator[None]:
    """Have a container without one of its keys for a while."""
    content = container.__dict__["_content"]
    node = content.pop(key, None)
    try:
        yield
    finally:
        if node is not None:
            content[key] = node


# `__dict__["_content"]`: Hydra's part shown to `${hydra:...}` while it still refers to the user's.
# Instead: `HydraConfig.set_config`, which copies everything three times.
def show(container: DictConfig, key: str, node: Any) -> None:
    """Put a node below a key without copying it or giving it another parent."""
    container.__dict__["_content"][key] = node


# `_metadata.key_type`, `.ref_type`, `.element_type`: the types that a container was declared with.
# Instead: `OmegaConf.get_type`, which tells what is there and not what may come.
def key_type(container: Any) -> Any:
    """Return the type that keys of a dictionary must have."""
    return container._metadata.key_type


def hint(container: Any, key: Any) -> Any:
    """Return the type that a value below a key must have; Any for no matter which."""
    node = child(container, key)
    if node is not None and node._metadata.ref_type not in (None, Any):
        return node._metadata.ref_type
    return getattr(container._metadata, "element_type", Any)


# `StringNode`, `_metadata.optional`: what a value is declared as. Instead: `OmegaConf.get_type`, which tells of a value
# what it is.
@dataclass(frozen=True, slots=True)
class TextNode:
    """A node that was declared as a text; *takes_none* for one that need not be."""

    takes_none: bool


def text_below(container: Any, name: str) -> TextNode | None:
    """Return what is declared at a dotted name, where that is a text."""
    node = container
    for part in name.split("."):
        if not is_open(node):
            return None
        node = child(node, int(part) if part.isdigit() else part)
    return TextNode(takes_none=bool(node._metadata.optional)) if isinstance(node, StringNode) else None


# `_metadata.object_type`: a class that no other process can import, and that a packed configuration would name.
# Instead: a `OmegaConf.to_untyped`, or a copy of `OmegaConf.create(OmegaConf.to_container(...))`, which loses flags.
def declared_by(cfg: DictConfig) -> Any:
    """Return the class that a configuration was made from."""
    return cfg._metadata.object_type


def undeclare(cfg: DictConfig) -> None:
    """Let a configuration be a plain dictionary, its nodes as they are."""
    cfg._metadata.object_type = dict


# `_get_flag`, `_set_flag`: Hydra's own marks on a file's root have to be on what replaces it.
# Instead: `flag_override`, which is for a while only.
def copy_flag(name: str, source: DictConfig, target: DictConfig) -> None:
    """Set a flag of one container on another, if it is set."""
    if source._get_flag(name):
        target._set_flag(name, True)


# `BaseContainer._resolvers`: for workers, which are sent the user's, and to put one back. Instead: `OmegaConf` has
# `register_new_resolver`, `has_resolver` and `clear_resolver`, and nothing that gives one out.
def resolvers() -> MutableMapping[str, Any]:
    """Return the registered resolvers, by name: the registry itself."""
    return BaseContainer._resolvers


# Documented, each in its own versions: 2.4 deprecates `register_new_resolver`, and up to 2.3 the other was another.
_register: Callable[..., None] = (
    OmegaConf.register_new_resolver if _tuple_config is None else OmegaConf.register_resolver
)


def register(name: str, resolver: Callable[..., Any]) -> None:
    """Register a resolver, in place of one that has its name."""
    _register(name, resolver, replace=True)


# `get_omega_conf_dumper`: how texts that look like numbers are quoted. Instead: `OmegaConf.to_yaml`, which up to 2.3
# writes by PyYAML's Python code, at a tenth of the speed.
def yaml_dumper() -> Any:
    """Return the class that OmegaConf writes YAML with."""
    return get_omega_conf_dumper()
