"""
Syncing to disk, in the background.

One daemon thread per process syncs every journal that has grown since its last turn, so that a power cut costs at most
the period, and the files it was told of. It starts with the first of them and ends some seconds after the last; a
forked child begins its own.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from anew.runner.kernel.door import sync_data
from anew.runner.store.files import sync_folder

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
    """

    path: Path
    descriptor: int
    fault: OSError | None

    @property
    def length(self) -> int: ...


_wake = threading.Condition(threading.Lock())
_periods: dict[Synced, float] = {}
_synced: dict[Synced, int] = {}
_files: set[Path] = set()
_thread: threading.Thread | None = None


def keep_synced(journal: Synced, period_s: float) -> None:
    """Sync *journal*, and its name in its folder, every *period_s* seconds from now on, as long as it grows."""
    with _wake:
        sooner = period_s < min(_periods.values(), default=_PERIOD_S + period_s)
        _periods[journal] = period_s
        _synced[journal] = -1
        _rouse(sooner)


def sync_later(path: Path) -> None:
    """Sync a complete file, and its name in its folder, about half a second from now, if the process still lives."""
    with _wake:
        idle = not (_periods or _files)
        _files.add(path)
        _rouse(idle)


def forget(journal: Synced) -> None:
    """Stop syncing *journal*. Afterwards its descriptor may be closed."""
    with _wake:
        _periods.pop(journal, None)
        _synced.pop(journal, None)


def _rouse(now: bool) -> None:
    """See to it that the thread is there, and end its wait if it may be too long; the lock is held."""
    global _thread
    if _thread is None:
        _thread = threading.Thread(target=_work, name="anew-sync", daemon=True)
        _thread.start()
    if now:
        _wake.notify()


def _work() -> None:
    global _thread
    while True:
        with _wake:
            if not _wake.wait_for(lambda: _periods or _files, timeout=_LINGER_S):
                _thread = None
                return
            _wake.wait(timeout=min(_periods.values(), default=_PERIOD_S))
            grown = [journal for journal, done in _synced.items() if journal.length != done]
            files = set(_files)
            _files.clear()
        for journal in grown:
            _sync(journal)
        _sync_files(files)


def _sync(journal: Synced) -> None:
    """Sync one journal by a descriptor of our own, since its own may be closed and used again meanwhile."""
    with _wake:
        if journal not in _synced or journal.descriptor < 0:
            return
        length, new = journal.length, _synced[journal] < 0
        try:
            descriptor = os.dup(journal.descriptor)
        except OSError as error:
            journal.fault = error
            return
    try:
        sync_data(descriptor)
        if new:
            sync_folder(journal.path.parent)
        with _wake:
            if journal in _synced:
                _synced[journal] = length
    except OSError as error:
        journal.fault = error
    finally:
        os.close(descriptor)


def _sync_files(files: set[Path]) -> None:
    """Sync complete files and their folders. One that is gone, or cannot be synced, is left: its digest will tell."""
    for path in files:
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                sync_data(descriptor)
            finally:
                os.close(descriptor)
    for folder in {path.parent for path in files}:
        with suppress(OSError):
            sync_folder(folder)


def _after_fork() -> None:
    global _wake, _thread
    _wake = threading.Condition(threading.Lock())
    _thread = None
    _periods.clear()
    _synced.clear()
    _files.clear()


os.register_at_fork(after_in_child=_after_fork)
