"""
Where the bytes of two artifacts part, and what that is: a member, a line, an offset.

Nothing is unpickled or run. Formats are told by their first bytes, whatever the file is called.
"""

from __future__ import annotations

import gzip
import io
import pickletools
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.lazy.patterns import regexp
from anew.runner.rerun.clues import Clue, Looks
from anew.runner.store.files import read_most

MOST_BYTES = 32 * 2**20
_MOST_INSIDE = 64 * 2**20
_DEEPEST = 4
_NEAR = 8
_SVG_ID = regexp(r"(?<=[\"#(])([A-Za-z]{1,12}[0-9a-f]{8,16})(?=[\")])")
_SVG_DATE = regexp(r"<dc:date>[^<]*</dc:date>")
_PDF_DATE = regexp(rb"\(D:[^)]*\)|/ID ?\[[^\]]*\]")
_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    zlib.error,
    struct.error,
    zipfile.BadZipFile,
    tarfile.TarError,
    NotImplementedError,  # zipfile, of a compression that this Python lacks
    RuntimeError,
)


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where the contents of two files part.

    Attributes:
        where: "line 3", "member a.npy", "byte 120", one inside the other.
        clue: What that is; None when nothing is known of it.
        recorded: What stands there on record, shortly; empty for bytes.
        now: What stands there now.
    """

    where: str
    clue: Clue | None = None
    recorded: str = ""
    now: str = ""


def first_parting(was: bytes, now: bytes, looks: Looks, depth: int = 0) -> Place | None:
    """
    Return where two contents part and what that is; None when they are the same.

    Args:
        was: On record.
        now: Of the re-run.
        looks: Recognises what differs.
        depth: How many archives these are in.
    """
    if was == now:
        return None
    for at, mark, read in _READERS:
        if depth < _DEEPEST and was[at : at + len(mark)] == now[at : at + len(mark)] == mark:
            try:
                if (found := read(was, now, looks, depth)) is not None:
                    return found
            except _BROKEN:
                break  # it only looked like one
    return _texts(was, now, looks) or _bytes(was, now, looks)


# --- what is made of members --------------------------------------------------------------------------------------


def _gzip(was: bytes, now: bytes, looks: Looks, depth: int) -> Place | None:
    inside = first_parting(_unpacked(was), _unpacked(now), looks, depth + 1)
    if inside is not None:
        return replace(inside, where=f"unpacked, {inside.where}")
    if was[4:8] != now[4:8]:
        return Place("byte 4", Clue("time", "the time that gzip writes into its header (to leave it out: mtime=0)"))
    return None


def _unpacked(data: bytes) -> bytes:
    with gzip.open(io.BytesIO(data)) as file:
        return read_most(file, _MOST_INSIDE)


def _zip(was: bytes, now: bytes, looks: Looks, depth: int) -> Place | None:
    with zipfile.ZipFile(io.BytesIO(was)) as old, zipfile.ZipFile(io.BytesIO(now)) as new:
        times = [{each.filename: each.date_time for each in archive.infolist()} for archive in (old, new)]
        contents = [
            {each.filename: (each.CRC, each.file_size) for each in archive.infolist()} for archive in (old, new)
        ]
        name = _first_key(*contents)
        if name is None:
            name = _first_key(*times)
            clue = Clue("time", "the time of a member in the archive (to pin it: ZipInfo(name, date_time=...))")
            return None if name is None else Place(f"member {name}", clue)
        if not all(name in each and each[name][1] <= _MOST_INSIDE for each in contents):
            return Place(f"member {name}", _named(name, [*contents[0]], [*contents[1]], looks))
        return _member(name, old.read(name), new.read(name), looks, depth)


def _tar(was: bytes, now: bytes, looks: Looks, depth: int) -> Place | None:
    with tarfile.open(fileobj=io.BytesIO(was)) as old, tarfile.open(fileobj=io.BytesIO(now)) as new:
        contents = [{each.name: _tar_content(archive, each) for each in archive.getmembers()} for archive in (old, new)]
        name = _first_key(*contents)
        if name is not None:
            return _member(name, contents[0].get(name, b""), contents[1].get(name, b""), looks, depth)
        times = [{each.name: each.mtime for each in archive.getmembers()} for archive in (old, new)]
        name = _first_key(*times)
        clue = Clue("time", "the time of a member in the archive (to pin it: TarInfo.mtime)")
        return None if name is None else Place(f"member {name}", clue)


def _tar_content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member) if member.isfile() else None
    return b"" if file is None else read_most(file, _MOST_INSIDE)


def _member(name: str, was: bytes, now: bytes, looks: Looks, depth: int) -> Place:
    inside = first_parting(was, now, looks, depth + 1)
    if inside is None:
        return Place(f"member {name}")
    return replace(inside, where=f"member {name}, {inside.where}")


def _named(name: str, was: list[str], now: list[str], looks: Looks) -> Clue | None:
    return looks.of_texts("\n".join(was), "\n".join(now))


def _first_key(was: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    return next((key for key in {**was, **now} if was.get(key) != now.get(key)), None)


# --- pictures and papers ------------------------------------------------------------------------------------------


def _png(was: bytes, now: bytes, looks: Looks, depth: int) -> Place | None:
    old, new = [*_chunks(was)], [*_chunks(now)]
    for (kind, data), (kind_now, data_now) in zip(old, new, strict=False):
        if (kind, data) == (kind_now, data_now):
            continue
        if kind == "tIME":
            return Place("chunk tIME", Clue("time", "the time that is written into the picture"))
        texts = data.decode("latin-1").replace("\0", "="), data_now.decode("latin-1").replace("\0", "=")
        clue = looks.of_texts(*texts) if kind in ("tEXt", "iTXt") else None
        shown = texts if kind in ("tEXt", "iTXt") else ("", "")
        return Place(f"chunk {kind}", clue, _short(shown[0]), _short(shown[1]))
    return None


def _chunks(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        yield data[at + 4 : at + 8].decode("latin-1"), data[at + 8 : at + 8 + length]
        at += 12 + length


def _pdf(was: bytes, now: bytes, looks: Looks, depth: int) -> Place | None:
    if _PDF_DATE.sub(b"@", was) != _PDF_DATE.sub(b"@", now):
        return None
    return Place(f"byte {_first_byte(was, now)}", Clue("time", "the time and the id that are written into the paper"))


def _svg(was: str, now: str) -> Place | None:
    """Return what parts two SVG files, when that is what the library makes of itself."""
    if _in_turn(was) != _in_turn(now):
        if _SVG_DATE.sub("", was) == _SVG_DATE.sub("", now):
            return _line(was, now, Clue("time", "the date that is written into the picture (metadata={'Date': None})"))
        if _in_turn(_SVG_DATE.sub("", was)) != _in_turn(_SVG_DATE.sub("", now)):
            return None
    what = "ids that matplotlib makes at random (to pin them: matplotlib.rcParams['svg.hashsalt'] = 'any text')"
    with_date = "" if _SVG_DATE.findall(was) == _SVG_DATE.findall(now) else ", and the date (metadata={'Date': None})"
    return _line(was, now, Clue("made", what + with_date))


def _in_turn(text: str) -> str:
    """Return a picture with its made ids numbered in the order in which they come."""
    names: dict[str, str] = {}
    return _SVG_ID.sub(lambda match: names.setdefault(match[1], f"id{len(names)}"), text)


# --- pickles ------------------------------------------------------------------------------------------------------


def _pickle(was: bytes, now: bytes, looks: Looks, depth: int) -> Place | None:
    old, new = [*_operations(was)], [*_operations(now)]
    for index, ((at, name, value), (_, name_now, value_now)) in enumerate(zip(old, new, strict=False)):
        if (name, value) == (name_now, value_now) or name == "FRAME":
            continue
        before = [each for _, _, each in old[max(0, index - 8) : index] if isinstance(each, str)]
        where = f"byte {at}" + (f" ({before[-1]})" if before else "")
        clue = looks.of_values(before[-1] if before else "", value, value_now)
        if clue is None and isinstance(value, (bytes, str)) and any("datetime" in each for each in before):
            clue = Clue("time", "an object that holds a time")
        if isinstance(value, bytes) and isinstance(value_now, bytes):
            return Place(where, clue or _moments(value, value_now, looks))
        return Place(where, clue, _short(repr(value)), _short(repr(value_now)))
    return None


def _operations(data: bytes) -> Iterator[tuple[int, str, Any]]:
    for operation, value, at in pickletools.genops(data):
        yield at or 0, operation.name, value


# --- texts and bytes ----------------------------------------------------------------------------------------------


def _texts(was: bytes, now: bytes, looks: Looks) -> Place | None:
    try:
        old, new = was.decode(), now.decode()
    except UnicodeDecodeError:
        return None
    if "\0" in old or "\0" in new:
        return None
    if "<svg" in old[:2000] and (found := _svg(old, new)) is not None:
        return found
    return _line(old, new, looks.of_texts(old, new))


def _line(was: str, now: str, clue: Clue | None) -> Place:
    old, new = was.splitlines(), now.splitlines()
    at = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    lines = [side[at] if at < len(side) else "" for side in (old, new)]
    begin = next((i for i, (a, b) in enumerate(zip(*lines, strict=False)) if a != b), 0)
    shown = [_short(line[max(0, begin - 30) :]) for line in lines]
    return Place(f"line {at + 1}", clue, shown[0], shown[1])


def _bytes(was: bytes, now: bytes, looks: Looks) -> Place:
    at = _first_byte(was, now)
    if was.startswith(b"\x89HDF") and len(was) == len(now):
        clue = _moments(was, now, looks)
        return Place(
            f"byte {at}", clue and Clue("made", "the times that HDF5 keeps of its objects (track_times=False)")
        )
    if was.startswith(b"\x93NUMPY") and was[: _npy_begin(was)] == now[: _npy_begin(was)]:
        return Place(f"byte {at} (of the array's numbers)")
    return Place(f"byte {at}", _moments(was, now, looks) or _text_inside(was, now, looks))


def _npy_begin(data: bytes) -> int:
    return (
        10 + int.from_bytes(data[8:10], "little") if data[6:7] == b"\x01" else 12 + int.from_bytes(data[8:12], "little")
    )


def _first_byte(was: bytes, now: bytes) -> int:
    # by halves, since there may be many
    low, high = 0, min(len(was), len(now))
    while low < high:
        middle = (low + high + 1) // 2
        if was[:middle] == now[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _moments(was: bytes, now: bytes, looks: Looks) -> Clue | None:
    """Return whether the first bytes that differ are a time, in one of the forms that libraries write."""
    at = _first_byte(was, now)
    for begin in range(max(0, at - _NEAR), at + 1):
        for form in ("<I", ">I", "<Q", ">Q", "<d", ">d"):
            size = struct.calcsize(form)
            if len(was) < begin + size or len(now) < begin + size:
                continue
            values = [float(struct.unpack(form, data[begin : begin + size])[0]) for data in (was, now)]
            if values[0] != values[1] and all(
                looks.is_moment(value) or looks.is_moment(value / 1e9) for value in values
            ):
                return Clue("time", "a time of day, as a number")
    return None


def _text_inside(was: bytes, now: bytes, looks: Looks) -> Clue | None:
    """Return what the printable text around the first difference is."""
    return looks.of_texts(_printed(was), _printed(now))


def _printed(data: bytes) -> str:
    return "\n".join(each.decode("ascii") for each in re.findall(rb"[\x20-\x7e]{4,}", data[:MOST_BYTES]))


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


_READERS = (
    (0, b"\x1f\x8b", _gzip),
    (0, b"PK\x03\x04", _zip),
    (257, b"ustar", _tar),
    (0, b"\x89PNG\r\n\x1a\n", _png),
    (0, b"%PDF", _pdf),
    (0, b"\x80", _pickle),
)
