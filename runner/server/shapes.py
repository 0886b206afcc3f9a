"""What is answered, as structs: the OpenAPI is made of them."""

from __future__ import annotations

from typing import Any

import msgspec


class Shape(msgspec.Struct, kw_only=True):
    """An answer, or a part of one."""


class Row(Shape):
    """
    A run in a table.

    Attributes:
        started: In seconds since 1970.
        duration: In seconds; None while it is going on.
        cells: One for each column that was asked for.
    """

    id: int
    uid: str
    experiment: str
    status: str
    started: float
    duration: float | None
    tags: list[str]
    note: str | None
    verdict: str | None
    deleted: bool
    cells: list[Any]


class RunsPage(Shape):
    """
    A window of a table of runs.

    Attributes:
        total: How many match.
        columns: The names that the cells are of.
        cursor: Where the live stream goes on.
        partial: Whether older runs are not known yet, which are being read.
        left_out: What stands among the runs and cannot be read as one, a sentence each.
    """

    total: int
    offset: int
    columns: list[str]
    rows: list[Row]
    cursor: str
    partial: bool = False
    left_out: list[str] = []


class Progress(Shape):
    """How many of a store's runs were read so far."""

    done: int
    total: int


class StoreFacts(Shape):
    """What is shown, and what may be done."""

    version: str
    store: str
    read_only: bool
    allow_rerun: bool
    runs: int
    indexing: Progress | None
    experiments: list[str]
    cursor: str


class Column(Shape):
    """
    A name that runs can be filtered, sorted and shown by.

    Attributes:
        kind: "fact", "config", "choice", "metric", "result" or "info".
        type: "number", "text", "time", "duration", "bool" or "list".
        varying: Whether runs differ in it.
    """

    name: str
    kind: str
    type: str
    varying: bool


class ColumnList(Shape):
    """The names that there are."""

    columns: list[Column]


class Option(Shape):
    """What could stand in a filter, and what that is."""

    text: str
    what: str


class Completion(Shape, rename={"begin": "from", "end": "to"}):
    """What could stand in a filter from one place to another."""

    begin: int
    end: int
    options: list[Option]


class Spread(Shape):
    """What the numbers of a group come to; None of what cannot be told, {"number": text} of what is no number."""

    mean: Any
    std: Any
    min: Any
    max: Any


class GroupRow(Shape):
    """Runs that are alike."""

    by: dict[str, Any]
    n: int
    runs: list[int]
    metrics: dict[str, Spread]


class GroupList(Shape):
    """Runs in groups."""

    by: list[str]
    metrics: list[str]
    groups: list[GroupRow]


class TableColumn(Shape):
    """A column of all runs."""

    name: str
    type: str
    values: list[Any]


class Table(Shape):
    """All runs that match, by columns; `ids` may be fewer than `total`, the newest."""

    total: int
    ids: list[int]
    columns: list[TableColumn]


class Series(Shape):
    """
    A metric of a run in few points.

    Attributes:
        x: Where each is; of a bucket its middle.
        min, max, mean: None where there is no number.
        nan: How many points were no number.
        points: How many points there are in all.
        whole: Whether every point is here.
    """

    run: int
    name: str
    x: list[float | None]
    min: list[float | None]
    max: list[float | None]
    mean: list[float | None]
    nan: int
    points: int
    whole: bool


class SeriesList(Shape):
    """
    Metrics of runs.

    Attributes:
        more: How many metrics are left out, since none were named and there are many.
    """

    x: str
    series: list[Series]
    cursor: str
    more: int = 0
