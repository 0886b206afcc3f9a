"""Is everything in a store what it should be? What is wrong, where, and how to mend it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress

from anew.runner.dataclass import dataclass
from anew.runner.errors import AnewError
from anew.runner.format import serial
from anew.runner.format.serial import DamagedError
from anew.runner.records import Damage, RunRecord, Severity, Status
from anew.runner.store.curate import contents
from anew.runner.store.files import read_regular
from anew.runner.store.folder import FolderStore
from anew.runner.store.inventory import changed_marks, strangers
from anew.runner.store.output_sums import output_damage
from anew.runner.store.packs import flaws
from anew.runner.store.paths import PURGING, RunLayout
from anew.runner.store.position import observer_damage
from anew.runner.store.reading import MOST_RECORD_BYTES, read_outcome, read_run
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.typed import as_typed
from anew.runner.store.views import changed_files, view_damage

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
    """Yield what is wrong with a store, deleted runs included; *deep* reads every byte that anew wrote there."""
    if isinstance(store, FolderStore) and (flaw := store.index_flaw(deep=deep)):
        # first: who lists runs mends it
        yield Finding(
            Severity.WARNING, flaw, str(store.layout.index), f"{as_typed('anew list', store.url)}, which makes it anew"
        )
    damaged: dict[str, bool] = {}
    for number in store.numbers():
        with store.looked_at(number) as layout:
            yield from _check_run(store, layout, f"run {number}", number, deep, damaged)
    for number in store.trashed_numbers():
        yield from _check_run(store, store.layout.trashed(number), f"deleted run {number}", number, deep, damaged)
    for number in store.sweep_numbers():
        yield from _check_sweep(store, number, deep)
    for number in store.why_numbers():
        yield from _check_why(store, number)
    if deep:
        yield from _check_unreferred(store, damaged)
        if isinstance(store, FolderStore):
            yield from _check_strangers(store)
    if isinstance(store, FolderStore):
        yield from _check_packs(store, deep)
    old, purge = store.objects.temporaries(3600), as_typed("anew purge", store.url)
    if old:
        yield Finding(
            Severity.NOTE,
            f"{len(old)} temporary files of killed writers",
            str(old[0].parent),
            purge,
        )
    leftovers = list(store.layout.trash.glob(f"{PURGING}*"))
    if leftovers:
        yield Finding(Severity.NOTE, "a purge was interrupted", str(store.layout.trash), purge)


def _check_packs(store: FolderStore, deep: bool) -> Iterator[Finding]:
    for pack in store.packs.all():
        for flaw in flaws(pack) if deep else filter(None, [pack.flaw]):
            yield Finding(Severity.ERROR, flaw, str(pack.path), "copy it back from a backup of packs/")


def _its_runs(store: RunFolders, number: int) -> str:
    return f"its runs are whole: {as_typed(f'anew list sweep=={number}', store.url)}"


def _check_run(
    store: RunFolders, layout: RunLayout, where: str, number: int, deep: bool, damaged: dict[str, bool]
) -> Iterator[Finding]:
    record = read_run(layout, number)
    if record is None:
        with suppress(FileNotFoundError):  # it may have been deleted just now
            yield from _check_claim(layout)
        return
    show = as_typed(f"anew show {number}", store.url)
    if record.status is Status.LOST:
        yield Finding(
            Severity.WARNING,
            "LOST: its process died without an outcome",
            where,
            show,
        )
    if record.losses:
        what = f"not whole on record: {'; '.join(record.losses)}"
        yield Finding(Severity.WARNING, what, where, show)
    found = [*record.damage, *observer_damage(layout), *(_more_damage(layout, record) if deep else ())]
    for damage in found:
        yield Finding(damage.severity, damage.what, where, damage.mend)
    yield from _check_contents(store, record, where, deep, damaged)


def _check_claim(layout: RunLayout) -> Iterator[Finding]:
    if time.time() - layout.folder.stat().st_mtime > _STARTING_S:
        yield Finding(Severity.NOTE, "claimed, but its run never started", str(layout.folder), f"rm -r {layout.folder}")


def _more_damage(layout: RunLayout, record: RunRecord) -> Iterator[Damage]:
    """Yield what shows only when a run's output, the files for people and those that main wrote are read."""
    if layout.folder.is_symlink():
        return
    ended, _ = read_outcome(layout, record.uid)
    yield from output_damage(layout, ended)
    yield from view_damage(layout, record)
    yield from changed_files(layout, record)


