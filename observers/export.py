"""A run's points and record as files that anything reads, written once it has ended."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.observers.folders import claim_folder, folder_of_runs
from anew.runner import events as ev
from anew.runner.contracts import MetricSeries, RunStore
from anew.runner.errors import ConfigError, MissingExtraError, RunStateError
from anew.runner.format import ids, serial
from anew.runner.format.values import iso
from anew.runner.records import RunRecord
from anew.runner.store.files import sync_folder

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("name", "step", "value", "t", "time")
EXACT_UP_TO = 2**53
RECORD = "run.json"
# What may change a record long after the end, or is of no account for it.
_NO_NEWS = (ev.RunStarted, ev.MetricsLogged, ev.OutputCaptured, ev.Heartbeat)


# --- the observer -----------------------------------------------------------------------------------------------


class ExportObserver:
    """
    Writes two files into `DIR/NUMBER-EXPERIMENT/` when a run has ended, and touches nothing before.

    `metrics.csv` or `metrics.parquet` has a row per point, name after name, each in logging order: name, step, value,
    t (seconds since the run started) and time (UTC, to the microsecond). Values are exact: in CSV ints of any size are
    written out, and NaN and the infinities are nan, inf and -inf; in Parquet the value is a double, and where there
    are ints beyond 2**53 a text column `exact` has the digits of these. `run.json` is the record, as `anew show --json`
    gives it; it is written last, so that the points are there when it is.

    Everything is read from the store that the run is recorded in, not gathered from events: so an instance that takes
    up a run midway, or only at its end, writes the same files, and repeats change nothing. Without a store there is
    no telling what an earlier instance was handed, and half a run that looks like a whole one is worse than none:
    such a run is refused. A tag, a note or a verdict given later brings `run.json` up to date, points logged later (by
    a process that outlived the run) both files. Readers see whole files only: each is written beside its place and
    moved onto it. A run that was lost has no end, and is not exported.

    Args:
        dir: A folder, relative to the run's working directory; null: `export` in the store's folder, or in the
            working directory when the store has none.
        format: "csv" or "parquet".

    Raises:
        ConfigError: The format is neither.
        MissingExtraError: pyarrow is not installed, and the format is "parquet".
    """

    def __init__(self, dir: str | None = None, format: str = "csv") -> None:
        if format not in _WRITERS:
            raise ConfigError(f"format={format!r} is no format to export to; there are: {', '.join(_WRITERS)}")
        if format == "parquet":
            try:
                import pyarrow.parquet  # noqa: F401  # whether it is there
            except ImportError as error:
                raise MissingExtraError(
                    "Parquet files need pyarrow. To install it: pip install 'anew[parquet]'"
                ) from error
        self._dir = dir
        self._format = format
        self._store: RunStore | None = None
        self._folder: Path | None = None
        self._end_s: float | None = None

    @property
    def sink(self) -> str:
        """The run's folder; empty before the first event."""
        return str(self._folder or "")

    def begin(self, store: RunStore, /) -> None:
        """Take the store that the run is recorded in."""
        self._store = store

    def handle(self, event: ev.Event, /) -> None:
        """Take one event. Raises OSError when files cannot be written, RunStateError without a store."""
        self.handle_many((event,))

    def handle_many(self, events: Sequence[ev.Event], /) -> None:
        """Take events as one; what they change is written once. Raises as `handle`."""
        points = record = False
        for event in events:
            if isinstance(event, ev.RunStarted):
                self._take_up(event.record)
            elif isinstance(event, ev.RunEnded):
                self._end_s = event.duration_s
                points = record = True
            elif self._end_s is not None:
                late = isinstance(event, ev.MetricsLogged) and event.t > self._end_s
                points = points or late
                record = record or late or not isinstance(event, _NO_NEWS)
        if record:
            self._write(events[-1].uid, points=points)

    def close(self) -> None:
        """Nothing is held open between events."""

    def _take_up(self, record: RunRecord) -> None:
        if self._store is None:
            raise RunStateError(
                "An export is read from the store that the run is recorded in, and there is none: "
                "call begin(store) before the first event."
            )
        self._folder = claim_folder(folder_of_runs(self._dir, self._store, "export"), record)
        self._end_s = self._exported_end_s()

    def _exported_end_s(self) -> float | None:
        """Return how long the run took, if the sink has it already: then its end was delivered before."""
        assert self._folder is not None
        try:
            exported = json.loads((self._folder / RECORD).read_bytes())
            return float(exported["duration_s"])
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None

    def _write(self, uid: str, *, points: bool) -> None:
        store, folder = self._store, self._folder
        assert store is not None
        assert folder is not None
        record = store.get(uid)
        if points:
            path = folder / f"metrics.{self._format}"
            _replace(path, lambda beside: _WRITERS[self._format](beside, record, store))
        text = json.dumps(serial.record_to_json(record), indent=2, allow_nan=False) + "\n"
        _replace(folder / RECORD, lambda beside: _write_text(beside, text))


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    """Put a new file in the place of *path*, at once; it survives a power cut. Raises OSError."""
    beside = path.with_name(f".{path.name}.{ids.new_uid()}")
    try:
        write(beside)
        descriptor = os.open(beside, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    with suppress(OSError):  # not every file system syncs folders
        sync_folder(path.parent)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="ascii")


