"""Sweeps from one store to another, once their runs are there."""

from __future__ import annotations

from collections.abc import Iterator

from anew.runner.dispatch.transfer import Moved, copy_contents
from anew.runner.errors import StoreError
from anew.runner.store.folder import FolderStore
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.sweep_folder import SweepFolder


def move_sweeps(source: RunFolders, target: RunFolders) -> Iterator[Moved]:
    """
    Bring all sweeps, oldest first; those that are there already get what is new.

    What is known of one that goes on is brought, and the rest the next time. Interrupted, the next call goes on.

    Raises:
        StoreError: A store cannot be read or written.
    """
    for number in reversed(source.sweep_numbers()):
        folder = source.sweep_folder(number)
        if folder.start() is not None:
            yield move_sweep(source, folder, target)
        elif folder.is_headless() or folder.layout.folder.is_symlink():
            detail = f"{folder.layout.record} is missing or damaged"
            yield Moved(kind="sweep", number=number, to="", what="failed", detail=detail)


def move_sweep(source: RunFolders, folder: SweepFolder, target: RunFolders) -> Moved:
    """Bring one sweep, whose record can be read. Raises StoreError where the target cannot be written."""
    is_new = not target.sweeps_of_uid(folder.uid)
    detail, is_damaged = "", False
    start = folder.start()
    if isinstance(target, FolderStore) and start is not None:
        lost = copy_contents(source, target, [file for file in start.source.files if file.kept])
        detail, is_damaged = lost.told(source.url), bool(lost.damaged)
    try:
        to, brought = target.bring_sweep(folder, source)
    except StoreError as error:
        return Moved(kind="sweep", number=folder.number, to="", what="failed", detail=str(error))
    if folder.conductor_alive():
        what = "going on"
    else:
        what = "copied" if is_new else "updated" if brought.changed else "there already"
    if brought.waiting:
        runs = "run" if brought.waiting == 1 else "runs"
        detail = "; ".join(filter(None, (detail, f"{brought.waiting} {runs} of it not there yet")))
    return Moved(kind="sweep", number=folder.number, to=str(to), what=what, detail=detail, damaged=is_damaged)
