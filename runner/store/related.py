"""What the runs are called in a store that a record names: those that one repeats, or was started in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from anew.runner.attached.unread import altered
from anew.runner.dataclass import dataclass
from anew.runner.records import ParentRun, RerunOf, RunRecord, SourceFacts

Named = TypeVar("Named", ParentRun, RerunOf)


@dataclass(frozen=True, kw_only=True, slots=True)
class Enclosing:
    """
    A run, as what is started in it knows it.

    Attributes:
        parent: The run; its number is that of its own store.
        store: The folder of that store.
        source: Its source, as it was at its start.
        seed: The root seed of what is started, where nothing else gives one: another each time, and in a re-run of this
            run the same again. None where it cannot be told which time it is, as in another process.
    """

    parent: ParentRun
    store: str
    source: SourceFacts
    seed: int | None = None

    def seen_from(self, store: Path) -> ParentRun:
        """Return the run as a record in *store* names it: by a number only where it is there, too."""
        is_there = os.path.realpath(self.store) == os.path.realpath(store)
        return self.parent if is_there else ParentRun(id=None, uid=self.parent.uid)


class Numbered(Protocol):
    """A store, whatever keeps it."""

    def quick_number(self, uid: str, hint: int | None) -> int | None:
        """Return what the run of a uid is called, if that can be told without looking at all runs."""
        ...

    def uids(self) -> Mapping[str, int]:
        """Return what all runs are called, by their uids."""
        ...

    def has(self, number: int) -> bool:
        """Whether there is a run of this number."""
        ...


class Related:
    """
    Gives records the numbers of one store: what was copied there may be called otherwise than where it was recorded.

    Each run is looked up once. To be used for one question, in one thread.
    """

    def __init__(self, store: Numbered) -> None:
        self._store = store
        self._known: dict[str, int | None] = {}
        self._all: Mapping[str, int] | None = None

    def placed(self, record: RunRecord) -> RunRecord:
        """Return a record that names other runs as the store does; unchanged where it names none."""
        if (run := record.parent) is not None and (parent := self._named(run)) is not run:
            record = altered(record, parent=parent)
        if (repeated := record.rerun_of) is not None and (rerun_of := self._named(repeated)) is not repeated:
            record = altered(record, rerun_of=rerun_of)
        return record

    def _named(self, run: Named) -> Named:
        if run.uid not in self._known:
            self._known[run.uid] = self._number(run.uid, run.id)
        number = self._known[run.uid]
        return run if number == run.id else replace(run, id=number)

    def _number(self, uid: str, recorded: int | None) -> int | None:
        number = self._store.quick_number(uid, recorded)
        if number is None:
            self._all = self._store.uids() if self._all is None else self._all
            number = self._all.get(uid)
        if number is not None or recorded is None:
            return number
        # of one that was deleted nobody else has the number; of one that was never here somebody may
        return None if self._store.has(recorded) else recorded
