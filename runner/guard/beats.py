"""
Signs of life of a run, in a journal of their own: `events/guard.jsonl`.

Readers on other hosts cannot look at the process. It may be in a C call that holds the GIL for hours; the guard is not.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from zlib import crc32

_NAME = "guard.jsonl"


class Beats:
    """
    What the guard writes for one run.

    Args:
        outcome: Where the run's outcome belongs; after that nothing is written.
        origin: When the run began, on the monotonic clock.
        every_s: Seconds between two.

    Attributes:
        due: When the next one is, on the monotonic clock.
    """

    def __init__(self, outcome: str, origin: float, every_s: float) -> None:
        self._outcome = outcome
        self._path = os.path.join(os.path.dirname(outcome), "events", _NAME)
        self._origin = origin
        self._every_s = every_s
        self._number = 0
        self.due = time.monotonic() + every_s

    def beat(self) -> None:
        """Write one, where it can be written and the run has not ended."""
        now = time.monotonic()
        self.due = now + self._every_s
        if os.path.lexists(self._outcome):
            return
        head = b'{"q":%d,"k":"h","t":%.6f' % (self._number + 1, max(0.0, now - self._origin))
        with suppress(OSError):
            self._add(b'%s,"c":"%08x"}\n' % (head, crc32(head)))
            self._number += 1

    def _add(self, line: bytes) -> None:
        """Append a line, whole or not at all. Raises OSError."""
        is_new = os.O_CREAT | os.O_EXCL if not self._number else 0  # one that was taken away is not made again
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | is_new, 0o644)
        try:
            before = os.fstat(descriptor).st_size
            try:
                if os.write(descriptor, line) != len(line):
                    raise OSError("the disk is full")
            except OSError:
                os.ftruncate(descriptor, before)
                if is_new:
                    os.unlink(self._path)
                raise
        finally:
            os.close(descriptor)
