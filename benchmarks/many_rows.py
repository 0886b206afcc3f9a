"""
Make a store that has an index of many runs, and of each run nothing but an empty folder: what asking the index costs.

    python -m benchmarks.many_rows FOLDER 100000 [--facts]

The rows are those that one run would have, with other parameters, written as the index writes them, some hundred at a
time. It prints how many it wrote in a second of CPU time. With `--facts` only what filters look at is written, in less
time, and folders and records are there of the runs alone that a question finds first.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from anew.runner.format import light
from anew.runner.format.ids import new_uid
from anew.runner.query.filters import parse_filter
from anew.runner.records import CommandFacts, MetricSummary, RunRecord, Status
from anew.runner.store.folder import FolderStore
from anew.runner.store.index import Index
from anew.runner.store.index_ask import FEW
from anew.runner.store.index_facts import Facts, Key, facts_of
from anew.runner.store.index_look import AT_A_TIME, Look, Row
from anew.runner.store.index_question import Question
from anew.runner.store.index_spans import SETTLED, Spans
from anew.runner.store.index_values import SPAN
from anew.runner.store.packs import Packs
from anew.runner.store.paths import StoreLayout
from anew.runner.store.stamps import Stamp

BEGAN = datetime(2024, 1, 1, tzinfo=timezone.utc)
LONG_AGO_NS = 10**9 * 10**9
STAMP = Stamp(((".", -1, -1, LONG_AGO_NS),), is_young=False)
QUESTION, SORT, SHOWN = "config.lr < 0.1 and train/loss > 0.001", "-test/acc", 51


def fill(root: Path, count: int) -> float:
    """Make a store of so many runs; return how many rows were written in a second of CPU time."""
    FolderStore.open(root, create=True)
    for number in range(1, count + 1):
        _make_folder(root, number)
    index = Index(StoreLayout(root).index, root, Packs(StoreLayout(root)))
    used = 0.0
    for begin in range(1, count + 1, AT_A_TIME):
        records = [*some(begin, min(begin + AT_A_TIME, count + 1))]
        rows = [Row(record.id or 0, record.uid, STAMP, light.to_text(record), "", record) for record in records]
        began = time.process_time()
        with closing(Look(index.file, root, lambda row: True)) as look:
            for row, record in zip(rows, records, strict=True):
                look.note(row, record)
        used += time.process_time() - began
    _settle(index, root)
    return count / used


def fill_facts(root: Path, count: int, question: str, sort: str, limit: int) -> None:
    """Make the facts of so many runs, and all else of those that a question finds first."""
    FolderStore.open(root, create=True)
    index = Index(StoreLayout(root).index, root, Packs(StoreLayout(root)))
    with closing(index.look()) as look:
        database = look.database
        for begin in range(0, count, SPAN):
            [*records] = some(max(begin, 1), min(begin + SPAN, count + 1))
            pattern = facts_of(records[0])
            changes = {record.id or 0: (Facts(_changed(pattern, record), 0), SETTLED) for record in records}
            database.execute("BEGIN IMMEDIATE")
            spans = Spans(database)
            spans.put(changes)
            spans.catalog.write(database)
            database.execute("COMMIT")
        with look.facts() as spans:
            found = Question(spans, lambda name, uid, number: None).runs(parse_filter(question).tree, sort, limit)
    for number in {*(found or ()), *range(1, 2 * FEW)}:  # fewer would be looked at one by one
        _make_folder(root, number)
    with closing(Look(index.file, root, lambda row: True)) as look:
        for number in found or ():
            [record] = some(number, number + 1)
            look.note(Row(number, record.uid, STAMP, light.to_text(record), "", record), record)
    _settle(index, root)


def _changed(pattern: Facts, record: RunRecord) -> dict[Key, Any]:
    """Return the facts of a run that differs from another in a few."""
    config = {("config", name): record.config[name] for name in ("lr", "layers")}
    fields = {
        ("field", "uid"): record.uid,
        ("field", "started"): record.started_at,
        ("field", "ended"): record.ended_at,
    }
    metrics = {
        (part, name): value
        for name, each in record.metrics.items()
        for part, value in (("last", each.last), ("min", each.min), ("first", 1.0), ("mean", each.last))
    }
    return {**pattern.values, **fields, **config, ("result", ""): record.result, **metrics}


def _make_folder(root: Path, number: int) -> None:
    os.mkdir(root / str(number))
    os.utime(root / str(number), ns=(LONG_AGO_NS, LONG_AGO_NS))


def _settle(index: Index, root: Path) -> None:
    """Have it known that nothing has come or gone for long."""
    os.utime(root, ns=(LONG_AGO_NS, LONG_AGO_NS))
    with closing(index.look()) as look:
        look.conclude((), index.listed(), ())


def some(begin: int, end: int) -> Iterator[RunRecord]:
    """Yield the records of runs as they would be read."""
    command = CommandFacts(argv=("train.py",), cwd="/home/me/project")
    first = RunRecord(uid="", experiment="curve", started_at=BEGAN, command=command, status=Status.COMPLETED)
    for number in range(begin, end):
        loss = (number * 7919 % 100_003 + 1) / 100_004
        yield replace(
            first,
            uid=new_uid(),
            id=number,
            started_at=BEGAN + timedelta(seconds=number),
            ended_at=BEGAN + timedelta(seconds=number + 60),
            duration_s=60.0,
            config={"lr": 10 ** (-(number % 7) / 2), "layers": number % 5 + 1, "model": {"name": "mlp", "width": 64}},
            result=loss,
            metrics={
                name: MetricSummary(last=last, min=last, max=1.0, count=20, step=19)
                for name, last in (("train/loss", loss), ("test/loss", 1.1 * loss), ("test/acc", 1 - loss))
            },
        )


if __name__ == "__main__":
    if "--facts" in sys.argv:
        fill_facts(Path(sys.argv[1]), int(sys.argv[2]), QUESTION, SORT, SHOWN)
    else:
        print(f"{fill(Path(sys.argv[1]), int(sys.argv[2])):,.0f} rows a second of CPU time")
