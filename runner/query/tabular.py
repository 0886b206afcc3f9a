"""
Records as a table for analysis, with columns of one kind each: of pandas, Polars or Arrow.

Truth values, whole numbers, numbers, times and texts are columns of their kind, with holes where a run lacks them. Of
several kinds a column becomes one of numbers, or, in Polars and Arrow, of texts; pandas has one of objects.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.errors import AnewError, MissingExtraError
from anew.runner.query.names import More, value_of
from anew.runner.records import RunRecord
from anew.runner.wording import closest, exact, key_name

_COLUMNS = ("id", "uid", "experiment", "status", "started_at", "duration_s", "result", "tags")
_FIXED = {"id": "whole", "uid": "text", "experiment": "text", "status": "text", "started_at": "time"}
_FIXED |= {"duration_s": "number", "metric": "text", "step": "whole", "time_s": "number", "value": "number"}
_POINT_COLUMNS = ("id", "uid", "experiment", "metric", "step", "time_s", "value")
_EXTRAS = {"pandas": "pandas", "polars": "polars", "arrow": "pyarrow"}
_LIMIT, _EXACT = 2**63, 2**53


Points = tuple[RunRecord, str, Iterable[tuple[int, float, "float | int"]]]
"""A run, a metric, and its points: step, seconds since the start, value."""


@dataclass(frozen=True, slots=True)
class Columns:
    """
    A table, of whatever makes one.

    Attributes:
        values: Name -> the values of a column, one for each row; None where there is none.
        rows: How many there are.
    """

    values: Mapping[str, Sequence[Any]]
    rows: int


def of_runs(records: Iterable[RunRecord], columns: Sequence[str] | None = None, more: More | None = None) -> Columns:
    """
    Return a row for each run, in the order given.

    Columns: those that are named, as filters name them; else id, uid, experiment, status, started_at, duration_s,
    result, tags, then config.* (flattened with dots) and the last value of every metric under its own name, or as
    metrics.NAME when that is a column already.
    """
    if columns is not None:
        named = [{name: value_of(record, name, more) for name in columns} for record in records]
        return _columns(named, columns)
    return _columns([_row(record) for record in records], _COLUMNS)


def of_points(series: Iterable[Points], columns: Sequence[str] | None = None, more: More | None = None) -> Columns:
    """
    Return a row for each point: id, uid, experiment, metric, step, time_s, value, and what columns are named.

    Args:
        series: The points, by run and metric.
        columns: What else of the run stands in each of its rows, as filters name it.
        more: See `names.More`.
    """
    rows: list[dict[str, Any]] = []
    for record, metric, points in series:
        run = {"id": record.id, "uid": record.uid, "experiment": record.experiment}
        beside = {name: value_of(record, name, more) for name in columns or ()}
        rows += [{**run, "metric": metric, "step": s, "time_s": t, "value": v, **beside} for s, t, v in points]
    return _columns(rows, [*_POINT_COLUMNS, *(columns or ())])


def _columns(rows: Sequence[Mapping[str, Any]], first: Sequence[str]) -> Columns:
    names = dict.fromkeys([*first, *(name for row in rows for name in row)])
    return Columns({_clean(name): [_tidy(row.get(name)) for row in rows] for name in names}, len(rows))


def made(table: Columns, kind: str) -> Any:
    """
    Return a table as a DataFrame of pandas or Polars, or as a table of Arrow.

    Raises:
        AnewError: There is no such kind.
        MissingExtraError: Its library is not installed.
    """
    if kind not in _EXTRAS:
        near = closest(kind, _EXTRAS) or "pandas"
        raise AnewError(f"There is no table of kind {kind!r}; there are: {', '.join(_EXTRAS)}. Did you mean {near!r}?")
    module = _EXTRAS[kind]
    try:
        library = importlib.import_module(module)
    except ImportError as error:
        extra = "parquet" if kind == "arrow" else kind
        raise MissingExtraError(
            f"A table of runs of this kind needs {module}. To install it: pip install 'anew[{extra}]'"
        ) from error
    return {"pandas": _pandas, "polars": _polars, "arrow": _arrow}[kind](table, library)


def _pandas(table: Columns, pd: Any) -> Any:
    dtypes = {"truth": "boolean", "whole": "Int64", "number": "float64"}
    columns = {}
    for name, values in table.values.items():
        kind = kind_of(name, values)
        dtype = dtypes.get(kind)
        if None not in values:
            # without holes they are of numpy's own kinds
            dtype = {"truth": "bool", "whole": "int64"}.get(kind, dtype)
        elif kind == "whole" and all(value is None or abs(value) <= _EXACT for value in values):
            dtype = "float64"  # as pandas itself has it, with NaN for holes
        if kind == "time":
            columns[name] = pd.to_datetime(pd.Series(list(values), dtype="object"), utc=True)
        elif kind == "text":
            columns[name] = pd.Series(list(values))
        else:
            columns[name] = pd.Series(list(values), dtype=dtype or "object")
    return pd.DataFrame(columns, index=range(table.rows), columns=list(table.values))


def _polars(table: Columns, pl: Any) -> Any:
    kinds = {"truth": pl.Boolean, "whole": pl.Int64, "number": pl.Float64, "time": pl.Datetime("us", "UTC")}
    made = []
    for name, values in table.values.items():
        kind = kind_of(name, values)
        if kind == "texts":
            made.append(pl.Series(name, values, dtype=pl.List(pl.String)))
        else:
            found = values if kind in kinds else [None if value is None else _as_text(value) for value in values]
            made.append(pl.Series(name, [*_of_kind(found, kind)], dtype=kinds.get(kind, pl.String)))
    return pl.DataFrame(made)


def _arrow(table: Columns, pa: Any) -> Any:
    kinds = {"truth": pa.bool_(), "whole": pa.int64(), "number": pa.float64(), "time": pa.timestamp("us", "UTC")}
    arrays = []
    for name, values in table.values.items():
        kind = kind_of(name, values)
        if kind == "texts":
            arrays.append(pa.array(values, pa.list_(pa.string())))
        else:
            found = values if kind in kinds else [None if value is None else _as_text(value) for value in values]
            arrays.append(pa.array([*_of_kind(found, kind)], kinds.get(kind, pa.string())))
    return pa.table(arrays, names=list(table.values))


def _of_kind(values: Sequence[Any], kind: str) -> Iterable[Any]:
    return (None if value is None else float(value) for value in values) if kind == "number" else values


def kind_of(name: str, values: Sequence[Any]) -> str:
    """Return what a column is of: "truth", "whole", "number", "time", "text", "texts", "none" or "mixed"."""
    kinds = {_kind(value) for value in values if value is not None}
    if not kinds:
        return _FIXED.get(name, "none")
    if kinds == {"whole", "number"}:
        return "number"
    return kinds.pop() if len(kinds) == 1 else "mixed"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int):
        return "whole" if -_LIMIT <= value < _LIMIT else "mixed"
    if isinstance(value, float):
        return "number"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return "time"
    if isinstance(value, str):
        return "text"
    is_texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return "texts" if is_texts else "mixed"


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else exact(value)


def _row(record: RunRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "uid": record.uid,
        "experiment": record.experiment,
        "status": record.state,
        "started_at": record.started_at,
        "duration_s": record.duration_s,
        "result": record.result,
        "tags": list(record.tags),
        **{f"config.{key}": value for key, value in flatten(record.config).items()},
        **{_metric_column(name): metric.last for name, metric in record.metrics.items()},
    }


def _tidy(value: Any) -> Any:
    """Return a value as libraries take it: a tuple of texts as a list, texts as Unicode."""
    if isinstance(value, str):
        return _clean(value)
    return [_clean(item) if isinstance(item, str) else item for item in value] if isinstance(value, tuple) else value


def _clean(text: str) -> str:
    """Return a text as a column of pandas takes it, which is Arrow's: what is no Unicode is written out."""
    return str(text) if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _metric_column(name: str) -> str:
    return f"metrics.{name}" if name in _COLUMNS or name.startswith(("config.", "metrics.")) else name


def flatten(values: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, the names of keys joined by dots; an empty mapping stays a value."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key_name(key)}"
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{name}."))
        else:
            flat[name] = value
    return flat
