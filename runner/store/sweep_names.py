"""
What a store calls the sweeps in it: a sweep is its uid, and its number belongs to a store, as a run's does.

A run's record says the uid of its sweep, and the number that the sweep had where the run was recorded. Records of
earlier versions say the number alone: whose they are is told by who took which job, and where that is not known by what
they have in common with the sweep.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import datetime

from anew.runner.attached.unread import altered
from anew.runner.dataclass import dataclass
from anew.runner.format import ids
from anew.runner.records import RunRecord, SweepMembership
from anew.runner.store.files import names_in
from anew.runner.store.paths import StoreLayout
from anew.runner.store.sweep_folder import SweepFolder
from anew.runner.sweep_records import Taken

_TICK_NS = 10**8
_BEGINNING_NS = 10**10
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Head:
    """What tells a sweep's members: its uid, its number where it began, and what its runs have in common with it."""

    folder: SweepFolder
    uid: str
    first_id: int
    experiment: str
    started_at: datetime
    cwd: str
    function: str

    def fits(self, record: RunRecord) -> bool:
        """Whether a run of an earlier version that names this sweep's number may be of it."""
        command = record.command
        ours = (self.experiment, self.cwd, self.function)
        return (record.experiment, command.cwd, command.function) == ours and record.started_at >= self.started_at

    def claims(self, index: int) -> list[Taken]:
        """Return who took a job, as far as that can be read."""
        return self.folder.attempts(index)


class SweepNames:
    """
    The sweeps in a store's folder, by number and uid; each is read once, and again when it was replaced. Thread-safe.

    Args:
        layout: The store's folder.
    """

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout
        self._lock = threading.Lock()
        self._heads: dict[int, tuple[_Stamp, _Head | None]] = {}
        self._listed: tuple[int, dict[int, _Head]] | None = None

    def numbers(self) -> list[int]:
        """Return the numbers of all sweeps, newest first."""
        return sorted((int(name) for name in names_in(self._layout.sweeps) if ids.is_number(name)), reverse=True)

    def of_uid(self, prefix: str) -> dict[int, str]:
        """Return the sweeps whose uid begins so: number -> uid, ascending."""
        return {number: head.uid for number, head in sorted(self._all().items()) if head.uid.startswith(prefix)}

    def named(self, record: RunRecord) -> RunRecord:
        """Return a run's record with the number that its sweep has here, None if it is not here, and with its uid."""
        member = record.sweep
        if member is None:
            return record
        found = self._by_its_uid(member, member.uid) if member.uid else self._by_its_number(record, member)
        return record if found is member else altered(record, sweep=found)

    # --- by uid -----------------------------------------------------------------------------------------------------

    def _by_its_uid(self, member: SweepMembership, uid: str) -> SweepMembership:
        head = None if member.id is None else self._head(member.id)
        if head is not None and head.uid == uid:
            return member
        number = min(self.of_uid(uid), default=None)
        if number is None and head is None and member.id is not None and self._layout.sweep(member.id).folder.is_dir():
            # its own record is damaged or lost
            return member
        return replace(member, id=number)

    def _all(self) -> dict[int, _Head]:
        """Return the sweeps that there are, as they are now."""
        try:
            changed = self._layout.sweeps.stat().st_mtime_ns
        except OSError:
            return {}
        if self._listed is not None and self._listed[0] == changed:
            return self._listed[1]
        numbers = self.numbers()
        heads = {number: head for number in numbers if (head := self._head(number)) is not None}
        # one whose folder is there gets its record in a moment, and the clock of a file system is a coarse one
        is_settled = time.time_ns() - changed > (_TICK_NS if len(heads) == len(numbers) else _BEGINNING_NS)
        self._listed = (changed, heads) if is_settled else None
        return heads

    def _head(self, number: int) -> _Head | None:
        folder = SweepFolder(self._layout.sweep(number), number)
        try:
            status = folder.layout.record.lstat()
        except OSError:
            return None
        stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
        with self._lock:
            known = self._heads.get(number)
            if known is None or known[0] != stamp:
                known = self._heads[number] = stamp, _read(folder)
        return known[1]

    # --- by number --------------------------------------------------------------------------------------------------

    def _by_its_number(self, record: RunRecord, member: SweepMembership) -> SweepMembership:
        if member.id is None:
            return member
        everyone = self._all()
        heads = {number: head for number, head in everyone.items() if head.first_id == member.id}
        whose = {number: _is_member(record, member.index, head) for number, head in heads.items()}
        sure = [number for number, is_its in whose.items() if is_its]
        fitting = [number for number, is_its in whose.items() if is_its is None and heads[number].fits(record)]
        chosen = sure or fitting
        if chosen:
            number = max(chosen, key=lambda each: heads[each].started_at)
            return replace(member, id=number, uid=heads[number].uid)
        # the number is another sweep's here; where nobody has it, it tells more than none
        return replace(member, id=None) if member.id in everyone else member


def _is_member(record: RunRecord, index: int, head: _Head) -> bool | None:
    """Whether a run that names a sweep's number did one of its jobs, by who took that job; None where that is lost."""
    claims = head.claims(index)
    for claim in claims:
        if claim.uid == record.uid or (not claim.uid and claim.run == record.id and not claim.reused):
            return True
    return None if not claims or any(claim.run is None for claim in claims) else False


def _read(folder: SweepFolder) -> _Head | None:
    """Return what is known of a sweep; None when it never began, or that is damaged."""
    start = folder.first_start()
    if start is None:
        return None
    command = start.command
    return _Head(folder, start.uid, start.id, start.experiment, start.started_at, command.cwd, command.function)
