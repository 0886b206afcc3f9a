"""What happened in a run but for its points, of which there may be millions: their lines are passed over unread."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from anew.runner import events as ev
from anew.runner.format import serial
from anew.runner.format.serial import DamagedError
from anew.runner.records import RunRecord
from anew.runner.store.journal_forms import journals
from anew.runner.store.lines import read_entries
from anew.runner.store.paths import RunLayout
from anew.runner.store.reading import read_outcome, read_start

_LEFT_OUT = (ev.MetricsLogged.kind,)


def happenings(layout: RunLayout, record: RunRecord) -> Iterator[ev.Event]:
    """Yield a run's events from its start to its end, in order, without points; what is damaged is passed over."""
    start, _ = read_start(layout)
    if start is None:
        return
    yield ev.RunStarted(uid=record.uid, writer="run", q=0, t=0.0, record=replace(start, id=record.id))
    for _, writer, entry in heapq.merge(*map(_tagged, journals(layout)), key=lambda item: item[:2]):
        with suppress(DamagedError):
            event = serial.event_from_entry(record.uid, writer, entry)
            if event is not None:
                yield event
    ended, _ = read_outcome(layout, record.uid)
    if ended is not None:
        yield ended


def _tagged(path: Path) -> Iterator[tuple[float, str, dict[str, Any]]]:
    # the record says what cannot be read
    with suppress(OSError):
        for entry in read_entries(path, [kind for kind in ev.KINDS if kind not in _LEFT_OUT]):
            yield entry[serial.TIME_KEY], path.stem, entry
