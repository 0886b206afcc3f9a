"""
The index: light records of runs, derived from the runs' folders and made anew whenever in doubt.

A finished run is read once. Afterwards the sizes and times of its files tell whether a tag or a note was added, or one
was cut short. Of a run without an outcome it is kept how far it was read, and what it was then, so that no more than
what it has written since is read. Every row has its checksum: what is odd is read afresh, and the file is replaced.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner.format import light
from anew.runner.format.ids import is_number
from anew.runner.lazy.modules import later
from anew.runner.records import CommandFacts, RunRecord, Status
from anew.runner.store import stamps
from anew.runner.store.further import Progress, Reading
from anew.runner.store.index_file import IndexFile, odd_errors, sealed
from anew.runner.store.index_look import Look, Row
from anew.runner.store.packs import Pack, Packs
from anew.runner.store.stamps import NEVER, SeenFile, Stamp
from anew.runner.store.stored import StoredRun

if TYPE_CHECKING:
    import sqlite3
else:
    sqlite3 = later("sqlite3")

_FIRST, _AT_A_TIME = 64, 512
# of so many runs the rows are held in memory, some 5 KB each
_MOST_HELD = 1_000
# some file systems count whole seconds
_YOUNG_NS = 2 * 10**9
_NONE: Mapping[int, Row] = {}
Reader = Callable[[int, "Progress | None"], "Reading"]


class Index:
    """
    Light records of a store's runs, by number.

    Never raises on account of its own file: damaged, locked, of another version or not writable, it is built anew, or
    in memory. Safe between threads and processes.

    Args:
        path: The file.
        runs: The folder that the runs' folders are in.
        packs: Those that have none.

    Attributes:
        file: The file.
        sampled_at: When some runs were looked at that nobody is known to have changed, by the clock that only goes
            forward.
        held: Rows that were read before, of some runs.
    """

    def __init__(self, path: Path, runs: Path, packs: Packs) -> None:
        self.file = IndexFile(path, self._gone)
        self._runs = runs
        self._packs = packs
        self._packed: dict[int, Pack] | None = None
        self._listed_by = ""
        self.held: dict[int, Row] = {}
        self._present: tuple[int, frozenset[int]] = (0, frozenset())
        self._ordered: tuple[frozenset[int], list[int]] = (frozenset(), [])
        self.sampled_at = 0.0

    def look(self) -> Look:
        """Return a look at the file."""
        return Look(self.file, self._runs, self._is_so)

    def _gone(self, numbers: Collection[int]) -> Collection[int]:
        """Return which of some runs have no folder, and are in no pack either. Raises StoreError."""
        left = {number for number in numbers if not os.path.lexists(self._runs / str(number))}
        return left - self._packs.runs().keys() if left else left

    def _is_so(self, row: Row) -> bool:
        """Whether a run is as it was read: one that goes on has no outcome yet."""
        if row.follow:
            return not os.path.lexists(f"{self._runs}/{row.number}/outcome.json")
        return self.holds(row.number, row.stamp)

    def numbers(self) -> list[int]:
        """Return the numbers of all runs, newest first."""
        packed = self._packs.runs()
        with os.scandir(self._runs) as entries:
            found = {int(entry.name) for entry in entries if is_number(entry.name) and _is_folder(entry)}
        # a run that is put into a pack meanwhile is in that before it has no folder, and one that is taken out has
        # its folder before it is in none
        self._packed = {**packed, **self._packs.runs()}
        return sorted(found | self._packed.keys(), reverse=True)

    def present(self) -> frozenset[int]:
        """Return the numbers of all that may be a run folder; listed anew when the folder that they are in changes."""
        packed = self._packs.runs()
        changed = os.stat(self._runs).st_mtime_ns
        before = self._present
        if before[0] != changed or changed > time.time_ns() - _YOUNG_NS:
            before = changed, frozenset(int(name) for name in os.listdir(self._runs) if is_number(name))
            self._present = before
        self._packed = {**packed, **self._packs.runs()}
        return before[1] | self._packed.keys() if self._packed else before[1]

    def newest_first(self) -> list[int]:
        """Return what `present` does, newest first; put in order anew only when it has changed."""
        present = self.present()
        if self._ordered[0] is not present:
            self._ordered = present, sorted(present, reverse=True)
        return self._ordered[1]

    def has_more_than(self, few: int) -> bool:
        """Whether there are more runs than a few; what else lies there counts as well."""
        with os.scandir(self._runs) as entries:
            return any(place >= few for place, _ in enumerate(entries)) or any(self._packs.all())

    def listed(self) -> str:
        """
        Return by what it is known that the same runs are there, and none has come or gone; nothing in doubt.

        What it says is to be asked before they are listed.
        """
        packs = [(pack.path.name, pack.seen, _changed_ns(pack.out)) for pack in self._packs.all()]
        changed = _changed_ns(self._runs)
        found = f"{changed} {packs}"
        if found != self._listed_by:
            self._packed, self._listed_by = None, found
        newest = max(changed, *(times for *_, times in packs)) if packs else changed
        return found if newest < time.time_ns() - _YOUNG_NS else ""

    def holds(self, number: int, stamp: Stamp) -> bool:
        """Whether a run is as it was."""
        if (pack := self._pack(number)) is not None:
            return stamp == pack.stamp
        return stamp.holds(f"{self._runs}/{number}")

    def _pack(self, number: int) -> Pack | None:
        """Return the pack that a run was found in, unless it has a folder."""
        if self._packed is None:
            return self._packs.holding(number)
        pack = self._packed.get(number) if self._packed else None
        return None if pack is None or os.path.lexists(f"{self._runs}/{number}") else pack

    def _stamp(self, number: int) -> Stamp | None:
        pack = self._pack(number)
        return stamps.taken(f"{self._runs}/{number}") if pack is None else pack.stamp

    def runs(self, numbers: Iterable[int], read: Reader) -> Generator[StoredRun, None, None]:
        """
        Yield runs with their light records, in the order given; folders whose run never started are left out.

        Args:
            numbers: Run numbers.
            read: Gives a run's record, or None, and how far it was read, given how far it was read before.
        """
        wanted = list(numbers)
        with closing(self.look()) as look:
            for number, found in self.rows(look, wanted, read, self.held):
                yield StoredRun(number, found.record if isinstance(found, Row) else found)

    def rows(
        self, look: Look, wanted: Sequence[int], read: Reader, held: Mapping[int, Row] = _NONE
    ) -> Iterator[tuple[int, Row | RunRecord]]:
        """Yield what `runs` does; in place of a record that is in the file, or *held*, its row."""
        for position, number in enumerate(wanted):
            row: Row | RunRecord | None = held.get(number)
            if not isinstance(row, Row) or not self.holds(number, row.stamp):
                row = self._read(number, look.row(wanted, position, held), read, look)
            if row is not None:
                yield number, row

    def _read(self, number: int, known: tuple[Any, ...] | None, read: Reader, look: Look) -> Row | RunRecord | None:
        """Return a run's row, out of the file or made afresh; of a run that may change without a trace its record."""
        row = known and self._row(known, read)
        if row and self.holds(number, row.stamp):
            if row.stamp.is_young and (stamp := self._stamp(number)) and stamp.seen == row.stamp.seen:
                row = replace(row, stamp=stamp)
                look.note(row)
        else:
            stamp = self._stamp(number)
            before = Progress.of_text(row.record, row.follow) if row else None
            found = read(number, before)
            record, progress = found.record, found.progress
            if record is None or not record.uid:
                return record
            if progress is not None:
                if before is None or before.places != progress.places:
                    text = light.to_text(progress.record)
                    look.note(Row(number, record.uid, NEVER, text, progress.text, record), record)
                return record
            if stamp is None or not record.status.final or record.damage:
                # what could not be read, for want of descriptors or of the disk, leaves no trace when it can be
                return record
            row = self._row((number, record.uid, stamp.text, light.to_text(record), ""), read)
            look.note(row, record, found.series)
        if len(self.held) < _MOST_HELD or number in self.held:
            self.held[number] = row
        return row

    @staticmethod
    def _row(values: tuple[Any, ...], read: Reader) -> Row:
        number, uid, stamp, text, follow = values
        record = light.of_text(text, lambda: read(number, None).record or gone(number))
        return Row(number, uid, Stamp.of_text(stamp), text, follow, record)

    def lacking(self) -> list[int]:
        """Return the numbers of all that may be a run folder and is not in the file, newest first. Never raises."""
        with closing(self.look()) as look:
            try:
                known = {number for (number,) in look.database.execute("SELECT id FROM runs")}
            except odd_errors() as error:
                look.doubt(error)
                known = set()
        return sorted(self.present() - known, reverse=True)

    def carry_over(self, before: Mapping[int, Collection[SeenFile]], stamp: Stamp) -> None:
        """
        Keep what is known of runs whose files have come to lie elsewhere, and are what they were. Never raises.

        Args:
            before: Run -> what was seen of its files, none of which has changed.
            stamp: By what the runs are known from now on.
        """
        numbers = list(before)
        with closing(self.look()) as look, suppress(*odd_errors()):
            for begin in range(0, len(numbers), _AT_A_TIME):
                some = numbers[begin : begin + _AT_A_TIME]
                rows = []
                for number, uid, known, text, follow in look.sound(f"id IN ({','.join('?' * len(some))})", some):
                    if not follow and set(Stamp.of_text(known).files) <= set(before[number]):
                        rows.append((stamp.text, sealed(number, uid, stamp.text, text, follow)[-1], number))
                with look.database as database:
                    database.execute("BEGIN IMMEDIATE")
                    database.executemany("UPDATE runs SET stamp = ?, crc = ? WHERE id = ?", rows)

    def find_uid(self, prefix: str) -> list[int]:
        """Return the numbers of indexed runs whose uid begins so; the answer may be out of date."""
        with closing(self.look()) as look:
            return [row[0] for row in look.sound("uid >= ? AND uid < ?", [prefix, f"{prefix}~"])]

    def flaw(self) -> str:
        """Return what is wrong with the file, all of which is read; nothing where there is none. Never raises."""
        return self.file.flaw()

    def forget(self) -> None:
        """Remove the index; it is built anew when it is next needed."""
        self.held.clear()
        self.file.forget()


def gone(number: int) -> RunRecord:
    """Return what is said of a run that was taken away while it was looked at."""
    never = datetime.fromtimestamp(0, timezone.utc)
    command = CommandFacts(argv=(), cwd="")
    return RunRecord(uid="", id=number, experiment="(unknown)", started_at=never, command=command, status=Status.LOST)


def _changed_ns(path: Path) -> int:
    """Return when a folder was changed last; 0 where there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False
