"""Runs that were found: a list, which a notebook shows as a table."""

from __future__ import annotations

from typing import Any, SupportsIndex, overload

from anew.runner.markup.tables import MOST_ROWS, grid, seconds
from anew.runner.query.columns import shared_metrics, varying_inputs
from anew.runner.query.names import value_of
from anew.runner.records import RunRecord


class Found(list[RunRecord]):
    """A list of records like any other, that a notebook shows as `anew list` does."""

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> RunRecord: ...
    @overload
    def __getitem__(self, index: slice, /) -> Found: ...
    def __getitem__(self, index: Any, /) -> Any:
        """Return one record, or some of them in a list of this kind."""
        found = super().__getitem__(index)
        return Found(found) if isinstance(index, slice) else found

    def __repr__(self) -> str:
        """Return the first of them, a line each."""
        more = [f"... and {len(self) - MOST_ROWS} more"] if len(self) > MOST_ROWS else []
        lines = [*map(repr, self[:MOST_ROWS]), *more]
        return f"[{(',' + chr(10) + ' ').join(lines)}]"

    def _repr_html_(self) -> str:
        shown = self[:MOST_ROWS]
        inputs, metrics = varying_inputs(shown), shared_metrics(shown)
        names = [name.partition(".")[2] for name in inputs]
        rows = [
            [
                each.id,
                each.experiment,
                each.state,
                each.started_at,
                seconds(each.duration_s),
                *(value_of(each, name) for name in inputs),
                each.result,
                *(each.metrics[name].last if name in each.metrics else None for name in metrics),
            ]
            for each in shown
        ]
        header = ["id", "experiment", "status", "started", "took", *names, "result", *metrics]
        return grid(header, rows, left_out=len(self) - len(shown), what="runs")
