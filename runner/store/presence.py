"""
Which contents are here, of those that a process has seen here before.

Content comes and goes by a change of names in a folder, which moves the folder's time: of some hundred folders that
are as they were, all that was in them is there still.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import lru_cache
from os.path import exists
from pathlib import Path

from anew.runner.store.stamps import YOUNG_NS

_MOST = 4_096
# a folder of content -> what it was like, and digests that were in it then
_here: dict[str, tuple[tuple[int, int, int], frozenset[str]]] = {}


def gone(root: Path, digests: Iterable[str]) -> list[str]:
    """Return those of some digests whose content is not in the store of content at *root*. Safe between threads."""
    top = f"{root}/sha256"
    return [each for start, some in _by_folder(tuple(digests)) for each in _gone_from(f"{top}/{start}", some)]


@lru_cache(maxsize=8)
def _by_folder(digests: tuple[str, ...]) -> tuple[tuple[str, frozenset[str]], ...]:
    """Return digests by the folder that their content lies in: of many runs they are the same."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for each in digests:
        found[each[:2]].append(each)
    return tuple((start, frozenset(some)) for start, some in found.items())


def _gone_from(folder: str, digests: frozenset[str]) -> Collection[str]:
    try:
        now = os.stat(folder)
    except OSError:
        return digests
    state = now.st_ino, now.st_mtime_ns, now.st_ctime_ns
    known = _here.get(folder)
    here = known[1] if known is not None and known[0] == state else frozenset[str]()
    if digests <= here:
        return ()
    unknown = digests - here
    missing = [each for each in unknown if not exists(f"{folder}/{each[2:]}")]
    if max(state[1:]) < time.time_ns() - YOUNG_NS:
        if len(_here) >= _MOST:
            _here.clear()
        _here[folder] = state, here.union(unknown).difference(missing)
    return missing
