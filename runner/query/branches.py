"""Runs as a tree: each below the run that it was started in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from anew.runner.records import RunRecord

_MOST_DEPTH = 20


def branches(records: Sequence[RunRecord]) -> list[tuple[str, RunRecord]]:
    """
    Return *records* with what is drawn before each: nothing before one whose parent is not among them.

    Those come in the order given, and below each the runs that were started in it, in that order, too.
    """
    known = {record.uid for record in records}
    below: dict[str | None, list[RunRecord]] = {}
    for record in records:
        parent = record.parent.uid if record.parent is not None else None
        below.setdefault(parent if parent in known and parent != record.uid else None, []).append(record)
    found = list(_drawn(below, None, "", 0))
    # a record may say anything, and two that name each other stand below nobody
    drawn = {record.uid for _, record in found}
    return [*found, *(("", record) for record in records if record.uid not in drawn)]


def _drawn(
    below: dict[str | None, list[RunRecord]], parent: str | None, before: str, depth: int
) -> Iterator[tuple[str, RunRecord]]:
    records = below.get(parent, [])
    for number, record in enumerate(records):
        is_last = number == len(records) - 1
        mark, further = ("", "") if parent is None else ("└ ", "  ") if is_last else ("├ ", "│ ")
        yield f"{before}{mark}", record
        if depth < _MOST_DEPTH:
            yield from _drawn(below, record.uid, f"{before}{further}", depth + 1)
