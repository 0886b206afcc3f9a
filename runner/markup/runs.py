"""Runs and sweeps as notebooks show them. What is shown is taken by its name, so that records can know of it."""

from __future__ import annotations

from typing import Any

from anew.runner.markup.tables import MOST_ROWS, grid, seconds, sheet


def run_sheet(record: Any) -> str:
    """Return a `RunRecord` as a table."""
    error = record.error
    return sheet(
        f"Run {record.id} of {record.experiment}",
        [
            ("status", record.state),
            ("started", record.started_at),
            ("took", seconds(record.duration_s)),
            ("config", record.config),
            ("result", record.result),
            ("error", f"{error.type}: {error.message}" if error is not None else None),
            ("metrics", {name: summary.last for name, summary in record.metrics.items() if _is_own(name)}),
            ("tags", record.tags),
            ("note", record.note),
            ("verdict", record.verdict.verdict if record.verdict is not None else None),
            ("uid", record.uid),
        ],
    )


def _is_own(metric: str) -> bool:
    return not metric.startswith("system/")


def sweep_grid(sweep: Any) -> str:
    """Return a `SweepRecord` as a table, a row for each of its jobs."""
    head = sheet(
        f"Sweep {sweep.id} of {sweep.experiment}",
        [("status", sweep.status.value), ("jobs", sweep.told()), ("overrides", sweep.overrides)],
    )
    shown = sweep.jobs[:MOST_ROWS]
    rows = [
        [job.index, job.run, job.state, job.overrides, job.result, job.error, seconds(job.duration_s)] for job in shown
    ]
    columns = ["job", "run", "status", "overrides", "result", "error", "took"]
    return head + grid(columns, rows, left_out=len(sweep.jobs) - len(shown), what="jobs")


def series_grid(series: Any) -> str:
    """Return a `MetricSeries` as a table: its first and last points."""
    points = list(zip(series.steps.tolist(), series.exact, series.times.tolist(), strict=True))
    half = MOST_ROWS // 2
    shown = points if len(points) <= MOST_ROWS else [*points[:half], ("...", "...", "..."), *points[-half:]]
    return sheet(series.name, [("points", len(points))]) + grid(["step", "value", "seconds"], shown)
