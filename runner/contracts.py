"""The two contracts: what follows a run, and what gives recorded runs back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, runtime_checkable

from anew.runner.events import Event
from anew.runner.records import RunRecord

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@runtime_checkable
class Observer(Protocol):
    """
    Keeps, shows or forwards what happens in a run.

    Events arrive in order, one at a time, frozen, at least once; `(uid, writer, q)` tells a repeat.
    An error is retried and noted, never seen by the run; `required` observers alone can stop a
    start. `close` is called once, also after a failure.
    """

    def handle(self, event: Event, /) -> None:
        """Take one event. Raise to have it delivered again later."""
        ...

    def close(self) -> None:
        """Finish and let go of files and connections."""
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


class RunStore(Protocol):
    """
    Recorded runs, to read. Safe to use from several threads; never executes anything of a record.

    References are what `ids.parse_ref` reads.
    """

    url: str

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

    def output(self, ref: str | int, *, follow: bool = False) -> Iterator[str]:
        """Yield the captured output in pieces; with *follow* go on until the run has ended."""
        ...

    def open_object(self, sha256: str) -> BinaryIO:
        """Open content for reading. Raises ObjectNotFoundError."""
        ...

    def table(self, where: str = "", **options: Any) -> Any:
        """Return the runs as a pandas DataFrame. Raises MissingExtraError without pandas."""
        ...
