"""
Series of numbers as columns, in the index: derived from a journal once, and from then on from what was added to it.

A row holds up to 2,048 points of one metric of one journal: their times (float64), their steps (int64), and their
values (float64, int64, or JSON where both kinds are among them), all of the machine's byte order; the row with the
negative of its number what these come to, some hundred at a time. The first row of a journal, 0, says how far it was
read and which rows a metric has. The row of no writer says what all journals of a run come to (`summed`).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import lru_cache
from heapq import merge
from pathlib import Path
from typing import Any, TypeVar

from anew.runner import events as ev
from anew.runner.format import serial
from anew.runner.format.sealed_lines import Rows
from anew.runner.format.values import number_from_json
from anew.runner.store.cells import Blocks, Column, cells_of
from anew.runner.store.column_rows import MOST_POINTS, ColumnRows, Head, Row, joined
from anew.runner.store.following import Following, OddError, Place
from anew.runner.store.index_file import IndexFile
from anew.runner.store.journal_forms import State, journals, state_of
from anew.runner.store.paths import RunLayout
from anew.runner.store.summed import LEAST_BYTES, Kept, Summed

T = TypeVar("T")
_STEP_KEY, _VALUES_KEY = (ev.keys(ev.MetricsLogged)[name] for name in ("step", "values"))
_Lists = tuple[list[float], list[int], list[Any]]


def column(file: IndexFile, number: int, layout: RunLayout, name: str) -> Column | None:
    """
    Return all points of a metric, of all writers in order of time; None where one has to look at each line.

    What of the run's journals is not in the index yet is read, and then is. Never raises on account of the index.

    Args:
        file: The index.
        number: The run's number.
        layout: Its folder.
        name: The metric.
    """
    found = by_writer(file, number, layout, name)
    return None if found is None else _in_order([*found.values()])


def by_writer(file: IndexFile, number: int, layout: RunLayout, name: str) -> dict[str, Column] | None:
    """Return the points of a metric by the writers that have some, each in order. Args and returns as `column`."""
    try:
        with closing(ColumnRows(file, number, layout)) as kept:
            parts = {path.stem: _of_journal(kept, path, name, kept.read) for path in journals(layout)}
    except (OddError, OSError):
        return None
    return {writer: each for writer, (old, new) in parts.items() if (each := joined([*old, *new])).times}


def blocks(file: IndexFile, number: int, layout: RunLayout, name: str) -> Blocks | None:
    """Return what the points of a metric come to, and how they are read. Args and returns as `column`."""
    try:
        with closing(ColumnRows(file, number, layout)) as kept:
            parts = [_of_journal(kept, path, name, kept.read_cells, again=True) for path in journals(layout)]
    except (OddError, OSError):
        return None
    rows: list[Row | Column] = []
    for old, new in parts:
        rows += [*old, *new]

    def read(wanted: Sequence[int]) -> list[Column]:
        some = [rows[row] for row in wanted]
        with closing(ColumnRows(file, number, layout)) as kept:
            found = iter(kept.blocks([each for each in some if isinstance(each, Row)]))
        return [next(found) if isinstance(each, Row) else each for each in some]

    return Blocks([cells_of(each) if isinstance(each, Column) else each.cells for each in rows], read)


def sums(file: IndexFile, number: int, layout: RunLayout) -> Kept:
    """Return where it is kept what a run's journals come to. Args as `column`."""

    def read() -> Summed | None:
        with closing(ColumnRows(file, number, layout)) as kept:
            return kept.summed()

    def write(summed: Summed) -> None:
        with closing(ColumnRows(file, number, layout)) as kept:
            kept.keep(summed)

    return Kept(read, write)


