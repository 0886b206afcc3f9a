"""
A journal as gzip: `events/main.jsonl.gz`, which `gunzip` and `zcat` read as they do any other.

Each 64 KiB of the journal are a member of their own, whose header says which one it is and how long: so one place is
read without what stands before it, and damage costs what stands in its member. The standard library has to do, since
the guard starts what compresses them.
"""

from __future__ import annotations

import errno
import io
import os
import struct
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO

from anew.runner.guard.holes import next_data

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX = ".gz"
BLOCK = 1 << 16
"""How many bytes of the journal are in each member; only the last one has fewer."""

# RFC 1952: magic, deflate, an extra field, no time; that has one part, "AW", of eight bytes: number and length
_FIXED = bytes.fromhex("1f8b0804 00000000 00ff 0c00 4157 0800")
_HEAD = struct.Struct("<16sLL")
_TAIL = struct.Struct("<LL")
# no member of a whole block is shorter, since deflate makes 1,032 bytes of one at the most
_LEAST = BLOCK // 1032
# and none is longer, since it leaves as it is what would grow
_MOST = BLOCK + BLOCK // 4
# quick, and what it leaves is hardly more: the digits of measured numbers have nothing in common
_LEVEL = 1
_RAW = -zlib.MAX_WBITS
# how much is looked through for a header at first, and at the most: there may be one behind the other
_NEAR, _WINDOW = 1 << 12, 1 << 20
# how finely what stands before damage is told from what stands behind
_STRIDE = 64


def compress(source: BinaryIO, target: BinaryIO) -> None:
    """Write what *source* has left into *target*, as members. Raises OSError."""
    number = 0
    while block := _filled(source, BLOCK):
        target.write(_member(number, block))
        number += 1


def _member(number: int, block: bytes) -> bytes:
    deflating = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
    body = deflating.compress(block) + deflating.flush()
    length = _HEAD.size + len(body) + _TAIL.size
    return _HEAD.pack(_FIXED, number, length) + body + _TAIL.pack(zlib.crc32(block), len(block))


def _filled(source: BinaryIO, most: int) -> bytes:
    """Read so many bytes, or up to the end."""
    data = b""
    while len(data) < most and (more := source.read(most - len(data))):
        data += more
    return data


class Gzipped(io.RawIOBase):
    """
    The journal that a compressed file holds. What of it is damaged or missing reads as zeros, which no journal has.

    Not thread-safe.

    Args:
        file: The compressed file, which is closed with this one.

    Attributes:
        flaws: What was found to be damaged in what was read: where in the journal, and a sentence.

    Raises:
        OSError: There is nothing in it that was compressed by `compress`.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.flaws: dict[int, str] = {}
        try:
            self._places = dict(_members(file.fileno()))
            if not self._places:
                raise OSError(errno.EINVAL, "it is not compressed as anew does; gunzip makes of it what can be read")
            self._last = max(self._places)
            self._at, self._number, self._block = 0, -1, b""
            self.length = self._last * BLOCK + len(self._read_block(self._last))
        except OSError:
            self.close()
            raise

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def seekable(self) -> bool:
        """Whether one can go on elsewhere: yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go on at an offset of the journal; return it."""
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.length}[whence]
        self._at = max(0, begin + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as there is something to be read; return how many bytes. Raises OSError."""
        done = 0
        while done < len(buffer) and self._at < self.length:
            number, begin = divmod(self._at, BLOCK)
            if number != self._number:
                self._number, self._block = number, self._read_block(number)
            piece = memoryview(self._block)[begin : begin + len(buffer) - done]
            if not piece:  # it was cut off meanwhile
                break
            buffer[done : done + len(piece)] = piece
            done += len(piece)
            self._at += len(piece)
        return done

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _read_block(self, number: int) -> bytes:
        """Return a block, in its full length; what is not as it was is noted. Raises OSError."""
        begin, end = self._places.get(number, (0, 0))
        data = os.pread(self._file.fileno(), end - begin, begin)
        block, is_whole = _inflated(number, data)
        is_last = number == self._last
        if not is_whole or not (is_last or len(block) == BLOCK):
            where = f"the stretch from byte {begin} on is damaged" if end else "a stretch is missing"
            self.flaws[number * BLOCK] = f"in its compressed form {where}"
        return block if is_last else block.ljust(BLOCK, b"\0")


def _inflated(number: int, data: bytes) -> tuple[bytes, bool]:
    """Return the block in a member, or what stands in it before it is damaged, and whether it is as it was."""
    body = data[_HEAD.size :]
    inflating = zlib.decompressobj(_RAW)
    try:
        block = inflating.decompress(body, BLOCK + 1)
    except zlib.error:
        return _salvaged(body), False
    head = _HEAD.pack(_FIXED, number, len(data))
    is_whole = data[: _HEAD.size] == head and inflating.unused_data == _TAIL.pack(zlib.crc32(block), len(block))
    return block[:BLOCK], is_whole and inflating.eof


def _salvaged(body: bytes) -> bytes:
    """Return what stands before damage: some of what follows that, too, which no seal will fit."""
    inflating, block = zlib.decompressobj(_RAW), b""
    for begin in range(0, len(body), _STRIDE):
        try:
            block += inflating.decompress(body[begin : begin + _STRIDE], BLOCK + 1 - len(block))
        except zlib.error:
            break
        if len(block) > BLOCK:
            break
    return block[:BLOCK]


def _members(descriptor: int) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield number, begin and end of members in order, without those whose header is damaged. Raises OSError."""
    size, at, holes, before = os.fstat(descriptor).st_size, 0, 0, (-1, 0)
    while at < size:
        found = _header(descriptor, at, before[0] + 1, at - holes)
        if found is not None:
            if before[0] >= 0:
                yield before[0], (before[1], min(at, before[1] + _MOST))
            before, end = (found[0], at), found[1]
            if end == size or (at < end <= at + _MOST and _header(descriptor, end, before[0] + 1, end - holes)):
                at = end
                continue
        at, passed = _next_header(descriptor, at + 1, size)
        holes += passed
    if before[0] >= 0:
        yield before[0], (before[1], min(size, before[1] + _MOST))


def _header(descriptor: int, at: int, least: int, written: int) -> tuple[int, int] | None:
    """Return number and end of the member that begins there, with so much before it; None where none does or can."""
    data = os.pread(descriptor, _HEAD.size, at)
    if len(data) < _HEAD.size:
        return None
    fixed, number, length = _HEAD.unpack(data)
    # so that nobody has to read more zeros than what was written can stand for
    return (number, at + length) if fixed == _FIXED and least <= number <= written // _LEAST else None


def _next_header(descriptor: int, begin: int, size: int) -> tuple[int, int]:
    """
    Return where, from a place on, a header begins, the end where none does, and how many bytes of holes are before it.

    Raises:
        OSError: It cannot be read.
    """
    holes, window = 0, _NEAR
    while begin < size:
        if (at := next_data(descriptor, begin)) > begin:
            holes, begin = holes + at - begin, at
            continue
        data = os.pread(descriptor, window, begin)
        at = data.find(_FIXED)
        if at >= 0:
            return begin + at, holes
        if len(data) < window:
            break
        begin, window = begin + len(data) - len(_FIXED) + 1, min(2 * window, _WINDOW)
    return size, holes
