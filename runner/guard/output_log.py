"""
The captured output of a run as a file: readable text, within a limit, without secrets.

What is on disk is at any moment the text so far; rows that may still change stand at its end and are rewritten in
place. Text without control sequences is only ever appended.

Its checksums lie in a file beside it, a sealed line for a stretch: `{"at":0,"n":65536,"crc":"1c291ca3","c":"..."}`.
Stretches follow one another without a gap, and are sealed once they will not change any more. The last line of a log
that is closed says so with `"end":true`.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from zlib import crc32

from anew.runner.dataclass import dataclass
from anew.runner.guard.terminal_text import Cursor, Screen

STRETCH_BYTES = 1 << 16
_SEAL = b',"c":"'
FLUSH_S = 0.05
_FLUSH_CHARACTERS = 1 << 18
_REDACTED = "<redacted>"
_SHORTEST_HIDDEN = 4
SEARCHED_BYTES = 1 << 16


class OutputLog:
    """
    A log that several streams print to; safe in threads.

    Args:
        descriptor: Open for reading and writing; what the file holds already is kept. Not closed here.
        limit_bytes: Three quarters of it for the head, the rest for the tail; what lies between is left out. The file
            grows to at most a quarter more, plus what one read brings, and is within the limit after `close`.
        secrets: Texts to be replaced by "<redacted>".
        seals: Where its checksums belong; None for none.
    """

    def __init__(
        self, descriptor: int, limit_bytes: int, secrets: Sequence[str] = (), *, seals: str | None = None
    ) -> None:
        self._lock = threading.Lock()
        self._screen = Screen()
        self._veil = Veil(secrets)
        self._file = LimitedFile(descriptor, limit_bytes)
        self._seals = Seals(descriptor, seals)
        self._unwritten = 0
        self._dirty = False
        self._flushed = 0.0

    @property
    def problem(self) -> str | None:
        """What of the log could not be written, as a sentence."""
        return self._file.problem or self._seals.problem

    @property
    def settled_bytes(self) -> int:
        """How many bytes, from the beginning, will not change any more."""
        with self._lock:
            return self._file.settled_bytes

    @property
    def sealed_bytes(self) -> int:
        """How many of them have their checksums on record."""
        with self._lock:
            return self._seals.sealed_bytes

    def stream(self, *, of_errors: bool = False) -> Cursor:
        """Return the place where a further stream prints."""
        with self._lock:
            return self._screen.cursor(of_errors=of_errors)

    @property
    def turns(self) -> tuple[int, ...] | None:
        """How many lines are of what was printed, of errors, and so on by turns; None where that is not kept."""
        with self._lock:
            return self._screen.turns()

    def print(self, stream: Cursor, text: str) -> None:
        """Take what a stream printed; it is on disk after `FLUSH_S` at the latest if `tick` is called then."""
        with self._lock:
            stream.feed(text)
            self._unwritten += len(text)
            self._dirty = True
            if self._unwritten > _FLUSH_CHARACTERS or time.monotonic() - self._flushed > FLUSH_S:
                self._flush()

    def tick(self) -> float | None:
        """Write what is due; return the seconds until `tick` should be called again, None if there is no need."""
        with self._lock:
            if not self._dirty:
                return None
            rest = self._flushed + FLUSH_S - time.monotonic()
            if rest > 0:
                return rest
            self._flush()
            return None

    def flush(self) -> None:
        """Write all that was printed, and seal what of it will not change any more."""
        with self._lock:
            if self._dirty:
                self._flush()
            self._seals.reach(self._file.settled_bytes)

    def close(self) -> None:
        """Write all that was printed, as final, and cut the file to its limit."""
        with self._lock:
            self._screen.finish()
            text = self._veil.lift(self._screen.take()) + self._veil.rest()
            self._file.write(_bytes(text), b"")
            self._file.finish()
            self._seals.close(self._file.settled_bytes)
            self._dirty = False

    def _flush(self) -> None:
        text = self._veil.lift(self._screen.take())
        self._file.write(_bytes(text), _bytes(self._veil.preview(self._screen.tail())))
        self._seals.advance(self._file.settled_bytes)
        self._flushed = time.monotonic()
        self._dirty = False
        self._unwritten = 0


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


class Veil:
    """Replaces secrets in a text that comes in pieces; a secret cut in two is found too."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = sorted((secret for secret in secrets if secret), key=len, reverse=True)
        self._pattern = re.compile("|".join(re.escape(secret) for secret in self._secrets))
        self._held = max((len(secret) for secret in self._secrets), default=1) - 1
        self._carry = ""

    def lift(self, text: str) -> str:
        """Return as much of the text so far as cannot be the beginning of a secret."""
        if not self._secrets:
            return text
        text = self._carry + text
        safe = max(0, len(text) - self._held)
        pieces: list[str] = []
        done = 0
        if self._has_secret(text):
            for match in self._pattern.finditer(text):
                if match.start() >= safe:
                    break
                pieces += (text[done : match.start()], _REDACTED)
                done = match.end()
        end = max(safe, done)
        self._carry = text[end:]
        return "".join(pieces) + text[done:end]

    def preview(self, tail: str) -> str:
        """Return what is held back and *tail* as they may be shown now, without a secret half written at the end."""
        if not self._secrets:
            return tail
        text = self._replaced(self._carry + tail)
        for secret in self._secrets:
            for length in range(min(len(secret) - 1, len(text)), _SHORTEST_HIDDEN - 1, -1):
                if text.endswith(secret[:length]):
                    return text[:-length]
        return text

    def rest(self) -> str:
        """Return what is held back, when nothing more will come."""
        text, self._carry = self._replaced(self._carry), ""
        return text

    def _replaced(self, text: str) -> str:
        return self._pattern.sub(_REDACTED, text) if self._has_secret(text) else text

    def _has_secret(self, text: str) -> bool:
        # Several plain searches are many times faster than one search for alternatives.
        return any(secret in text for secret in self._secrets)


