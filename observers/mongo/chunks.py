"""
A run's journal in MongoDB: the same sealed lines as in a folder, some hundred of them to a document.

Collection `anew_journal`. A chunk holds lines of one writer, from number `q` to `last`, in order:

    {_id: "UID:WRITER:Q:PART", run: UID, w: WRITER, q: Q, last: LAST, part: 0, parts: 1, m: true, z: <zlib of lines>}

`m` says that all of them are metrics or heartbeats. A large line has a chunk of its own, and one that is larger than a
document may be is cut into `parts`. The start of the run is a line of the writer "run" (what `run.json` holds), its end
one of "outcome", and captured output are lines of "output", `{"q": 7, "k": "o", "t": 1.5, "o": OFFSET, "x": TEXT}`,
where each takes the place of everything from its offset on. A chunk that comes again has the same `_id`, and one of few
lines may become longer; lines that come again in another chunk count once, by their number.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from anew.runner import events as ev
from anew.runner.dataclass import dataclass
from anew.runner.format import serial
from anew.runner.format.serial import DamagedError

COLLECTION = "anew_journal"
START = "run"
OUTCOME = "outcome"
OUTPUT = "output"
_PART_BYTES = 8 * 2**20
_LINES_BYTES = 2**20
# the greatest line of a journal is 64 MiB, and a chunk has no more than one that is larger than a few hundred kilobytes
MOST_BYTES = 80 * 2**20
_WRITER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,120}")
_UID = re.compile(r"[0-9A-Za-z]{1,64}")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines of one writer, each with its newline, numbered `first` to `last`."""

    writer: str
    first: int
    last: int
    lines: bytes


def is_known(event: ev.Event) -> bool:
    """Whether there is a line for an event; not for one of a kind that a later version has."""
    return isinstance(event, (ev.RunStarted, ev.RunEnded, ev.OutputCaptured)) or serial.has_entry(event)


def line_of(event: ev.Event) -> bytes:
    """Return an event as the sealed line that stands, or would stand, in a run's folder."""
    if isinstance(event, ev.RunStarted):
        return serial.seal(serial.start_to_json(event.record))
    if isinstance(event, ev.RunEnded):
        # journals are made anew from events, which mean the same in other bytes: the seals of their lines are others
        return serial.seal(serial.outcome_to_json(replace(event, seals=None)))
    if isinstance(event, ev.OutputCaptured):
        return serial.seal({"q": event.q, "k": "o", "t": event.t, "o": event.offset, "x": event.text})
    kind, members = serial.event_to_body(event)
    return serial.seal({"q": event.q, "k": kind, "t": event.t, **members})


def chunk_documents(events: Sequence[ev.Event]) -> list[dict[str, Any]]:
    """Return the documents of events of one run, in order for each writer; the same for the same events."""
    documents: list[dict[str, Any]] = []
    for _, group in groupby(sorted(events, key=lambda event: event.writer), key=lambda event: event.writer):
        own: list[ev.Event] = []
        lines: list[bytes] = []
        size = 0
        for event in sorted(group, key=lambda event: event.q):
            line = line_of(event)
            # parts of a chunk come from several attempts: a large line is alone, so that it is always the same ones
            if own and size + len(line) > _LINES_BYTES:
                documents += _documents(own, lines)
                own, lines, size = [], [], 0
            own.append(event)
            lines.append(line)
            size += len(line)
        documents += _documents(own, lines)
    return documents


def _documents(events: Sequence[ev.Event], lines: Sequence[bytes]) -> list[dict[str, Any]]:
    first, last = events[0], events[-1]
    packed = zlib.compress(b"".join(lines), 1)
    pieces = [packed[begin : begin + _PART_BYTES] for begin in range(0, len(packed), _PART_BYTES)]
    return [
        {
            "_id": f"{first.uid}:{first.writer}:{first.q}:{part}",
            "run": first.uid,
            "w": first.writer,
            "q": first.q,
            "last": last.q,
            "part": part,
            "parts": len(pieces),
            "m": all(isinstance(event, (ev.MetricsLogged, ev.Heartbeat)) for event in events),
            "z": piece,
        }
        for part, piece in enumerate(pieces)
    ]


def is_key(document: Mapping[str, Any]) -> bool:
    """Whether a document has the members of a chunk, of the right types; whoever can write there may write anything."""
    numbers = [document.get(name) for name in ("q", "last", "part", "parts")]
    return (
        all(type(number) is int and 0 <= number < 2**53 for number in numbers)
        and type(document.get("_id")) is str
        and type(document.get("w")) is str
        and _WRITER.fullmatch(document["w"]) is not None
        and type(document.get("run")) is str
        and _UID.fullmatch(document["run"]) is not None
        and document["part"] < document["parts"] <= MOST_BYTES // _PART_BYTES
    )


def chunk_of(parts: Sequence[Mapping[str, Any]]) -> Chunk:
    """
    Return the chunk of its documents, in order of `part`.

    Raises:
        DamagedError: They are not all there, or not what `chunk_documents` made.
    """
    if not parts or not all(is_key(part) and isinstance(part.get("z"), bytes) for part in parts):
        raise DamagedError("a chunk of the journal has members of a wrong type")
    if [part["part"] for part in parts] != list(range(parts[0]["parts"])):
        raise DamagedError("a chunk of the journal is not whole")
    unpacker = zlib.decompressobj()
    try:
        lines = unpacker.decompress(b"".join(part["z"] for part in parts), MOST_BYTES)
    except zlib.error as error:
        raise DamagedError(f"a chunk of the journal cannot be unpacked: {error}") from error
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise DamagedError("a chunk of the journal is larger than any that is written, or not whole")
    return Chunk(parts[0]["w"], parts[0]["q"], parts[0]["last"], lines)


def entries_of(chunk: Chunk) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield (line, entry) for each intact line of a chunk; damaged ones are passed over."""
    for line in chunk.lines.splitlines(keepends=True):
        try:
            yield line, serial.unseal(line)
        except DamagedError:
            continue


def events_of(uid: str, chunk: Chunk) -> Iterable[ev.Event]:
    """Yield the events of a chunk, but for the start and captured output. Damaged ones are passed over."""
    for _, entry in entries_of(chunk):
        try:
            if chunk.writer == OUTCOME:
                yield serial.outcome_from_json(uid, entry)
            elif chunk.writer not in (START, OUTPUT) and (event := serial.event_from_entry(uid, chunk.writer, entry)):
                yield event
        except DamagedError:
            continue
