"""
Is that run going on?

A run without an outcome is, as long as its process lives (`liveness`), or, on another host, its folder changes.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from anew.runner.lazy.modules import later
from anew.runner.records import RunRecord
from anew.runner.store.journal_forms import journals, status_of
from anew.runner.store.liveness import process_alive
from anew.runner.store.paths import RunLayout

if TYPE_CHECKING:
    import tempfile
else:
    tempfile = later("tempfile")

SILENT_S = 120.0


def is_alive(layout: RunLayout, record: RunRecord) -> bool:
    """
    Return whether a run without outcome is still going on.

    On the same host its process is looked at. From another host it lives as long as its folder changes: its guard gives
    a sign of life every few seconds, and 120 s of silence, on the file system's own clock, count as death.
    """
    alive = process_alive(record.process) if record.process else None
    if alive is not None:
        return alive
    return file_clock(layout.folder) - _newest_change(layout) < SILENT_S


def may_live(layout: RunLayout, record: RunRecord) -> bool:
    """
    Return whether a run may be going on: it has no outcome, and its death is not certain.

    Of a process on another host it never is, however long it has been silent: the host may have been cut off.
    """
    if os.path.lexists(layout.outcome):
        return False
    return record.process is None or process_alive(record.process) is not False


def _newest_change(layout: RunLayout) -> float:
    times = [layout.folder.stat().st_mtime]
    for path in (*journals(layout), layout.output):
        try:
            times.append(status_of(path).st_mtime)
        except FileNotFoundError:
            continue
    return max(times)


def file_clock(folder: Path) -> float:
    """Return the time as the file system of *folder* has it, since a server's clock may differ from ours."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=".clock-", dir=folder.parent)
    except OSError:
        return time.time()
    try:
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
        Path(name).unlink()
