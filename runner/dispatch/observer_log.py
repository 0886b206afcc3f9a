"""What one observer of a run printed and logged, and its tracebacks: a text file beside its cursor."""

from __future__ import annotations

import os
import threading
import traceback
from contextlib import suppress

from anew.runner.format.redact import Redactor
from anew.runner.store.files import names_in, read_regular, replace_whole
from anew.runner.store.paths import RunLayout

MOST_BYTES = 8 * 2**20
_LONGEST_LINE = 2**16
_JOINED = "+"


class ObserverLog:
    """
    The log of one observer of a run, or of several where what was printed cannot be told apart. Safe in threads.

    A line is written when it is complete, without secrets. Of more than `MOST_BYTES` the latest half is kept. The file
    is made with the first line; what cannot be written is lost without a word, as nothing here may harm a delivery.

    Args:
        layout: The run's folder.
        names: The observers.
        redactor: Knows the secrets.
    """

    def __init__(self, layout: RunLayout, *names: str, redactor: Redactor) -> None:
        self.path = layout.observer_log(_JOINED.join(sorted(names)))
        self._redactor = redactor
        self._lock = threading.RLock()
        self._begun: dict[int, str] = {}  # by thread: the line that has no end yet
        self._last = ""

    def write(self, text: str) -> None:
        """Take what is printed. Never raises."""
        thread = threading.get_ident()
        with self._lock:
            text = self._begun.pop(thread, "") + text
            lines, end, rest = text.rpartition("\n")
            if len(rest) > _LONGEST_LINE:
                lines, end, rest = text, "\n", ""
            if rest:
                self._begun[thread] = rest
            if end:
                self._keep(lines + end)

    def note(self, what: str, error: BaseException) -> None:
        """Take an error with its traceback; of one that is as the one before it only the line. Never raises."""
        with suppress(Exception), self._lock:
            full = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            known, self._last = full == self._last, full
            self._keep(f"{what}: {type(error).__name__}: {error}, as before\n" if known else f"{what}:\n{full}")

    def close(self) -> None:
        """Write lines that have no end. Never raises."""
        with self._lock:
            for rest in self._begun.values():
                self._keep(f"{rest}\n")
            self._begun.clear()

    def _keep(self, text: str) -> None:
        with suppress(Exception):
            data = self._redactor.text(text).encode("utf-8", "backslashreplace")
            # the store may be anybody's, and what a link leads to is not the log
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            file = os.open(self.path, flags, 0o644)
            try:
                os.write(file, data)
                size = os.fstat(file).st_size
            finally:
                os.close(file)
            if size > MOST_BYTES:
                self._shorten(size)

    def _shorten(self, size: int) -> None:
        kept = read_regular(self.path, size)[-MOST_BYTES // 2 :].partition(b"\n")[2]
        replace_whole(self.path, b"[%d bytes before this were left out]\n" % (size - len(kept)) + kept)


def printed(layout: RunLayout, name: str) -> str | None:
    """
    Return the log of an observer of a run, and of what cannot be told from other observers'; None without any.

    Raises:
        OSError: It cannot be read.
    """
    texts = []
    for file in _logs(layout):
        owners = file.removesuffix(".log").split(_JOINED)
        if name not in owners:
            continue
        text = read_regular(layout.observers / file, 2 * MOST_BYTES).decode("utf-8", "replace")
        texts.append(text if len(owners) == 1 else f"[printed by one of {', '.join(owners)}]\n{text}")
    return "".join(texts) if texts else None


def printers(layout: RunLayout) -> list[str]:
    """Return the observers of a run that have a log. Raises OSError."""
    return sorted({name for file in _logs(layout) for name in file.removesuffix(".log").split(_JOINED)})


def _logs(layout: RunLayout) -> list[str]:
    if layout.observers.is_symlink():
        return []
    names = [name for name in names_in(layout.observers) if name.endswith(".log")]
    return sorted(names, key=lambda name: (name.count(_JOINED), name))
