"""Runs in folders, or laid out in folders when they are looked at: how each is read, and what may be done with it."""

from __future__ import annotations

import codecs
import heapq
import os
import time
from abc import abstractmethod
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from anew.runner import events as ev
from anew.runner.contracts import Observer
from anew.runner.errors import StoreError, SweepNotFoundError
from anew.runner.format.ids import is_number, is_uid
from anew.runner.format.serial import DamagedError, event_from_entry
from anew.runner.guard.holes import next_data
from anew.runner.records import RunRecord
from anew.runner.store import curate
from anew.runner.store.cells import Column
from anew.runner.store.columns import sums
from anew.runner.store.contents import artifact_of, intact
from anew.runner.store.files import cannot, leads_out, names_in, open_regular
from anew.runner.store.index_file import IndexFile
from anew.runner.store.journal_forms import journals
from anew.runner.store.lines import read_entries, read_points, read_threads
from anew.runner.store.living import is_alive
from anew.runner.store.logged import Told
from anew.runner.store.objects import ObjectStore
from anew.runner.store.older import with_stop
from anew.runner.store.paths import RunLayout, StoreLayout
from anew.runner.store.reading import has_begun, read_events, read_run, read_start
from anew.runner.store.saved import Views
from anew.runner.store.stored import Point, StoredRun, StoredRuns
from anew.runner.store.sweep_copy import Brought, Numbers
from anew.runner.store.sweep_folder import SweepFolder
from anew.runner.store.sweep_names import SweepNames
from anew.runner.store.sweep_refs import ambiguous_sweep
from anew.runner.store.typed import as_typed

if TYPE_CHECKING:
    from anew.runner.sweep_records import SweepRecord

# What a list of runs has no need of is imported where it is used: `anew list` takes two thirds of the time then.
_FOLLOW_S = 0.2
_PIECE = 1 << 20


