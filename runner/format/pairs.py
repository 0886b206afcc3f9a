"""
Names that stand beside what they name, not above it: `{name: DB_PASSWORD, value: x}`, `[[password, x]]`,
`[--password, x]`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

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
