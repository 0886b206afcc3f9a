"""Reading a journal: nothing is trusted, a line counts when its checksum does."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from json.encoder import encode_basestring_ascii as quoted
from math import isnan
from pathlib import Path
from typing import Any

from anew.runner import events as ev
from anew.runner.dataclass import dataclass
from anew.runner.format import serial
from anew.runner.format.sealed_lines import unseal_lines, unsealed
from anew.runner.format.serial import DamagedError
from anew.runner.lazy.patterns import regexp
from anew.runner.store.files import open_regular
from anew.runner.store.journal_forms import found_flaws, next_bytes, open_journal

MAX_LINE = 64 * 2**20
_THREAD = ev.keys(ev.MetricsLogged)["thread"]
_CHUNK = 1 << 20
_BATCH = 1 << 15
# between the seal of one line and the number of the next stands a newline, or what has become of it
_JOINT = regexp(rb'(?<="\})[^\n]?(?=\{"q":)')


@dataclass(frozen=True, slots=True)
class Flaw:
    """
    Something in a journal that is not what was written.

    Attributes:
        offset: Where, in bytes from the start.
        what: A sentence.
    """

    offset: int
    what: str

    def __str__(self) -> str:
        return f"at byte {self.offset}: {self.what}"


def iter_journal(path: Path) -> Iterator[dict[str, Any] | Flaw]:
    """
    Yield every entry that is intact, once, and a `Flaw` wherever something is missing or wrong.

    Entries come as they lie in the file. An unfinished last line is what a killed or living writer leaves: it was not
    acknowledged, and is passed over. Never raises on account of the content; memory stays bounded.

    Raises:
        OSError: The file cannot be read.
    """
    order = _Order()
    flaws: dict[int, str] = {}
    for lines, entries in _batches(path, flaws=flaws):
        while flaws:
            yield Flaw(*flaws.popitem())
        if entries is not None and order.follows(entries):
            yield from entries
        else:
            yield from _one_by_one(lines, order)


def _one_by_one(lines: Iterable[tuple[int, bytes | None, bool]], order: _Order) -> Iterator[dict[str, Any] | Flaw]:
    """Yield what is in lines of which not every one is intact and in its place."""
    for offset, line, ended in lines:
        if line is None:
            yield Flaw(offset, f"a line longer than {MAX_LINE} bytes was passed over")
            continue
        found = _unsealed(line)
        if len(found) > 1 or (not ended and _has_other_end(line)):
            yield Flaw(offset, "the end of a line is damaged; nothing of it is lost")
        for entry in found:
            if isinstance(entry, DamagedError):
                if ended:
                    yield Flaw(offset, f"a damaged line was passed over: {entry}")
                elif b"\0" in line:  # which no writer leaves, but a power cut does
                    yield Flaw(offset, "its end is zeros; what stood there is lost")
                continue
            number = entry[serial.NUMBER_KEY]
            if number == order.expected:
                order.expected += 1
            else:
                what, again = order.surprised_by(number)
                yield Flaw(offset, what)
                if again:
                    continue
            yield entry


def changed(path: Path, most: int = _CHUNK) -> str | None:
    """
    Return that lines among the last *most* bytes are not as they were written, as a sentence; their seals tell.

    A megabyte takes some 4 ms: it is asked at the end of each run.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            begin = max(0, size - most)
            written = os.pread(file.fileno(), size - begin, begin).split(b"\n")
    except OSError as error:
        return f"{str(path)!r} cannot be looked at: {error.strerror or error}"
    # behind the last newline is what another thread may be writing; before the first one may be half a line
    damaged = unsealed([line for line in written[1 if begin else 0 : -1] if line])
    return f"{str(path)!r} was changed while the run went on: {damaged} of its lines are damaged" if damaged else None


def is_whole(line: bytes) -> bool:
    """Whether in what stands behind the last newline of a journal there is an entry that is intact."""
    return not all(isinstance(each, DamagedError) for each in _unsealed(line))


def _has_other_end(line: bytes) -> bool:
    """Whether behind a whole line, the last one, stands something else than a newline."""
    return line[-3:-1] == b'"}' and not isinstance(_entry(line), DamagedError)