def _check_sweep(store: RunFolders, number: int, deep: bool) -> Iterator[Finding]:
    layout = store.layout.sweep(number)
    if deep:
        for flaw in store.sweep_folder(number).flaws():
            yield Finding(Severity.WARNING, flaw, f"sweep {number}", "nothing depends on it; copy it from a backup")
    try:
        sweep = store.sweep(number)
    except AnewError as error:
        if os.path.lexists(layout.record):
            yield Finding(Severity.ERROR, str(error), str(layout.record), _its_runs(store, number))
        elif store.sweep_folder(number).is_headless():
            what = f"the record of sweep {number} is missing"
            yield Finding(Severity.ERROR, what, str(layout.record), _its_runs(store, number))
        return
    for warning in sweep.warnings:
        mend = f"{as_typed(f'anew sweep resume {number}', store.url)} writes anew what runs tell"
        yield Finding(Severity.ERROR, warning, f"sweep {number}", mend)


def _check_why(store: RunFolders, number: int) -> Iterator[Finding]:
    layout = store.layout.why(number)
    for path in (layout.record, layout.answer):
        try:
            serial.unseal(read_regular(path, MOST_RECORD_BYTES))
        except FileNotFoundError:
            if path == layout.record and layout.answer.exists():
                yield Finding(Severity.ERROR, f"the record of search {number} is missing", str(path), "anew why, anew")
        except (OSError, DamagedError) as error:
            what = f"{path.name} of search {number} is damaged: {error}"
            yield Finding(Severity.ERROR, what, str(path), f"its trials are whole: anew list 'why == {number}'")


def _check_contents(
    store: RunFolders, record: RunRecord, where: str, deep: bool, damaged: dict[str, bool]
) -> Iterator[Finding]:
    for file in contents(record):
        if file.sha256 not in damaged:
            whole = store.objects.verify(file.sha256) if deep else _has(store, file.sha256, file.size)
            damaged[file.sha256] = not whole
        if damaged[file.sha256]:
            yield Finding(
                Severity.ERROR,
                f"the content of {file.path} ({file.sha256[:12]}) is missing or damaged",
                where,
                "copy the file back from a backup of objects/, or run the experiment again",
            )


def _check_unreferred(store: RunFolders, known: Mapping[str, bool]) -> Iterator[Finding]:
    """Look at content that no run refers to, such as that of runs which are being written."""
    for sha256 in store.objects.all():
        if sha256 not in known and not store.objects.verify(sha256):
            yield Finding(
                Severity.WARNING,
                f"the content {sha256[:12]} is damaged; no run refers to it",
                str(store.objects.path(sha256)),
                f"{as_typed('anew purge', store.url)} removes it",
            )


def _check_strangers(store: FolderStore) -> Iterator[Finding]:
    """Name what is none of ours, and what was changed of the few files that are the same in every store."""
    layout = store.layout
    for path, what in changed_marks(layout):
        yield Finding(Severity.WARNING, what, str(path), "write it as it was: 1, 2 or 4 into FORMAT, * into .gitignore")
    for path, what in strangers(layout):
        yield Finding(Severity.NOTE, what, str(path), "move it elsewhere, or leave it be")


def _has(store: RunFolders, sha256: str, size: int) -> bool:
    try:
        return store.objects.size(sha256) == size
    except AnewError:
        return False
