"""Whether a run that was followed will have no end: what an observer that keeps runs elsewhere has to say there."""

from __future__ import annotations

from contextlib import suppress

from anew.runner.contracts import RunStore
from anew.runner.records import Status


def is_lost(store: RunStore | None, uid: str) -> bool:
    """Whether a run died without an outcome, by the store that it is recorded in. Never raises."""
    with suppress(Exception):
        return store is not None and store.get(uid).status is Status.LOST
    return False
