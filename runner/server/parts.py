"""Content handed over whole, or the part of it that a player of sound or film asks for."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import BinaryIO

from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from anew.runner.records import ContentRef
from anew.runner.store.contents import intact

_BLOCK = 1 << 18
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z", re.ASCII | re.IGNORECASE)
# one who looks for a place in a film asks for many parts, and all of it would be read for each
_TRUSTED_S = 60.0
_MOST_TRUSTED = 100


class Intact:
    """
    Opens content that is what its record says, without reading all of it again for each of its parts.

    Safe between threads.
    """

    def __init__(self, open_object: Callable[[str], BinaryIO]) -> None:
        self._open = open_object
        self._read: dict[str, float] = {}

    def open(self, file: ContentRef) -> BinaryIO:
        """Open it. Raises as `contents.intact`."""
        now = time.monotonic()
        if file.kept and now - self._read.get(file.sha256, -_TRUSTED_S) < _TRUSTED_S:
            return self._open(file.sha256)
        opened = intact(file, self._open)
        while len(self._read) >= _MOST_TRUSTED:
            with suppress(StopIteration, KeyError, RuntimeError):
                del self._read[next(iter(self._read))]
        self._read[file.sha256] = now
        return opened


class ContentResponse(Response):
    """
    An opened file as a response: all of it, or the one range of bytes that a request names.

    Args:
        opened: Closed once it was sent.
        size: How long it is, in bytes.
        headers: What else is said.
        media_type: Of what kind it is.
    """

    def __init__(self, opened: BinaryIO, size: int, headers: dict[str, str], media_type: str) -> None:
        super().__init__(media_type=media_type, headers=headers)
        self._opened = opened
        self._size = size
        self._said = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; see `Response`."""
        said = {**self._said, "accept-ranges": "bytes"}
        span = span_of(Headers(scope=scope).get("range", ""), self._size)
        if span is None:
            status, span = 200, range(self._size)
        elif not span:
            status = 416
            said["content-range"] = f"bytes */{self._size}"
        else:
            status = 206
            said["content-range"] = f"bytes {span.start}-{span.stop - 1}/{self._size}"
        said["content-length"] = str(len(span))
        response = StreamingResponse(_blocks(self._opened, span), status, said, self.media_type)
        try:
            await response(scope, receive, send)
        finally:
            self._opened.close()  # also where whoever asked has left in the midst of it


def span_of(asked: str, size: int) -> range | None:
    """
    Return the bytes that a header asks for, none where the content ends before; None for what is to be ignored.

    That is what is not understood, several ranges, and a range that ends before it begins, wherever the content ends
    (RFC 9110, 14.1.1 and 14.2).
    """
    found = _RANGE.match(asked.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return range(max(0, size - int(found[2])), size)
    first, last = int(found[1]), int(found[2]) if found[2] else size
    return None if found[2] and last < first else range(first, max(first, min(size, last + 1)))


def _blocks(opened: BinaryIO, span: range) -> Iterator[bytes]:
    if span.start:
        opened.seek(span.start)
    left = len(span)
    while left and (block := opened.read(min(_BLOCK, left))):
        left -= len(block)
        yield block
