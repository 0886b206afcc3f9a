"""Python streams that copy what is written to them, or seem to be what they were."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterable
from typing import Any, cast


class Tee:
    """
    Stands in for `sys.stdout` or `sys.stderr`: what is written goes on to the original first, then as a copy elsewhere.

    Everything else (`isatty`, `fileno`, `encoding`, ...) is the original's. What the original refuses is not copied.

    Args:
        original: A text stream.
        copy: Takes the bytes; it must not raise.
    """

    def __init__(self, original: Any, copy: Callable[[bytes], None]) -> None:
        self.original = original
        self._copy = copy
        if hasattr(original, "buffer"):
            self.buffer = _BinaryTee(original.buffer, copy)

    def write(self, text: str) -> Any:
        """Write to the original and copy; return what the original returns."""
        written = self.original.write(text)
        self._copy(text.encode("utf-8", "backslashreplace"))
        return written

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)

    def __iter__(self) -> Any:
        return iter(self.original)

    def __enter__(self) -> Tee:
        return self

    def __exit__(self, *failure: object) -> None:
        self.original.__exit__(*failure)


class _BinaryTee:
    """The same for the bytes below a text stream."""

    def __init__(self, original: Any, copy: Callable[[bytes], None]) -> None:
        self._original = original
        self._copy = copy

    def write(self, data: Any) -> Any:
        written = self._original.write(data)
        self._copy(bytes(data))
        return written

    def writelines(self, lines: Iterable[Any]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


def keep_seekable(stream: Any) -> None:
    """
    Have a stream seek as in `/dev/null`, where nothing moves, once its descriptor has become a pipe.

    A text stream remembers that it could seek, and asks for its place when it is set up in another way or taken apart.
    The streams stay the same ones, as others may have them; what is below them is another.
    """
    buffer = getattr(stream, "buffer", None)
    below = buffer.raw if type(buffer) is io.BufferedWriter else buffer
    if type(below) is not io.FileIO:
        return
    stream.flush()
    unmoved = _Unmoved(below.fileno(), "wb", closefd=False)
    unmoved.name = below.name
    if type(buffer) is io.BufferedWriter:
        io.BufferedWriter.__init__(buffer, unmoved)
    elif type(stream) is io.TextIOWrapper:  # python -u
        how = {name: getattr(stream, name) for name in ("encoding", "errors", "line_buffering", "write_through")}
        io.TextIOWrapper.__init__(stream, cast("Any", unmoved), newline="\n", **how)


class _Unmoved(io.FileIO):
    """A file that says that it can seek, and stays where it is if it cannot."""

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.seek(0, os.SEEK_CUR)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except OSError as error:
            if error.errno != errno.ESPIPE:
                raise
            return 0
