"""One run at a time in a process, since Hydra keeps its state in the process."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PATIENCE_S = 10.0


class Turns:
    """
    Lets one thread run at a time, as often nested as it likes; other threads wait.

    A thread that main started, and that main waits for, would wait for ever. Nothing tells such a thread from another
    that has come late, so after ten seconds of waiting the possibility is mentioned on stderr.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Run, when it is this thread's turn."""
        if not self._lock.acquire(timeout=PATIENCE_S):
            _mention()
            self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()


def _mention() -> None:
    name = threading.current_thread().name
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(
            f"anew: the thread {name!r} waits until the run that is going on in this process has ended. If that run "
            "waits for this thread, neither will end: start runs from main's own thread, or from child processes.\n"
        )
