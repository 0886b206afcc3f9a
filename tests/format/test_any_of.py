"""One pattern finds what alternatives side by side find, the longest first, in the time of a few."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from anew.runner.format.any_of import any_of


def unless_in_a_number(text: str) -> str:
    return rf"(?<![0-9.]{text})(?![0-9])" if text.isdecimal() else ""


def side_by_side(texts: list[str]) -> str:
    """Return the same as alternatives, each tried at each place."""
    alone = (
        rf"(?<![0-9.]){text}(?![0-9])" if text.isdecimal() else re.escape(text)
        for text in sorted(set(texts), key=len, reverse=True)
    )
    return "|".join(alone)


ALIKE = st.text("ab1.|\n", min_size=1, max_size=8)


@given(st.lists(ALIKE, min_size=1, max_size=12), st.lists(ALIKE, max_size=12))
def test_it_finds_what_alternatives_side_by_side_find(texts: list[str], others: list[str]) -> None:
    text = "".join(piece for pair in zip(others, texts * len(others), strict=False) for piece in pair)
    found, expected = (re.compile(p) for p in (any_of(texts, unless_in_a_number), side_by_side(texts)))
    assert [match.span() for match in found.finditer(text)] == [match.span() for match in expected.finditer(text)]


def test_texts_that_begin_as_others_end_may_be_many() -> None:
    texts = ["a" * count for count in range(1, 400)]
    assert [len(found) for found in re.findall(any_of(texts), f"{'a' * 7} {'a' * 399} a")] == [7, 399, 1]


def test_at_a_place_those_are_tried_that_go_on_differently() -> None:
    assert any_of(["secret_b1", "secret_a1", "secret_a2", "secret_a"]) == "secret_(?:a(?:1|2|)|b1)"
