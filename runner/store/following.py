"""A journal read from where one has got to, for as long as everything in it is intact and in its place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

from anew.runner.dataclass import dataclass
from anew.runner.format import serial
from anew.runner.store.files import open_regular
from anew.runner.store.lines import intact, is_whole

_BLOCK = 1 << 20
_BATCH = 1 << 15


class OddError(Exception):
    """A journal is not plainly what was written, or not the one that was read before: all of it is to be looked at."""


@dataclass(frozen=True, slots=True)
class Place:
    """
    How far a journal was read.

    Attributes:
        offset: In bytes, behind a whole line.
        crc: Of all bytes before it.
        number: Of the last entry before it.
    """

    offset: int = 0
    crc: int = 0
    number: int = 0


class Following:
    """
    The entries of a journal behind a place. Not thread-safe; several may follow one journal.

    Attributes:
        place: How far it was read; moves while `batches` is gone through.
    """

    def __init__(self, path: Path, place: Place) -> None:
        self._path = path
        self.place = place

    def batches(self) -> Iterator[list[dict[str, Any]]]:
        """
        Yield what stands behind the place, some hundreds of entries at a time; an unfinished last line is left out.

        Raises:
            OddError: What stood before the place is not there any more, or something behind it is damaged or missing.
            OSError: It cannot be read.
        """
        with open_regular(self._path) as file:
            _refuse_another(file, self.place)
            rest = b""
            while block := file.read(_BATCH):
                data = rest + block
                end = data.rfind(b"\n") + 1
                rest = data[end:]
                if len(rest) > _BLOCK:  # a hole, which may be of any length, or else a line that takes its time
                    raise OddError
                if end:
                    yield self._taken(data[:end])
            # a whole line that lacks its newline was written, and zeros are what a power cut leaves
            if rest and (b"\0" in rest or is_whole(rest)):
                raise OddError

    def _taken(self, data: bytes) -> list[dict[str, Any]]:
        entries = intact(data.split(b"\n")[:-1])
        place = self.place
        if entries is None:
            raise OddError
        end = place.number + len(entries)
        if [entry[serial.NUMBER_KEY] for entry in entries] != [*range(place.number + 1, end + 1)]:
            raise OddError
        self.place = Place(place.offset + len(data), crc32(data, place.crc), end)
        return entries


def _refuse_another(file: BinaryIO, place: Place) -> None:
    """Go to a place. Raises OddError where something else stands before it than was read there, OSError."""
    if os.fstat(file.fileno()).st_size < place.offset:
        raise OddError
    crc, left = 0, place.offset
    while left and (block := file.read(min(left, _BLOCK))):
        crc, left = crc32(block, crc), left - len(block)
    if left or crc != place.crc:
        raise OddError
