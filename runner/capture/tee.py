"""Python streams that copy what is written to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


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
