"""`anew usage --disk`: what runs take on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from anew.runner.across.space import Space, space
from anew.runner.cli.context import print_json
from anew.runner.cli.render import csv_rows, say, styled, table
from anew.runner.contracts import RunStore
from anew.runner.errors import StoreError
from anew.runner.format.values import plain
from anew.runner.records import RunRecord
from anew.runner.store.folder import FolderStore
from anew.runner.store.typed import as_typed
from anew.runner.wording import short, size


def print_disk(store: RunStore, records: Sequence[RunRecord], names: Sequence[str], how: str) -> None:
    """
    Print what runs take on the disk.

    Args:
        store: Where they are.
        records: The runs.
        names: Of the filter language: a row for each of their values.
        how: "json", "csv", or "" for people.

    Raises:
        StoreError: The runs are in no folder.
    """
    if not isinstance(store, FolderStore):
        raise StoreError(f"What runs take in {store.url} its database knows. For a folder: anew usage --store FOLDER")
    found = space(store, records, names)
    if how == "json":
        told = {**asdict(found), "groups": [{**asdict(each), "by": plain(each.by)} for each in found.groups]}
        print_json(told)
    elif how == "csv":
        header = [*names, "runs", "folder bytes", "content bytes"]
        csv_rows(header, [[*each.by.values(), each.runs, each.folders, each.content] for each in found.groups])
    else:
        _print(store, found, names)


def _print(store: FolderStore, found: Space, names: Sequence[str]) -> None:
    rows: list[list[Any]] = [
        [*each.by.values(), each.runs, size(each.folders), size(each.content), size(each.folders + each.content)]
        for each in found.groups
    ]
    if rows:
        cells = [[each if isinstance(each, str) else short(each) for each in row] for row in rows]
        table([*names, "runs", "folders", "content", "both"], cells)
    parts = {
        "content of several of these, counted once": found.shared,
        "content of other runs, of deleted ones, or of none": found.others,
        "other folders, deleted runs, sweeps, the index": found.rest,
    }
    for name, taken in parts.items():
        if taken:
            say(styled(f"{size(taken):>10}  {name}", "dim"))
    hint = f"To have less: {as_typed('anew pack REF...', store.url)}; {as_typed('anew purge', store.url)}"
    say(f"{size(found.total):>10}  {store.url} as a whole. {hint}")
