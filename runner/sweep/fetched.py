"""A sweep of a store that nothing is recorded in: brought to where runs are recorded, gone on with, and sent back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from anew.runner.dispatch.sweeps import move_sweep
from anew.runner.dispatch.transfer import Moved, to_folder, to_observer
from anew.runner.errors import RerunError, StoreError
from anew.runner.records import RunRecord, Status
from anew.runner.store import curate
from anew.runner.store.folder import FolderStore
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.typed import as_typed
from anew.runner.wording import some


@contextmanager
def fetched(store: RunFolders, ref: str | int, tell: Callable[[str], object]) -> Iterator[tuple[RunFolders, str]]:
    """
    Give the store to go on with a sweep in, and the sweep's uid; what was done there is sent afterwards.

    Args:
        store: Where the sweep is; a store that is recorded in is given back as it is.
        ref: The sweep.
        tell: Called with each line that is to be known.

    Raises:
        SweepNotFoundError: No such sweep.
        RerunError: It is going on, or it cannot be brought there.
        StoreError: A store cannot be read or written, or not all was sent; the message says how to.
    """
    sweep, target = store.sweep(ref), store.recording()
    uid = sweep.start.uid
    if target is store or not isinstance(target, FolderStore):
        yield store, uid
        return
    show = as_typed(f"anew sweep show {sweep.id}", store.url)
    if sweep.status is Status.RUNNING:
        raise RerunError(f"Sweep {sweep.id} is going on. To see it: {show}")
    _fetch(store, target, uid, sweep.id)
    tell(f"sweep {sweep.id} of {store.url} is gone on with in {target.url}, and sent back")
    try:
        yield target, uid
    finally:
        _send(target, store, uid)
    after = store.sweep(uid)
    counts = ", ".join(f"{count} {status.value}" for status, count in after.counts().items())
    tell(f"sweep {after.id} of {store.url}: {counts}. To see it: {show}")


def _fetch(store: RunFolders, target: FolderStore, uid: str, number: int) -> None:
    folder = store.sweep_folder(number)
    done = {each.uid for attempts in folder.taken().values() for each in attempts}
    moved = [*to_folder(store, target, lambda record: _is_of(record, uid) or record.uid in done)]
    moved.append(move_sweep(store, folder, target))
    failed = [f"{each.kind} {each.number} ({each.detail or each.what})" for each in moved if _is_left(each)]
    if failed:
        raise RerunError(f"Sweep {number} cannot be brought from {store.url} to {target.url}: {some(failed)}")


def _send(target: FolderStore, store: RunFolders, uid: str) -> None:
    """Send what was done, and have nothing stay behind. Raises StoreError."""
    there = {record.uid for record in store.records()}
    ours = [record for record in target.records() if _is_of(record, uid)]
    new = to_observer(
        target,
        store.url,
        store.observer,
        there.__contains__,
        lambda record: _is_of(record, uid) and record.uid not in there,
    )
    moved = [*new, move_sweep(target, target.sweep_folder(uid), store)]
    if any(_is_left(each) for each in moved):
        raise StoreError(
            f"What was done of the sweep is in {target.url}, and not all of it could be sent to {store.url}. "
            f"To send it: anew sync {target.url} {store.url}"
        )
    for record in ours:
        curate.delete(target, record.uid)
    curate.purge(target, [record.uid for record in ours])
    shutil.rmtree(target.sweep_folder(uid).layout.folder, ignore_errors=True)


def _is_of(record: RunRecord, uid: str) -> bool:
    return record.sweep is not None and record.sweep.uid == uid


def _is_left(moved: Moved) -> bool:
    return moved.what in ("failed", "going on") or moved.damaged
