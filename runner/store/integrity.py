"""Is everything in a store what it should be? What is wrong, where, and how to mend it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from anew.runner.errors import AnewError
from anew.runner.records import RunRecord, Severity, Status
from anew.runner.store.curate import contents
from anew.runner.store.paths import PURGING
from anew.runner.store.reading import read_run
from anew.runner.store.run_folders import RunFolders

_STARTING_S = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that check found.

    Attributes:
        severity: How bad it is.
        what: A sentence.
        where: A path or run.
        mend: What to type or do about it.
    """

    severity: Severity
    what: str
    where: str
    mend: str


def check_store(store: RunFolders, *, deep: bool = False) -> Iterator[Finding]:
    """Yield what is wrong with a store; *deep* reads every piece of content and compares its digest."""
    damaged: dict[str, bool] = {}
    for number in store.numbers():
        yield from _check_run(store, number, deep, damaged)
    for number in store.sweep_numbers():
        yield from _check_sweep(store, number)
    old = store.objects.temporaries(3600)
    if old:
        yield Finding(Severity.NOTE, f"{len(old)} temporary files of killed writers", str(old[0].parent), "anew purge")
    leftovers = list(store.layout.trash.glob(f"{PURGING}*"))
    if leftovers:
        yield Finding(Severity.NOTE, "a purge was interrupted", str(store.layout.trash), "anew purge")


def _check_run(store: RunFolders, number: int, deep: bool, damaged: dict[str, bool]) -> Iterator[Finding]:
    layout = store.layout.run(number)
    where = f"run {number}"
    try:
        record = read_run(layout, number)
    except AnewError as error:
        yield Finding(Severity.ERROR, str(error), where, "see the message")
        return
    if record is None:
        if time.time() - layout.folder.stat().st_mtime > _STARTING_S:
            yield Finding(
                Severity.NOTE, "claimed, but its run never started", str(layout.folder), f"rm -r {layout.folder}"
            )
        return
    if record.status is Status.LOST:
        yield Finding(Severity.WARNING, "LOST: its process died without an outcome", where, f"anew show {number}")
    for damage in record.damage:
        yield Finding(damage.severity, damage.what, where, damage.mend)
    yield from _check_contents(store, record, deep, damaged)


def _check_sweep(store: RunFolders, number: int) -> Iterator[Finding]:
    layout = store.layout.sweep(number)
    try:
        sweep = store.sweep(number)
    except AnewError as error:
        if layout.record.exists():
            yield Finding(
                Severity.ERROR, str(error), str(layout.record), f"its runs are whole: anew list sweep=={number}"
            )
        return
    for warning in sweep.warnings:
        yield Finding(
            Severity.ERROR, warning, f"sweep {number}", f"anew sweep resume {number} writes anew what runs tell"
        )


def _check_contents(store: RunFolders, record: RunRecord, deep: bool, damaged: dict[str, bool]) -> Iterator[Finding]:
    for file in contents(record):
        if file.sha256 not in damaged:
            whole = store.objects.verify(file.sha256) if deep else _has(store, file.sha256, file.size)
            damaged[file.sha256] = not whole
        if damaged[file.sha256]:
            yield Finding(
                Severity.ERROR,
                f"the content of {file.path} ({file.sha256[:12]}) is missing or damaged",
                f"run {record.id}",
                "copy the file back from a backup of objects/, or run the experiment again",
            )


def _has(store: RunFolders, sha256: str, size: int) -> bool:
    try:
        return store.objects.size(sha256) == size
    except AnewError:
        return False
