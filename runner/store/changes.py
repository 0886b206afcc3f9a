"""
What has become of the runs of a store since one looked: which are new, which go on, which are gone.

A folder is looked at with a few system calls, however many runs it has: it is listed when its time changes, runs that
go on are read on from where they were, and whoever writes to a run that has ended moves the store's marker. Any other
store is asked for all of its runs, the less often the longer that takes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from anew.runner.contracts import RunStore
from anew.runner.dataclass import dataclass
from anew.runner.records import RunRecord, Status
from anew.runner.store.folder import FolderStore
from anew.runner.store.marker import read_marker

LEAST_S = 0.4
_OTHERS_S = 2.0
_RATIO = 10
_LOST_S = 20.0
_MOST_KEPT = 20_000
_GOING_ON = f"status in [{Status.RUNNING}, {Status.QUEUED}, {Status.UNKNOWN}]"


@dataclass(frozen=True, slots=True)
class Changed:
    """
    What has changed.

    Attributes:
        version: Up to which change it is known: what comes after it has a greater one.
        runs: The runs that are new, or are other than they were.
        gone: Those that are not there any more.
        is_stale: Whether others may have changed, too: something was done to runs that had ended.
    """

    version: int
    runs: tuple[int, ...] = ()
    gone: tuple[int, ...] = ()
    is_stale: bool = False


class Changes:
    """
    Watches a store by looking at it whenever it is asked. Safe between threads: one looks at a time.

    Args:
        store: The store.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._looked_at = -_OTHERS_S
        self._every_s = LEAST_S if isinstance(store, FolderStore) else _OTHERS_S
        self._version = 0
        self._stale = 0
        self._changed: dict[int, int] = {}
        self._gone: dict[int, int] = {}
        self._present: frozenset[int] = frozenset()
        self._unsettled: set[int] = set()
        self._lost: set[int] = set()
        self._lost_at = 0.0
        self._marker = ""
        self._looks: dict[int, int] = {}

    def version(self) -> int:
        """Look, unless somebody just did; return up to which change all is known. Raises StoreError."""
        with self._lock:
            if time.monotonic() - self._looked_at >= self._every_s:
                began = time.monotonic()
                self._look()
                self._looked_at = time.monotonic()
                if not isinstance(self._store, FolderStore):
                    self._every_s = max(_OTHERS_S, _RATIO * (self._looked_at - began))
            return self._version

    def hurry(self) -> None:
        """Have the next question look, however short ago the last one was: something was just changed."""
        with self._lock:
            self._looked_at = -_OTHERS_S

    def since(self, version: int) -> Changed:
        """Return what has changed after a version; raises as `version`."""
        now = self.version()
        with self._lock:
            return Changed(
                now,
                tuple(number for number, at in self._changed.items() if at > version),
                tuple(number for number, at in self._gone.items() if at > version),
                self._stale > version,
            )

    # --- looking ------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        store = self._store
        if isinstance(store, FolderStore):
            self._look_at_folder(store)
        else:
            self._take({record.id: record for record in store.find() if record.id is not None}, whole=True)

    def _look_at_folder(self, store: FolderStore) -> None:
        marker, present = read_marker(store.root), store.folders()
        if not self._version:
            # whoever asks for the first time is told all there is
            self._version, self._marker, self._present = 1, marker, present
            self._unsettled = {*store.matching(_GOING_ON)} if present else set()
            self._note(store.runs(sorted(self._unsettled, reverse=True)))
            return
        if marker != self._marker:
            self._marker = marker
            self._stale = self._next()
        new, gone = present - self._present, self._present - present
        self._present = present
        candidates = {*new, *self._unsettled} & present
        if time.monotonic() - self._lost_at > _LOST_S:
            # another host may have been taken for dead
            self._lost_at = time.monotonic()
            candidates |= self._lost & present
        records = store.runs(sorted(candidates, reverse=True))
        self._take(records, gone=gone)
        # a number that was claimed is no run yet, and soon is one
        self._unsettled |= new - records.keys()

    def _take(self, records: Mapping[int, RunRecord], *, gone: Iterable[int] = (), whole: bool = False) -> None:
        """Note what was read; with *whole* that is all there is."""
        is_first = not self._version
        if is_first:
            self._version = 1
        before = dict(self._looks)
        self._note(records)
        changed = [number for number in records if before.get(number) != self._looks.get(number)]
        missing = [*gone] if not whole else [number for number in before if number not in records]
        if (changed or missing) and not is_first:
            version = self._next()
            for number in changed:
                self._changed[number] = version
                self._gone.pop(number, None)
            for number in missing:
                self._gone[number] = version
                self._changed.pop(number, None)
        for number in missing:
            self._looks.pop(number, None)
            self._unsettled.discard(number)
            self._lost.discard(number)
        self._forget()

    def _note(self, records: Mapping[int, RunRecord]) -> None:
        for number, record in records.items():
            self._looks[number] = _look_of(record)
            if record.status is Status.LOST:
                self._lost.add(number)
            else:
                self._lost.discard(number)
            if record.status.final:
                self._unsettled.discard(number)
            else:
                self._unsettled.add(number)

    def _next(self) -> int:
        self._version += 1
        return self._version

    def _forget(self) -> None:
        """Have what is known of changes not grow for ever: who has not asked for so long is told that all is stale."""
        for known in (self._changed, self._gone):
            if len(known) > _MOST_KEPT:
                self._stale = max(self._stale, *known.values())
                known.clear()


def _look_of(record: RunRecord) -> int:
    """Return a number that is another when a run is shown otherwise than before."""
    told: tuple[Any, ...] = (
        record.state,
        record.ended_at,
        record.tags,
        record.note,
        record.verdict and record.verdict.verdict,
        repr(record.result),
        tuple((name, each.count, repr(each.last)) for name, each in record.metrics.items()),
        len(record.artifacts),
        len(record.comments),
        len(record.warnings),
    )
    return hash(told)
