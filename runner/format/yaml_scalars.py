"""The scalars of a YAML document, replaced where they stand; the rest of the text is left as it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from anew.runner.format.pairs import before, beside

# names above a scalar, outermost first; what it says; whether it is an item of a list -> what is to be there
Change = Callable[[tuple[str, ...], str, bool], str]


_NO_TEXT = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("bool", "null", "float"))


class NoYamlError(ValueError):
    """A text that is no YAML document."""


def replaced(text: str, change: Change) -> str:
    """
    Return *text* with each scalar, keys too, that *change* gives another value for.

    Raises:
        NoYamlError: It cannot be read.
    """
    import yaml

    try:
        root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise NoYamlError(str(error)) from error
    edits: dict[int, tuple[int, str]] = {}
    for names, node, is_item in _scalars(root, (), False, set()):
        new = change(names, node.value, is_item)
        if new != node.value:
            start, end = node.start_mark.index, node.end_mark.index
            # a block ends where the next line begins
            edits[start] = end, _quoted(new) + ("\n" if node.style in ("|", ">") and end < len(text) + 1 else "")
    for start in sorted(edits, reverse=True):
        end, new = edits[start]
        text = text[:start] + new + text[end:]
    return text


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
