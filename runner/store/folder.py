"""The embedded store: a folder of runs and of content."""

from __future__ import annotations

import heapq
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from anew.runner import events as ev
from anew.runner.contracts import MetricSeries, Observer
from anew.runner.errors import (
    AmbiguousRefError,
    MetricNotFoundError,
    RunNotFoundError,
    StoreError,
    SweepNotFoundError,
)
from anew.runner.format import ids, serial
from anew.runner.format.ids import is_number
from anew.runner.guard.journal_ends import journal_ends
from anew.runner.query import filters
from anew.runner.query.tabular import as_table
from anew.runner.records import FORMAT, RunRecord
from anew.runner.store.files import cannot, create_whole, names_in, next_data, open_regular
from anew.runner.store.index import Index
from anew.runner.store.journal import JournalWriter
from anew.runner.store.lines import read_points
from anew.runner.store.objects import ObjectStore
from anew.runner.store.paths import RETIRED, RunLayout, StoreLayout
from anew.runner.store.position import cursor_damage
from anew.runner.store.reading import check_format, has_begun, is_alive, journals, read_events, read_run
from anew.runner.store.stream import observer_states
from anew.runner.store.sweep_folder import SweepFolder, read_sweep
from anew.runner.sweep_records import SweepRecord
from anew.runner.wording import closest, some

if TYPE_CHECKING:
    from collections.abc import Iterable

_FOLLOW_S = 0.2
_PIECE = 1 << 20