class LimitedFile:
    """
    A file that keeps the head and the tail of what is written to it, and ends in bytes that may still change.

    Once the tail has grown to twice its share, its newer half is moved to where it began: each byte is copied about
    once. Errors of the disk are kept in `problem`; what they cost is counted and noted in the file when there is space
    again.
    """

    def __init__(self, descriptor: int, limit_bytes: int) -> None:
        self.problem: str | None = None
        self._descriptor = descriptor
        self._tail = limit_bytes // 4
        self._head = limit_bytes - self._tail
        self._size = os.fstat(descriptor).st_size
        self._changing = b""
        self._head_end: int | None = None
        self._finished = False
        self._left_out = 0
        self._lost = 0
        self._reason = ""

    @property
    def settled_bytes(self) -> int:
        """How many bytes, from the beginning, will not change any more: the head, of a file that may yet be cut."""
        if self._finished:
            return self._size
        if self._head_end is not None:
            return self._head_end
        return min(self._size, max(0, self._head - SEARCHED_BYTES))

    def write(self, data: bytes, changing: bytes) -> None:
        """Append *data*, followed by *changing* in the place of what was given as such before."""
        if self._lost and data:
            data = b"\n[... %d bytes could not be written: %s ...]\n" % (self._lost, self._reason.encode()) + data
        try:
            self._replace(data + changing)
            self._size += len(data)
            self._changing = changing
            if self._size > self._head + 2 * self._tail:
                self._cut()
        except OSError as error:
            self._give_up(len(data), error)
        else:
            if data:
                self._lost = 0

    def finish(self) -> None:
        """Cut the file to its limit."""
        try:
            if self._size > self._head + self._tail:
                self._cut()
        except OSError as error:
            self._give_up(0, error)
        self._finished = True

    def _replace(self, block: bytes) -> None:
        """Make *block* what stands after the final part; leave alone what stands there already."""
        before = self._changing
        same = len(before) if block.startswith(before) else common(before, block)
        _write_all(self._descriptor, block[same:], self._size + same)
        if len(block) < len(before):
            os.ftruncate(self._descriptor, self._size + len(block))

    def _cut(self) -> None:
        """Leave out what stands between the head and the newest bytes."""
        if self._head_end is None:
            self._head_end = self._last_boundary(self._head)
            begin = self._head_end
        else:
            begin = self._head_end + len(self._mark())
        newest = self._next_boundary(max(begin, self._size - self._tail))
        kept = os.pread(self._descriptor, self._size - newest, newest)
        self._left_out += newest - begin
        block = self._mark() + kept
        _write_all(self._descriptor, block + self._changing, self._head_end)
        self._size = self._head_end + len(block)
        os.ftruncate(self._descriptor, self._size + len(self._changing))

    def _mark(self) -> bytes:
        return b"\n[... %15d bytes left out ...]\n" % self._left_out

    def _last_boundary(self, offset: int) -> int:
        """Return the end of the last line before *offset*; if lines are very long, of the last character."""
        first = max(0, offset - SEARCHED_BYTES)
        block = os.pread(self._descriptor, offset - first + 1, first)
        end = block.rfind(b"\n", 0, offset - first)
        if end >= 0:
            return first + end
        end = offset - first
        while 0 < end < len(block) and block[end] & 0xC0 == 0x80:
            end -= 1
        return first + end

    def _next_boundary(self, offset: int) -> int:
        block = os.pread(self._descriptor, min(SEARCHED_BYTES, self._size - offset), offset)
        if 0 <= (end := block.find(b"\n")) < len(block) - 1:
            return offset + end + 1
        begin = 0
        while begin < len(block) and block[begin] & 0xC0 == 0x80:
            begin += 1
        return offset + begin

    def _give_up(self, count: int, error: OSError) -> None:
        self._lost += count
        self._reason = error.strerror or str(error)
        if count:
            self.problem = f"Part of the output is not in the log: {self._reason}"
        self._changing = b""
        with suppress(OSError):
            os.ftruncate(self._descriptor, self._size)


