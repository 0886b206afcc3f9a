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
from dataclasses import field, replace
from heapq import merge
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.format import serial
from anew.runner.format.replay import Replay
from anew.runner.format.serial import DamagedError
from anew.runner.query.names import of_points
from anew.runner.records import RunRecord
from anew.runner.store.following import Following, OddError, Place
from anew.runner.store.journal_forms import journals
from anew.runner.store.paths import RunLayout
from anew.runner.store.reading import judged, missing_later, read_known, read_outcome, read_run, read_start
from anew.runner.store.summed import Kept, Summing, long_files

_Entry = tuple[float, str, dict[str, Any]]
# values of metrics, some 40 bytes each
_MOST_HELD = 200_000


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


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What was read of a run.

    Attributes:
        record: Its light record; None when the folder was claimed but its run never started.
        progress: How far it was read; None where all is to be read again the next time.
        series: Metric -> its first value, and the mean of those that are numbers, as `names.of_points` has them; of a
            run that has ended, for the metrics whose points were few enough to be held.
    """

    record: RunRecord | None
    progress: Progress | None = None
    series: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


class _Gathering(Replay):
    """Holds the values of metrics, too, for as long as they are few."""

    def __init__(self, record: RunRecord) -> None:
        super().__init__(record)
        self._values: dict[str, list[float | int]] | None = {}
        self._left = _MOST_HELD

    def metrics(self, values: Mapping[str, float | int], step: int, t: float) -> None:
        super().metrics(values, step, t)
        held = self._values
        if held is not None:
            for name, value in values.items():
                held.setdefault(name, []).append(value)
            self._left -= len(values)
            if self._left < 0:
                self._values = None

    def series(self) -> dict[str, tuple[Any, Any]]:
        """Return of each metric its first value and its mean; MISSING for one that is none."""
        found = {}
        for name, values in (self._values or {}).items():
            each = [of_points(part, (), values) for part in ("first", "mean")]
            found[name] = (each[0], each[1])
        return found


def read_further(layout: RunLayout, number: int, before: Progress | None, kept: Kept | None = None) -> Reading:
    """
    Return what there is of a run. Never raises.

    Args:
        layout: The run's folder.
        number: Its number.
        before: How far it was read before.
        kept: Where it is kept what its journals come to once it has ended.
    """
    try:
        if not layout.folder.is_symlink():
            start, lost = read_start(layout, light=True)
            if start is None:
                return Reading(None)
            if not lost and not layout.events.is_symlink():
                start = replace(start, id=number)
                return _read(layout, start, before if before and before.record.uid == start.uid else None, kept)
    except (OddError, DamagedError, OSError):
        pass
    return Reading(read_run(layout, number))


def _read(layout: RunLayout, start: RunRecord, before: Progress | None, kept: Kept | None = None) -> Reading:
    """Return what there is of a run. Raises OddError, DamagedError, OSError."""
    # in this order: what stands in the journals when the outcome is there was written before it
    ended, broken = read_outcome(layout, start.uid)
    if broken:
        raise OddError
    files = long_files(journals(layout)) if kept is not None and ended is not None else None
    if kept is not None and files is not None and (summed := kept.of(files)) is not None:
        return Reading(read_known(layout, start, [], summed))
    state = _Gathering(start) if before is None else Replay(before.record)
    summing = Summing(files) if files is not None and before is None else None
    places, latest = _fold(layout, start.uid, state, before, summing)
    ends = {writer: place.number for writer, place in places.items()}
    if kept is not None and summing is not None:
        kept.keep(summing, state.record().metrics, ends)
    damage = [*missing_later(layout, ended, ends)]
    progress = None if damage or ended is not None else Progress(state.record(), places, latest)
    for each in damage:
        state.find(each)
    record = judged(layout, start, state, ended)
    # it may have ended while we looked
    if record is None:
        return _read(layout, start, progress)
    gathered = state.series() if ended is not None and isinstance(state, _Gathering) else {}
    return Reading(record, progress, gathered)


def _fold(
    layout: RunLayout, uid: str, state: Replay, before: Progress | None, summing: Summing | None
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
            if summing is not None:
                summing.leave_out(time)
            continue
        if summing is not None:
            summing.keep(writer, entry)
        if (event := serial.event_from_entry(uid, writer, entry)) is not None:
            state.apply(event)
    return {writer: each.place for writer, each in following.items()}, latest


def _in_order(following: Mapping[str, Following]) -> Iterator[_Entry]:
    def tagged(writer: str, each: Following) -> Iterator[_Entry]:
        for batch in each.batches():
            for entry in batch:
                yield entry[serial.TIME_KEY], writer, entry

    streams = [tagged(writer, each) for writer, each in following.items()]
    return streams[0] if len(streams) == 1 else merge(*streams, key=lambda item: item[:2])
