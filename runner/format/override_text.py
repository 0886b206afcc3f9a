"""
The values inside an override, by where they stand in its text: `users=[{name:a,password:x}]`.

The grammar is Hydra's, read leniently: what cannot be read is one value. Nothing is resolved or converted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from anew.runner.dataclass import dataclass
from anew.runner.lazy.patterns import regexp

_KEY = regexp(r"[+~]*(?P<key>[^=\s]+?)=")
_QUOTED = regexp(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_INTERPOLATION = regexp(r"\$\{[^{}]*\}")
_MOST_DEPTH = 50


@dataclass(frozen=True, slots=True)
class Spot:
    """
    A value in a text.

    Attributes:
        names: Above it, outermost first.
        start: Where it begins, without quotes.
        end: Where it ends.
        within: Where the innermost bracket around it begins; -1 for none.
    """

    names: tuple[str, ...]
    start: int
    end: int
    within: int = -1


def key_of(override: str) -> str:
    """Return the key of an override, without its prefix; empty for a word that is none."""
    match = _KEY.match(override)
    return match["key"].partition("@")[0] if match else ""


def spots(override: str) -> list[Spot]:
    """Return the values that stand in an override, with the names that they stand under."""
    match = _KEY.match(override)
    if match is None:
        return []
    name = match["key"].partition("@")[0]
    return list(_Scan(override, match.end()).elements((name,), ""))


class _Scan:
    """One way through a text."""

    def __init__(self, text: str, at: int) -> None:
        self._text = text
        self._at = at
        self._within = -1

    def elements(self, names: tuple[str, ...], closing: str) -> Iterator[Spot]:
        """Yield what stands between commas, to the closing bracket or the end."""
        while self._at < len(self._text) and self._text[self._at] != closing:
            if self._text[self._at] in ", \t\n":
                self._at += 1
            else:
                yield from self._element(names, closing)
        self._at += 1

    def _element(self, names: tuple[str, ...], closing: str) -> Iterator[Spot]:
        start = self._at
        head = self._text[start]
        if head in "[{(" and len(names) < _MOST_DEPTH:
            self._at += 1
            outer, self._within = self._within, start
            yield from self.elements(names, {"[": "]", "{": "}", "(": ")"}[head])
            self._within = outer
            return
        end = self._plain(":=" if closing in ("}", ")") else "")
        word = self._text[start:end].strip()
        following = self._text[self._at : self._at + 1]
        if following in (":", "=") and following:
            self._at += 1
            while self._text[self._at : self._at + 1] == " ":
                self._at += 1
            if self._at < len(self._text) and self._text[self._at] not in f",{closing}":
                yield from self._element((*names, _bare(word)), closing if closing != "}" else "")
        elif following == "(":
            self._at += 1
            yield from self.elements(names, ")")
        elif word:
            quotes = 1 if _QUOTED.fullmatch(word) else 0
            yield Spot(names, start + quotes, start + len(self._text[start:end].rstrip()) - quotes, self._within)
        if self._at == start:
            self._at += 1  # a bracket that closes nothing

    def _plain(self, stops: str) -> int:
        """Go to the end of a word: quoted, or up to a comma, a bracket or one of *stops*; return where that is."""
        while self._at < len(self._text):
            skipped = _QUOTED.match(self._text, self._at) or _INTERPOLATION.match(self._text, self._at)
            if skipped:
                self._at = skipped.end()
            elif self._text[self._at] in f",[]{{}}(){stops}":
                break
            else:
                self._at += 2 if self._text[self._at] == "\\" else 1
        self._at = min(self._at, len(self._text))
        return self._at


def _bare(word: str) -> str:
    return word[1:-1] if _QUOTED.fullmatch(word) else word
