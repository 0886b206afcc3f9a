"""
The captured output of one run in MongoDB: the whole of it in the journal, a part in the run's document.

Pieces get numbers of the database's own, without gaps, so that two who deliver the same output in different pieces do
not take one for the other: whoever comes second finds the number taken, and looks again at what is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from anew.observers.mongo.chunks import COLLECTION, OUTPUT, chunk_documents, chunk_of, entries_of, is_key
from anew.observers.mongo.client import insert_missing
from anew.runner import events as ev
from anew.runner.errors import UnavailableError
from anew.runner.format.serial import DamagedError

if TYPE_CHECKING:
    from pymongo.database import Database

MOST_SHOWN_BYTES = 512 * 1024
_HALF = MOST_SHOWN_BYTES // 2
_LINE = 4096
_MOST_PIECE = 256 * 1024
_ATTEMPTS = 20


class Output:
    """
    A run's captured output.

    Args:
        database: Where it is.
        uid: The run.
        is_new: Whether nothing of the run is there as yet.

    Attributes:
        is_dirty: Whether there is more than was shown last.
    """

    def __init__(self, database: Database[dict[str, Any]], uid: str, *, is_new: bool = False) -> None:
        self._chunks = database[COLLECTION]
        self._uid = uid
        self._number = 0
        self._source = -1
        self._end = 0
        self._head: bytes | None = b""
        self._tail = bytearray()
        self._tail_begin = 0
        self._is_read = is_new
        self.is_dirty = not is_new

    def keep(self, events: Iterable[ev.Event]) -> None:
        """
        Keep the pieces among events that are not there yet.

        Raises:
            UnavailableError: Others go on writing the same output.
        """
        pieces = [event for event in events if isinstance(event, ev.OutputCaptured)]
        for _ in range(_ATTEMPTS if pieces else 0):
            if not self._is_read:
                self._read_end()
            if self._insert(self._fresh(pieces)):
                self._trim()
                return
            self._is_read = False
        if pieces:
            raise UnavailableError("Others are writing the output of this run.")

    @property
    def size(self) -> int:
        """How large `shown` is, about, in bytes."""
        return min(self._end, MOST_SHOWN_BYTES)

    def shown(self, where: str) -> str:
        """
        Return the output as the run's document has it: the whole, or its beginning and its end.

        Args:
            where: A command that shows all of it.
        """
        if not self._is_read:
            self._read_end()
        if self._end <= MOST_SHOWN_BYTES:
            if self._tail_begin:
                self._hold(0)
            return self._tail.decode("utf-8", "replace")
        if self._end - self._tail_begin < _HALF:
            self._hold(self._end - _HALF)
        if self._head is None or len(self._head) < _HALF:
            self._head = self._between(0, _HALF)
        head_end = self._head.rfind(b"\n", _HALF - _LINE, _HALF) + 1 or _HALF
        head = self._head[:head_end].decode("utf-8", "ignore")
        end = bytes(self._tail[-_HALF:])
        tail = end[end.find(b"\n", 0, _LINE) + 1 :].decode("utf-8", "ignore")
        left_out = self._end - len(head.encode("utf-8")) - len(tail.encode("utf-8"))
        line = "" if head.endswith("\n") else "\n"
        return f"{head}{line}[... {left_out:,} bytes are left out here; to see all: {where}]\n{tail}"

    # --- what is new --------------------------------------------------------------------------------------------

    def _fresh(self, pieces: Sequence[ev.OutputCaptured]) -> list[tuple[ev.OutputCaptured, int, bytes]]:
        """Return what of the pieces is not there, with its offset, and take it as being there."""
        fresh = []
        for piece in pieces:
            offset, data = piece.offset, piece.text.encode("utf-8", "backslashreplace")
            if offset < self._end:
                known = self._between(offset, min(self._end, offset + len(data)))
                is_repeat = piece.q <= self._source or offset + len(data) >= self._end
                if is_repeat and data.startswith(known):
                    data = data[len(known) :]
                    offset += len(known)
                    if not data:
                        continue
            elif not data:
                continue
            self._put(offset, data)
            for part in _cut(data):
                fresh.append((piece, offset, part))
                offset += len(part)
        return fresh

    def _put(self, offset: int, data: bytes) -> None:
        """Have *data* stand in the place of everything from an offset on."""
        if offset < _HALF:
            self._head = None
        if self._tail_begin <= offset <= self._end:
            del self._tail[offset - self._tail_begin :]
            self._tail += data
        else:  # before what is held, or behind a gap
            self._tail_begin, self._tail = offset, bytearray(data)
        self._end = offset + len(data)
        self.is_dirty = True

    def _insert(self, fresh: Sequence[tuple[ev.OutputCaptured, int, bytes]]) -> bool:
        """Return whether it is there; False when somebody else has used one of the numbers."""
        if not fresh:
            return True
        events = [
            replace(piece, writer=OUTPUT, q=number, offset=offset, text=data.decode("utf-8", "replace"))
            for number, (piece, offset, data) in enumerate(fresh, self._number + 1)
        ]
        documents = chunk_documents(events)
        for document in documents:
            inside = slice(document["q"] - self._number - 1, document["last"] - self._number)
            pieces = fresh[inside]
            document["o"] = min(offset for _, offset, _ in pieces)
            document["e"] = pieces[-1][1] + len(pieces[-1][2])
            document["s"] = pieces[-1][0].q
        if insert_missing(self._chunks, documents, ordered=True):
            return False
        self._number += len(events)
        self._source = fresh[-1][0].q
        return True

    def _trim(self) -> None:
        """Hold no more than is needed to show it."""
        if len(self._tail) <= 2 * MOST_SHOWN_BYTES:
            return
        if self._tail_begin == 0:
            self._head = bytes(self._tail[:_HALF])
        del self._tail[:-MOST_SHOWN_BYTES]
        self._tail_begin = self._end - len(self._tail)

    # --- what is there ------------------------------------------------------------------------------------------

    def _read_end(self) -> None:
        last = self._chunks.find_one(
            {"run": self._uid, "w": OUTPUT}, {"last": 1, "e": 1, "s": 1}, sort=[("q", -1), ("part", -1)]
        )
        numbers = [(last or {}).get(name) for name in ("last", "e", "s")]
        self._number, self._end, self._source = (each if isinstance(each, int) else 0 for each in numbers)
        self._tail_begin, self._tail, self._head = self._end, bytearray(), None
        self._is_read = True

    def _hold(self, begin: int) -> None:
        """Hold everything from an offset on."""
        self._tail = bytearray(self._between(begin, self._end))
        self._tail_begin = self._end - len(self._tail)

    def _between(self, begin: int, end: int) -> bytes:
        """Return what stands between two offsets, which must not lie behind the end."""
        if begin >= self._tail_begin:
            return bytes(self._tail[begin - self._tail_begin : end - self._tail_begin])
        query = {"run": self._uid, "w": OUTPUT, "o": {"$lt": min(end, self._tail_begin)}, "e": {"$gt": begin}}
        found = bytearray()
        for document in self._chunks.find(query).sort([("q", 1), ("part", 1)]):
            for offset, data in _pieces(document):
                if offset < begin + len(found):
                    del found[max(0, offset - begin) :]
                # of what is not there, nothing is known
                found += b"\0" * (offset - begin - len(found)) + data[max(0, begin - offset) :]
        before = self._tail_begin - begin
        del found[before:]
        found += b"\0" * (before - len(found))
        return bytes((found + self._tail)[: end - begin])


def _cut(data: bytes) -> list[bytes]:
    """Return data in parts that fit into a chunk, cut between characters."""
    parts = []
    while len(data) > _MOST_PIECE:
        end = next(at for at in range(_MOST_PIECE, 0, -1) if data[at] & 0xC0 != 0x80)
        parts.append(data[:end])
        data = data[end:]
    return [*parts, data]


def _pieces(document: Any) -> list[tuple[int, bytes]]:
    """Return offset and text of each piece in a chunk; a damaged one is passed over."""
    if not is_key(document):
        return []
    try:
        entries = entries_of(chunk_of([document]))
    except DamagedError:
        return []
    found = []
    for _, entry in entries:
        offset, text = entry.get("o"), entry.get("x")
        if isinstance(offset, int) and isinstance(text, str):
            found.append((offset, text.encode("utf-8", "backslashreplace")))
    return found
