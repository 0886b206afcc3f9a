"""The two contracts: what follows a run, and what gives recorded runs back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, runtime_checkable

from anew.runner.dataclass import dataclass
from anew.runner.events import Event
from anew.runner.markup.runs import series_grid
from anew.runner.records import RunRecord

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@runtime_checkable
class Observer(Protocol):
    """
    Keeps, shows or forwards what happens in a run. An instance serves one run, and is called from one thread at a time.

    Events are frozen and come one at a time, each writer's in the order of `q`. The first is `RunStarted`, also when an
    instance takes up a run midway. `RunEnded` comes after all that was written before the end; tags, notes and verdicts
    given later come after it. Every event comes at least once: after an error, or a restart, the latest come again, and
    `(uid, writer, q)` tells a repeat from news.

    What is raised never reaches the run. `UnavailableError`, or any other OSError, says that the other side cannot be
    reached: the event is delivered again, for as long as it takes. After any other error it is delivered again a few
    times, then set aside and reported, and the next one is delivered. `required` observers alone can stop a start.

    More methods are called where an observer has them; see `Beginning`, `Batching` and `Checking`.
    """

    def handle(self, event: Event, /) -> None:
        """Take one event. When this returns, the event counts as delivered."""
        ...

    def close(self) -> None:
        """Finish and let go of files and connections. Called once, also after a failure, and before a restart."""
        ...


@runtime_checkable
class Beginning(Protocol):
    """An observer that wants more than events."""

    def begin(self, store: RunStore, /) -> None:
        """Take the store that the run is recorded in, before the first event; content is read from it by digest."""
        ...


@runtime_checkable
class Batching(Protocol):
    """An observer that takes many events at a time."""

    def handle_many(self, events: Sequence[Event], /) -> None:
        """
        Take events as one; when this returns all of them count as delivered, and when it raises none does.

        A batch that is delivered again has the same events, unless others take its place (one at a time, by `handle`)
        to find which of them cannot be taken.
        """
        ...


@runtime_checkable
class Checking(Protocol):
    """An observer that can say whether it would work, for `anew check`."""

    def check(self) -> str:
        """
        Look whether the other side can be reached and lets us in, without a trace; return where it is, without secrets.

        Raises whatever stands against it.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricSeries:
    """
    Every point logged under one name, in logging order.

    Attributes:
        steps: int64, shape (n,); may repeat and go back.
        values: float64, shape (n,); NaN if NaN was logged.
        times: float64, shape (n,), seconds since the run started.
        exact: The values as logged: ints of any size stay ints. Length n.
    """

    name: str
    steps: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    times: npt.NDArray[np.float64]
    exact: Sequence[float | int]

    def __repr__(self) -> str:
        """Return its name and its ends, in a line: there may be millions of points."""
        ends = f", steps {self.steps[0]} to {self.steps[-1]}, last {self.exact[-1]!r}" if len(self.exact) else ""
        return f"MetricSeries({self.name!r}: {len(self.exact)} points{ends})"

    def _repr_html_(self) -> str:
        """Return what notebooks show: its first and last points."""
        return series_grid(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesBuckets:
    """
    A series in few buckets. Those without a point are left out; series that were asked for together have the same ones.

    Attributes:
        run: The number of the run.
        by: "step" or "time".
        starts, ends: The bounds of each bucket, shape (k,): first and last step, int64; or seconds since the run
            started, float64, where a bucket goes up to the start of the next, and the last has its end, too.
        count: How many numbers are in each, int64.
        nan: How many points are in each that are NaN, and in none of what follows, int64.
        min, max, mean: Of the numbers, float64; NaN where there are none.
    """

    run: int
    name: str
    by: str
    starts: npt.NDArray[Any]
    ends: npt.NDArray[Any]
    count: npt.NDArray[np.int64]
    nan: npt.NDArray[np.int64]
    min: npt.NDArray[np.float64]
    max: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]

    def __repr__(self) -> str:
        """Return what it is of, in a line."""
        points = int(self.count.sum() + self.nan.sum())
        return f"SeriesBuckets({self.name!r} of run {self.run}: {points} points in {len(self.starts)} buckets)"


