"""A part of what a run printed, by its place in bytes: a page asks for what it has not got."""

from __future__ import annotations

import os

from anew.runner.dataclass import dataclass
from anew.runner.errors import StoreError
from anew.runner.guard.holes import next_data
from anew.runner.store.files import cannot, leads_out, open_regular
from anew.runner.store.paths import RunLayout


@dataclass(frozen=True, slots=True)
class Part:
    """
    A part of a log.

    Attributes:
        text: What stands there.
        end: Where it ends, in bytes: where the next part begins.
        size: How long the log is by now, in bytes. It may become shorter: its tail is rewritten once it has a limit.
    """

    text: str
    end: int
    size: int


def read_part(layout: RunLayout, offset: int, limit: int, *, live: bool) -> Part:
    """
    Return a log from a place on, whole letters only; a run without a log has an empty one.

    Args:
        layout: The run's folder.
        offset: From where on, in bytes; beyond the end there is nothing.
        limit: How many bytes at most.
        live: Whether more may come: then a last line that has no end yet, and may be written anew, is left out.

    Raises:
        StoreError: It cannot be read.
    """
    if leads_out(layout.output):
        raise StoreError(
            f"{str(layout.output)!r} is a link or behind one, which is not followed. To see what is: anew check"
        )
    try:
        with open_regular(layout.output) as file:
            size = os.fstat(file.fileno()).st_size
            offset = min(offset, size)
            file.seek(offset)
            data = file.read(limit)
            if data and not data.strip(b"\0"):
                # it may be a hole, and those have no end
                return Part("", max(offset + len(data), next_data(file.fileno(), offset)), size)
    except FileNotFoundError:
        return Part("", 0, 0)
    except OSError as error:
        raise cannot("read", layout.output, error) from error
    is_all = offset + len(data) >= size
    if live and is_all and b"\n" in data:
        data = data[: data.rfind(b"\n") + 1]
    elif live and is_all and len(data) < limit:
        data = b""
    elif not is_all:
        data = _whole_letters(data)
    return Part(data.decode("utf-8", "backslashreplace"), offset + len(data), size)


def _whole_letters(data: bytes) -> bytes:
    """Leave out the beginning of a letter at the end."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            return data
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[:-back] if needed > back and len(data) > back else data
    return data
