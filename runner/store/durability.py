"""
Syncing to disk, in the background.

One daemon thread per process syncs every journal that was written to since its last turn, so that a power cut costs
at most the period. It starts with the first journal and ends with the last; a forked child begins its own.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol


class Synced(Protocol):
    """What can be synced: has grown by `_length` bytes so far, and writes through `_descriptor` until that is -1."""

    _descriptor: int
    _length: int


_lock = threading.Lock()
_wake = threading.Condition(_lock)
_periods: dict[Synced, float] = {}
_synced: dict[Synced, int] = {}
_thread: threading.Thread | None = None
faults: list[str] = []


def sync_descriptor(descriptor: int) -> None:
    """Sync a file's content. Raises OSError."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        os.fsync(descriptor)


def keep_synced(journal: Synced, period_s: float) -> None:
    """Sync *journal* every *period_s* seconds from now on, as long as it grows."""
    global _thread
    with _lock:
        _periods[journal] = period_s
        _synced[journal] = 0
        if _thread is None:
            _thread = threading.Thread(target=_work, name="anew-sync", daemon=True)
            _thread.start()
        _wake.notify()


def forget(journal: Synced) -> None:
    """Stop syncing *journal*."""
    with _lock:
        _periods.pop(journal, None)
        _synced.pop(journal, None)


def _work() -> None:
    global _thread
    while True:
        with _lock:
            if not _periods and not _wake.wait(timeout=10) and not _periods:
                _thread = None
                return
            _wake.wait(timeout=min(_periods.values(), default=0))
            due = [(journal, journal._length) for journal, done in _synced.items() if journal._length != done]
        for journal, length in due:
            _sync(journal, length)


def _sync(journal: Synced, length: int) -> None:
    """Sync one journal by a descriptor of our own, since its own may be closed and used again meanwhile."""
    with _lock:
        if journal not in _periods or journal._descriptor < 0:
            return
        descriptor = os.dup(journal._descriptor)
    try:
        sync_descriptor(descriptor)
        with _lock:
            if journal in _synced:
                _synced[journal] = length
    except OSError as error:
        faults.append(str(error))
    finally:
        os.close(descriptor)


def _after_fork() -> None:
    global _lock, _wake, _thread
    _lock = threading.Lock()
    _wake = threading.Condition(_lock)
    _thread = None
    _periods.clear()
    _synced.clear()


os.register_at_fork(after_in_child=_after_fork)
