"""A run's folder read as a stream of events, from any position on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

from anew.runner import events as ev
from anew.runner.dataclass import dataclass
from anew.runner.errors import StoreError
from anew.runner.format import serial
from anew.runner.format.serial import DamagedError
from anew.runner.records import ObserverState, RunRecord
from anew.runner.store.files import names_in, open_regular, size_of
from anew.runner.store.journal_forms import journals, next_bytes, open_journal
from anew.runner.store.lines import entries_in, tail, whole_lines
from anew.runner.store.paths import RunLayout
from anew.runner.store.position import Mark, Position, read_cursor
from anew.runner.store.reading import read_outcome, read_start

OUTPUT_WRITER = "output"
_MOST_BYTES = 1 << 19
_PIECE_BYTES = 1 << 16
_NO_LIMIT = 1 << 62


@dataclass(frozen=True, slots=True)
class Batch:
    """Events, and the position behind them."""

    events: tuple[ev.Event, ...]
    after: Position


class RunSource:
    """
    The events of one run, in batches. Reads only; several may read one run, each in one thread.

    Args:
        layout: The run's folder.
        number: Its number.

    Raises:
        StoreError: There is no run in that folder.
    """

    def __init__(self, layout: RunLayout, number: int | None) -> None:
        start, _ = read_start(layout)
        if start is None:
            raise StoreError(f"There is no run in {str(layout.folder)!r}.")
        self.layout = layout
        self.record: RunRecord = replace(start, id=number)
        # writer -> where in its journal, and whole lines that stand there
        self._ahead: dict[str, tuple[int, bytes]] = {}

    @property
    def has_ended(self) -> bool:
        """Whether the outcome is there."""
        return self.layout.outcome.exists()

    def start(self) -> ev.RunStarted:
        """Return the first event."""
        return ev.RunStarted(uid=self.record.uid, writer="run", q=0, t=0.0, record=self.record)

    def next(self, position: Position, until: Position | None = None, *, most_bytes: int = _MOST_BYTES) -> Batch:
        """
        Return the events behind *position*; none when there is nothing new.

        Args:
            position: Where to go on; the start lies before it.
            until: Where to end, to have a batch again that ended there.
            most_bytes: How much of each file is read; more for a longer line.

        Raises:
            OSError: A file cannot be read.
        """
        # in this order: what stands in the journals when the outcome is there was written before it
        ended = self.has_ended if until is None else until.ended
        found, offsets = self._journals(position.journals, None if until is None else until.journals, most_bytes)
        pieces, marks = self._output(position, ended, until, most_bytes)
        events: list[ev.Event] = sorted(found, key=lambda event: event.t)
        latest = events[-1].t if events else 0.0
        events += [self._piece(position.pieces + index, latest, *piece) for index, piece in enumerate(pieces, 1)]
        is_last = ended and not position.ended and (until is not None or not self._more(offsets, marks))
        outcome = self._outcome() if is_last else None
        if outcome is not None:
            events.append(outcome)
        return Batch(
            tuple(events),
            Position(
                started=True,
                ended=position.ended or (ended and (outcome is not None or until is not None)),
                journals=offsets,
                pieces=position.pieces + len(pieces),
                output=marks,
                events=position.events + len(events),
            ),
        )

    def behind(self, position: Position) -> int:
        """Return how many events lie behind a position; captured output counts as one."""
        if not position.started:
            position = replace(position, started=True)
            missing = 1
        else:
            missing = 0
        for path in journals(self.layout):
            with suppress(OSError):  # one that cannot be read is said to be damaged, and has nothing to deliver
                missing += _lines_from(path, position.journals.get(path.stem, 0))
        missing += self._output_size() > position.output_end
        return missing + (self.has_ended and not position.ended)

    # --- journals -----------------------------------------------------------------------------------------------

    def _journals(
        self, offsets: Mapping[str, int], until: Mapping[str, int] | None, most_bytes: int
    ) -> tuple[list[ev.Event], dict[str, int]]:
        events: list[ev.Event] = []
        after = dict(offsets)
        for path in journals(self.layout):
            writer = path.stem
            begin = offsets.get(writer, 0)
            if until is not None and until.get(writer, 0) <= begin:
                continue
            if until is None:
                entries, after[writer] = self._tail(path, begin, most_bytes)
            else:
                entries, after[writer] = tail(path, begin, end=until[writer])
            events += self._events(writer, entries)
        return events, after

    def _tail(self, path: Path, begin: int, most_bytes: int) -> tuple[list[dict[str, Any]], int]:
        """As `tail`; what is read at once serves several calls, since to open a compressed journal takes its time."""
        at, data = self._ahead.get(path.stem, (0, b""))
        if at != begin or not data:
            data, after = whole_lines(path, begin, most=_MOST_BYTES)
            if not data:
                return [], after
        end = data.rfind(b"\n", 0, most_bytes) + 1 or data.find(b"\n") + 1
        self._ahead[path.stem] = begin + end, data[end:]
        return entries_in(data[:end]), begin + end

    def _events(self, writer: str, entries: Iterable[dict[str, Any]]) -> Iterator[ev.Event]:
        for entry in entries:
            try:
                event = serial.event_from_entry(self.record.uid, writer, entry)
            except DamagedError:
                continue
            if event is not None:
                yield event

    def _outcome(self) -> ev.RunEnded | None:
        return read_outcome(self.layout, self.record.uid)[0]

    def _more(self, offsets: Mapping[str, int], marks: tuple[Mark, ...]) -> bool:
        """Whether there is more to be read before the outcome's turn."""
        for path in journals(self.layout):
            offset = offsets.get(path.stem, 0)
            at, data = self._ahead.get(path.stem, (0, b""))
            if (at == offset and data) or _complete_from(path, offset):
                return True
        return self._output_size() > (marks[-1].end if marks else 0)

    # --- captured output ----------------------------------------------------------------------------------------

    def _piece(self, number: int, t: float, offset: int, text: str) -> ev.OutputCaptured:
        return ev.OutputCaptured(uid=self.record.uid, writer=OUTPUT_WRITER, q=number, t=t, text=text, offset=offset)

    def _output_size(self) -> int:
        return size_of(self.layout.output) or 0

    def _output(
        self, position: Position, ended: bool, until: Position | None, most_bytes: int
    ) -> tuple[list[tuple[int, str]], tuple[Mark, ...]]:
        """Return the pieces (offset, text) behind a position, and the marks behind them."""
        try:
            with open_regular(self.layout.output) as file:
                descriptor = file.fileno()
                marks = position.output
                size = os.fstat(descriptor).st_size
                if (ended and not position.ended) or size < position.output_end:
                    marks = _unchanged(descriptor, marks)
                begin = marks[-1].end if marks else 0
                end = size if until is None else min(size, until.output_end)
                most = max(most_bytes, _PIECE_BYTES) if until is None else _NO_LIMIT
                data = os.pread(descriptor, min(max(0, end - begin), most), begin)
        except FileNotFoundError:
            return [], position.output
        if not ended and until is None:
            data = data[: _end_of_lines(data)]
        pieces = []
        for piece in _cut(data):
            pieces.append((begin, piece.decode("utf-8", "backslashreplace")))
            marks = _marked(marks, begin, piece)
            begin += len(piece)
        if not pieces and begin < position.output_end:
            pieces.append((begin, ""))
        return pieces, marks