class FolderStore:
    """
    Runs in a folder. Safe between threads, processes and hosts that share the folder; there are no locks.

    Attributes:
        root: The folder, absolute.
        url: The same, as text.
        objects: Content by digest.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)
        self.layout = StoreLayout(root)
        self.objects = ObjectStore(self.layout.objects)
        self._index = Index(self.layout.index, root)
        self._hint = 0
        self._hint_lock = threading.Lock()

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
            check_format(root, FORMAT)
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            raise cannot("open the store", root, error) from error
        return store

    def _make(self, create: bool) -> None:
        if self.root.exists() and not self.root.is_dir():
            raise StoreError(f"{self.url!r} is a file; a store is a folder. Name another: --store FOLDER")
        if not create:
            raise StoreError(
                f"There is no store of runs in {self.url!r}. To make one, run an experiment; to use another, name it: "
                "--store FOLDER or ANEW_STORE=FOLDER"
            )
        self.root.mkdir(parents=True, exist_ok=True)
        foreign = [name for name in os.listdir(self.root) if not name.startswith(".") and name != "FORMAT"]
        if foreign and not self.layout.format.exists():
            raise StoreError(
                f"{self.url!r} holds files that are none of anew's, such as {sorted(foreign)[0]!r}, and is left alone. "
                "Name an empty or new folder: --store FOLDER"
            )
        create_whole(self.layout.gitignore, b"*\n", sync=False)
        create_whole(self.layout.format, b"%d\n" % FORMAT)

    # --- recording ----------------------------------------------------------------------------------------------

    def claim(self) -> tuple[int, RunLayout]:
        """
        Take the next run number, by making its folder; a number once given is never given again.

        Raises:
            StoreError: The store cannot be written.
        """
        with self._hint_lock:
            number = max(self._hint, self._greatest()) + 1
        while True:
            layout = self.layout.run(number)
            try:
                layout.folder.mkdir()
                layout.events.mkdir()
                layout.files.mkdir()
            except FileExistsError:
                number += 1
                continue
            except OSError as error:
                with suppress(OSError):
                    layout.folder.rmdir()
                raise cannot("write", layout.folder, error) from error
            retired = self._greatest_retired()
            if number <= retired:
                # others have used it since, and thrown it away
                self._take_away(layout)
                number = retired + 1
                continue
            with self._hint_lock:
                self._hint = max(self._hint, number)
            return number, layout

    def _greatest(self) -> int:
        """Return the greatest number in use or used before."""
        if self._hint and not self.layout.run(self._hint + 1).folder.exists():
            return self._hint
        return max(self._greatest_retired(), *self._index.numbers()[:1], 0)

    def _greatest_retired(self) -> int:
        """Return the greatest number that was deleted, purged, or given to a run that never started."""
        names = (name.removeprefix(RETIRED) for name in names_in(self.layout.trash))
        return max((int(name) for name in names if is_number(name)), default=0)

    def retire(self, number: int) -> None:
        """
        Have a number never given again although no folder will hold it. Safe in a crowd: marks are only ever added,
        and removed when there is a greater one.

        Raises:
            StoreError: The store cannot be written.
        """
        mark = self.layout.retired(number)
        try:
            mark.parent.mkdir(exist_ok=True)
            mark.touch()
            for name in names_in(self.layout.trash):
                older = name.removeprefix(RETIRED)
                if older != name and is_number(older) and int(older) < number:
                    (self.layout.trash / name).unlink(missing_ok=True)
        except OSError as error:
            raise cannot("write", mark, error) from error

    def trashed_numbers(self) -> list[int]:
        """Return the numbers of deleted runs, newest first."""
        return sorted((int(name) for name in names_in(self.layout.trash) if is_number(name)), reverse=True)

    def claim_sweep(self) -> tuple[int, Path]:
        """Take the next sweep number, by making its folder. Raises StoreError."""
        try:
            self.layout.sweeps.mkdir(exist_ok=True)
            number = max((int(name) for name in names_in(self.layout.sweeps) if is_number(name)), default=0) + 1
            while True:
                try:
                    folder = self.layout.sweeps / str(number)
                    folder.mkdir()
                    return number, folder
                except FileExistsError:
                    number += 1
        except OSError as error:
            raise cannot("write", self.layout.sweeps, error) from error

    def sweep_folder(self, ref: str | int) -> SweepFolder:
        """
        Return a sweep's folder: by number, or "last" for the newest.

        Raises:
            SweepNotFoundError: There is none of this number.
        """
        numbers = self.sweep_numbers()
        text = str(ref).removeprefix("sweep:")
        number = numbers[0] if text == "last" and numbers else int(text) if is_number(text) else 0
        if number not in numbers:
            held = f"it holds sweeps {numbers[-1]} to {numbers[0]}" if numbers else "it holds no sweeps"
            raise SweepNotFoundError(
                f"No sweep {str(ref)!r} in {self.url} ({held}). To see them: anew sweep list", ref=str(ref)
            )
        return SweepFolder(self.layout.sweep(number), number)

    def sweep_numbers(self) -> list[int]:
        """Return the numbers of all sweeps, newest first."""
        return sorted((int(name) for name in names_in(self.layout.sweeps) if is_number(name)), reverse=True)

    def sweep(self, ref: str | int) -> SweepRecord:
        """Return a sweep and its jobs, as they stand. Raises as `sweep_folder`, StoreError."""
        return read_sweep(self.sweep_folder(ref), self.runs)

    def runs(self, numbers: Sequence[int]) -> dict[int, RunRecord]:
        """Return the light records of some runs, those that there are, by number."""
        wanted = [number for number in numbers if self.layout.run(number).folder.exists()]
        return {record.id: record for record in self._index.records(wanted, self._read) if record.id is not None}

    def start(self, number: int, record: RunRecord, *, views: Mapping[str, str] | None = None) -> None:
        """
        Write the record of a claimed run, complete and synced, before user code starts.

        Args:
            number: What `claim` gave.
            record: The run's record.
            views: File name -> text, for people.

        Raises:
            StoreError: It cannot be written, or there is a record already.
        """
        layout = self.layout.run(number)
        for name, text in (views or {}).items():
            try:
                (layout.folder / name).write_text(text, encoding="utf-8", errors="surrogateescape")
            except OSError as error:
                raise cannot("write", layout.folder / name, error) from error
        if not create_whole(layout.record, serial.seal(serial.start_to_json(record))):
            raise StoreError(f"Run {number} in {self.url!r} has started already.")

    def abandon(self, number: int) -> None:
        """Give up a claimed run that never started; its number stays used. Never raises."""
        layout = self.layout.run(number)
        if layout.record.exists():
            return
        with suppress(StoreError):
            self.retire(number)
        self._take_away(layout)

    @staticmethod
    def _take_away(layout: RunLayout) -> None:
        for path in sorted(layout.folder.rglob("*"), reverse=True):
            with suppress(OSError):
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        with suppress(OSError):
            layout.folder.rmdir()

    def finish(self, number: int, ended: ev.RunEnded) -> bool:
        """
        Write how a run ended, and what there is of it, so that readers know what is missing; synced.

        Returns:
            False when that is on record already.

        Raises:
            StoreError: It cannot be written.
        """
        layout = self.layout.run(number)
        ends = journal_ends(str(layout.events))
        for writer, last in (ended.writers or {}).items():
            # what a writer knows of its own journal holds, whatever has become of the file
            ends[writer] = max(last, ends.get(writer, 0))
        whole = replace(ended, writers=ends)
        return create_whole(layout.outcome, serial.seal(serial.outcome_to_json(whole)))

    def add_event(self, record: RunRecord, kind: type[ev.Event], **values: Any) -> None:
        """Write one event into a journal of its own, so that no file of the run changes. Raises StoreError."""
        name, body = serial.body(kind, **values)
        writer = JournalWriter(
            self.layout.run(record.id or 0).journal(f"curate-{ids.new_uid()}"),
            clock=lambda: time.time() - record.started_at.timestamp(),
        )
        try:
            writer.append(name, body)
        finally:
            writer.close()

    def recording(self) -> FolderStore:
        """Return the store that runs which belong here are recorded in: this one. Raises StoreError."""
        return self

    def observer(self, *, keep_number: bool = False) -> Observer:
        """Return what sends a run from where it was recorded to here. Raises StoreError: that is here."""
        raise StoreError(f"Runs are recorded in {self.url} itself.")

    def refuse_removal(self) -> None:
        """Raise StoreError where runs cannot be deleted."""

    # --- finding ------------------------------------------------------------------------------------------------

    def numbers(self) -> list[int]:
        """Return the numbers of all runs, newest first; claimed ones that never started are among them."""
        return self._index.numbers()

    def resolve(self, ref: str | int) -> int:
        """
        Return the number of the run that *ref* names.

        Raises:
            RunNotFoundError, AmbiguousRefError, RefSyntaxError: It names none, several, or is no reference.
        """
        parsed = ids.parse_ref(ref)
        if isinstance(parsed, ids.ByNumber):
            found = [parsed.number] if has_begun(self.present(parsed.number)) else []
        elif isinstance(parsed, ids.ByUid):
            found = self._by_uid(parsed.prefix)
        elif isinstance(parsed, ids.ByAge):
            found = [record.id or 0 for record in self._newest(parsed.back + 1)[parsed.back :]]
        else:
            found = [
                record.id or 0
                for record in self.records()
                if record.sweep and (record.sweep.id, record.sweep.index) == (parsed.sweep, parsed.index)
            ][:1]
        if len(found) == 1:
            return found[0]
        raise self._ambiguous(ref, found) if found else self._not_found(ref)

    def _by_uid(self, prefix: str) -> list[int]:
        found = {number for number in self._index.find_uid(prefix) if self.layout.run(number).record.exists()}
        if not (len(found) == 1 and len(prefix) == ids.UID_LENGTH):
            found |= {record.id or 0 for record in self.records() if record.uid.startswith(prefix)}
        return sorted(found)

    def _not_found(self, ref: str | int) -> RunNotFoundError:
        numbers = [record.id or 0 for record in self.records()]
        if not numbers:
            held = "it holds no runs"
        elif len(numbers) == 1:
            held = f"it holds one run, {numbers[0]}"
        else:
            held = f"it holds {len(numbers)} runs, {min(numbers)} to {max(numbers)}"
        trashed = ids.parse_ref(ref)
        hint = ""
        if isinstance(trashed, ids.ByNumber) and self.layout.trashed(trashed.number).folder.exists():
            hint = f" Run {ref} was deleted; to have it back: anew restore {ref}."
        return RunNotFoundError(
            f"No run {str(ref)!r} in {self.url} ({held}).{hint} To see them: anew list", ref=str(ref), store=self.url
        )

    def _ambiguous(self, ref: str | int, found: Sequence[int]) -> AmbiguousRefError:
        uids = [f"{number} ({record.uid})" for number in found[:5] if (record := self._read(number)) is not None]
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        return AmbiguousRefError(
            f"{str(ref)!r} is the beginning of several uids: runs {', '.join(uids)}{more}. "
            "Give more of it, or the number.",
            ref=str(ref),
            candidates=tuple(found),
        )

    def _read(self, number: int) -> RunRecord | None:
        return read_run(self.present(number), number)

    # --- reading ------------------------------------------------------------------------------------------------

    def present(self, number: int) -> RunLayout:
        """Return a run's folder, with all that is there to be read. Raises StoreError."""
        return self.layout.run(number)

    def get(self, ref: str | int) -> RunRecord:
        """Return one run's record, whole. Raises as `resolve`."""
        number = self.resolve(ref)
        record = self._read(number)
        if record is None:
            raise self._not_found(ref)
        layout = self.layout.run(number)
        if not os.path.lexists(layout.observers):
            return record
        damage = cursor_damage(layout)
        return replace(
            record,
            observers={} if damage else observer_states(layout),
            damage=(*record.damage, *damage),
            warnings=(*record.warnings, *(each.what for each in damage)),
        )

    def records(self) -> Iterator[RunRecord]:
        """Yield the light records of all runs, newest first (by number)."""
        return self._index.records(self.numbers(), self._read)

    def find(self, where: str = "", *, sort: str | None = None, limit: int | None = None) -> list[RunRecord]:
        """Return the runs that match; see `RunStore.find`. Raises FilterError."""
        matches = filters.parse_filter(where).matches if where.strip() else None
        if matches is None and sort is None and limit is not None:
            return self._newest(limit)
        found: Iterable[RunRecord] = self.records() if matches is None else filter(matches, self.records())
        if sort is not None:
            return filters.sort_records(list(found), sort)[:limit]
        return list(found)[:limit]

    def _newest(self, limit: int) -> list[RunRecord]:
        """Return the newest runs without looking at the others."""
        with closing(self._index.records(self.numbers(), self._read)) as records:
            return list(islice(records, limit))

    def metrics(self, ref: str | int, name: str) -> MetricSeries:
        """Return a series; see `RunStore.metrics`."""
        import numpy as np

        number = self.resolve(ref)
        paths = journals(self.present(number))
        points = list(heapq.merge(*(_points(path, name) for path in paths), key=lambda point: point[0]))
        if not points:
            raise self._no_metric(number, name)
        times, steps, values = zip(*points, strict=True)
        return MetricSeries(
            name=name,
            steps=np.asarray(steps, dtype=np.int64),
            values=np.asarray([_as_float(value) for value in values], dtype=np.float64),
            times=np.asarray(times, dtype=np.float64),
            exact=values,
        )

    def _no_metric(self, number: int, name: str) -> MetricNotFoundError:
        known = sorted(self.get(number).metrics)
        near = closest(name, known)
        hint = f" Did you mean {near!r}?" if near else ""
        has = f"it has: {some(known, 20)}" if known else "it has none"
        return MetricNotFoundError(
            f"Run {number} has no metric {name!r}; {has}.{hint} To see them: anew metrics {number}",
            ref=number,
            name=name,
            candidates=tuple(known),
        )

    def output(self, ref: str | int, *, follow: bool = False) -> Iterator[str]:
        """Yield captured output in pieces; with *follow*, until the run has ended. Raises as `resolve`."""
        number = self.resolve(ref)
        return _output(self.present(number), lambda: self._going_on(number), follow)

    def _going_on(self, number: int) -> bool:
        layout = self.present(number)
        if layout.outcome.exists():
            return False
        record = self._read(number)
        return record is not None and is_alive(layout, record)

    def events(self, ref: str | int) -> Iterator[ev.Event]:
        """Yield a run's events from start to end, in order. Raises as `resolve`."""
        number = self.resolve(ref)
        record = self.get(number)
        return read_events(self.present(number), record)

    def open_object(self, sha256: str) -> BinaryIO:
        """Open content for reading. Raises ObjectNotFoundError."""
        return self.objects.open(sha256)

    def table(self, where: str = "", *, sort: str | None = None, limit: int | None = None) -> Any:
        """Return runs as a pandas DataFrame, a row each; see `tabular.as_table`. Raises MissingExtraError."""
        return as_table(self.find(where, sort=sort, limit=limit))