def _of_journal(
    kept: ColumnRows, path: Path, name: str, read: Callable[[str, str], tuple[Head, list[T]]], *, again: bool = False
) -> tuple[list[T], Sequence[Column]]:
    """
    Return what is kept of a metric's points in one journal, and those that were not; they are now.

    Args:
        kept: What is kept of the run.
        path: The journal.
        name: The metric.
        read: Gives what is kept.
        again: Whether rows are named, which may have been joined to what came behind them, and not read.

    Raises:
        OddError, OSError: One has to look at each line; it cannot be read.
    """
    state = state_of(path)
    if state[0] < LEAST_BYTES:
        return [], _short(path, state).get(name, ())
    stamp = state if kept.has_ended else ()
    head, before = read(path.stem, name)
    if stamp and head.stamp == stamp:
        return before, ()
    following = Following(path, head.place)
    try:
        new = _grown(following)
    except OddError:
        if head == Head():
            raise
        head, before, following = Head(), [], Following(path, Place())
        new = _grown(following)
    kept.write(path.stem, head, replace(head, stamp=stamp, place=following.place), new)
    if again:
        head, rows = read(path.stem, name)
        if head.place == following.place:
            return rows, ()
    return before, new.get(name, ())


@lru_cache(maxsize=8)
def _short(path: Path, state: State) -> dict[str, list[Column]]:
    """Return the points of a short journal in some state: many of its metrics are asked for one behind the other."""
    return _grown(Following(path, Place()))


def _grown(following: Following) -> dict[str, list[Column]]:
    """Return the points that are behind a place, by metric, in columns of limited length. Raises OddError, OSError."""
    growing: dict[str, _Lists] = {}
    done: dict[str, list[Column]] = {}
    for batch in following.rows():
        try:
            if isinstance(batch, Rows):
                _add(growing, batch)
            else:
                _take(growing, [entry for entry in batch if entry.get(ev.KIND_KEY) == ev.MetricsLogged.kind])
        except (LookupError, AttributeError, TypeError) as error:
            raise OddError from error
        for name in [name for name, lists in growing.items() if len(lists[0]) >= MOST_POINTS]:
            done.setdefault(name, []).append(_packed(*growing.pop(name)))
    for name, lists in growing.items():
        done.setdefault(name, []).append(_packed(*lists))
    return done


def _take(growing: dict[str, _Lists], entries: Sequence[dict[str, Any]]) -> None:
    """Add the points of entries. Raises LookupError, AttributeError, TypeError for what no writer leaves."""
    values = [entry[_VALUES_KEY] for entry in entries]
    if set(map(type, values)) - {dict}:
        raise TypeError
    alike = len(set(map(tuple, values))) == 1
    # many at a time, which takes half as long, where all of them have the same names
    for some, names in [(entries, values[0])] if alike else [([entry], entry[_VALUES_KEY]) for entry in entries]:
        times = [entry[serial.TIME_KEY] for entry in some]
        steps = [entry[_STEP_KEY] for entry in some]
        _add(growing, Rows((), times, steps, {name: [entry[_VALUES_KEY][name] for entry in some] for name in names}))


def _add(growing: dict[str, _Lists], rows: Rows) -> None:
    """Add the points of lines that have the same names."""
    for name, values in rows.values.items():
        lists = growing.setdefault(name, ([], [], []))
        lists[0].extend(rows.times)
        lists[1].extend(rows.steps)
        lists[2].extend(values)


def _packed(times: Sequence[float], steps: Sequence[int], values: Sequence[Any]) -> Column:
    """Return points as a column. Raises OddError for what no writer leaves."""
    try:
        if set(map(type, steps)) != {int}:
            raise OddError
        return Column(array("d", times), array("q", steps), _numbers(values))
    except (OverflowError, TypeError, LookupError) as error:
        raise OddError from error


def _numbers(values: Sequence[Any]) -> array[Any] | list[float | int]:
    """Return numbers as they stand in lines in the shortest form that loses nothing. Raises TypeError, LookupError."""
    kinds = set(map(type, values))
    if not kinds <= {int, float}:
        values = [number_from_json(value) for value in values]
        kinds = set(map(type, values))
    if kinds <= {float}:
        return array("d", values)
    if kinds <= {int}:
        with suppress(OverflowError):
            return array("q", values)
    return list(values)


def _in_order(columns: Sequence[Column]) -> Column:
    """Return the points of several writers in order of time."""
    if len(columns) <= 1:
        return joined(columns)
    rows = merge(*(zip(each.times, each.steps, each.values, strict=True) for each in columns), key=lambda row: row[0])
    times, steps, values = zip(*rows, strict=True)
    return _packed(times, steps, values)
