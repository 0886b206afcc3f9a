"""
Syncing to disk, in the background.

One daemon thread per process syncs every journal that has grown since its last turn, so that a power cut costs at most
the period, and the files it was told of. It starts with the first of them and ends some seconds after the last, awake
now and then meanwhile, so that short runs one after the other need not wake it; a forked child begins its own. A child
may end before its turn comes: the process that the run belongs to also looks after the journals beside its own.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from anew.runner.kernel.door import sync_data
from anew.runner.store.files import open_regular, sync_folder

_LINGER_S = 10.0
_PERIOD_S = 0.5


class Synced(Protocol):
    """
    What can be synced.

    Attributes:
        path: Where it is.
        descriptor: What it is written through; -1 once it is closed.
        length: How many bytes it has so far.
        fault: What went wrong with the latest background sync that failed, set from here.
        is_named: Whether its name in its folder is synced, set from here too.
    """

    path: Path
    descriptor: int
    fault: OSError | None
    is_named: bool

    @property
    def length(self) -> int: ...


_wake = threading.Condition(threading.Lock())
_periods: dict[Synced, float] = {}
_synced: dict[Synced, int] = {}
_files: dict[Path, int] = {}
_folders: dict[Path, dict[str, int]] = {}
_filing = threading.Lock()
_thread: threading.Thread | None = None
_turn_at = 0.0
"""When the thread looks next, on the monotonic clock."""


def keep_synced(journal: Synced, period_s: float) -> None:
    """Sync *journal*, and its name in its folder, every *period_s* seconds from now on, as long as it grows."""
    with _wake:
        _periods[journal] = period_s
        _synced[journal] = -1
        _rouse(period_s)


def keep_others_synced(folder: Path) -> None:
    """Sync journals in *folder* that other processes write, as often as those of this one, until `forget_others`."""
    with _wake:
        _folders[folder] = {}


def forget_others(folder: Path) -> None:
    """End what `keep_others_synced` began."""
    with _wake:
        _folders.pop(folder, None)


def sync_later(path: Path, levels: int = 1) -> None:
    """
    Sync a complete file and its name about half a second from now, if the process still lives, or in `settle`.

    Args:
        path: The file.
        levels: In how many folders upwards names are synced, 1 for its own alone.
    """
    with _wake:
        _files[path] = levels
        _rouse(_PERIOD_S)


def settle() -> None:
    """Sync now what was to be synced later."""
    with _filing:
        with _wake:
            files = dict(_files)
            _files.clear()
        _sync_files(files)


def forget(journal: Synced) -> None:
    """Stop syncing *journal*. Afterwards its descriptor may be closed."""
    with _wake:
        _periods.pop(journal, None)
        _synced.pop(journal, None)


def _rouse(within_s: float) -> None:
    """See to it that the thread is there and has a turn within some seconds; the lock is held."""
    global _thread, _turn_at
    if _thread is None:
        _turn_at = 0.0
        _thread = threading.Thread(target=_work, name="anew-sync", daemon=True)
        _thread.start()
    elif time.monotonic() + within_s < _turn_at:
        _wake.notify()


def _work() -> None:
    global _thread, _turn_at
    idle_s = 0.0
    while True:
        with _wake:
            period_s = min(_periods.values(), default=_PERIOD_S)
            _turn_at = time.monotonic() + period_s
            _wake.wait(timeout=period_s)
            idle_s = 0.0 if _periods or _files else idle_s + period_s
            if idle_s >= _LINGER_S:
                _thread = None
                return
            grown = [journal for journal, done in _synced.items() if journal.length != done]
            folders = dict(_folders)
        for journal in grown:
            _sync(journal)
        for folder, seen in folders.items():
            _sync_others(folder, seen)
        settle()


def _sync(journal: Synced) -> None:
    """Sync one journal by a descriptor of our own, since its own may be closed and used again meanwhile."""
    with _wake:
        if journal not in _synced or journal.descriptor < 0:
            return
        length = journal.length
        try:
            descriptor = os.dup(journal.descriptor)
        except OSError as error:
            if error.errno != errno.EBADF:  # else it was closed by main, and is opened again
                journal.fault = error
            return
    try:
        sync_data(descriptor)
        if not journal.is_named:
            sync_folder(journal.path.parent)
            journal.is_named = True
        with _wake:
            if journal in _synced:
                _synced[journal] = length
    except OSError as error:
        if error.errno == errno.EBADF:
            return  # main has closed it, as it has the journal's own; by now it may be anybody's
        journal.fault = error
    # the same may have come to pass since
    with suppress(OSError):
        os.close(descriptor)


def _sync_others(folder: Path, seen: dict[str, int]) -> None:
    """Sync journals that have grown since they were seen, and new names; what cannot be synced is tried again."""
    with _wake:
        ours = {journal.path for journal in _periods}
    is_new = False
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.endswith(".jsonl") or folder / entry.name in ours:
                continue
            size = entry.stat(follow_symlinks=False).st_size
            if seen.get(entry.name) != size:
                sync_file(Path(entry.path))
                is_new = is_new or entry.name not in seen
                seen[entry.name] = size
        if is_new:
            sync_folder(folder)


def sync_file(path: Path) -> None:
    """Sync the content of a regular file, whoever wrote it. Raises OSError."""
    with open_regular(path) as file:
        sync_data(file.fileno())


def _sync_files(files: Mapping[Path, int]) -> None:
    """Sync complete files and their folders. One that is gone, or cannot be synced, is left: its digest will tell."""
    for path in files:
        with suppress(OSError):
            sync_file(path)
    for folder in {folder for path, levels in files.items() for folder in list(path.parents)[:levels]}:
        with suppress(OSError):
            sync_folder(folder)


def _after_fork() -> None:
    global _wake, _filing, _thread
    _wake = threading.Condition(threading.Lock())
    _filing = threading.Lock()
    _thread = None
    _folders.clear()
    _periods.clear()
    _synced.clear()
    _files.clear()


os.register_at_fork(after_in_child=_after_fork)
