"""
The checksums of what a run printed, in a file beside its log: written by whoever writes the log, compared by readers.

A line stands for a stretch, sealed as all lines are: `{"at":0,"n":65536,"crc":"1c291ca3","c":"..."}`. Stretches follow
one another without a gap, and are sealed once they will not change any more. The last line of a log that is closed says
so with `"end":true`. The guard writes some of it: the standard library has to do.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from zlib import crc32

STRETCH_BYTES = 1 << 16
_SEAL = b',"c":"'


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
