"""Runs that no folder keeps: they wait in the user's cache until every observer has all of them."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from anew.runner.dispatch.specs import read_specs
from anew.runner.errors import AnewError
from anew.runner.lazy.modules import later
from anew.runner.places import cache_folder
from anew.runner.records import Status
from anew.runner.store import curate
from anew.runner.store.paths import RunLayout
from anew.runner.store.position import read_cursor
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.stream import RunSource

if TYPE_CHECKING:
    import shutil
else:
    shutil = later("shutil")

_RESUMABLE = timedelta(days=30)


def spool_folder() -> Path:
    """Return where such runs are."""
    return cache_folder() / "spool"


def is_delivered(layout: RunLayout) -> bool:
    """Whether all observers of a run have all of it. Raises StoreError, OSError."""
    source = RunSource(layout, None)
    cursors = [read_cursor(layout.cursor(name)) for name in read_specs(layout)]
    return bool(cursors) and all(
        cursor.done.ended and not cursor.aside and not source.behind(cursor.done) for cursor in cursors
    )


def is_spool(store: RunFolders) -> bool:
    """Whether a store is that folder."""
    return os.path.realpath(store.url) == os.path.realpath(spool_folder())


def remove_delivered(store: RunFolders, number: int) -> bool:
    """Remove a spooled run, and content that no other needs, if it is delivered; return whether it was.

    A run of a sweep stays: what became of the sweep's jobs is read from their runs. See `remove_delivered_sweep`.

    Raises:
        AnewError: The spool cannot be written.
    """
    try:
        sweep = store.get(number).sweep
        if not is_delivered(store.layout.run(number)) or (sweep and sweep.id in store.sweep_numbers()):
            return False
    except AnewError:
        return False
    curate.delete(store, number)
    curate.purge(store, [number])
    return True


def remove_delivered_sweep(store: RunFolders, number: int) -> bool:
    """
    Remove a spooled sweep and its runs, if observers have all of them and it is not to be resumed; return whether.

    One that has not completed may be resumed for 30 days after its end.

    Raises:
        AnewError: The spool cannot be written.
    """
    folder = store.sweep_folder(number)
    try:
        sweep = store.sweep(number)
        if folder.conductor_alive() or sweep.status is Status.RUNNING:
            return False
        ended = sweep.ended_at or sweep.start.started_at
        if sweep.status is not Status.COMPLETED and datetime.now(timezone.utc) - ended < _RESUMABLE:
            return False
        runs = [run.number for run in store.all_runs() if run.record.sweep and run.record.sweep.id == number]
        if not all(is_delivered(store.layout.run(run)) for run in runs):
            return False
    except AnewError:
        return False
    # first: without some of its runs it would look as if jobs were left to be run
    shutil.rmtree(folder.layout.folder, ignore_errors=True)
    for run in runs:
        curate.delete(store, run)
    curate.purge(store, runs)
    return True


def tidy(store: RunFolders) -> None:
    """Remove all sweeps and runs of the spool that are delivered; see above. Raises AnewError."""
    for sweep in store.sweep_numbers():
        remove_delivered_sweep(store, sweep)
    for number in store.numbers():
        remove_delivered(store, number)
