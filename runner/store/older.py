"""What earlier versions kept elsewhere than in a run's own files."""

from __future__ import annotations

from contextlib import suppress

from anew.runner.attached.unread import altered
from anew.runner.errors import StoreError
from anew.runner.records import RunRecord, Stop
from anew.runner.search.files import SearchFiles, read_json
from anew.runner.store.paths import RunLayout, StoreLayout
from anew.runner.store.sweep_folder import SweepFolder


def with_stop(layout: RunLayout, record: RunRecord) -> RunRecord:
    """Return a run's record, with it on record that it was told to stop, which only its search's folder said."""
    return altered(record, pruned=True) if not record.pruned and stops_of(layout, record) else record


def stops_of(layout: RunLayout, record: RunRecord) -> tuple[Stop, ...]:
    """Return when a run was told to stop, by the folder of its search: by what was reported, not by what was asked."""
    if record.sweep is None or record.sweep.id is None:
        return ()
    sweep, index = StoreLayout(layout.folder.parent).sweep(record.sweep.id), record.sweep.index
    mark = SearchFiles(sweep.folder).stop_mark(index)
    # another store's sweep may have had that number, and an earlier run that index
    if not mark.exists():
        return ()
    claims = SweepFolder(sweep, record.sweep.id).attempts(index)
    if not claims or claims[-1].run != record.id:
        return ()
    with suppress(StoreError):
        step = (read_json(mark) or {}).get("step")
        return (Stop(asked=0, step=step if type(step) is int else None),)
    return (Stop(asked=0),)
