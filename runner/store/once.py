"""Runs that are asked for once, when they have ended: read from their files, sooner than a row of the index is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from anew.runner.records import RunRecord
from anew.runner.store.files import size_of
from anew.runner.store.folder import FolderStore
from anew.runner.store.journal_forms import journals

# beyond, reading a journal a second time takes longer than writing into the index what it comes to
_SHORT_BYTES = 1 << 18


class ReadOnce:
    """
    The runs of a store as whoever hands out jobs asks for them, one after the other; satisfies `sweep_state.Runs`.

    A row of the index is written quicker for many runs at once: that is done when the sweep ends.

    Args:
        store: Where they are.
    """

    def __init__(self, store: FolderStore) -> None:
        self._store = store

    def runs(self, numbers: Sequence[int], /) -> Mapping[int, RunRecord]:
        """Return some by number, those that there are."""
        short = {number: self._store.light(number) for number in numbers if self._is_short(number)}
        found = self._store.runs([number for number in numbers if number not in short])
        return found | {number: record for number, record in short.items() if record is not None}

    def records(self) -> Iterable[RunRecord]:
        """Return all of them."""
        return self._store.records()

    def _is_short(self, number: int) -> bool:
        layout = self._store.layout.run(number)
        sizes = [size_of(path) for path in journals(layout)]
        # of one that was long, and is compressed, there are no lines
        return layout.folder.is_dir() and sum(_SHORT_BYTES if size is None else size for size in sizes) < _SHORT_BYTES
