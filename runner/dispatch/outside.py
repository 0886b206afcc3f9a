"""What in a run's folder leads out of it."""

from __future__ import annotations

import stat
from contextlib import suppress

from anew.runner.store.journal_forms import forms, journals
from anew.runner.store.paths import RunLayout


def leads_out(layout: RunLayout) -> str:
    """
    Return which of a run's files is none, such as a link, as a sentence; empty when all are in order.

    A store may be anybody's, and what a link leads to is not part of the run: somebody's key would go to another store.
    """
    written = [form for path in journals(layout) for form in forms(path)]
    for path in (layout.folder, layout.record, layout.outcome, layout.output, layout.events, *written):
        with suppress(FileNotFoundError):
            status = path.lstat()
            wanted = stat.S_ISDIR if path in (layout.folder, layout.events) else stat.S_ISREG
            if not wanted(status.st_mode):
                what = "a link" if stat.S_ISLNK(status.st_mode) else "no file of a run"
                return f"{str(path)!r} is {what}, which is not followed; nothing of the run is sent"
    return ""