def _unsealed(line: bytes) -> Sequence[dict[str, Any] | DamagedError]:
    """Return the entries in what stands between two newlines: several when what stood between them is damaged."""
    if not line:
        return ()
    entry = _entry(line)
    if isinstance(entry, DamagedError) and len(pieces := _JOINT.split(line)) > 1:
        return [_entry(piece) for piece in pieces]
    return (entry,)


def _entry(line: bytes) -> dict[str, Any] | DamagedError:
    """Return the entry of a line, with its number and time, or why there is none."""
    try:
        entry = serial.unseal(line)
        serial.check_place(entry)
    except DamagedError as error:
        return error
    return entry


class _Order:
    """Knows which numbers have come and which are missing, however many and however scattered they are."""

    def __init__(self) -> None:
        self.expected = 1
        self._missing: list[range] = []  # from least to greatest
        self._late: set[int] = set()

    def follows(self, entries: Sequence[dict[str, Any]]) -> bool:
        """Take entries that come as they are expected, one after the other; else take none, and return False."""
        end = self.expected + len(entries)
        if [entry[serial.NUMBER_KEY] for entry in entries] != [*range(self.expected, end)]:
            return False
        self.expected = end
        return True

    def surprised_by(self, number: int) -> tuple[str, bool]:
        """Return what is wrong with a number that was not expected, and whether its entry has been here before."""
        if number > self.expected:
            missing = range(self.expected, number)
            self._missing.append(missing)
            self.expected = number + 1
            if len(missing) == 1:
                return f"entry {missing[0]} is missing", False
            return f"the entries {missing[0]} to {missing[-1]} are missing", False
        at = bisect_right(self._missing, number, key=lambda missing: missing.start)
        if number in self._late or not at or number not in self._missing[at - 1]:
            return f"entry {number} is here a second time", True
        self._late.add(number)
        return f"entry {number} stands behind entry {self.expected - 1}", False


def _lines(path: Path, offset: int = 0) -> Iterator[tuple[int, bytes | None, bool]]:
    """Yield (offset, line, whether it ends in a newline), from an offset on; None for a line that is too long."""
    with open_journal(path, buffering=_CHUNK) as file:
        file.seek(offset)
        while line := file.readline(MAX_LINE):
            start = offset
            offset += len(line)
            if line.endswith(b"\n"):
                yield start, line[:-1], True
            elif len(line) < MAX_LINE:
                yield start, line, False
            else:
                while line and not line.endswith(b"\n"):
                    offset = file.seek(next_bytes(file, offset))
                    line = file.readline(MAX_LINE)
                    offset += len(line)
                yield start, None, True


_Placed = Iterable[tuple[int, "bytes | None", bool]]


def _batches(
    path: Path, marks: Sequence[bytes] = (), flaws: dict[int, str] | None = None
) -> Iterator[tuple[_Placed, list[dict[str, Any]] | None]]:
    """
    Yield all lines, many at a time, as `_lines` gives them, and their entries; None for these unless all are intact.

    Lines that are intact are opened together, which takes a third of the time; with *marks* only those in which one of
    them stands. What is damaged in its compressed form is added to *flaws*. Raises OSError.
    """
    offset, rest = 0, b""
    with open_journal(path) as file:
        while len(rest) < _CHUNK and (block := file.read(_BATCH)):
            data = rest + block
            end = data.rfind(b"\n") + 1
            lines = data[:end].split(b"\n")[:-1]
            wanted = lines if not marks else [line for line in lines if any(mark in line for mark in marks)]
            if flaws is not None:
                flaws.update(found_flaws(file))
            yield _placed(offset, lines), intact(wanted)
            offset, rest = offset + end, data[end:]
    if rest:
        # a line without its end, or a very long one
        yield from (([line], None) for line in _lines(path, offset))


def _placed(offset: int, lines: Iterable[bytes]) -> Iterator[tuple[int, bytes | None, bool]]:
    for line in lines:
        yield offset, line, True
        offset += len(line) + 1


def intact(lines: Sequence[bytes]) -> list[dict[str, Any]] | None:
    """Return the entries of whole lines, without their newlines, all of which are intact; else None."""
    entries = unseal_lines(lines)
    if entries is None:
        return None
    # what `serial.check_place` refuses one by one, in a third of its time
    times: list[Any] = [entry.get(serial.TIME_KEY) for entry in entries]
    numbers: list[Any] = [entry.get(serial.NUMBER_KEY) for entry in entries]
    if set(map(type, numbers)) - {int} or set(map(type, times)) - {float, int}:
        return None
    try:
        for entry in (entries[place] for place in {*_ends(numbers), *_ends(times)}):
            serial.check_place(entry)
    except DamagedError:
        return None
    return None if isnan(sum(times)) else entries


