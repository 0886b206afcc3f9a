"""A journal read from where one has got to, for as long as everything in it is intact and in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

from anew.runner.dataclass import dataclass
from anew.runner.format import serial
from anew.runner.format.sealed_lines import Rows, unseal_rows
from anew.runner.format.serial import DamagedError
from anew.runner.store.journal_forms import found_flaws, length_of, open_journal
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

        Raises as `rows`.
        """
        for data in self._whole():
            yield self._taken(data)

    def rows(self) -> Iterator[Rows | list[dict[str, Any]]]:
        """
        Yield the same, and where all of it are metrics of the same names, which is quicker, that.

        Raises:
            OddError: What stood before the place is not there any more, or something behind it is damaged or missing.
            OSError: It cannot be read.
        """
        for data in self._whole():
            found = unseal_rows(data)
            if found is None:
                yield self._taken(data)
            else:
                self._pass(data, found.numbers, found.times)
                yield found

    def _whole(self) -> Iterator[bytes]:
        """Yield whole lines from the place on, many at a time. Raises as `rows`."""
        with open_journal(self._path) as file:
            _refuse_another(file, self.place)
            rest = b""
            while block := file.read(_BATCH):
                data = rest + block
                end = data.rfind(b"\n") + 1
                rest = data[end:]
                if len(rest) > _BLOCK:  # a hole, which may be of any length, or else a line that takes its time
                    raise OddError
                if end:
                    yield data[:end]
            # a whole line that lacks its newline was written, and zeros are what a power cut leaves
            if found_flaws(file) or (rest and (b"\0" in rest or is_whole(rest))):
                raise OddError

    def _taken(self, data: bytes) -> list[dict[str, Any]]:
        entries = intact(data.split(b"\n")[:-1])
        if entries is None:
            raise OddError
        times = [entry[serial.TIME_KEY] for entry in entries]
        self._pass(data, [entry[serial.NUMBER_KEY] for entry in entries], times)
        return entries

    def _pass(self, data: bytes, numbers: Sequence[Any], times: Sequence[Any]) -> None:
        """Move the place behind lines, given their numbers and times. Raises OddError where they do not follow."""
        place = self.place
        end = place.number + len(numbers)
        if set(map(type, numbers)) != {int} or [*numbers] != [*range(place.number + 1, end + 1)]:
            raise OddError
        try:
            for number, time in ((end, min(times)), (end, max(times))):
                serial.check_place({serial.NUMBER_KEY: number, serial.TIME_KEY: time})
        except DamagedError as error:
            raise OddError from error
        self.place = Place(place.offset + len(data), crc32(data, place.crc), end)


def _refuse_another(file: BinaryIO, place: Place) -> None:
    """Go to a place. Raises OddError where something else stands before it than was read there, OSError."""
    if length_of(file) < place.offset:
        raise OddError
    crc, left = 0, place.offset
    while left and (block := file.read(min(left, _BLOCK))):
        crc, left = crc32(block, crc), left - len(block)
    if left or crc != place.crc:
        raise OddError
