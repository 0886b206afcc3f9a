"""What several runs are, beside each other: a row for each thing that is known of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anew.runner.format.values import exact_form
from anew.runner.query.columns import UNINTERESTING
from anew.runner.query.names import value_of
from anew.runner.query.tabular import flatten
from anew.runner.records import RunRecord

Rows = dict[str, list[Any]]

_FACTS = ("experiment", "status", "duration", "seed", "host", "tag", "note", "verdict")


def abreast(records: Sequence[RunRecord], *, everything: bool = False) -> dict[str, Rows]:
    """
    Return, by section, the rows in which the runs differ: a name, and its value for each run, None where it lacks it.

    Sections: `run`, `config`, `choices`, `packages` (of whole records), `result`, `metrics` (last values).

    Args:
        records: The runs, in the order of the values.
        everything: Also the rows in which all are alike.
    """
    facts: Rows = {name: [value_of(record, name) for record in records] for name in _FACTS}
    facts["commit"] = [record.source.git.commit if record.source.git else None for record in records]
    sections: dict[str, Rows] = {
        "run": facts,
        "config": _rows(records, lambda record: flatten(record.config)),
        "choices": _rows(records, lambda record: dict(record.choices)),
        "packages": _rows(records, _packages),
        "result": _rows(records, _result),
        "metrics": _rows(records, _metrics),
    }
    return {
        title: {name: values for name, values in rows.items() if everything or _differ(values)}
        for title, rows in sections.items()
    }


def _rows(records: Sequence[RunRecord], part: Callable[[RunRecord], dict[str, Any]]) -> Rows:
    parts = [part(record) for record in records]
    names = dict.fromkeys(name for each in parts for name in each)
    return {name: [each.get(name) for each in parts] for name in names}


def _differ(values: Sequence[Any]) -> bool:
    return len({exact_form(value) for value in values}) > 1


def _packages(record: RunRecord) -> dict[str, Any]:
    environment = record.environment
    return {} if environment is None else {"python": environment.python, **environment.packages}


def _result(record: RunRecord) -> dict[str, Any]:
    if isinstance(record.result, dict):
        return flatten(record.result)
    return {} if record.result is None else {"result": record.result}


def _metrics(record: RunRecord) -> dict[str, Any]:
    return {name: item.last for name, item in record.metrics.items() if not name.startswith(UNINTERESTING)}