# --- points -----------------------------------------------------------------------------------------------------


def _all_series(record: RunRecord, store: RunStore) -> Iterator[MetricSeries]:
    """Yield every series of a run, one at a time, so that one alone is in memory."""
    for name in record.metrics:
        yield store.metrics(record.uid, name)


def _times(started: datetime, series: MetricSeries) -> Iterator[datetime]:
    return (started + timedelta(seconds=t) for t in series.times.tolist())


def _write_csv(path: Path, record: RunRecord, store: RunStore) -> None:
    # a name may hold what is no Unicode text
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for series in _all_series(record, store):
            times = map(iso, _times(record.started_at, series))
            writer.writerows(
                (series.name, *point)
                for point in zip(series.steps.tolist(), series.exact, series.times.tolist(), times, strict=True)
            )


def _write_parquet(path: Path, record: RunRecord, store: RunStore) -> None:
    import pyarrow.parquet as pq

    exact = _has_large_ints(record, store)
    schema = _schema(exact)
    with pq.ParquetWriter(path, schema) as writer:
        for series in _all_series(record, store):
            writer.write_table(_table(series, record.started_at, schema))


def _schema(exact: bool) -> pa.Schema:
    import pyarrow as pa

    kinds = (pa.string(), pa.int64(), pa.float64(), pa.float64(), pa.timestamp("us", tz="UTC"))
    fields = list(zip(COLUMNS, kinds, strict=True))
    return pa.schema([*fields, ("exact", pa.string())] if exact else fields)


def _table(series: MetricSeries, started: datetime, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    name = series.name.encode("utf-8", "backslashreplace").decode("utf-8")
    columns: dict[str, Any] = {
        "name": [name] * len(series.exact),
        "step": series.steps,
        "value": series.values,
        "t": series.times,
        "time": list(_times(started, series)),
        "exact": [str(value) if _is_large(value) else None for value in series.exact],
    }
    return pa.table({column: columns[column] for column in schema.names}, schema=schema)


def _has_large_ints(record: RunRecord, store: RunStore) -> bool:
    """Whether an int was logged that a double may not hold; only series whose range allows one are looked through."""
    for name, summary in record.metrics.items():
        bounds: Iterable[float | int] = (bound for bound in (summary.min, summary.max) if bound is not None)
        if any(abs(bound) > EXACT_UP_TO for bound in bounds) and any(
            _is_large(value) for value in store.metrics(record.uid, name).exact
        ):
            return True
    return False


def _is_large(value: float | int) -> bool:
    return isinstance(value, int) and abs(value) > EXACT_UP_TO


_WRITERS: dict[str, Callable[[Path, RunRecord, RunStore], None]] = {"csv": _write_csv, "parquet": _write_parquet}
