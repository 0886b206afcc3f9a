"""What differs between two texts, in pieces that can be taken over one by one, as `diff -u` has them."""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterator, Sequence

from anew.runner.dataclass import dataclass

MOST_LINES = 20_000
_CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Hunk:
    """
    A piece of what differs.

    Attributes:
        line: The first line of it that differs, from 1, in the text as it is now; where lines are gone, the one after.
        last: The last such line.
        was: Its lines that are gone, with their ends.
        now: Its lines that are new.
    """

    line: int
    last: int
    was: tuple[str, ...]
    now: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """
    How one text became another.

    Attributes:
        hunks: In their order.
    """

    hunks: tuple[Hunk, ...]
    _pieces: tuple[tuple[int | None, tuple[str, ...], tuple[str, ...]], ...]

    def with_hunks(self, taken: Container[int]) -> str:
        """Return the old text with those hunks, by their index."""
        lines: list[str] = []
        for number, old, new in self._pieces:
            lines += new if number is not None and number in taken else old
        return "".join(lines)


def changed(was: str, now: str) -> Change | None:
    """Return what differs between two texts; None where they are too long for that."""
    old, new = was.splitlines(keepends=True), now.splitlines(keepends=True)
    if max(len(old), len(new)) > MOST_LINES:
        return None
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    hunks: list[Hunk] = []
    pieces: list[tuple[int | None, tuple[str, ...], tuple[str, ...]]] = []
    end = 0
    for group in matcher.get_grouped_opcodes(_CONTEXT):
        first = next(each for each in group if each[0] != "equal")
        pieces.append((None, tuple(old[end : first[1]]), ()))
        gone = tuple(_lines(old, ((a, b) for kind, a, b, _, _ in group if kind != "equal")))
        come = tuple(_lines(new, ((c, d) for kind, _, _, c, d in group if kind != "equal")))
        last = next(each for each in reversed(group) if each[0] != "equal")
        pieces.append((len(hunks), tuple(old[first[1] : last[2]]), tuple(new[first[3] : last[4]])))
        hunks.append(Hunk(first[3] + 1, max(last[4], first[3] + 1), gone, come))
        end = last[2]
    pieces.append((None, tuple(old[end:]), ()))
    return Change(tuple(hunks), tuple(pieces))


def moves(hunks: Sequence[Hunk]) -> list[tuple[int, int]]:
    """Return the pairs of hunks, by their index, of which one takes away the very lines that the other adds."""
    gone = {hunk.was: index for index, hunk in enumerate(hunks) if hunk.was and not hunk.now}
    pairs = []
    for index, hunk in enumerate(hunks):
        if hunk.now and not hunk.was and (other := gone.pop(hunk.now, None)) is not None:
            pairs.append((min(index, other), max(index, other)))
    return pairs


def _lines(text: Sequence[str], spans: Iterator[tuple[int, int]]) -> Iterator[str]:
    for begin, end in spans:
        yield from text[begin:end]
