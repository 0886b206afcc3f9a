"""The scalars of a YAML document, replaced where they stand; the rest of the text is left as it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from anew.runner.format.pairs import before, beside

_NO_TEXT = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("bool", "null", "float"))


class Scalar(NamedTuple):
    """
    A scalar of a document.

    Attributes:
        names: Above it, outermost first.
        value: What it says.
        is_item: Whether it is an item of a list.
    """

    names: tuple[str, ...]
    value: str
    is_item: bool


class NoYamlError(ValueError):
    """A text that is no YAML document."""


def replaced(text: str, change: Callable[[Sequence[Scalar]], Sequence[str]]) -> str:
    """
    Return *text* with each scalar, keys too, that *change* gives another value for; it is given all of them at once.

    Raises:
        NoYamlError: It cannot be read.
    """
    import yaml

    try:
        root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise NoYamlError(str(error)) from error
    nodes = list(_scalars(root, (), False, set()))
    changed = change([Scalar(names, node.value, is_item) for names, node, is_item in nodes])
    edits: dict[int, tuple[int, str]] = {}
    for (_, node, _), new in zip(nodes, changed, strict=True):
        if new != node.value:
            start, end = node.start_mark.index, node.end_mark.index
            # a block ends where the next line begins
            edits[start] = end, _quoted(new) + ("\n" if node.style in ("|", ">") and end < len(text) + 1 else "")
    pieces, at = [], 0
    for start, (end, new) in sorted(edits.items()):
        pieces += [text[at:start], new]
        at = end
    return "".join((*pieces, text[at:]))


def _scalars(
    node: Any, names: tuple[str, ...], is_item: bool, seen: set[int]
) -> Iterator[tuple[tuple[str, ...], Any, bool]]:
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if node.id == "scalar":
        if node.tag not in _NO_TEXT:
            yield names, node, is_item
    elif node.id == "sequence":
        said = [_said(item) for item in node.value]
        for index, item in enumerate(node.value):
            below = (*names, *before(said, index, is_nested=is_item))
            yield from _scalars(item, below, True, seen)
    else:
        siblings = {_said(key): _said(value) for key, value in node.value}
        for key, value in node.value:
            yield from _scalars(key, (), False, seen)
            name = key.value if key.id == "scalar" else ""
            yield from _scalars(value, (*names, name, *beside(name, siblings.get)), False, seen)


def _said(node: Any) -> str | None:
    return node.value if node.id == "scalar" else None


def _quoted(text: str) -> str:
    return f"'{text}'" if "'" not in text and "\n" not in text and text.isprintable() else json.dumps(text)
