"""The runs of a store as rows: which match, in which order, a window of them, and what has changed."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anew.runner.contracts import CuratedStore
from anew.runner.query.columns import chosen
from anew.runner.query.filters import parse_filter
from anew.runner.query.names import value_of
from anew.runner.query.sorting import sort_records
from anew.runner.query.tree import passes
from anew.runner.records import RunRecord
from anew.runner.server.shapes import Progress, Row
from anew.runner.server.wire import cell
from anew.runner.store.changes import Changes
from anew.runner.store.curate import Trash
from anew.runner.store.folder import FolderStore
from anew.runner.store.locate import as_run_folders
from anew.runner.store.more import Beside
from anew.runner.store.related import Related
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.stored import StoredRuns

NEWEST_FIRST = ("", "-id")
TELLING = 1_000
_SHOWN_ANYWAY = frozenset({"tags", "note"})
_MOST_ANSWERS = 8
# what a filter says of time (started < 2h) holds for a while
_ANSWER_S = 30.0
# what the runs that were read so far have in common changes little while more are read
_TOLD_S = 3.0
_AT_A_TIME = 50
_FEW = 1_000


@dataclass(frozen=True)
class Found:
    """
    The runs that a question finds.

    Attributes:
        numbers: In order.
        version: Up to which change of the store.
        partial: Whether older runs are being read, and may match, too.
    """

    numbers: Sequence[int]
    version: int
    partial: bool = False


class Rows:
    """
    Answers questions on runs, and remembers some answers for as long as nothing changes. Safe between threads.

    A large store that was never read is read in a thread of its own, newest first; meanwhile questions are answered of
    what was read.

    Args:
        store: The store.
    """

    def __init__(self, store: CuratedStore) -> None:
        self._store = store
        self.changes = Changes(store)
        self._answers: OrderedDict[tuple[str, str], tuple[int, float, Sequence[int]]] = OrderedDict()
        self._chosen: tuple[tuple[str, str], list[RunRecord], list[str]] | None = None
        self._told: tuple[tuple[str, int], float, list[RunRecord]] | None = None
        self._listed: tuple[frozenset[int], Sequence[int]] | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._waiting: list[int] = []
        self._read: list[int] = []
        self._reader: threading.Thread | None = None

    # --- the first reading --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin to read what was never read of a large store. Raises StoreError."""
        if not isinstance(self._store, FolderStore) or len(self._store.folders()) <= _FEW:
            return
        self._waiting = self._store.unread()
        if self._waiting:
            self._read = sorted(self._store.folders() - {*self._waiting}, reverse=True)
            self._reader = threading.Thread(target=self._read_all, args=[self._store], daemon=True)
            self._reader.start()

    def _read_all(self, store: FolderStore) -> None:
        while self._waiting and not self._stopped.is_set():
            some = self._waiting[:_AT_A_TIME]
            try:
                store.runs(some)
            except OSError:
                break  # whoever asks for them is told
            self._read += some
            del self._waiting[:_AT_A_TIME]
        self._waiting = []

    def end(self) -> None:
        """Stop reading."""
        self._stopped.set()
        if self._reader is not None:
            self._reader.join()

    @property
    def indexing(self) -> Progress | None:
        """How far the first reading is; None when there is none."""
        waiting = len(self._waiting)
        return Progress(done=len(self._read), total=len(self._read) + waiting) if waiting else None

    # --- questions ----------------------------------------------------------------------------------------------------

    def found(self, where: str = "", sort: str = "") -> Found:
        """
        Return the runs that match, in order.

        Raises:
            FilterError: That is no filter, or nothing to sort by.
            StoreError: The store cannot be read.
        """
        if self._waiting:
            return self._found_so_far(where, sort)
        # looked first: what changes while this is answered is told once more
        version = self.changes.version()
        key = (where, sort)
        with self._lock:
            known = self._answers.get(key)
            if known is not None and known[0] == version and time.monotonic() - known[1] < _ANSWER_S:
                self._answers.move_to_end(key)
                return Found(known[2], version)
        numbers = self._matching(where, None if sort in NEWEST_FIRST else sort)
        with self._lock:
            self._answers[key] = (version, time.monotonic(), numbers)
            while len(self._answers) > _MOST_ANSWERS:
                self._answers.popitem(last=False)
        return Found(numbers, version)

    def _matching(self, where: str, sort: str | None) -> Sequence[int]:
        if isinstance(self._store, StoredRuns):
            return self._store.matching(where, sort=sort)
        return [record.id for record in self._store.find(where, sort=sort) if record.id is not None]

    def _found_so_far(self, where: str, sort: str) -> Found:
        """Answer of the newest runs that were read."""
        assert isinstance(self._store, FolderStore)
        tree = parse_filter(where, self._store.saved_filter).tree
        if not where.strip() and sort in (*NEWEST_FIRST, "-started"):
            return Found(self._all_numbers(self._store), 0, partial=True)
        more = Beside(self._store)
        there = self.records(sorted(self._read, reverse=True)[:TELLING])
        records = [record for record in there.values() if passes(tree, record, more)]
        if sort not in NEWEST_FIRST:
            records = sort_records(records, sort, more)
        return Found([record.id for record in records if record.id is not None], 0, partial=True)

    def _all_numbers(self, store: FolderStore) -> Sequence[int]:
        """Return the numbers of all folders of runs, newest first; read or not."""
        folders = store.folders()
        if self._listed is None or self._listed[0] is not folders:
            self._listed = (folders, sorted(folders, reverse=True))
        return self._listed[1]

    def records(self, numbers: Sequence[int]) -> dict[int, RunRecord]:
        """Return the light records of some runs, in the order given; those that are gone are left out."""
        store = self._store
        if isinstance(store, RunFolders):
            found: Mapping[int, RunRecord] = store.runs(numbers)
        else:
            wanted = {*numbers}
            found = {record.id: record for record in store.find() if record.id is not None and record.id in wanted}
        related = Related(store) if isinstance(store, StoredRuns) else None
        placed = related.placed if related is not None else lambda record: record
        return {number: placed(found[number]) for number in numbers if number in found}

    def telling(self, where: str = "") -> list[RunRecord]:
        """Return of the runs that match so many, evenly spread, as tell what there is. Raises as `found`."""
        found = self.found(where)
        key = (where, found.version)
        told = self._told
        if told is not None and told[0] == key and (not found.partial or time.monotonic() - told[1] < _TOLD_S):
            return told[2]
        # of what was never read, reading takes its time
        numbers = sorted(self._read, reverse=True)[:_FEW] if found.partial and not where else found.numbers
        stride = max(1, -(-len(numbers) // TELLING))
        records = [*self.records(numbers[::stride]).values()]
        self._told = (key, time.monotonic(), records)
        return records

    def left_out(self) -> list[str]:
        """Return what stands among the runs and cannot be read as one, a sentence each. Raises StoreError."""
        return [*self._store.left_out_at_once()] if isinstance(self._store, StoredRuns) else []

    def deleted(self, where: str, sort: str) -> list[RunRecord]:
        """Return the deleted runs that match, in order. Raises as `found`, StoreError where none are kept."""
        found = Trash(as_run_folders(self._store)).find(where)
        return found if sort in NEWEST_FIRST else sort_records(found, sort)

    # --- rows -------------------------------------------------------------------------------------------------------

    def columns(self, where: str, sort: str) -> list[str]:
        """Return the columns that tell apart the runs that match."""
        parsed = parse_filter(where, getattr(self._store, "saved_filter", None))
        asked = [*([sort.lstrip("-").strip()] if sort else []), *parsed.names]
        telling = self.telling(where)
        chosen_before = self._chosen
        # what tells a thousand runs apart takes longer to find than a window of them to read
        if chosen_before is not None and chosen_before[0] == (where, sort) and chosen_before[1] is telling:
            return chosen_before[2]
        names = [name for name in chosen(telling, asked) if name not in _SHOWN_ANYWAY]
        self._chosen = ((where, sort), telling, names)
        return names

    # --- rows -------------------------------------------------------------------------------------------------------

    def rows(self, records: Mapping[int, RunRecord], columns: Sequence[str], *, deleted: bool = False) -> list[Row]:
        """Return a row for each run. Raises FilterError for a column that means nothing."""
        more = Beside(self._store)
        return [
            row_of(number, record, [cell(value_of(record, name, more)) for name in columns], deleted=deleted)
            for number, record in records.items()
        ]


def row_of(number: int, record: RunRecord, cells: list[object], *, deleted: bool = False) -> Row:
    """Return a run as a row."""
    return Row(
        id=number,
        uid=record.uid,
        experiment=record.experiment,
        status=record.state,
        started=record.started_at.timestamp(),
        duration=record.duration_s,
        tags=list(record.tags),
        note=record.note,
        verdict=record.verdict.verdict if record.verdict else None,
        deleted=deleted,
        cells=cells,
    )
