"""Runs that no folder keeps: they wait in the user's cache until every observer has all of them."""

from __future__ import annotations

from pathlib import Path

from anew.runner.dispatch.specs import read_specs
from anew.runner.errors import AnewError
from anew.runner.store import curate
from anew.runner.store.paths import RunLayout
from anew.runner.store.position import read_cursor
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.stream import RunSource


def spool_folder() -> Path:
    """Return where such runs are."""
    from platformdirs import user_cache_path

    return user_cache_path("anew") / "spool"


def is_delivered(layout: RunLayout) -> bool:
    """Whether all observers of a run have all of it. Raises StoreError, OSError."""
    source = RunSource(layout, None)
    cursors = [read_cursor(layout.cursor(name)) for name in read_specs(layout)]
    return bool(cursors) and all(
        cursor.done.ended and not cursor.aside and not source.behind(cursor.done) for cursor in cursors
    )


def remove_delivered(store: RunFolders, number: int) -> bool:
    """Remove a spooled run, and content that no other needs, if it is delivered; return whether it was.

    Raises:
        AnewError: The spool cannot be written.
    """
    try:
        if not is_delivered(store.layout.run(number)):
            return False
    except AnewError:
        return False
    curate.delete(store, number)
    curate.purge(store, [number])
    return True
