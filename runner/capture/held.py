"""
The source that a run found, used again by those that follow in its process for as long as it is the same.

That is told by one look at each file and folder that the list was made of: no file is asked whether it is source, and
no content whether it is here, of each run anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anew.runner.capture.beside import belongs
from anew.runner.capture.keeper import Keeper, Objects
from anew.runner.capture.modules import as_loaded
from anew.runner.capture.written import WrittenFiles
from anew.runner.dataclass import dataclass
from anew.runner.records import ContentRef, SourceFacts

_MOST = 8


@dataclass(frozen=True, slots=True)
class Held:
    """
    A list of source, and what it was made of.

    Attributes:
        asked: All that it depends on beside files: what git answered, modules, settings.
        facts: The list.
        notes: Those of its notes that are said aloud each time.
        keeper: What found it.
        digests: Of the contents that it names.
    """

    asked: tuple[Any, ...]
    facts: SourceFacts
    notes: tuple[str, ...]
    keeper: Keeper
    digests: tuple[str, ...]

    def holds(self, asked: tuple[Any, ...], objects: Objects, written: WrittenFiles) -> bool:
        """Whether the list would be the same now. Marks its contents in *objects* as used; all are there, then."""
        keeper = self.keeper
        return (
            self.asked == asked
            and keeper.seen.are_same()
            and not any(belongs(parent, name, keeper.excluded) for parent, name in keeper.foreign)
            and written.among(keeper.asked) == keeper.made
            and as_loaded(keeper.root, keeper.as_found) == keeper.as_loaded
            and objects.touch_all(self.digests)
        )


_held: dict[Path, Held] = {}
# the list of source that was asked about last, and the paths in it
_paths: list[tuple[tuple[ContentRef, ...], frozenset[str]]] = [((), frozenset())]


def held(root: Path) -> Held | None:
    """Return what was found of a project last. Safe between threads."""
    return _held.get(root)


def hold(asked: tuple[Any, ...], facts: SourceFacts, notes: tuple[str, ...], keeper: Keeper, looked_ns: int) -> None:
    """Keep what was found, unless something may have changed while it was looked at, since *looked_ns*."""
    _held.pop(keeper.root, None)
    if keeper.seen.are_settled(looked_ns):
        if len(_held) >= _MOST:
            _held.clear()
        digests = tuple(dict.fromkeys(file.sha256 for file in facts.files))
        _held[keeper.root] = Held(asked, facts, notes, keeper, digests)


def paths_of(source: SourceFacts) -> frozenset[str]:
    """Return the paths of source, which many runs have in one list. Safe between threads."""
    files, paths = _paths[0]
    if files is not source.files:
        files, paths = source.files, frozenset(file.path for file in source.files)
        _paths[0] = files, paths
    return paths
