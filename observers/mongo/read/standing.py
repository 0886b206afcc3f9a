"""
How a run stands of which no end has come: what can be known of it by way of an observer.

The observer is the run's own machine's, and may be behind: the server was away, or nobody has said `anew sync` there.
So neither silence nor the death of the process says that the run was lost; whoever delivers it says that, once it is so
on its machine. Until then it is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from anew.observers.mongo.view import LOST
from anew.runner.records import RunRecord, Status
from anew.runner.store.liveness import process_alive
from anew.runner.store.living import SILENT_S


def as_it_is_now(record: RunRecord, document: Mapping[str, Any]) -> RunRecord:
    """Return a run of ours as it stands; one whose end came as it is."""
    if record.status.final and record.status is not Status.LOST:
        return record
    status = _status(record, document)
    if status is Status.RUNNING:
        return replace(record, status=status)
    last = record.heartbeat_at or record.started_at
    return replace(record, status=status, duration_s=(last - record.started_at).total_seconds())


def _status(record: RunRecord, document: Mapping[str, Any]) -> Status:
    ours, beat = document.get("anew"), document.get("heartbeat")
    found = ours.get(LOST) if isinstance(ours, Mapping) else None
    # whoever found it may not have seen its machine, and have been wrong
    if isinstance(found, datetime) and isinstance(beat, datetime) and beat <= found:
        return Status.LOST
    alive = process_alive(record.process) if record.process else None
    if alive is None:
        alive = isinstance(beat, datetime) and (datetime.now(beat.tzinfo) - beat).total_seconds() < SILENT_S
    return Status.RUNNING if alive else Status.UNKNOWN
