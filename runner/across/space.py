"""Where the disk space of a store goes: what folders of runs take, and content, which several runs may share."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.errors import AnewError
from anew.runner.format.values import exact_form
from anew.runner.query.filters import value_of
from anew.runner.records import RunRecord
from anew.runner.store.curate import contents, every_record
from anew.runner.store.folder import FolderStore
from anew.runner.store.more import Beside

_BLOCK = 512
_SHARED, _UNKNOWN = "", None


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """
    What runs take that are alike by some names.

    Attributes:
        by: Name of the filter language -> value.
        runs: How many they are.
        folders: What their folders take, or they themselves in packs, in bytes.
        content: What content takes that no other run refers to, in bytes.
    """

    by: dict[str, Any]
    runs: int
    folders: int
    content: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """
    What a store takes, in bytes on the disk; content counts once.

    Attributes:
        groups: Of the runs that were asked for, the largest first.
        shared: Content that runs of several groups refer to, or also runs that were not asked for.
        others: Content of runs that were not asked for or were deleted, and what no run refers to.
        rest: All else: deleted runs, other runs' folders, sweeps, the index.
        total: All of the store.
    """

    groups: tuple[Group, ...]
    shared: int
    others: int
    rest: int
    total: int


def space(store: FolderStore, records: Iterable[RunRecord], by: Sequence[str]) -> Space:
    """
    Return what runs take by the values of names of the filter language, and the store as a whole.

    Every file of the store is looked at, and every record is read. Raises StoreError.
    """
    groups: dict[str, dict[str, Any]] = {}
    numbers: dict[str, list[int]] = {}
    group_of: dict[str, str] = {}
    more = Beside(store)
    for record in records:
        values = {name: value_of(record, name, more) for name in by}
        key = exact_form(values) or "{}"
        groups[key] = values
        numbers.setdefault(key, []).append(record.id or 0)
        group_of[record.uid] = key
    content, shared, others = _content(store, group_of)
    packed = _packed(store)
    found = []
    for key, members in numbers.items():
        folders = sum(packed.get(number, 0) or _below(store.layout.run(number).folder) for number in members)
        found.append(Group(by=groups[key], runs=len(members), folders=folders, content=content.get(key, 0)))
    total = _below(store.root)
    rest = total - shared - others - sum(each.folders + each.content for each in found)
    ordered = tuple(sorted(found, key=lambda each: -(each.folders + each.content)))
    return Space(groups=ordered, shared=shared, others=others, rest=rest, total=total)


def _content(store: FolderStore, group_of: dict[str, str]) -> tuple[dict[str, int], int, int]:
    """Return what content takes: by the one group that refers to it, shared, and all other."""
    owners: dict[str, str | None] = {}
    for record in every_record(store):
        key = group_of.get(record.uid)
        for sha256 in {file.sha256 for file in contents(record)}:
            owners[sha256] = key if owners.get(sha256, key) == key else _SHARED
    found: dict[str, int] = {}
    shared = others = 0
    for sha256 in store.objects.all():
        try:
            length = _taken(os.lstat(store.objects.path(sha256)))
        except (OSError, AnewError):
            continue
        owner = owners.get(sha256, _UNKNOWN)
        if owner == _SHARED:
            shared += length
        elif owner is None:
            others += length
        else:
            found[owner] = found.get(owner, 0) + length
    return found, shared, others


def _packed(store: FolderStore) -> dict[int, int]:
    """Return what runs take that are read from packs."""
    there = store.packs.runs()
    found = {}
    for pack in {id(each): each for each in there.values()}.values():
        for number, length in store.packs.lengths(pack).items():
            if there.get(number) is pack and not store.layout.run(number).folder.exists():
                found[number] = length
    return found


def _taken(status: os.stat_result) -> int:
    return status.st_blocks * _BLOCK if hasattr(status, "st_blocks") else status.st_size


def _below(folder: Path) -> int:
    """Return what is taken below a folder, files with several names once; links are not followed."""
    total, seen, folders = 0, set[tuple[int, int]](), [str(folder)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        folders.append(entry.path)
                    if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
                        if (status.st_dev, status.st_ino) in seen:
                            continue
                        seen.add((status.st_dev, status.st_ino))
                    total += _taken(status)
        except OSError:  # it was taken away just now
            continue
    return total
