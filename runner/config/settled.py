"""
Resolvers that answer otherwise each time (`${counter:}`, `${uuid:}`), asked for the last time before main.

What is on record has to be what main sees. Every other interpolation stays one, so that main may change what it refers
to, and print it as it is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig

from anew.runner.config.private import nodes
from anew.runner.config.signature.values import recorded_value
from anew.runner.lazy.patterns import regexp

# Hydra's and OmegaConf's own answer the same each time within a job
_OF_USERS = regexp(r"\$\{(?!hydra:|now:|oc\.)[\w.-]+:")


# which a configuration remembers, and a copy of it asks again: main's own values are made of a copy
_REMEMBERED = regexp(r"\$\{now:")


def asks_resolvers(text: str, *, copied: bool = False) -> bool:
    """Whether a configuration as it is written asks a resolver of its user's; of one that is copied, any such."""
    return _OF_USERS.search(text) is not None or (copied and _REMEMBERED.search(text) is not None)


def settle(cfg: DictConfig, *, copied: bool = False) -> None:
    """Put the value of each interpolation in its place that has another one when it, or a copy, is asked again."""
    for parent, key in list(_asking(cfg, copied)):
        try:
            first, again = recorded_value(parent, key), parent[key]
            if copied or recorded_value(parent, key) != first:
                nodes.put(parent, key, again)
        except Exception:
            continue  # it cannot be resolved, or not be put there: main meets it as it is written


def _asking(node: Any, copied: bool) -> Iterator[tuple[Any, Any]]:
    for key in list(node.keys()) if isinstance(node, DictConfig) else range(len(node)):
        below = nodes.child(node, key)
        if nodes.is_interpolation(below):
            if asks_resolvers(str(nodes.written(below)), copied=copied):
                yield node, key
        elif nodes.is_open(below):
            yield from _asking(below, copied)
