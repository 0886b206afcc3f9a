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


def asks_resolvers(text: str) -> bool:
    """Whether a configuration as it is written asks a resolver that its user has registered."""
    return _OF_USERS.search(text) is not None


def settle(cfg: DictConfig) -> None:
    """Put the value of each interpolation in its place that has another one when it is asked again."""
    for parent, key in list(_asking(cfg)):
        try:
            first, again = recorded_value(parent, key), parent[key]
            if recorded_value(parent, key) != first:
                nodes.put(parent, key, again)
        except Exception:
            continue  # it cannot be resolved, or not be put there: main meets it as it is written


def _asking(node: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(node.keys()) if isinstance(node, DictConfig) else range(len(node)):
        below = nodes.child(node, key)
        if nodes.is_interpolation(below):
            if asks_resolvers(str(nodes.written(below))):
                yield node, key
        elif nodes.is_open(below):
            yield from _asking(below)