def common(one: bytes, other: bytes) -> int:
    """Return how many bytes at the beginning are the same."""
    pairs = zip(one, other, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        count = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[count:], offset + count


# --- checksums -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stretch:
    """
    A stretch of a log.

    Attributes:
        begin: Where it begins, in bytes.
        length: How many bytes it has.
        crc: Their CRC-32.
        is_last: Whether the log ends there, for good.
    """

    begin: int
    length: int
    crc: int
    is_last: bool = False

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.begin + self.length

    def line(self) -> bytes:
        """Return it as a line."""
        members = {
            "at": self.begin,
            "n": self.length,
            "crc": f"{self.crc:08x}",
            **({"end": True} if self.is_last else {}),
        }
        head = json.dumps(members, separators=(",", ":"))[:-1].encode("ascii")
        return b'%s,"c":"%08x"}\n' % (head, crc32(head))


def stretch_of(line: bytes) -> Stretch | None:
    """Return what a line, its newline left out, says; None for one that is damaged."""
    head, mark, tail = line.rpartition(_SEAL)
    if not mark or tail != b'%08x"}' % crc32(head):
        return None
    try:
        found = json.loads(head + b"}")
        stretch = Stretch(found["at"], found["n"], int(found["crc"], 16), found.get("end") is True)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    sizes = (stretch.begin, stretch.length)
    return stretch if all(type(size) is int and 0 <= size < 1 << 62 for size in sizes) else None


def stretches_in(data: bytes) -> Iterator[Stretch | None]:
    """Yield what the lines of a file of checksums say, None for a damaged one; half a line at its end counts not."""
    *lines, rest = data.split(b"\n")
    for line in lines:
        yield stretch_of(line)
    if b"\0" in rest:  # which no writer leaves, but a power cut does
        yield None


class Seals:
    """
    Seals a log as it settles. For one thread at a time.

    Args:
        log: The log's descriptor, open for reading.
        path: Where the checksums belong; the file is made with the first of them. What is there is gone on with. None
            for a log that nobody seals.

    Attributes:
        sealed_bytes: How far the log is sealed, from its beginning.
        problem: Why it is not sealed any further, as a sentence.
    """

    def __init__(self, log: int, path: str | None) -> None:
        self.sealed_bytes = 0
        self.problem: str | None = None
        self._log = log
        self._path = path
        if path is not None:
            self._go_on(path)

    def _go_on(self, path: str) -> None:
        with suppress(OSError), open(path, "r+b") as file:
            data = file.read()
            # a writer that was killed may have left half a line
            file.truncate(data.rfind(b"\n") + 1)
            ends = [stretch.end for stretch in stretches_in(data) if stretch is not None]
            self.sealed_bytes = max(ends, default=0)

    def advance(self, settled: int) -> None:
        """Seal the whole stretches among the first *settled* bytes, which will not change any more. Never raises."""
        if settled - self.sealed_bytes >= STRETCH_BYTES:
            self._write(settled - (settled - self.sealed_bytes) % STRETCH_BYTES)

    def reach(self, settled: int) -> None:
        """Seal all of the first *settled* bytes. Never raises."""
        if settled > self.sealed_bytes:
            self._write(settled)

    def close(self, size: int) -> None:
        """Seal the log to its end, and say that this is the end; of an empty one there is nothing to say."""
        if size:
            self._write(size, is_last=True)

    def _write(self, end: int, *, is_last: bool = False) -> None:
        if self._path is None or self.problem is not None:
            return
        try:
            found = list(self._stretches(end))
            if is_last:
                last = found.pop() if found else Stretch(self.sealed_bytes, 0, 0)
                found.append(Stretch(last.begin, last.length, last.crc, is_last=True))
            _append(self._path, b"".join(stretch.line() for stretch in found))
            self.sealed_bytes = found[-1].end
        except OSError as error:
            self.problem = (
                f"The output log has no checksums from byte {self.sealed_bytes} on: {error.strerror or error}"
            )

    def _stretches(self, end: int) -> Iterator[Stretch]:
        for begin in range(self.sealed_bytes, end, STRETCH_BYTES):
            data = os.pread(self._log, min(STRETCH_BYTES, end - begin), begin)
            yield Stretch(begin, len(data), crc32(data))


def _append(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)