@dataclass(frozen=True, slots=True)
class Packed:
    """
    What came of packing.

    Attributes:
        runs: The runs that are in a pack now, and were not before.
        packs: The files that were written.
        bytes_before, bytes_after: Of the runs' folders, and of those files.
        left: Why a run was left as it is, a sentence for each of those.
    """

    runs: tuple[int, ...]
    packs: tuple[str, ...]
    bytes_before: int
    bytes_after: int
    left: Mapping[int, str]


@runtime_checkable
class RunStore(Protocol):
    """
    Recorded runs, to read. Safe to use from several threads; never executes anything of a record.

    References are what `ids.parse_ref` reads.
    """

    url: str

    def numbers(self) -> list[int]:
        """Return the numbers of all runs, newest first."""
        ...

    def get(self, ref: str | int) -> RunRecord:
        """Return one run, whole. Raises RunNotFoundError, AmbiguousRefError, RefSyntaxError."""
        ...

    def find(self, where: str = "", *, sort: str | None = None, limit: int | None = None) -> list[RunRecord]:
        """Return the runs that match *where*, newest first unless *sort* says otherwise ("-loss": largest first).

        The records may leave out `source.files` and `environment.packages`. Raises FilterError.
        """
        ...

    def metrics(self, ref: str | int, name: str) -> MetricSeries:
        """Return a series. Raises RunNotFoundError, MetricNotFoundError (which lists those there are)."""
        ...

    def series(
        self,
        refs: str | int | Sequence[str | int],
        names: str | Sequence[str],
        *,
        buckets: int = 500,
        by: str = "step",
    ) -> list[SeriesBuckets]:
        """
        Return series of several runs in few buckets, with the least, the greatest and the mean of each.

        Raises RunNotFoundError, MetricNotFoundError, and FilterError for what is no number of buckets.
        """
        ...

    def output(self, ref: str | int, *, follow: bool = False) -> Iterator[str]:
        """Yield the captured output in pieces; with *follow* go on until the run has ended."""
        ...

    def open_object(self, sha256: str) -> BinaryIO:
        """Open content for reading. Raises ObjectNotFoundError."""
        ...

    def table(self, where: str = "", *, sort: str | None = None, limit: int | None = None) -> Any:
        """Return the runs as a pandas DataFrame. Raises MissingExtraError without pandas."""
        ...


@runtime_checkable
class CuratedStore(RunStore, Protocol):
    """What `open_store` gives: runs to read, to get things back from and to curate. See `StoredRuns` for each."""

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
        """Return the runs as a table of pandas, Polars or Arrow, a row for each, or for each point of *points*."""
        ...

    def artifact(self, ref: str | int, name: str) -> Path | bytes:
        """Return an artifact: a file where the store is a folder, else its content."""
        ...

    def tag(self, ref: str | int, *names: str, remove: Sequence[str] = ()) -> RunRecord:
        """Add tags to a run, and take some away; return its record."""
        ...

    def note(self, ref: str | int, text: str) -> RunRecord:
        """Set a run's note; an empty text takes it away."""
        ...

    def comment(self, ref: str | int, text: str) -> RunRecord:
        """Add a comment to a run, with this user's name and the time."""
        ...

    def delete(self, ref: str | int, *, force: bool = False) -> int:
        """Move a run into the trash; return its number."""
        ...

    def restore(self, ref: str | int) -> int:
        """Bring a deleted run back; return its number."""
        ...

    def pack(self, *words: str | int) -> Packed:
        """Put runs that have ended into few files, in place of a folder for each."""
        ...

    def unpack(self, *words: str | int) -> list[int]:
        """Give runs that are in packs their folders back; return which those were."""
        ...
