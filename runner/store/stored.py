"""Recorded runs, whatever keeps them: all that can be asked of them, given how each is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from anew.runner.contracts import MetricSeries, Packed, SeriesBuckets
from anew.runner.dataclass import dataclass
from anew.runner.errors import AmbiguousRefError, MetricNotFoundError, RefSyntaxError, RunNotFoundError, StoreError
from anew.runner.format import ids
from anew.runner.format.values import as_float
from anew.runner.query.filters import parse_filter
from anew.runner.query.found import Found
from anew.runner.query.sorting import sort_records
from anew.runner.query.tabular import Points, made, of_points, of_runs
from anew.runner.query.tree import EVERYTHING, Tree, passes
from anew.runner.records import RunRecord
from anew.runner.store.buckets import bucketed, refuse_odd
from anew.runner.store.cells import Blocks, Column
from anew.runner.store.contents import artifact_of, bind, intact
from anew.runner.store.more import Beside
from anew.runner.store.related import Related
from anew.runner.store.saved import Views
from anew.runner.store.sweep_refs import job_of
from anew.runner.store.typed import as_typed
from anew.runner.wording import closest, printable, say, some

Point = tuple[float, int, "float | int"]
"""Seconds since the start, step, value as it was logged."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """
    A run as one store has it.

    Attributes:
        number: What the store calls it; other stores have a run of that number, too.
        record: Its record; `record.id` is the number.
        is_made_up: Whether the number stands for an identifier that is none, and means nothing elsewhere.
    """

    number: int
    record: RunRecord
    is_made_up: bool = False

    @property
    def name(self) -> str:
        """What the run is called where it is: its number, or the identifier that the number stands for."""
        foreign = self.record.foreign
        return foreign.id if self.is_made_up and foreign is not None else str(self.number)


class StoredRuns(ABC):
    """
    A `RunStore`, given how its runs are listed and how each is read. Whoever writes a store begins here.

    A subclass says `all_runs`, `read`, `points`, `output` and `open_object`, and sets `url`, which is shown, so that
    nothing secret may be in it. It may say `numbers`, `newest`, `of_uid`, `of_foreign_id`, `quick_number` and `has`,
    too, where it knows a quicker way. All of them are called from several threads.
    """

    url: str

    # --- what a store says --------------------------------------------------------------------------------------

    @abstractmethod
    def all_runs(self) -> Iterator[StoredRun]:
        """Yield all runs, newest first (by number); their records may be light, as those of `RunStore.find`."""

    @abstractmethod
    def read(self, number: int) -> StoredRun | None:
        """Return a run with its whole record; None when there is none of this number."""

    @abstractmethod
    def points(self, number: int, name: str) -> Iterable[Point]:
        """Give every point of a metric in the order in which they were logged; none when there is no such metric."""

    @abstractmethod
    def output(self, ref: str | int, *, follow: bool = False) -> Iterator[str]:
        """Yield captured output; see `RunStore.output`."""

    @abstractmethod
    def open_object(self, sha256: str) -> BinaryIO:
        """Open content for reading; see `RunStore.open_object`."""

    def column(self, number: int, name: str) -> Column | None:
        """Return the points of `points` as columns, where that is quicker, of no points where it has none."""
        return None

    def blocks(self, number: int, name: str) -> Blocks | None:
        """Return what is needed of the points of `points`, where that is less than all; no rows where it has none."""
        return None

    def by_writer(self, number: int, name: str) -> dict[str, Column]:
        """Return a metric's points by who wrote them, each in order; a writer only ever adds to its own."""
        found = self.column_of(number, name)
        return {} if found is None else {"": found}

    def numbers(self) -> list[int]:
        """Return the numbers of all runs, newest first."""
        return [run.number for run in self.all_runs()]

    def newest(self, limit: int) -> list[StoredRun]:
        """Return the newest runs, at most so many."""
        return list(islice(self.all_runs(), limit))

    def of_uid(self, prefix: str) -> list[int]:
        """Return the numbers, ascending, of the runs whose uid begins so."""
        return sorted(run.number for run in self.all_runs() if run.record.uid.startswith(prefix))

    def of_foreign_id(self, name: str) -> list[int]:
        """Return the numbers, ascending, of the runs that another program recorded, and calls so."""
        runs = ((run.number, run.record.foreign) for run in self.all_runs())
        return sorted(number for number, foreign in runs if foreign is not None and foreign.id == name)

    def quick_number(self, uid: str, hint: int | None) -> int | None:
        """Return what the run of a uid is called, which may be *hint*, if that takes less than looking at all runs."""
        return None

    def uids(self) -> dict[str, int]:
        """Return the numbers of all runs, by their uids."""
        return {run.record.uid: run.number for run in self.all_runs()}

    def has(self, number: int) -> bool:
        """Whether there is a run of this number."""
        return self.read(number) is not None

    def way_back(self, number: int) -> str:
        """Return a sentence on how a run that was there can be had back; empty when there is no way."""
        return ""

    def left_out(self) -> Iterator[str]:
        """Yield what stands among the runs and cannot be read as one, a sentence each. Raises StoreError."""
        return iter(())

    def left_out_at_once(self) -> Iterator[str]:
        """Yield what of `left_out` is known without reading all runs. Raises StoreError."""
        return self.left_out()

    @cached_property
    def _told(self) -> set[str]:
        return set()

    def tell_left_out(self, reasons: Iterable[str]) -> None:
        """Say on stderr what cannot be read as a run, each of the reasons once, and how to see all of it."""
        is_first = not self._told
        fresh = [why for why in reasons if why not in self._told]
        self._told.update(fresh)
        for why in fresh:
            say(printable(why))
        if fresh and is_first:
            say(f"To see all of it, and how to mend it: {as_typed('anew check', self.url)}")

    # --- what follows from it -----------------------------------------------------------------------------------

    def resolve(self, ref: str | int) -> int:
        """
        Return the number of the run that *ref* names.

        What names no run of ours otherwise may be what another program, which recorded it, calls one.

        Raises:
            RunNotFoundError, AmbiguousRefError, RefSyntaxError: It names none, several, or is no reference.
        """
        try:
            parsed = ids.parse_ref(ref)
        except RefSyntaxError:
            found = self.of_foreign_id(str(ref))
            if not found:
                raise
        else:
            found = self._named_by(parsed)
            if not found and _may_be_foreign(parsed):
                found = self.of_foreign_id(str(ref).strip())
        if len(found) == 1:
            return found[0]
        raise self._ambiguous(ref, found) if found else self._not_found(ref)

    def _named_by(self, ref: ids.Ref) -> list[int]:
        if isinstance(ref, ids.ByNumber):
            return [ref.number] if self.has(ref.number) else []
        if isinstance(ref, ids.ByUid):
            return self.of_uid(ref.prefix)
        if isinstance(ref, ids.ByForeignId):
            return self.of_foreign_id(ref.name)
        if isinstance(ref, ids.ByAge):
            return [run.number for run in self.newest(ref.back + 1)[ref.back :]]
        return job_of(((run.number, run.record) for run in self.all_runs()), ref)

    def _not_found(self, ref: str | int) -> RunNotFoundError:
        numbers = [run.number for run in self.all_runs()]
        if not numbers:
            held = "it holds no runs"
        elif len(numbers) == 1:
            held = f"it holds one run, {numbers[0]}"
        else:
            held = f"it holds {len(numbers)} runs, {min(numbers)} to {max(numbers)}"
        parsed = ids.parse_ref(ref)
        hints = [self.way_back(parsed.number) if isinstance(parsed, ids.ByNumber) else "", *self.left_out()]
        return RunNotFoundError(
            f"No run {str(ref)!r} in {self.url} ({held}).{''.join(f' {hint}' for hint in hints if hint)} "
            f"To see them: {as_typed('anew list', self.url)}",
            ref=str(ref),
            store=self.url,
        )

    def _ambiguous(self, ref: str | int, found: Sequence[int]) -> AmbiguousRefError:
        runs = [run for number in found[:5] if (run := self.read(number)) is not None]
        uids = [f"{run.number} ({run.record.uid})" for run in runs]
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        name = str(ref).strip().removeprefix("_id:")
        is_theirs = any(run.record.foreign is not None and run.record.foreign.id == name for run in runs)
        means = "what several runs are called elsewhere" if is_theirs else "the beginning of several uids"
        return AmbiguousRefError(
            f"{str(ref)!r} is {means}: runs {', '.join(uids)}{more}. Give more of it, or the number.",
            ref=str(ref),
            candidates=tuple(found),
        )

    def look_up(self, ref: str | int) -> StoredRun:
        """Return one run, whole, and its number. Raises as `resolve`."""
        run = self.read(self.resolve(ref))
        if run is None:
            raise self._not_found(ref)
        return run

    def get(self, ref: str | int) -> RunRecord:
        """Return one run's record, whole. Raises as `resolve`."""
        return bind(Related(self).placed(self.look_up(ref).record), self.open_object)

    def records(self) -> Iterator[RunRecord]:
        """Yield the light records of all runs, newest first (by number)."""
        return (run.record for run in self.all_runs())

    def find(self, where: str = "", *, sort: str | None = None, limit: int | None = None) -> list[RunRecord]:
        """Return the runs that match; see `RunStore.find`. What cannot be read is said. Raises FilterError."""
        self.tell_left_out(self.left_out_at_once())
        return Found(bind(record, self.open_object) for record in self._found(where, sort, limit))

    def _found(self, where: str, sort: str | None, limit: int | None) -> list[RunRecord]:
        tree = parse_filter(where, self.saved_filter).tree
        placed = Related(self).placed
        if tree == EVERYTHING and sort is None and limit is not None:
            return [placed(run.record) for run in self.newest(limit)]
        more = Beside(self)
        found = [record for record in map(placed, self.likely(tree)) if passes(tree, record, more)]
        return (found if sort is None else sort_records(found, sort, more))[:limit]

    def matching(self, where: str = "", *, sort: str | None = None) -> list[int]:
        """Return the numbers of the runs that match, newest first unless *sort* says otherwise. Raises FilterError."""
        return [record.id for record in self._found(where, sort, None) if record.id is not None]

    def views(self) -> Views:
        """Return the questions that have names. Raises StoreError where none are kept."""
        raise StoreError(f"{self.url} keeps no questions by name. For that name a folder: --store FOLDER")

    def saved_filter(self, name: str) -> str:
        """Return what `@name` stands for in a filter. Raises FilterError, StoreError."""
        return self.views().get(name).filter

    def likely(self, tree: Tree) -> Iterator[RunRecord]:
        """Yield the light records of all runs that may pass a filter, newest first; where nobody can tell, of all."""
        return self.records()

    def metrics(self, ref: str | int, name: str) -> MetricSeries:
        """Return a series; see `RunStore.metrics`."""
        import numpy as np

        number = self.resolve(ref)
        found = self.column_of(number, name)
        if found is None or not len(found.times):
            raise self._no_metric(number, name)
        values = found.values
        return MetricSeries(
            name=name,
            steps=np.asarray(found.steps, dtype=np.int64),
            values=np.asarray(values if isinstance(values, array) else [*map(as_float, values)], dtype=np.float64),
            times=np.asarray(found.times, dtype=np.float64),
            exact=tuple(values),
        )

    def series(
        self,
        refs: str | int | Sequence[str | int],
        names: str | Sequence[str],
        *,
        buckets: int = 500,
        by: str = "step",
    ) -> list[SeriesBuckets]:
        """
        Return series of several runs in few buckets, each with the least, the greatest and the mean of its points.

        They come by name, and of each name by run in the order given; of a run without a metric there is none. Buckets
        are equally wide, and the same for all runs that have a metric.

        Args:
            refs: The runs, or one.
            names: The metrics, or one.
            buckets: How many at most.
            by: What they are equally wide in: "step" or "time".

        Raises:
            RunNotFoundError, AmbiguousRefError, RefSyntaxError: As `resolve`.
            MetricNotFoundError: None of the runs has a metric; the message lists those that the first one has.
            FilterError: That is no number of buckets, or nothing to have them by.
        """
        refuse_odd(buckets, by)
        # a text is a sequence, too
        numbers = [*dict.fromkeys(map(self.resolve, [refs] if isinstance(refs, (str, int)) else refs))]
        found: list[SeriesBuckets] = []
        for name in dict.fromkeys([names] if isinstance(names, str) else names):
            try:
                some = bucketed({number: self.blocks_of(number, name) for number in numbers}, name, buckets, by)
            except LookupError:  # somebody else has joined what was to be read with what came behind it
                some = bucketed({number: self.whole_of(number, name) for number in numbers}, name, buckets, by)
            if not some and numbers:
                raise self._no_metric(numbers[0], name)
            found += some
        return found

    def blocks_of(self, number: int, name: str) -> Blocks:
        """Return a metric's points, or what is needed of them; of no rows where the run has none."""
        found = self.blocks(number, name)
        return self.whole_of(number, name) if found is None else found

    def whole_of(self, number: int, name: str) -> Blocks:
        """Return a metric's points, all of them in memory; of no rows where the run has none."""
        column = self.column_of(number, name)
        return Blocks.of([] if column is None else [column])

    def column_of(self, number: int, name: str) -> Column | None:
        """Return a metric's points, all of them in memory; None where the run has none."""
        found = self.column(number, name)
        if found is None and (points := list(self.points(number, name))):
            found = Column(*zip(*points, strict=True))
        return found

    def _no_metric(self, number: int, name: str) -> MetricNotFoundError:
        known = sorted(self.get(number).metrics)
        near = closest(name, known)
        hint = f" Did you mean {near!r}?" if near else ""
        has = f"it has: {some([printable(each) for each in known], 20)}" if known else "it has none"
        return MetricNotFoundError(
            f"Run {number} has no metric {name!r}; {has}.{hint} "
            f"To see them: {as_typed(f'anew metrics {number}', self.url)}",
            ref=number,
            name=name,
            candidates=tuple(known),
        )

    def artifact(self, ref: str | int, name: str) -> Path | bytes:
        """
        Return an artifact, its checksum compared: a read-only file where the store is a folder, else its content.

        Args:
            ref: The run.
            name: The artifact's name; of a folder that was logged, the name of a file in it.

        Raises:
            RunNotFoundError: The store has no such run.
            ArtifactNotFoundError: The run has no such artifact; the message lists those it has.
            ObjectNotFoundError, ContentDamagedError: Its content is missing, or something else.
        """
        with intact(artifact_of(self.get(ref), name), self.open_object) as content:
            return content.read()

    # --- curating, where a store can ----------------------------------------------------------------------------

    def tag(self, ref: str | int, *names: str, remove: Sequence[str] = ()) -> RunRecord:
        """Add tags to a run, and take away those in *remove*; return its record. Raises as `resolve`, StoreError."""
        raise self._only_looked_at()

    def note(self, ref: str | int, text: str) -> RunRecord:
        """Set a run's note; an empty text takes it away. Returns and raises as `tag`."""
        raise self._only_looked_at()

    def comment(self, ref: str | int, text: str) -> RunRecord:
        """Add a comment of this user's, now. Returns and raises as `tag`; ValueRefusedError for an empty text."""
        raise self._only_looked_at()

    def delete(self, ref: str | int, *, force: bool = False) -> int:
        """
        Move a run into the trash; return its number.

        Args:
            ref: The run.
            force: Whether one is taken, too, that may be going on.

        Raises:
            RunNotFoundError, AmbiguousRefError, RefSyntaxError: As `resolve`.
            RunStateError: It is going on, or may be.
            StoreError: Runs in this store cannot be deleted.
        """
        raise self._only_looked_at()

    def restore(self, ref: str | int) -> int:
        """Bring a deleted run back; return its number. Raises RunNotFoundError, StoreError."""
        raise self._only_looked_at()

    def pack(self, *words: str | int) -> Packed:
        """
        Put runs that have ended into few files, in place of a folder for each; they are read, and run again, as before.

        Args:
            words: References, ranges such as "3-7", "tag:NAME", "sweep:N", and filters.

        Raises:
            RunNotFoundError, AmbiguousRefError, RefSyntaxError, FilterError: One of the words names none.
            StoreError: The store cannot be written, or its runs have no folders.
        """
        raise self._no_packs()

    def unpack(self, *words: str | int) -> list[int]:
        """Give runs that are in packs their folders back; return which those were. Args and raises as `pack`."""
        raise self._no_packs()

    def _no_packs(self) -> StoreError:
        return StoreError(
            f"The runs of {self.url} are in a database, which has no use for packs. "
            "To pack those of a folder: anew pack REF... --store FOLDER"
        )

    def _only_looked_at(self) -> StoreError:
        return StoreError(
            f"Runs in {self.url} can be looked at, and not be changed. For that name a folder: --store FOLDER"
        )

    def table(
        self,
        where: str = "",
        *,
        sort: str | None = None,
        limit: int | None = None,
        columns: Sequence[str] | None = None,
        points: Sequence[str] | None = None,
        kind: str = "pandas",
    ) -> Any:
        """
        Return runs as a table, a row each; see `tabular`. Raises FilterError, MissingExtraError.

        Args:
            where: Which runs, as `find` takes it.
            sort: In which order.
            limit: How many at most.
            columns: Names of the filter language, in place of those that are chosen.
            points: Metrics of which each point gets a row: its step, time_s and value, and what *columns* name.
            kind: "pandas", "polars" or "arrow".
        """
        records = self.find(where, sort=sort, limit=limit)
        if points is None:
            return made(of_runs(records, columns, Beside(self)), kind)
        return made(of_points(self._series(records, points), columns, Beside(self)), kind)

    def _series(self, records: Iterable[RunRecord], names: Sequence[str]) -> Iterator[Points]:
        for record in records:
            for name in names:
                if name in record.metrics:
                    found = self.metrics(record.uid or record.id or 0, name)
                    yield record, name, zip(found.steps.tolist(), found.times.tolist(), found.exact, strict=True)


def _may_be_foreign(ref: ids.Ref) -> bool:
    """Whether what was read as a reference may be another program's word as well; a whole uid is none."""
    return isinstance(ref, ids.ByNumber) or (isinstance(ref, ids.ByUid) and len(ref.prefix) < ids.UID_LENGTH)
