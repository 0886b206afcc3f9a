"""What is noted of files by what was traced, once a run has ended: what they were is asked of what is left of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import field

from anew.runner.capture.noted import APPENDED, CHANGED, READ, REPLACED, Noted, way_of
from anew.runner.capture.strace_lines import Opening
from anew.runner.capture.unseen import Unseen
from anew.runner.dataclass import dataclass

_NOT_THERE = (-1, -1)
# that of no file: whatever it was, it has changed since
_UNKNOWN = (0, 0)


class Before:
    """
    What files were before they were traced.

    Args:
        since_s: When that began, in seconds since the epoch.
        unseen: Knows what the project's files were then.
        is_source: Whether a file is source, by its path; that was there.
    """

    def __init__(self, since_s: float, unseen: Unseen | None, is_source: Callable[[str], bool]) -> None:
        self._since_s = since_s
        self._unseen = unseen
        self.is_source = is_source

    def state(self, path: str) -> tuple[int, int] | None:
        """Return a file's size and time as they were; None for one that was not there, or of which it is not known."""
        known = self._unseen.before(path) if self._unseen is not None else None
        if known is not None:
            return known
        try:
            status = os.stat(path)
        except OSError:
            return None
        # whatever is done to a file, or puts another in its place, changes this time
        return (status.st_size, status.st_mtime_ns) if status.st_ctime <= self._since_s else None


@dataclass(slots=True)
class Told:
    """Files that came to be while they were traced, at their first opening; and all other openings, in order."""

    made: list[Noted] = field(default_factory=list)
    rest: list[Noted] = field(default_factory=list)

    def within(self, most: int) -> tuple[Told, bool]:
        """Return no more than so many of each, and whether that is all."""
        return Told(self.made[:most], self.rest[:most]), max(len(self.made), len(self.rest)) <= most


def noted_of(openings: Iterable[Opening], before: Before) -> Told:
    """Return what is noted of files that were opened: once for each way in which a file was."""
    told, seen, there = Told(), set[tuple[str, int]](), set[str]()
    for each in openings:
        if each.is_missing:
            way, state = READ, _NOT_THERE
        else:
            is_first = each.path not in there
            known = before.state(each.path) if is_first else None
            is_source = before.is_source(each.path)
            # without O_CREAT it was there, or could not have been opened
            was_there = not is_first or known is not None or is_source or not each.flags & os.O_CREAT
            way, state = way_of(each.flags, was_there), known or _UNKNOWN
            there.add(each.path)
            if way == REPLACED and is_first and known is None and not is_source:
                seen.add((each.path, way))
                told.made.append(Noted.of(each.path, way, _NOT_THERE))
                continue
            if is_source and way not in (REPLACED, CHANGED, APPENDED):
                continue
        if (each.path, way) not in seen:
            seen.add((each.path, way))
            told.rest.append(Noted.of(each.path, way, state))
    return told
