"""
A run read from where it was read to before: nobody who looks at a run that goes on reads twice what it has written.

The record that comes of it is light, and else what `read_run` gives: wherever anything is damaged, missing or out of
order, that is asked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from heapq import merge
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.format import serial
from anew.runner.format.replay import Replay
from anew.runner.format.serial import DamagedError
from anew.runner.records import RunRecord
from anew.runner.store.following import Following, OddError, Place
from anew.runner.store.paths import RunLayout
from anew.runner.store.reading import journals, judged, missing_later, read_outcome, read_run, read_start

_Entry = tuple[float, str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Progress:
    """
    How far a run without an outcome was read.

    Attributes:
        record: What its journals said by then; whether the run lives is nothing of it.
        places: By writer.
        latest: Time and writer of the last entry.
    """

    record: RunRecord
    places: Mapping[str, Place]
    latest: tuple[float, str]

    @property
    def text(self) -> str:
        """All but the record, as text."""
        places = {writer: (place.offset, place.crc, place.number) for writer, place in self.places.items()}
        return json.dumps([self.latest, places], separators=(",", ":"))

    @classmethod
    def of_text(cls, record: RunRecord, text: str) -> Progress | None:
        """Return the progress whose `text` this is; None for any other text."""
        with suppress(ValueError, TypeError, AttributeError):
            (time, writer), places = json.loads(text)
            return cls(record, {name: Place(*place) for name, place in places.items()}, (time, writer))
        return None


def read_further(layout: RunLayout, number: int, before: Progress | None) -> tuple[RunRecord | None, Progress | None]:
    """
    Return a run's light record, and how far it was read; None for that where all is to be read again the next time.

    The record is None when the folder was claimed but its run never started. Never raises.

    Args:
        layout: The run's folder.
        number: Its number.
        before: How far it was read before.
    """
    try:
        if not layout.folder.is_symlink():
            start, lost = read_start(layout, light=True)
            if start is None:
                return None, None
            if not lost and not layout.events.is_symlink():
                start = replace(start, id=number)
                return _read(layout, start, before if before and before.record.uid == start.uid else None)
    except (OddError, DamagedError, OSError):
        pass
    return read_run(layout, number), None


def _read(layout: RunLayout, start: RunRecord, before: Progress | None) -> tuple[RunRecord, Progress | None]:
    """Return a run's record, and how far it was read. Raises OddError, DamagedError, OSError."""
    # in this order: what stands in the journals when the outcome is there was written before it
    ended, broken = read_outcome(layout, start.uid)
    if broken:
        raise OddError
    state = Replay(start if before is None else before.record)
    places, latest = _fold(layout, start.uid, state, before)
    damage = [*missing_later(layout, ended, {writer: place.number for writer, place in places.items()})]
    progress = None if damage or ended is not None else Progress(state.record(), places, latest)
    for each in damage:
        state.find(each)
    record = judged(layout, start, state, ended)
    # it may have ended while we looked
    return _read(layout, start, progress) if record is None else (record, progress)


def _fold(
    layout: RunLayout, uid: str, state: Replay, before: Progress | None
) -> tuple[dict[str, Place], tuple[float, str]]:
    """Fold what is behind a place into *state*. Raises OddError, DamagedError, OSError."""
    known = before.places if before else {}
    paths = journals(layout)
    if not paths and os.path.lexists(layout.events):
        os.scandir(layout.events).close()
    following = {path.stem: Following(path, known.get(path.stem, Place())) for path in paths}
    if known.keys() - following.keys():
        raise OddError
    latest = before.latest if before else (-serial.LONGEST_S, "")
    for time, writer, entry in _in_order(following):
        if (time, writer) > latest:
            latest = (time, writer)
        elif before is not None and len(following) > 1:
            # among those of other writers it belongs before some that were folded already
            raise OddError
        if (points := serial.points_of(entry)) is not None:
            state.metrics(*points)
        elif (event := serial.event_from_entry(uid, writer, entry)) is not None:
            state.apply(event)
    return {writer: each.place for writer, each in following.items()}, latest


def _in_order(following: Mapping[str, Following]) -> Iterator[_Entry]:
    def tagged(writer: str, each: Following) -> Iterator[_Entry]:
        for batch in each.batches():
            for entry in batch:
                yield entry[serial.TIME_KEY], writer, entry

    streams = [tagged(writer, each) for writer, each in following.items()]
    return streams[0] if len(streams) == 1 else merge(*streams, key=lambda item: item[:2])
