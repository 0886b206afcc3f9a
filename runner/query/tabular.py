"""Records as a table for analysis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from anew.runner.errors import MissingExtraError
from anew.runner.records import RunRecord
from anew.runner.wording import key_name

_COLUMNS = ("id", "uid", "experiment", "status", "started_at", "duration_s", "result", "tags")


def as_table(records: Iterable[RunRecord]) -> Any:
    """
    Return a pandas DataFrame with a row per run, in the order given.

    Columns: id, uid, experiment, status, started_at, duration_s, result, tags, then config.* (flattened with dots) and
    the last value of every metric under its own name, or as metrics.NAME when that is a column already.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError("A table of runs needs pandas. To install it: pip install 'anew[pandas]'") from error
    rows = [_row(record) for record in records]
    return pd.DataFrame(rows, columns=list(dict.fromkeys([*_COLUMNS, *(name for row in rows for name in row)])))


def _row(record: RunRecord) -> dict[str, Any]:
    cells = {
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
    return {_clean(name): _clean(value) if isinstance(value, str) else value for name, value in cells.items()}


def _clean(text: str) -> str:
    """Return a text as a column of pandas takes it, which is Arrow's: what is no Unicode is written out."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


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
