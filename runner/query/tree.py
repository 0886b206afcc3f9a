"""
A filter as a tree of plain values, and whether a run passes it: the meaning that every store's answers are held to.

`grammar` reads text into it; stores may ask an index or a database first, by what they make of the same tree.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import lru_cache
from typing import Any, Union

from anew.runner.dataclass import dataclass
from anew.runner.errors import FilterError
from anew.runner.query.literals import Literal
from anew.runner.query.names import MISSING, Digest, More, Version, look_up
from anew.runner.records import RunRecord

# What backtracks takes for ever over 40 letters or is done within milliseconds: there is little between.
_PATTERN_S = 0.3
_QUICK_S = 0.01
_LEAST_DIGEST = 4


class Pattern:
    """
    A regular expression whose searches end: no one takes longer than 0.3 s, nor all slow ones of a question together.

    The library looks at the clock while it searches, with the interpreter lock held, so that the bound holds.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._left = _PATTERN_S
        self._compiled: Any = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    def compiled(self) -> Any:
        """
        Return it as the library has it. Raises FilterError for what is no expression; how much it may repeat is
        looked at before, by `patterns.steps_of`.
        """
        import regex  # 15 ms, for those who ask for it

        if self._compiled is None:
            try:
                # kept here for as long as it is asked, and not in the library's table of all that were ever typed
                self._compiled = regex.compile(self.text, regex.IGNORECASE, cache_pattern=False)
            except (regex.error, OverflowError, RecursionError, MemoryError, ValueError) as error:
                why = str(error) or "it goes on without an end"
                raise FilterError(f"{self.text!r} is no regular expression ({why})", pattern=self.text) from error
        return self._compiled

    def found(self, value: Any) -> bool:
        """Whether it is found in a value, without regard to case. Raises FilterError where that takes too long."""
        import regex

        compiled = self.compiled()
        try:
            text = str(value)
            began = time.perf_counter()
            found = compiled.search(text, timeout=max(self._left, 1e-3)) is not None
            took = time.perf_counter() - began
            self._left -= took if took > _QUICK_S else 0.0
            if self._left <= 0:
                raise TimeoutError
        except TimeoutError:
            raise FilterError(
                f"The pattern {self.text!r} takes longer than {_PATTERN_S:g} s over the value {text[:60]!r}, since it "
                "can be matched in very many ways. Repeat nothing that is itself a repetition, such as (a+)+",
                pattern=self.text,
            ) from None
        except ValueError:  # a whole number of more digits than Python prints
            return False
        except (regex.error, MemoryError, RecursionError) as error:
            why = str(error) or "it goes on without an end"
            raise FilterError(f"The pattern {self.text!r} cannot be looked for: {why}.", pattern=self.text) from None
        return found


# --- the tree ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compare:
    """A name compared with a value: `==`, `<`, `<=`, `>` or `>=`."""

    name: str
    operator: str
    literal: Literal


@dataclass(frozen=True, slots=True)
class Search:
    """A name in whose value a pattern is looked for."""

    name: str
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class SameList:
    """A name whose value is a list of just these items."""

    name: str
    literals: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Has:
    """A name that a run has a value of: neither none nor an empty list or mapping."""

    name: str


@dataclass(frozen=True, slots=True)
class Not:
    """What its part is not."""

    part: Tree


