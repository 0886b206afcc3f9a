"""
Names that stand beside what they name, not above it: `{name: DB_PASSWORD, value: x}`, `[[password, x]]`,
`[--password, x]`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anew.runner.format.override_text import Spot, spots
from anew.runner.format.secret_forms import is_secret_name

_NAMING = ("name", "key", "Name", "Key")
_NAMED = ("value", "val", "Value")


def beside(key: str, sibling: Callable[[str], Any]) -> tuple[str, ...]:
    """
    Return the name that a mapping says for what is under one of its keys, or nothing.

    Args:
        key: The key.
        sibling: Returns what is under another key; None for none.
    """
    if key not in _NAMED:
        return ()
    said = next((said for name in _NAMING if isinstance(said := sibling(name), str)), "")
    return (said,) if said else ()


def before(items: Sequence[Any], index: int, *, is_nested: bool) -> tuple[str, ...]:
    """
    Return the name that a list's item before names another by, or nothing.

    Args:
        items: The list's; what is no text is looked past.
        index: Of which.
        is_nested: Whether the list is an item of another: only then two items are a pair.
    """
    said = items[index - 1] if index else None
    if not isinstance(said, str):
        return ()
    is_pair = is_nested and len(items) == 2
    if (said.startswith("--") or is_pair) and is_secret_name(said.lstrip("-")):
        return (said.lstrip("-"),)
    return ()


def told(argument: str) -> list[tuple[Spot, tuple[str, ...]]]:
    """Return the values of an override, each with the name that stands beside it in the same brackets, if any."""
    found = spots(argument)
    brackets: dict[int, list[Spot]] = {}
    for spot in found:
        brackets.setdefault(spot.within, []).append(spot)
    names: dict[int, tuple[str, ...]] = {}
    for within, around in brackets.items():
        texts = [argument[each.start : each.end] for each in around]
        by_name = {each.names[-1]: text for each, text in zip(around, texts, strict=True) if each.names}
        is_nested = _is_item(argument, within)
        for index, spot in enumerate(around):
            is_named = len(by_name) > 1
            said = beside(spot.names[-1], by_name.get) if is_named else before(texts, index, is_nested=is_nested)
            names[spot.start] = said
    return [(spot, names[spot.start]) for spot in found]


def _is_item(argument: str, bracket: int) -> bool:
    """Whether what begins with a bracket, at -1 for none, is an item of a list."""
    while bracket > 0 and argument[bracket - 1].isspace():
        bracket -= 1
    return bracket > 0 and argument[bracket - 1] in "[,"
