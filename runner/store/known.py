"""What the process that recorded a run knows of it when it has ended: the record, without reading it from the disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from anew.runner import events as ev
from anew.runner.attached.unread import unread
from anew.runner.dataclass import dataclass
from anew.runner.format import serial
from anew.runner.format.replay import Replay
from anew.runner.records import RunRecord
from anew.runner.store.files import size_of
from anew.runner.store.journal_forms import journal_names
from anew.runner.store.logged import Told
from anew.runner.store.output_sums import output_damage
from anew.runner.store.paths import RunLayout

_FIELDS = tuple(item.name for item in fields(RunRecord))


@dataclass(frozen=True, slots=True)
class Known:
    """
    A run that has ended, as it was written. Safe between threads.

    Attributes:
        start: What `run.json` was found to hold at the end.
        ended: How it ended, as is on record.
        told: What its journal holds, which it has alone.
    """

    start: bytes
    ended: ev.RunEnded
    told: Told

    def is_all(self, layout: RunLayout) -> bool:
        """Whether a reader of the folder would find this and nothing else."""
        printed = size_of(layout.output) or 0
        # of no output there are no checksums
        is_silent = not printed and not self.ended.output_sealed and not os.path.lexists(layout.output_sums)
        return (
            self.told.lines is not None
            and printed >= (self.ended.output_bytes or 0)
            and (is_silent or not output_damage(layout, self.ended))
            and not os.path.lexists(layout.observers)
            and journal_names(layout) == [self.told.path.name]
            and self.told.is_so()
            and size_of(layout.record) == len(self.start)
            and size_of(layout.outcome) is not None
        )

    def record(self, number: int) -> RunRecord:
        """Return the record, of which nothing is read before it is asked for."""
        uid = self.ended.uid

        def read(name: str) -> Mapping[str, Any]:
            if name in ("id", "uid"):
                return {"id": number, "uid": uid}
            whole = self._folded(number)
            return {each: getattr(whole, each) for each in _FIELDS}

        return unread(RunRecord, read)

    def _folded(self, number: int) -> RunRecord:
        """Return the same as reading the run's files comes to."""
        state = Replay(replace(serial.record_from_start(serial.unseal(self.start)), id=number))
        state.summarized(self.told.metrics, self.told.t)
        for entry in self.told.entries():
            event = serial.event_from_entry(self.ended.uid, self.told.path.stem, entry)
            if event is not None:
                state.apply(event)
        # as it is on disk: what was a tuple is a list there
        outcome = serial.parsed(serial.dumps(serial.outcome_to_json(self.ended)).encode())
        state.apply(serial.outcome_from_json(self.ended.uid, outcome))
        return state.record()
