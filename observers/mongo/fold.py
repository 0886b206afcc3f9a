"""The record of a run as its events make it, which can be laid down in MongoDB and taken up again."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from anew.runner import events as ev
from anew.runner.format import serial
from anew.runner.format.replay import Replay
from anew.runner.format.serial import DamagedError
from anew.runner.records import ContentRef, RunRecord

_MOST_BYTES = 256 * 2**20


class Fold:
    """
    A fold of events, each writer's up to a number.

    Args:
        start: The record as it was at the start.
        laid_down: The record that was kept, without its bulk, or None.
        at: Up to which number of each writer events are in that.
        sources: Source files that are known to have been found after the start.

    Attributes:
        at: Up to which number of each writer events have been folded.
        sources: Source files found after the start.
    """

    def __init__(
        self,
        start: RunRecord,
        *,
        laid_down: RunRecord | None = None,
        at: Mapping[str, int] | None = None,
        sources: Mapping[str, ContentRef] | None = None,
    ) -> None:
        self.at: dict[str, int] = dict(at or {}) if laid_down else {}
        self.sources: dict[str, ContentRef] = {}
        if laid_down is None:
            self._replay = Replay(start)
        else:
            self._replay = Replay(
                replace(laid_down, source=start.source, environment=start.environment, provenance=start.provenance)
            )
            if laid_down.heartbeat_at is not None:
                self._replay.beat((laid_down.heartbeat_at - laid_down.started_at).total_seconds())
        for file in (sources or {}).values():
            self._add_source(start.uid, file)

    def take(self, event: ev.Event) -> bool:
        """Fold an event in, unless it is in already; return whether it was not."""
        is_news = event.q > self.at.get(event.writer, -1)
        if isinstance(event, ev.SourceAdded):
            # a record that was laid down has no source files: those found later come again from the journal
            self.sources.update({file.path: file for file in event.files})
            self._replay.apply(event if is_news else replace(event, t=0.0))
        elif is_news:
            self._replay.apply(event)
        if is_news:
            self.at[event.writer] = event.q
        return is_news

    def record(self, number: int) -> RunRecord:
        """Return the record as it is now, with the number that the database gave it."""
        return replace(self._replay.record(), id=number)

    def _add_source(self, uid: str, file: ContentRef) -> None:
        self.sources[file.path] = file
        self._replay.apply(ev.SourceAdded(uid=uid, writer="", q=0, t=0.0, files=(file,)))


def unpack(packed: Any, uid: str) -> RunRecord | None:
    """Return the record that `mongo_view.pack` was given, without its bulk; None for anything else."""
    if not isinstance(packed, bytes):
        return None
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(packed, _MOST_BYTES)
        if not unpacker.eof:
            return None
        record = serial.from_json(RunRecord, json.loads(text))
    except (zlib.error, ValueError, DamagedError, RecursionError):
        return None
    return record if record.uid == uid else None