def _ends(values: Sequence[float]) -> Iterator[int]:
    """Yield where the least and the greatest value are; of no values none."""
    for end in (min, max):
        if values:
            yield values.index(end(values))


def tail(path: Path, offset: int, *, end: int | None = None, most: int = MAX_LINE) -> tuple[list[dict[str, Any]], int]:
    """
    Return the next intact entries from *offset* on, and where to go on; the same offset when there is nothing new.

    For followers: a line without its end is left for the next time, and what is damaged is passed over (`iter_journal`
    reports it). One call reads about *most* bytes (more for a longer line, 64 MiB at the most), or up to *end*.

    Raises:
        OSError: The file cannot be read.
    """
    data, after = whole_lines(path, offset, end=end, most=most)
    return entries_in(data), after


def whole_lines(path: Path, offset: int, *, end: int | None = None, most: int) -> tuple[bytes, int]:
    """Return the next lines that have an end, and where to go on; arguments and errors are those of `tail`."""
    with open_journal(path) as file:
        file.seek(offset)
        data = file.read(min(most, MAX_LINE) if end is None else max(0, end - offset))
        if end is None and len(data) == most and b"\n" not in data:
            data += file.read(MAX_LINE - len(data))
    whole = data.rfind(b"\n") + 1
    return data[:whole], offset + (MAX_LINE if not whole and len(data) == MAX_LINE else whole)


def entries_in(data: bytes) -> list[dict[str, Any]]:
    """Return the entries of whole lines, but for those that are damaged."""
    entries = []
    for line in data.split(b"\n"):
        entries += [entry for entry in _unsealed(line) if not isinstance(entry, DamagedError)]
    return entries


class _Seen:
    """Which numbers have come: eight bytes for each, as long as each is greater than those before it."""

    def __init__(self) -> None:
        self._ascending = array("q")
        self._late: set[int] = set()

    def add(self, number: int) -> bool:
        """Take a number; return whether it had not come before."""
        ascending = self._ascending
        if not ascending or number > ascending[-1]:
            ascending.append(number)
            return True
        at = bisect_left(ascending, number)
        if ascending[at] == number or number in self._late:
            return False
        self._late.add(number)
        return True


def read_points(path: Path, name: str) -> Iterator[tuple[float, int, float | int]]:
    """
    Yield (time, step, value) of one metric, in order; lines that lack the name's bytes are not even parsed.

    Raises:
        OSError: The file cannot be read.
    """
    return (point for _, _, point in read_threads(path, [name]))


def read_threads(path: Path, names: Sequence[str]) -> Iterator[tuple[int, str, tuple[float, int, float | int]]]:
    """Yield the points of some metrics as `read_points` does, each behind who logged it, a thread, and its name."""
    seen = {name: _Seen() for name in names}
    for entry in _entries_with(path, [f"{quoted(name)}:".encode("ascii") for name in names]):
        thread = entry.get(_THREAD)
        for name, of_name in seen.items():
            try:
                point = serial.point_of(entry, name)
            except DamagedError:
                continue
            if point is not None and of_name.add(entry[serial.NUMBER_KEY]):
                yield thread if type(thread) is int else 0, name, point


def _entries_with(path: Path, marks: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the intact entries of lines in which one of the marks stands. Raises OSError."""
    for lines, entries in _batches(path, marks):
        if entries is not None:
            yield from entries
            continue
        for _, line, _ in lines:
            if line is not None and any(mark in line for mark in marks):
                yield from (entry for entry in _unsealed(line) if not isinstance(entry, DamagedError))


def read_entries(path: Path, kinds: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the intact entries of some kinds, each once; other lines are not even parsed. Raises OSError."""
    marks = [f'"{ev.KIND_KEY}":{quoted(kind)}'.encode("ascii") for kind in kinds]
    seen = _Seen()
    for entry in _entries_with(path, marks):
        if entry.get(ev.KIND_KEY) in kinds and seen.add(entry[serial.NUMBER_KEY]):
            yield entry
