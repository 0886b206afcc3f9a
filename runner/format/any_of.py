"""
One pattern that finds any of many texts, where what a place costs does not grow with how many there are.

As alternatives side by side, each would be tried at each place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from itertools import groupby

# texts that begin as others end may differ at each character, and what reads a pattern calls itself for each
_DEEPEST = 16


def any_of(texts: Collection[str], ending: Callable[[str], str] = lambda text: "") -> str:
    """
    Return a pattern that matches the longest of some texts that stands at a place.

    Args:
        texts: Any texts, one at least.
        ending: Returns, of each, a pattern of no length that has to match where it ends.
    """
    return "|".join(_branches(sorted(set(texts)), 0, 0, ending))


def _branches(texts: list[str], at: int, depth: int, ending: Callable[[str], str]) -> list[str]:
    """Return alternatives for what comes after *at*, up to where all of these are the same; texts are in order."""
    if depth == _DEEPEST:
        return [re.escape(text[at:]) + ending(text) for text in sorted(texts, key=len, reverse=True)]
    found = []
    for _, group in groupby((text for text in texts if len(text) > at), lambda text: text[at]):
        alike = list(group)
        first, last = alike[0], alike[-1]
        same = next((index for index, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
        rest = _branches(alike, same, depth + 1, ending)
        found.append(re.escape(first[at:same]) + (rest[0] if len(rest) == 1 else f"(?:{'|'.join(rest)})"))
    # what ends here is shorter than all others
    return [*found, ending(texts[0])] if len(texts[0]) == at else found
