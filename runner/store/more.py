"""What a store knows of its runs beside their light records, for the few filters that ask for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from anew.runner.contracts import MetricSeries
from anew.runner.errors import AnewError
from anew.runner.query.names import canonical_packages
from anew.runner.records import RunRecord

if TYPE_CHECKING:
    from anew.runner.store.cells import Column


class Whole(Protocol):
    """A store."""

    def get(self, ref: str | int) -> RunRecord:
        """Return one run, whole."""
        ...

    def metrics(self, ref: str | int, name: str) -> MetricSeries:
        """Return a series."""
        ...


class Beside:
    """
    Packages and series of a store's runs. To be used for one question, in one thread.

    Args:
        store: Where they are.
    """

    def __init__(self, store: Whole) -> None:
        self._store = store
        self._packages: dict[str, Mapping[str, str]] = {}

    def packages(self, record: RunRecord) -> Mapping[str, str]:
        """Return the packages of a run; of one that is gone none."""
        if record.environment is not None and record.environment.packages:
            return canonical_packages(record)
        if record.uid not in self._packages:
            try:
                found = canonical_packages(self._store.get(record.uid or record.id or 0))
            except AnewError:
                found = {}
            self._packages[record.uid] = found
        return self._packages[record.uid]

    def points(self, record: RunRecord, name: str) -> tuple[Sequence[int], Sequence[float | int]] | None:
        """Return the steps and values of a metric; None where there are none."""
        read: Callable[[int, str], Column | None] | None = getattr(self._store, "column_of", None)
        try:
            if read is not None and record.id is not None:
                # without what `metrics` looks up, and without numpy
                column = read(record.id, name)
                return None if column is None else (column.steps, column.values)
            series = self._store.metrics(record.uid or record.id or 0, name)
        except AnewError:
            return None
        return series.steps.tolist(), series.exact