@dataclass(frozen=True, slots=True)
class All:
    """What all of its parts are; of no parts, everything."""

    parts: tuple[Tree, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class AnyOf:
    """What one of its parts is."""

    parts: tuple[Tree, ...]


Leaf = Union[Compare, Search, SameList, Has]  # noqa: UP007  # read as it is by Python 3.10
Tree = Union[Leaf, Not, All, AnyOf]  # noqa: UP007
EVERYTHING = All()


def leaves(tree: Tree) -> Iterator[Leaf]:
    """Yield the leaves of a tree, from left to right."""
    if isinstance(tree, (All, AnyOf)):
        for part in tree.parts:
            yield from leaves(part)
    elif isinstance(tree, Not):
        yield from leaves(tree.part)
    else:
        yield tree


def passes(tree: Tree, record: RunRecord, more: More | None = None) -> bool:
    """Whether a run passes; see `names.More`. Raises FilterError for a pattern that takes too long."""
    if isinstance(tree, All):
        return all(passes(part, record, more) for part in tree.parts)
    if isinstance(tree, AnyOf):
        return any(passes(part, record, more) for part in tree.parts)
    if isinstance(tree, Not):
        return not passes(tree.part, record, more)
    value = look_up(record, tree.name, more)
    return value is not MISSING and holds(tree, value)


# --- a value of a run -------------------------------------------------------------------------------------------


def holds(leaf: Leaf, value: Any) -> bool:
    """Whether a leaf holds for a value that a run has."""
    if isinstance(leaf, Compare):
        return _compare(value, leaf.operator, leaf.literal)
    if isinstance(leaf, Search):
        return _search(value, leaf.pattern)
    if isinstance(leaf, SameList):
        return (
            isinstance(value, (list, tuple))
            and len(value) == len(leaf.literals)
            and all(_compare(item, "==", literal) for item, literal in zip(value, leaf.literals, strict=True))
        )
    return is_there(value)


def is_there(value: Any) -> bool:
    """Whether a value is one: neither none nor an empty list or mapping."""
    return value is not None and not (isinstance(value, (list, tuple, Mapping)) and not value)


def _search(value: Any, pattern: Pattern) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_search(item, pattern) for item in value)
    return value is not None and not isinstance(value, Mapping) and pattern.found(value)


def _compare(value: Any, operator: str, literal: Literal) -> bool:
    if isinstance(value, (list, tuple)):
        return operator == "==" and any(_compare(item, operator, literal) for item in value)
    if isinstance(value, Version):
        return compared_versions(value, operator, literal.text)
    if isinstance(value, Digest) and operator == "==":
        return begins(value, literal.text)
    other = literal.like(value)
    if operator == "==":
        return is_same(value, other)
    try:
        return bool(_ORDER[operator](value, other))
    except TypeError:
        return False


def is_same(value: Any, other: Any) -> bool:
    """Whether a value is equal to another: texts without regard to case, true and 1 not, NaN to NaN."""
    if isinstance(value, str) and isinstance(other, str):
        return value.lower() == other.lower()
    if isinstance(value, float) and isinstance(other, float) and value != value:
        return other != other
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


def begins(digest: str, text: str) -> bool:
    """Whether a digest begins so, with at least four letters of it."""
    return digest.lower() == text.lower() or (len(text) >= _LEAST_DIGEST and digest.lower().startswith(text.lower()))


def compared_versions(version: str, operator: str, text: str) -> bool:
    """
    Compare versions as packaging does; what is none is equal to the same text alone.

    A part behind `+` counts where both have one: `2.1.0+cu121` is 2.1. `== 2.*` is any version that begins so.
    """
    if operator == "==" and text.endswith(".*"):
        wanted, found = read_version(text[:-2]), read_version(version)
        if wanted is None or found is None:
            return version.lower().startswith(text[:-1].lower())
        release = (*found.release, *([0] * len(wanted.release)))
        return bool(release[: len(wanted.release)] == wanted.release and found.epoch == wanted.epoch)
    mine, other = read_version(version), read_version(text)
    if mine is None or other is None:
        return operator == "==" and version.lower() == text.lower()
    if other.local is None and mine.local is not None:
        mine = read_version(mine.public)
    return bool(_ORDER[operator](mine, other))


@lru_cache(maxsize=2000)
def read_version(text: str) -> Any:
    """Return a version of packaging; None for a text that is none."""
    from packaging.version import InvalidVersion, Version  # for those who ask for it

    try:
        return Version(text)
    except InvalidVersion:
        return None


_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def joined(parts: Sequence[Tree]) -> Tree:
    """Return what one of several parts is, or the only one."""
    return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))