class RunFolders(StoredRuns):
    """
    Runs whose folders are here, or can be fetched, so that whatever reads a folder reads them: re-runs, deliveries.

    A subclass says `all_runs`, `present`, `add_event` and `recording`, and sets the attributes.

    Attributes:
        url: What is shown as the store's place.
        layout: Where the folders are.
        objects: Content by digest.
        index_file: Where it is kept what journals come to; None for nowhere.
    """

    layout: StoreLayout
    objects: ObjectStore
    index_file: IndexFile | None = None

    # --- what a store says --------------------------------------------------------------------------------------

    @abstractmethod
    def present(self, number: int) -> RunLayout:
        """Return a run's folder, with all that is there to be read. Raises StoreError."""

    @contextmanager
    def looked_at(self, number: int) -> Iterator[RunLayout]:
        """Give a run's folder while it is looked at, with what anew wrote there. Raises StoreError."""
        yield self.present(number)

    def writable(self, number: int) -> RunLayout:
        """Return a run's folder, to write to it. Raises StoreError."""
        return self.layout.run(number)

    @abstractmethod
    def add_event(self, run: StoredRun, kind: type[ev.Event], **values: Any) -> None:
        """Add an event to a run: a tag, a note, a verdict. Raises StoreError."""

    @abstractmethod
    def recording(self) -> RunFolders:
        """Return the store that runs which belong here are recorded in. Raises StoreError."""

    def observer(self, *, keep_number: bool = False) -> Observer:
        """
        Return what sends a run from where it was recorded to here.

        Args:
            keep_number: Whether runs have their own numbers where these are free.

        Raises:
            StoreError: Nothing does: that is here.
        """
        raise StoreError(f"Runs are recorded in {self.url} itself.")

    def refuse_recording(self) -> None:
        """Raise StoreError where runs are not recorded directly; it says how they come here."""

    def refuse_removal(self) -> None:
        """Raise StoreError where runs cannot be deleted."""

    def retire(self, number: int) -> None:
        """Have a number never given again; nothing to do for a store that gives none. Raises StoreError."""

    def views(self) -> Views:
        """Return the questions that have names."""
        return Views(self.layout.views)

    # --- what follows from it -----------------------------------------------------------------------------------

    def has(self, number: int) -> bool:
        """Whether there is a run of this number that started."""
        return has_begun(self.present(number))

    def read(self, number: int) -> StoredRun | None:
        """Return a run with its whole record; None when there is none of this number. Raises StoreError."""
        return self._read_whole(number)

    def _read_whole(self, number: int, told: Told | None = None) -> StoredRun | None:
        layout = self.present(number)
        kept = None if self.index_file is None else sums(self.index_file, number, layout)
        record = read_run(layout, number, told, kept)
        if record is None:
            return None
        record = self.named(record)
        if layout.folder.is_symlink():
            return StoredRun(number, record)
        from anew.runner.store.whole import with_the_rest

        return StoredRun(number, with_the_rest(layout, with_stop(self.layout.run(number), record)))

    def points(self, number: int, name: str) -> Iterator[Point]:
        """Yield a metric's points of all writers, in order of time."""
        paths = journals(self.present(number))
        return heapq.merge(*(_points(path, name) for path in paths), key=lambda point: point[0])

    def lanes(self, number: int, names: Sequence[str]) -> dict[str, dict[tuple[str, int], list[Point]]]:
        """Return the points of some metrics by who logged them, a writer and a thread of it, each in order."""
        found: dict[str, dict[tuple[str, int], list[Point]]] = {name: {} for name in names}
        for path in journals(self.present(number)) if names else ():
            writer = path.stem
            with suppress(OSError):
                for thread, name, point in read_threads(path, names):
                    found[name].setdefault((writer, thread), []).append(point)
        return found

    def by_writer(self, number: int, name: str) -> dict[str, Column]:
        """Return a metric's points by who wrote them; see `StoredRuns.by_writer`."""
        found = ((path.stem, [*_points(path, name)]) for path in journals(self.present(number)))
        return {writer: Column(*zip(*points, strict=True)) for writer, points in found if points}

    def histograms(self, number: int, names: Container[str]) -> Iterator[ev.HistogramsLogged]:
        """Yield the events with histograms of these names, each writer's in order; what cannot be read has none."""
        for path in journals(self.present(number)):
            with suppress(OSError):
                for entry in read_entries(path, [ev.HistogramsLogged.kind]):
                    with suppress(DamagedError):
                        event = event_from_entry("", path.stem, entry)
                        if isinstance(event, ev.HistogramsLogged) and any(name in names for name in event.values):
                            yield event

    def output(self, ref: str | int, *, follow: bool = False) -> Iterator[str]:
        """Yield captured output in pieces; with *follow*, until the run has ended. Raises as `resolve`."""
        number = self.resolve(ref)
        return _output(self.present(number), lambda: self.goes_on(number), follow)

    def goes_on(self, number: int) -> bool:
        """Whether a run has no outcome, and lives; its journals are not read."""
        layout = self.present(number)
        if layout.outcome.exists():
            return False
        start, _ = read_start(layout, light=True)
        return start is not None and is_alive(layout, start)

    def events(self, ref: str | int) -> Iterator[ev.Event]:
        """Yield a run's events from start to end, in order. Raises as `resolve`."""
        run = self.look_up(ref)
        return read_events(self.present(run.number), run.record)

    def open_object(self, sha256: str) -> BinaryIO:
        """Open content for reading. Raises ObjectNotFoundError."""
        return self.objects.open(sha256)

    def artifact(self, ref: str | int, name: str) -> Path | bytes:
        """Return an artifact's file in the store, read-only, its checksum compared; see `StoredRuns.artifact`."""
        artifact = artifact_of(self.get(ref), name)
        with intact(artifact, self.open_object):
            return self.objects.path(artifact.sha256)

    # --- curating -----------------------------------------------------------------------------------------------

    def tag(self, ref: str | int, *names: str, remove: Sequence[str] = ()) -> RunRecord:
        """Add tags to a run, and take some away; see `StoredRuns.tag`."""
        return curate.tag(self, ref, names, remove)

    def note(self, ref: str | int, text: str) -> RunRecord:
        """Set a run's note; see `StoredRuns.note`."""
        return curate.note(self, ref, text)

    def comment(self, ref: str | int, text: str) -> RunRecord:
        """Add a comment to a run; see `StoredRuns.comment`."""
        return curate.comment(self, ref, text)

    def delete(self, ref: str | int, *, force: bool = False) -> int:
        """Move a run into the trash; see `StoredRuns.delete`."""
        return curate.delete(self, ref, force=force)

    def restore(self, ref: str | int) -> int:
        """Bring a deleted run back; see `StoredRuns.restore`."""
        return curate.restore(self, ref)

    def trashed_numbers(self) -> list[int]:
        """Return the numbers of deleted runs, newest first."""
        return sorted((int(name) for name in names_in(self.layout.trash) if is_number(name)), reverse=True)

    # --- sweeps -------------------------------------------------------------------------------------------------

    def runs(self, numbers: Sequence[int]) -> dict[int, RunRecord]:
        """Return the light records of some runs, those that there are, by number."""
        wanted = set(numbers)
        return {run.number: run.record for run in self.all_runs() if run.number in wanted}

    @cached_property
    def sweep_names(self) -> SweepNames:
        """What sweeps are called here."""
        return SweepNames(self.layout)

    def named(self, record: RunRecord) -> RunRecord:
        """Return a run's record with the number that its sweep has here; see `SweepNames.named`."""
        return self.sweep_names.named(record)

    def sweep_folder(self, ref: str | int) -> SweepFolder:
        """
        Return a sweep's folder: by number, by its uid or the beginning of it, or "last" for the newest.

        Raises:
            SweepNotFoundError: There is none of this name.
            AmbiguousRefError: There are several whose uid begins so.
            StoreError: It cannot be read.
        """
        number = self._sweep_number(str(ref).strip().removeprefix("sweep:"))
        return SweepFolder(self.layout.sweep(number), number)

    def _sweep_number(self, text: str) -> int:
        numbers = self.sweep_numbers()
        if text == "last" and numbers:
            return numbers[0]
        if is_number(text) and int(text) in numbers:
            return int(text)
        found = self.sweeps_of_uid(text.lower()) if is_uid(text) else {}
        if len(found) > 1:
            raise ambiguous_sweep(text, list(found.items()))
        if not found:
            held = f"it holds sweeps {numbers[-1]} to {numbers[0]}" if numbers else "it holds no sweeps"
            raise SweepNotFoundError(
                f"No sweep {text!r} in {self.url} ({held}). To see them: {as_typed('anew sweep list', self.url)}",
                ref=text,
            )
        return next(iter(found))

    def sweep_numbers(self) -> list[int]:
        """Return the numbers of all sweeps, newest first."""
        return self.sweep_names.numbers()

    def sweeps_of_uid(self, prefix: str) -> dict[int, str]:
        """Return the sweeps whose uid begins so: number -> uid, ascending."""
        return self.sweep_names.of_uid(prefix)

    def why_numbers(self) -> list[int]:
        """Return the searches for a cause that were begun here, ascending. Raises StoreError."""
        try:
            return sorted(int(name) for name in names_in(self.layout.whys) if is_number(name))
        except OSError as error:
            raise cannot("read", self.layout.whys, error) from error

    def bring_sweep(self, sweep: SweepFolder, store: RunFolders) -> tuple[int, Brought]:
        """
        Bring a sweep here, or what is new of it, once its runs are here; return its number, and what came of it.

        Args:
            sweep: The sweep, whose record can be read.
            store: Where it and its runs are.

        Raises:
            StoreError: It cannot be read or written, or sweeps are not kept here.
        """
        raise StoreError(f"Runs can be brought to {self.url}, sweeps cannot: of those it keeps nothing.")

    def numbers_for(self, store: RunFolders) -> Numbers:
        """Return what runs that another store names are called here."""

        def uid(number: int) -> str:
            found = store.runs([number]).get(number)
            return "" if found is None else found.uid

        def number(uid: str) -> int | None:
            return next(iter(self.of_uid(uid)), None)

        return Numbers(uid, number)

    def sweep(self, ref: str | int) -> SweepRecord:
        """Return a sweep and its jobs, as they stand. Raises as `sweep_folder`, StoreError."""
        from anew.runner.store.sweep_state import read_sweep

        return read_sweep(self.sweep_folder(ref), self)


def _points(path: Path, name: str) -> Iterator[Point]:
    """Yield the points in a journal; one that cannot be read has none, and the record says that it is damaged."""
    with suppress(OSError):
        yield from read_points(path, name)


def _output(layout: RunLayout, going_on: Callable[[], bool], follow: bool) -> Iterator[str]:
    """Yield the log; what is still being rewritten at its end (a progress bar) is held back while following."""
    if leads_out(layout.output):
        raise StoreError(
            f"{str(layout.output)!r} is a link or behind one, which is not followed. To see what is: anew check"
        )
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
