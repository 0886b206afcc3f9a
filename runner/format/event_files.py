"""
Scalars in the event files that TensorBoard reads: of torch, TensorFlow, Keras, tensorboardX.

Such a file is a row of records, each a length, a checksum of that, a message of protocol buffers and a checksum. Of the
messages no more than the few fields of a scalar are read here, so that neither TensorBoard nor TensorFlow has to be
where the run is recorded, and none of them is imported into a program that does without.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from anew.runner.dataclass import dataclass

MARK = "events.out.tfevents."
OURS = b"anew"
_HEADER = struct.Struct("<QI")
_AROUND = _HEADER.size + 4
_VERSION = b"brain.Event:"
_FLOAT, _DOUBLE = 1, 2
_SCALARS = b"scalars"
# numbers of fields: of an event, a summary's value, what says of which plugin it is, a tensor
_STEP, _FILE_VERSION, _SUMMARY, _SOURCE = 2, 3, 5, 10
_TAG, _SIMPLE, _TENSOR, _METADATA = 1, 2, 8, 9
_KIND, _CONTENT, _FLOATS, _DOUBLES = 1, 4, 5, 6

# of a field: a whole number, or its bytes
_Field = int | bytes


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value of a tag; of 32 bits, as a rule."""

    tag: str
    step: int
    value: float


class EventReader:
    """
    Reads one file, as it grows.

    Attributes:
        is_ours: Whether an observer of ours wrote it, as its first record says.
    """

    def __init__(self) -> None:
        self.is_ours = False
        self._is_begun = False
        self._rest = bytearray()
        self._tags: set[str] = set()

    def feed(self, data: bytes) -> list[Scalar]:
        """
        Take the next bytes; return the scalars of records that are whole by now, in order.

        Raises:
            ValueError: It is no event file, or was damaged.
        """
        self._rest += data
        found: list[Scalar] = []
        at = 0
        while len(self._rest) - at >= _HEADER.size:
            length, _ = _HEADER.unpack_from(self._rest, at)
            if not self._is_begun and length > 1 << 10:
                raise ValueError("it does not begin as an event file does")
            if len(self._rest) - at < length + _AROUND:
                break
            record = bytes(self._rest[at + _HEADER.size : at + _HEADER.size + length])
            found += self._read(record)
            at += length + _AROUND
        del self._rest[:at]
        return found

    def _read(self, record: bytes) -> Iterator[Scalar]:
        step, summaries = 0, []
        version = b""
        for number, value in _fields(record):
            if number == _STEP and isinstance(value, int):
                step = value - (1 << 64) if value >= 1 << 63 else value
            elif isinstance(value, bytes) and number == _SUMMARY:
                summaries.append(value)
            elif isinstance(value, bytes) and number == _FILE_VERSION:
                version = value
            elif isinstance(value, bytes) and number == _SOURCE:
                self.is_ours = self.is_ours or dict(_fields(value)).get(1) == OURS
        if not self._is_begun and not version.startswith(_VERSION):
            raise ValueError("it does not begin as an event file does")
        self._is_begun = True
        for summary in summaries:
            for number, value in _fields(summary):
                if number == 1 and isinstance(value, bytes):
                    yield from self._scalar(value, step)

    def _scalar(self, written: bytes, step: int) -> Iterator[Scalar]:
        fields = dict(_fields(written))
        named = fields.get(_TAG, b"")
        tag = named.decode("utf-8", "replace") if isinstance(named, bytes) else ""
        simple, tensor, metadata = fields.get(_SIMPLE), fields.get(_TENSOR), fields.get(_METADATA)
        if isinstance(simple, bytes):
            yield Scalar(tag, step, struct.unpack("<f", simple)[0])
        elif isinstance(tensor, bytes):
            # a file may say it once for each tag
            if isinstance(metadata, bytes) and _plugin(metadata) == _SCALARS:
                self._tags.add(tag)
            number = _number(tensor) if tag in self._tags else None
            if number is not None:
                yield Scalar(tag, step, number)


def _plugin(metadata: bytes) -> _Field | None:
    data = dict(_fields(metadata)).get(1)
    return dict(_fields(data)).get(1) if isinstance(data, bytes) else None


def _number(tensor: bytes) -> float | None:
    """Return what a tensor of one number holds; None for any other."""
    fields = dict(_fields(tensor))
    kind = fields.get(_KIND)
    form = {_FLOAT: "<f", _DOUBLE: "<d"}.get(kind) if isinstance(kind, int) else None
    if form is None:
        return None
    data = fields.get(_CONTENT) or fields.get(_FLOATS if kind == _FLOAT else _DOUBLES)
    if not isinstance(data, bytes) or len(data) != struct.calcsize(form):
        return None
    number: float = struct.unpack(form, data)[0]
    return number


def _fields(message: bytes) -> Iterator[tuple[int, _Field]]:
    """Yield the fields of a message: their numbers, and what they hold. Raises ValueError."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == 2:
            length, at = _varint(message, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError("a record of it is none")
        if at + length > end:
            raise ValueError("a record of it is none")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError("a record of it is none")
