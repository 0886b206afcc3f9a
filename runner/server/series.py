"""Curves: metrics of runs in few points, of which the extremes are never lost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from anew.runner.contracts import SeriesBuckets
from anew.runner.errors import MetricNotFoundError
from anew.runner.query.columns import shared_metrics
from anew.runner.records import RunRecord
from anew.runner.server.cursors import Counts, Cursor
from anew.runner.server.failures import Refused
from anew.runner.server.routes import Asked, refuse_left
from anew.runner.server.shapes import Series, SeriesList
from anew.runner.server.site import Site
from anew.runner.server.wire import listed, number
from anew.runner.store.buckets import bucketed
from anew.runner.store.cells import Blocks
from anew.runner.store.stored import StoredRuns
from anew.runner.store.zoomed import count_of, pointwise, within

if TYPE_CHECKING:
    import numpy.typing as npt

MOST_RUNS = 2_000
MOST_SHARED = 24
MOST_NAMES = 50
WAYS = {"step": "step", "time": "time", "relative": "time"}


class SeriesAsked(Asked, rename={"begin": "from", "end": "to"}):
    """Which runs, which metrics, over what, in how many buckets, from where to where."""

    runs: Annotated[str, Meta(min_length=1, max_length=100_000)]
    names: Annotated[str, Meta(max_length=100_000)] = ""
    x: Annotated[str, Meta(pattern="^(step|time|relative)$")] = "step"
    buckets: Annotated[int, Meta(ge=1, le=10_000)] = 400
    begin: Annotated[float | None, Meta(description="Where it begins.")] = None
    end: float | None = None


def series(site: Site, asked: SeriesAsked) -> SeriesList:
    """Metrics of runs: in buckets with least, greatest and mean, or point by point where those are few."""
    store = _stored(site)
    records = {number: record for ref in numbers_of(site, asked.runs) for number, record in [ref]}
    given = listed(asked.names)
    known = given or names_of([*records.values()])
    names = known if given else known[:MOST_NAMES]
    counts: Counts = {}
    found: list[Series] = []
    for name in names:
        having = {number: record for number, record in records.items() if name in record.metrics}
        found += _of_name(store, name, having, asked, counts)
    if records and names and not found and not (asked.begin or asked.end):
        raise MetricNotFoundError(f"None of these runs has a metric {names[0]!r}.")
    return SeriesList(x=asked.x, series=found, cursor=Cursor(None, counts).text, more=len(known) - len(names))


def _stored(site: Site) -> StoredRuns:
    if not isinstance(site.store, StoredRuns):
        raise Refused(409, f"Curves of runs in {site.store.url} cannot be read in part.")
    return site.store


def numbers_of(site: Site, runs: str) -> list[tuple[int, RunRecord]]:
    """Return the runs that a list names, and their light records. Raises as `resolve`."""
    refs = listed(runs)[:MOST_RUNS]
    store = _stored(site)
    numbers = [int(ref) if ref.isascii() and ref.isdecimal() and len(ref) < 12 else store.resolve(ref) for ref in refs]
    return [*site.rows.records([*dict.fromkeys(numbers)]).items()]


def names_of(records: Sequence[RunRecord]) -> list[str]:
    """Return the metrics that most of some runs have; of machine and time where there are no others."""
    return shared_metrics(records, MOST_SHARED) or [*dict.fromkeys(name for each in records for name in each.metrics)]


def _of_name(
    store: StoredRuns, name: str, records: Mapping[int, RunRecord], asked: SeriesAsked, counts: Counts
) -> list[Series]:
    by = WAYS[asked.x]
    found: dict[int, Blocks] = {}
    for run, record in records.items():
        refuse_left()
        if record.status.final:
            found[run] = store.blocks_of(run, name)
        else:
            # by writer: each only ever adds to its own, so that their numbers say where this answer ends
            lanes = store.by_writer(run, name)
            counts.setdefault(str(run), {})[name] = {writer: len(lane.times) for writer, lane in lanes.items()}
            found[run] = Blocks.of([*lanes.values()])
    try:
        return _drawn(found, name, records, asked, by)
    except LookupError:  # somebody else has joined what was to be read with what came behind it
        return _drawn({run: store.whole_of(run, name) for run in found}, name, records, asked, by)


def _drawn(
    found: Mapping[int, Blocks], name: str, records: Mapping[int, RunRecord], asked: SeriesAsked, by: str
) -> list[Series]:
    points = {run: count_of(blocks) for run, blocks in found.items()}
    if asked.begin is not None or asked.end is not None:
        found = {run: within(blocks, by, *_bounds(asked, records[run])) for run, blocks in found.items()}
    few = {run for run, blocks in found.items() if count_of(blocks) <= 2 * asked.buckets}
    parts = [
        *pointwise({run: blocks for run, blocks in found.items() if run in few}, name, by),
        *bucketed({run: blocks for run, blocks in found.items() if run not in few}, name, asked.buckets, by),
    ]
    parts.sort(key=lambda part: [*found].index(part.run))
    return [_shape(part, asked.x, records[part.run], points[part.run], whole=part.run in few) for part in parts]


def _bounds(asked: SeriesAsked, record: RunRecord) -> tuple[float, float]:
    least = -math.inf if asked.begin is None else asked.begin
    greatest = math.inf if asked.end is None else asked.end
    start = record.started_at.timestamp() if asked.x == "time" else 0.0
    return least - start, greatest - start


def _shape(part: SeriesBuckets, x: str, record: RunRecord, points: int, *, whole: bool) -> Series:
    middle = (part.starts.astype(float) + part.ends.astype(float)) / 2
    if x == "time":
        middle = middle + record.started_at.timestamp()
    return Series(
        run=part.run,
        name=part.name,
        x=numbers(middle),
        min=numbers(part.min),
        max=numbers(part.max),
        mean=numbers(part.mean),
        nan=int(part.nan.sum()),
        points=points,
        whole=whole,
    )


def numbers(values: npt.NDArray[Any]) -> list[float | None]:
    """Return numbers as JSON has them: None for those that cannot be drawn."""
    return [number(value) for value in values.tolist()]
