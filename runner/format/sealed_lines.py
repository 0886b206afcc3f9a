"""Many sealed lines at a time: of a journal there may be millions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from zlib import crc32

# what `serial.seal` ends a line with, and how many bytes that has
_SEAL, _SEAL_BYTES = b',"c":"%08x"}', 16


def unseal_lines(lines: Sequence[bytes]) -> list[dict[str, Any]] | None:
    """
    Return the objects of sealed lines, each without its newline and seal; None unless every one of them is intact.

    Four times as quick as `unseal` line by line: their seals are compared, and their JSON is read, in one go.
    """
    heads = [line[:-_SEAL_BYTES] for line in lines]
    if not _are_sealed(lines, heads):
        return None
    try:
        values = json.loads(b"[%s}]" % b"},".join(heads)) if heads else []
    except (ValueError, RecursionError):
        return None
    # lines of which none is JSON, and which are together, come from no writer
    return values if len(values) == len(lines) and all(type(value) is dict for value in values) else None


def unsealed(lines: Sequence[bytes]) -> int:
    """Return how many of some lines, without their newlines, are not as they were sealed."""
    if _are_sealed(lines, [line[:-_SEAL_BYTES] for line in lines]):
        return 0
    return sum(1 for line in lines if not _is_sealed(line))


def _are_sealed(lines: Sequence[bytes], heads: Sequence[bytes]) -> bool:
    """Whether all of them are, which takes a third of the time of asking one by one."""
    return b"".join([line[-_SEAL_BYTES:] for line in lines]) == _SEAL * len(lines) % tuple(map(crc32, heads))


def _is_sealed(line: bytes) -> bool:
    """Whether a line, without its newline, is as it was sealed; what it says is not looked at."""
    return line[-_SEAL_BYTES:] == _SEAL % crc32(line[:-_SEAL_BYTES])