def _points(path: Path, name: str) -> Iterator[tuple[float, int, float | int]]:
    """Yield the points in a journal; one that cannot be read has none, and the record says that it is damaged."""
    with suppress(OSError):
        yield from read_points(path, name)


def _as_float(value: float | int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _output(layout: RunLayout, going_on: Callable[[], bool], follow: bool) -> Iterator[str]:
    """Yield the log; what is still being rewritten at its end (a progress bar) is held back while following."""
    import codecs

    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    offset = 0
    while True:
        alive = follow and going_on()
        try:
            with open_regular(layout.output) as file:
                # the tail of a log that has reached its limit is rewritten, and may become shorter
                offset = min(offset, os.fstat(file.fileno()).st_size)
                file.seek(offset)
                while block := file.read(_PIECE):
                    if not block.strip(b"\0"):
                        # it may be a hole, and those have no end
                        offset = file.seek(max(offset + len(block), next_data(file.fileno(), offset)))
                        continue
                    if alive and (len(block) < _PIECE or b"\n" in block):
                        block = block[: block.rfind(b"\n") + 1]
                    if not block:
                        break
                    offset += len(block)
                    yield decoder.decode(block)
                    file.seek(offset)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise cannot("read", layout.output, error) from error
        if not alive:
            if rest := decoder.decode(b"", final=True):
                yield rest
            return
        time.sleep(_FOLLOW_S)