def observer_states(layout: RunLayout) -> dict[str, ObserverState]:
    """Return how far each observer of a run has got. Raises StoreError, OSError."""
    found = [layout.observers / name for name in names_in(layout.observers)]
    names = {path.stem for path in found if path.suffix in (".cursor", ".json") and not path.name.startswith(".")}
    states: dict[str, ObserverState] = {}
    for name in sorted(names):
        cursor = read_cursor(layout.cursor(name))
        missing = RunSource(layout, None).behind(cursor.done)
        state = "failing" if cursor.error else "behind" if missing else "delivered"
        recorded = layout.spec(name) in found
        states[name] = ObserverState(state=state, behind=missing, aside=cursor.aside, recorded=recorded)
    return states


def _lines_from(path: Path, offset: int) -> int:
    return sum(block.count(b"\n") for block in _blocks_from(path, offset))


def _complete_from(path: Path, offset: int) -> bool:
    """Whether a whole line stands behind *offset*; what a killed writer left of one never becomes whole."""
    return any(b"\n" in block for block in _blocks_from(path, offset))


def _blocks_from(path: Path, offset: int) -> Iterator[bytes]:
    """Yield the rest of a file in blocks, holes left out. Raises OSError."""
    with open_journal(path) as file:
        file.seek(next_bytes(file, offset))
        while block := file.read(1 << 20):
            yield block
            file.seek(next_bytes(file, file.tell()))


def _unchanged(descriptor: int, marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
    """Return the marks up to the first stretch that reads otherwise now, since rows were rewritten or left out."""
    for index, mark in enumerate(marks):
        if crc32(os.pread(descriptor, mark.end - mark.begin, mark.begin)) != mark.crc:
            return marks[:index]
    return marks


def _marked(marks: tuple[Mark, ...], begin: int, piece: bytes) -> tuple[Mark, ...]:
    """Return the marks with one more stretch; short ones are joined, so that there are few."""
    if marks and marks[-1].end - marks[-1].begin + len(piece) <= _PIECE_BYTES:
        last = marks[-1]
        return (*marks[:-1], Mark(begin=last.begin, end=last.end + len(piece), crc=crc32(piece, last.crc)))
    return (*marks, Mark(begin=begin, end=begin + len(piece), crc=crc32(piece)))


def _end_of_lines(data: bytes) -> int:
    """Return where the last whole line ends; a line that is very long is not waited for."""
    end = data.rfind(b"\n") + 1
    return end if end or len(data) < _PIECE_BYTES else _character_end(data, len(data))


def _cut(data: bytes) -> Iterator[bytes]:
    """Yield pieces of at most 64 KiB that end with a line, or else with a character."""
    while data:
        end = len(data)
        if end > _PIECE_BYTES:
            end = data.rfind(b"\n", 0, _PIECE_BYTES) + 1 or _character_end(data, _PIECE_BYTES)
        yield data[:end]
        data = data[end:]


def _character_end(data: bytes, end: int) -> int:
    """Return the greatest boundary between two characters of UTF-8 that is at most *end*."""
    begin = end
    while begin > max(0, end - 4) and begin < len(data) and data[begin] & 0xC0 == 0x80:
        begin -= 1
    if begin == len(data):
        for back in range(1, min(4, len(data)) + 1):
            if data[-back] & 0xC0 != 0x80:
                width = 1 if data[-back] < 0x80 else 2 if data[-back] < 0xE0 else 3 if data[-back] < 0xF0 else 4
                return len(data) if width == back else len(data) - back or len(data)
    return begin or end
