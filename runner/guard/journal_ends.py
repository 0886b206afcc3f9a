"""What an outcome says of a run's journals, and are they long? The guard asks, too: the standard library has to do."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress

LONG_BYTES = 1 << 20
"""A journal of so many bytes is compressed when its run has ended; what is short is to be read with any tool."""

_SUFFIX = ".jsonl"
END_BYTES = 1 << 16
"""Within how much of a journal's end a line is looked for by its number."""

_MOST_BYTES = 1 << 27  # the longest line has half of it
_SEAL = re.compile(rb',"c":"([0-9a-f]{8})"\}\Z')
_NUMBER = re.compile(rb'\{"q":([1-9][0-9]{0,17}),')


def journal_ends(folder: str) -> dict[str, int]:
    """Return writer -> the number of the last whole line of its journal. A journal that cannot be read is left out."""
    ends: dict[str, int] = {}
    try:
        names = os.listdir(folder)
    except OSError:
        return ends
    for name in sorted(names):
        if name.endswith(_SUFFIX) and not name.startswith("."):
            try:
                number = _last_number(os.path.join(folder, name))
            except OSError:
                continue
            if number:
                ends[name.removesuffix(_SUFFIX)] = number
    return ends


def journal_seals(folder: str, ends: dict[str, int]) -> dict[str, str]:
    """Return writer -> the seal of the line of that number: what tells a journal from another one as long."""
    seals: dict[str, str] = {}
    for writer, number in ends.items():
        with suppress(OSError):
            seal = seal_in(_end_of(os.path.join(folder, f"{writer}{_SUFFIX}")), number)
            if seal is not None:
                seals[writer] = seal
    return seals


def seal_in(end: bytes, number: int) -> str | None:
    """Return the seal of the line of this number, if it is in the last `END_BYTES` of a journal."""
    for line in reversed(end.split(b"\n")):
        found = _NUMBER.match(line)
        if found and int(found[1]) == number and (seal := _SEAL.search(line)):
            return seal[1].decode()
    return None


def _end_of(path: str) -> bytes:
    """Return the last bytes of a journal. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, END_BYTES, max(0, os.fstat(descriptor).st_size - END_BYTES))
    finally:
        os.close(descriptor)


def has_long_journal(folder: str) -> bool:
    """Whether in a folder of journals there is one of `LONG_BYTES` or more. Never raises."""
    try:
        with os.scandir(folder) as found:
            return any(each.name.endswith(_SUFFIX) and each.stat().st_size >= LONG_BYTES for each in found)
    except OSError:
        return False


def _last_number(path: str) -> int:
    """Return the number that the last whole line begins with, 0 when there is none. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return 0
        window = END_BYTES
        while True:
            begin = max(0, status.st_size - window)
            data = os.pread(descriptor, status.st_size - begin, begin)
            end = data.rfind(b"\n")
            line = data.rfind(b"\n", 0, max(end, 0)) + 1
            if line or not begin or window >= _MOST_BYTES:
                match = _NUMBER.match(data, line) if end >= 0 else None
                return int(match[1]) if match else 0
            window *= 16
    finally:
        os.close(descriptor)
