"""Questions on many runs: the store, the table, its columns, groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import Meta

import anew
from anew.runner.query.columns import shared_metrics
from anew.runner.query.filters import parse_filter
from anew.runner.query.grouped import grouped, without_repeats
from anew.runner.query.names import FIELD_NAMES, FIELDS, LATE, LISTS, TIMES, value_of
from anew.runner.query.tabular import flatten, kind_of
from anew.runner.records import RunRecord
from anew.runner.server.cursors import Cursor
from anew.runner.server.routes import Asked
from anew.runner.server.shapes import (
    Column,
    ColumnList,
    GroupList,
    GroupRow,
    RunsPage,
    Spread,
    StoreFacts,
    Table,
    TableColumn,
)
from anew.runner.server.site import Site
from anew.runner.server.wire import cell, listed
from anew.runner.store.more import Beside

_MOST_ROWS = 2_000
_MOST_COLUMNS = 200
_MOST_IN_TABLE = 20_000
_MOST_VALUES = 100_000
_MOST_KNOWN = 2
_TYPES = {"truth": "bool", "whole": "number", "number": "number", "time": "time", "texts": "list"}
_DURATIONS = ("duration", "duration_s")
Filter = Annotated[str, Meta(max_length=50_000, description="A filter, as anew list takes it.")]


class NothingAsked(Asked):
    """Nothing more is said."""


class RunsAsked(Asked):
    """Which runs, in which order, which of them, and which columns."""

    q: Filter = ""
    sort: Annotated[str, Meta(max_length=1000)] = ""
    offset: Annotated[int, Meta(ge=0, le=2**53)] = 0
    limit: Annotated[int, Meta(ge=0, le=_MOST_ROWS)] = 200
    columns: str | None = None
    deleted: bool = False


class ColumnsAsked(Asked):
    """Of which runs."""

    q: Filter = ""


class GroupsAsked(Asked):
    """Which runs, by what, and what is told of each group."""

    by: str
    q: Filter = ""
    metrics: str = ""


class TableAsked(Asked):
    """Which runs, and which columns of them."""

    columns: str
    q: Filter = ""


def store(site: Site, asked: NothingAsked) -> StoreFacts:
    """What is shown here, and what may be done with it."""
    found = site.rows.found()
    return StoreFacts(
        version=anew.__version__,
        store=site.store.url,
        read_only=site.read_only,
        allow_rerun=site.allow_rerun and not site.read_only,
        runs=len(found.numbers),
        indexing=site.rows.indexing,
        experiments=sorted({record.experiment for record in site.rows.telling()}),
        cursor=Cursor(found.version).text,
    )


def runs(site: Site, asked: RunsAsked) -> RunsPage:
    """A window of the runs that match, in order, with the columns that tell them apart unless others are named."""
    if asked.deleted:
        return _deleted(site, asked)
    found = site.rows.found(asked.q, asked.sort)
    columns = _columns(site, asked)
    window = found.numbers[asked.offset : asked.offset + asked.limit]
    return RunsPage(
        total=len(found.numbers),
        offset=asked.offset,
        columns=columns,
        rows=site.rows.rows(site.rows.records(window), columns),
        cursor=Cursor(found.version).text,
        partial=found.partial,
        left_out=site.rows.left_out(),
    )


def _columns(site: Site, asked: RunsAsked) -> list[str]:
    if asked.columns is None:
        return site.rows.columns(asked.q, asked.sort)
    return listed(asked.columns)[:_MOST_COLUMNS]


def _deleted(site: Site, asked: RunsAsked) -> RunsPage:
    records = site.rows.deleted(asked.q, asked.sort)
    columns = listed(asked.columns)[:_MOST_COLUMNS]
    window = {each.id or 0: each for each in records[asked.offset : asked.offset + asked.limit]}
    return RunsPage(
        total=len(records),
        offset=asked.offset,
        columns=columns,
        rows=site.rows.rows(window, columns, deleted=True),
        cursor=Cursor(site.rows.changes.version()).text,
    )


def columns(site: Site, asked: ColumnsAsked) -> ColumnList:
    """The names that the runs which match can be filtered, sorted and shown by."""
    return ColumnList(columns=columns_of(site.rows.telling(asked.q)))


_known: list[tuple[list[RunRecord], list[Column]]] = []


def columns_of(records: list[RunRecord]) -> list[Column]:
    """
    Return the names that runs have, facts first. Those of the same list, which stays as it is, are remembered.

    Of very many names it is told by fewer of the runs what they are.
    """
    for some, known in [*_known]:
        if some is records:
            return known
    found = _found_columns(records)
    _known[:] = [(records, found), *_known[: _MOST_KNOWN - 1]]
    return found


def _found_columns(records: list[RunRecord]) -> list[Column]:
    facts = [_column(name, "fact", records) for name in (*FIELDS, *LATE, "result")]
    own = [*_own_names(records)]
    # thousands of metrics in each of a thousand runs would take minutes
    stride = -(-len(own) * len(records) // _MOST_VALUES) or 1
    some = records[::stride]
    return facts + [_column(name, kind, some) for name, kind in own]


def _own_names(records: list[RunRecord]) -> Iterator[tuple[str, str]]:
    """Yield the names that runs have of their own, and of what kind each is."""
    keys = dict.fromkeys(key for record in records for key in flatten(record.config))
    yield from ((f"config.{key}", "config") for key in keys)
    groups = dict.fromkeys(name for record in records for name in record.choices)
    yield from ((f"choices.{name}", "choice") for name in groups)
    results = [flatten(record.result) for record in records if isinstance(record.result, dict)]
    yield from ((f"result.{key}", "result") for key in dict.fromkeys(key for each in results for key in each))
    info = dict.fromkeys(key for record in records for key in flatten(record.info))
    yield from ((f"info.{key}", "info") for key in info)
    metrics = dict.fromkeys(name for record in records for name in record.metrics)
    yield from ((_as_metric(name), "metric") for name in metrics)


def _as_metric(name: str) -> str:
    return f"metric.{name}" if name in FIELD_NAMES or name.partition(".")[0] in ("config", "result", "info") else name


def _column(name: str, kind: str, records: list[RunRecord]) -> Column:
    values = [value_of(record, name) for record in records]
    distinct: set[str] = set()
    for value in values:
        distinct.add(repr(value))
        if len(distinct) > 1:
            break
    return Column(name=name, kind=kind, type=type_of(name, values), varying=len(distinct) > 1)


def type_of(name: str, values: list[Any]) -> str:
    """Return what kind of thing a column is of, as the page shows it."""
    if name in TIMES:
        return "time"
    if name in _DURATIONS:
        return "duration"
    if name in LISTS or name == "tags":
        return "list"
    return _TYPES.get(kind_of(name, values), "text")


def groups(site: Site, asked: GroupsAsked) -> GroupList:
    """Runs in groups that are alike in some names, and what metrics come to in each."""
    by = listed(asked.by)
    names = parse_filter(asked.q, site.saved).names
    found_runs = site.rows.found(without_repeats(asked.q, (*names, *by)))
    records = site.rows.records(found_runs.numbers[:_MOST_IN_TABLE])
    members = [*records.values()]
    metrics = listed(asked.metrics) or [*shared_metrics(members), "result"]
    found = grouped(members, by, metrics, Beside(site.store))
    told = [name for name in metrics if any(name in group.metrics for group in found)]
    return GroupList(
        by=by,
        metrics=told,
        groups=[
            GroupRow(
                by={name: cell(value) for name, value in group.by.items()},
                n=group.n,
                runs=[record.id for record in group.records if record.id is not None],
                metrics={
                    name: Spread(
                        mean=cell(spread.mean), std=cell(spread.std), min=cell(spread.min), max=cell(spread.max)
                    )
                    for name, spread in group.metrics.items()
                },
            )
            for group in found
        ],
    )


def table(site: Site, asked: TableAsked) -> Table:
    """Columns of all runs that match, newest first: for charts over runs."""
    found = site.rows.found(asked.q)
    names = listed(asked.columns)[:_MOST_COLUMNS]
    records = site.rows.records(found.numbers[:_MOST_IN_TABLE])
    more = Beside(site.store)
    values = {name: [value_of(record, name, more) for record in records.values()] for name in names}
    return Table(
        total=len(found.numbers),
        ids=[*records],
        columns=[
            TableColumn(name=name, type=type_of(name, each), values=[cell(value) for value in each])
            for name, each in values.items()
        ],
    )
