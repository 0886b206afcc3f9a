"""The embedded store: a folder of runs and of content."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner import events as ev
from anew.runner.contracts import Packed
from anew.runner.errors import StoreError
from anew.runner.format import ids, serial
from anew.runner.format.ids import is_number
from anew.runner.guard import reserve
from anew.runner.guard.journal_ends import journal_ends, journal_seals
from anew.runner.guard.store_format import NEWEST
from anew.runner.lazy.modules import later
from anew.runner.query.filters import parse_filter
from anew.runner.query.names import value_of
from anew.runner.query.tree import EVERYTHING
from anew.runner.records import ParentRun, RerunOf, RunRecord, SweepMembership
from anew.runner.store import afterwards
from anew.runner.store.cells import Blocks, Column
from anew.runner.store.columns import blocks, by_writer, column, sums
from anew.runner.store.contents import bind
from anew.runner.store.files import cannot, create_whole, make_folders, names_in, sync_folder
from anew.runner.store.format_file import check_format
from anew.runner.store.further import Progress, Reading, read_further
from anew.runner.store.index import Index, gone
from anew.runner.store.index_ask import FEW, Asked
from anew.runner.store.known import Known
from anew.runner.store.logged import Told
from anew.runner.store.more import Beside
from anew.runner.store.numbering import claim_sweep, greatest_retired, last_claimed, retire
from anew.runner.store.objects import ObjectStore
from anew.runner.store.older import with_stop
from anew.runner.store.packs import Pack, Packs
from anew.runner.store.paths import RunLayout, SweepLayout, store_layout
from anew.runner.store.reading import has_begun
from anew.runner.store.related import Related
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.stamps import SeenFile
from anew.runner.store.stored import StoredRun
from anew.runner.store.sweep_copy import Brought, bring
from anew.runner.store.sweep_folder import SweepFolder
from anew.runner.store.typed import as_typed
from anew.runner.store.views import view_bytes

if TYPE_CHECKING:
    import shutil

    from anew.runner.store import packing
else:
    shutil, packing = later("shutil"), later("anew.runner.store.packing")


class FolderStore(RunFolders):
    """
    Runs in a folder. Safe between threads, processes and hosts that share the folder; there are no locks.

    Attributes:
        root: The folder, absolute.
        url: The same, as text.
        objects: Content by digest.
        packs: Runs without a folder of their own.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)
        self.layout = store_layout(root)
        self.objects = ObjectStore(self.layout.objects)
        self.packs = Packs(self.layout)
        self._index = Index(self.layout.index, root, self.packs)
        self.index_file = self._index.file

    def __repr__(self) -> str:
        return f"FolderStore({self.url!r})"

    @classmethod
    def open(cls, root: Path, *, create: bool = False) -> FolderStore:
        """
        Open the store in *root*; with *create*, make it when the folder is missing or empty, safely in a crowd.

        Raises:
            StoreError: There is none, or the folder is something else, or it cannot be read or made.
            StoreFormatError: A newer version made it.
        """
        store = cls(root)
        try:
            if not os.path.lexists(store.layout.format):
                store._make(create)
            check_format(root, NEWEST)
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            raise cannot("open the store", root, error) from error
        return store

    def _make(self, create: bool) -> None:
        if self.root.exists() and not self.root.is_dir():
            raise StoreError(f"{self.url!r} is a file; a store is a folder. Name another: --store FOLDER")
        if any(is_number(name) and self.layout.run(int(name)).record.exists() for name in names_in(self.root)):
            # there are runs, and nothing that says how they are to be read
            check_format(self.root, NEWEST)
        if not create:
            raise StoreError(
                f"There is no store of runs in {self.url!r}. To make one, run an experiment; to use another, name it: "
                "--store FOLDER or ANEW_STORE=FOLDER"
            )
        if not self.root.exists():
            make_folders(self.root)
        foreign = [name for name in os.listdir(self.root) if not name.startswith(".") and name != "FORMAT"]
        if foreign and not self.layout.format.exists():
            raise StoreError(
                f"{self.url!r} holds files that are none of anew's, such as {sorted(foreign)[0]!r}, and is left alone. "
                "Name an empty or new folder: --store FOLDER"
            )
        create_whole(self.layout.gitignore, b"*\n", sync=False)
        create_whole(self.layout.format, b"1\n")

    # --- recording ----------------------------------------------------------------------------------------------

    def claim(self) -> tuple[int, RunLayout]:
        """
        Take the next run number, by making its folder; a number once given is never given again.

        Raises:
            StoreError: The store cannot be written.
        """
        number = self._greatest() + 1
        while True:
            layout = self.layout.run(number)
            try:
                layout.folder.mkdir()
                layout.events.mkdir()
            except FileExistsError:
                number += 1
                continue
            except OSError as error:
                with suppress(OSError):
                    layout.folder.rmdir()
                raise cannot("write", layout.folder, error) from error
            used = max(greatest_retired(self.layout), number if self.packs.keeps(number) else 0)
            if number <= used:
                # others have used it since, and thrown it away, or put it into a pack
                self._take_away(layout)
                number = used + 1
                continue
            last_claimed.note(self.layout.format, number)
            return number, layout

    def _greatest(self) -> int:
        """Return the greatest number in use or used before."""
        last = last_claimed.of(self.layout.format)
        if last and [os.path.exists(self.layout.run(each).folder) for each in (last, last + 1)] == [True, False]:
            return last
        return max(greatest_retired(self.layout), *self._index.numbers()[:1], 0)

    def retire(self, number: int) -> None:
        """Have a number never given again although no folder will hold it. Safe in a crowd. Raises StoreError."""
        retire(self.layout, number)

    def claim_sweep(self) -> tuple[int, Path]:
        """Take the next sweep number, by making its folder. Raises StoreError."""
        return claim_sweep(self.layout)

    def bring_sweep(self, sweep: SweepFolder, store: RunFolders) -> tuple[int, Brought]:
        """Bring a sweep here; see `RunFolders.bring_sweep`. It keeps its number where that is free."""
        runs = self.numbers_for(store)
        for number in self.sweeps_of_uid(sweep.uid):
            return number, bring(sweep, self.sweep_folder(number), runs)
        draft = self.layout.sweeps / f".sweep-{ids.new_uid()}"
        try:
            brought = bring(sweep, SweepFolder(SweepLayout(draft), sweep.number), runs)
            number = self._claim_sweep_number(sweep.number)
            draft.rename(self.layout.sweep(number).folder)
            sync_folder(self.layout.sweeps)
        except OSError as error:
            raise error if isinstance(error, StoreError) else cannot("write", draft, error) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return number, brought

    def _claim_sweep_number(self, wanted: int) -> int:
        """Claim a number, or else the next; the folder is empty, so that another can take its place."""
        try:
            self.layout.sweep(wanted).folder.mkdir(parents=True)
        except FileExistsError:
            return self.claim_sweep()[0]
        return wanted

    def start(
        self, number: int, record: RunRecord, *, views: Mapping[str, str] | None = None, data: bytes | None = None
    ) -> None:
        """
        Write the record of a claimed run, complete and synced, before user code starts, with space for its outcome.

        Args:
            number: What `claim` gave.
            record: The run's record.
            views: File name -> text, for people.
            data: The record as it is written, where that is known.

        Raises:
            StoreError: It cannot be written, or there is a record already.
        """
        layout = self.layout.run(number)
        data = serial.seal(serial.start_to_json(record)) if data is None else data
        for name, text in (views or {}).items():
            try:
                (layout.folder / name).write_bytes(view_bytes(text))
            except OSError as error:
                raise cannot("write", layout.folder / name, error) from error
        try:
            reserve.set_aside(str(layout.folder))
        except OSError as error:
            raise cannot("write", layout.folder, error) from error
        if not create_whole(layout.record, data):
            raise StoreError(f"Run {number} in {self.url!r} has started already.")
        try:
            sync_folder(self.root)
        except OSError as error:
            raise cannot("sync", self.root, error) from error

    def abandon(self, number: int) -> None:
        """Give up a claimed run that never started; its number stays used. Never raises."""
        layout = self.layout.run(number)
        if os.path.exists(layout.record):
            return
        with suppress(StoreError):
            self.retire(number)
        self._take_away(layout)

    @staticmethod
    def _take_away(layout: RunLayout) -> None:
        """Remove what there is of a run that never started; what cannot be is left for `anew check` to say."""
        shutil.rmtree(layout.folder, ignore_errors=True)

    def finish(self, number: int, ended: ev.RunEnded) -> bool:
        """
        Write how a run ended, and what there is of it, so that readers know what is missing; synced.

        It takes the file that was set aside at the start, some 16 KB; where that is gone or too short, a new one.

        Returns:
            False when that is on record already.

        Raises:
            StoreError: It cannot be written, or not be synced.
        """
        layout = self.layout.run(number)
        ends = journal_ends(str(layout.events))
        for writer, last in (ended.writers or {}).items():
            # what a writer knows of its own journal holds, whatever has become of the file
            ends[writer] = max(last, ends.get(writer, 0))
        whole = replace(ended, writers=ends, seals=journal_seals(str(layout.events), ends))
        data = serial.seal(serial.outcome_to_json(whole))
        try:
            return reserve.create_from_reserve(str(layout.outcome), data)
        except OSError:
            is_ours = create_whole(layout.outcome, data)
        reserve.give_up(str(layout.folder))
        return is_ours

    def settle(self, number: int, told: Told | None = None) -> None:
        """
        Make what was written of a run survive a power cut, by children and the guard too, before it has an outcome.

        Args:
            number: The run.
            told: What its writer knows of its journal, that is synced; None where that is not known.

        Raises:
            StoreError: The disk reports a fault.
        """
        afterwards.settle(self.layout.run(number), told)

    def add_event(self, run: StoredRun, kind: type[ev.Event], **values: Any) -> None:
        """Write one event into a journal of its own, so that no file of the run changes. Raises StoreError."""
        afterwards.add_event(self.writable(run.number), run.record.started_at, kind, values)

    def just_ended(self, number: int, known: Known | None) -> RunRecord:
        """
        Return the record of a run that this process has recorded, as `get` does, reading as little of it as may be.

        Args:
            number: The run, of no sweep.
            known: What was recorded; None to read it.

        Raises:
            RunNotFoundError: It is gone.
        """
        if known is not None and known.is_all(self.layout.run(number)):
            return bind(known.record(number), self.open_object)
        run = self._read_whole(number, known.told if known is not None else None)
        if run is None:
            raise self._not_found(number)
        return bind(run.record, self.open_object)

    def recording(self) -> FolderStore:
        """Return the store that runs which belong here are recorded in: this one."""
        return self

    # --- finding ------------------------------------------------------------------------------------------------

    def numbers(self) -> list[int]:
        """Return the numbers of all runs, newest first; claimed ones that never started are among them."""
        return self._index.numbers()

    def folders(self) -> frozenset[int]:
        """Return the numbers of all that may be a run; listed anew only when the store's folder changes."""
        return self._index.present()

    def unread(self) -> list[int]:
        """Return the numbers of runs that the index does not know yet, newest first; reading them has it know them."""
        return self._index.lacking()

    def all_runs(self) -> Iterator[StoredRun]:
        """Yield all runs, newest first, their records light."""
        return map(self._named, self._index.runs(self.numbers(), self._read))

    def newest(self, limit: int) -> list[StoredRun]:
        """Return the newest runs without looking at the others."""
        with closing(self._index.runs(self._index.newest_first(), self._read)) as runs:
            return [self._named(run) for run in islice(runs, limit)]

    def runs(self, numbers: Sequence[int]) -> dict[int, RunRecord]:
        """Return the light records of some runs, those that there are, by number."""
        wanted = [number for number in numbers if self._there(number)]
        return {run.number: self._named(run).record for run in self._index.runs(wanted, self._read)}

    def light(self, number: int) -> RunRecord | None:
        """Return a run's light record, read from its files; the index is neither asked nor told."""
        record = self._read(number, None).record
        return None if record is None else self._named(StoredRun(number, record)).record

    def _found(self, where: str, sort: str | None, limit: int | None) -> list[RunRecord]:
        """Return the runs that match, out of the index where there are many."""
        tree = parse_filter(where, self.saved_filter).tree
        if (tree == EVERYTHING and sort is None) or not self._index.has_more_than(FEW):
            return super()._found(where, sort, limit)
        found = self._asked().runs(tree, sort, limit)
        return super()._found(where, sort, limit) if found is None else found

    def _asked(self) -> Asked:
        """Return what puts one question to the index."""
        related = Related(self)
        return Asked(
            self._index,
            self._read,
            named=lambda number, record: related.placed(self._named(StoredRun(number, record)).record),
            more=Beside(self),
            here=lambda name, uid, number: self._called(related, name, uid, number),
        )

    def matching(self, where: str = "", *, sort: str | None = None) -> list[int]:
        """Return the numbers of runs that match, without reading them where there are many; see `StoredRuns`."""
        if self._index.has_more_than(FEW):
            found = self._asked().numbers(parse_filter(where, self.saved_filter).tree, sort)
            if found is not None:
                return found
        return super().matching(where, sort=sort)

    def _called(self, related: Related, name: str, uid: str, number: int | None) -> Any:
        """Return what another run, or a sweep, that a record names is called here."""
        blank = gone(0)
        if name.startswith("sweep"):
            return value_of(self.named(replace(blank, sweep=SweepMembership(id=number, index=0, uid=uid))), name)
        relation = {"parent": ParentRun, "rerun_of": RerunOf}[name](id=number, uid=uid)
        return value_of(related.placed(replace(blank, **{name: relation})), name)

    def of_uid(self, prefix: str) -> list[int]:
        """Return the numbers, ascending, of the runs whose uid begins so."""
        found = {number for number in self._index.find_uid(prefix) if self._there(number)}
        if not (len(found) == 1 and len(prefix) == ids.UID_LENGTH):
            found |= {run.number for run in self.all_runs() if run.record.uid.startswith(prefix)}
        return sorted(found)

    def quick_number(self, uid: str, hint: int | None) -> int | None:
        """Return what the run of a uid is called here, by its number elsewhere or by the index."""
        likely = [*([] if hint is None else [hint]), *self._index.find_uid(uid)]
        return next((number for number, record in self.runs(likely).items() if record.uid == uid), None)

    def index_flaw(self, *, deep: bool) -> str:
        """Return what is wrong with the index as it lies there, in a sentence; nothing when it is in order."""
        return self._index.flaw() if deep else ""

    def way_back(self, number: int) -> str:
        """Return how a deleted run can be had back."""
        if not self.layout.trashed(number).folder.exists():
            return ""
        return f"Run {number} was deleted; to have it back: {as_typed(f'anew restore {number}', self.url)}."

    def column(self, number: int, name: str) -> Column | None:
        """Return a metric's points out of the index."""
        return column(self._index.file, number, self.present(number), name)

    def by_writer(self, number: int, name: str) -> dict[str, Column]:
        """Return a metric's points by who wrote them, out of the index."""
        found = by_writer(self._index.file, number, self.present(number), name)
        return super().by_writer(number, name) if found is None else found

    def blocks(self, number: int, name: str) -> Blocks | None:
        """Return what is needed of a metric's points, out of the index."""
        return blocks(self._index.file, number, self.present(number), name)

    def present(self, number: int) -> RunLayout:
        """Return a run's folder, where all of it is; of one in a pack it is laid out in the cache."""
        pack = self.packs.holding(number)
        return self.layout.run(number) if pack is None else self.packs.folder(pack, number)

    def _there(self, number: int) -> bool:
        return self.layout.run(number).folder.exists() or self.packs.holding(number) is not None

    def has(self, number: int) -> bool:
        """Whether there is a run of this number that started."""
        return has_begun(self.layout.run(number)) or self.packs.holding(number) is not None

    def read(self, number: int) -> StoredRun | None:
        """Return a run with its whole record; None when there is none of this number. Raises StoreError."""
        run, folder = super().read(number), self.layout.run(number).folder
        # while it was read it may have been put into a pack
        is_again = not folder.exists() and (run is None or run.record.damage) and self.packs.holding(number)
        return super().read(number) if is_again else run

    @contextmanager
    def looked_at(self, number: int) -> Iterator[RunLayout]:
        """Give a run's folder while it is looked at; see `RunFolders.looked_at`. Nothing of a pack stays behind."""
        pack = self.packs.holding(number)
        if pack is None:
            yield self.layout.run(number)
        else:
            with self.packs.looked_at(pack, number) as layout:
                yield layout

    def writable(self, number: int) -> RunLayout:
        """Return a run's folder, to write to it; it is in no pack any more. Raises StoreError."""
        if self.packs.all():
            packing.take_out(self, number)
        return self.layout.run(number)

    def pack(self, *words: str | int) -> Packed:
        """Put runs that have ended into few files; see `StoredRuns.pack`."""
        return packing.pack(self, packing.meant(self, words))

    def unpack(self, *words: str | int) -> list[int]:
        """Give runs that are in packs their folders back; see `StoredRuns.unpack`."""
        return packing.unpack(self, packing.meant(self, words))

    def carry_over(self, pack: Pack, before: Mapping[int, Collection[SeenFile]]) -> None:
        """Have the index know runs that were put into a pack; see `Index.carry_over`."""
        self._index.carry_over(before, pack.stamp)

    def left_out(self) -> Iterator[str]:
        """Yield what stands among the runs and cannot be read as one, a sentence each. Raises StoreError."""
        return (f"{pack.flaw}. What it holds is not among the runs." for pack in self.packs.all() if pack.flaw)

    def _named(self, run: StoredRun) -> StoredRun:
        """Return a run as its sweep here tells it; that is none of what the index keeps, since sweeps come later."""
        if run.record.sweep is None:
            return run
        return StoredRun(run.number, with_stop(self.layout.run(run.number), self.named(run.record)))

    def _read(self, number: int, before: Progress | None) -> Reading:
        layout = self.layout.run(number)
        found = read_further(layout, number, before, sums(self._index.file, number, layout))
        if os.path.lexists(layout.folder) or self.packs.holding(number) is None:
            return found
        with self.looked_at(number) as layout:
            return read_further(layout, number, None)
