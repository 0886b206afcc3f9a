"""Metrics read from what a run prints."""

from __future__ import annotations

import os
import threading
from collections import Counter
from pathlib import Path

from anew.runner.format.metric_lines import Bars, Found, metrics_in, pattern_of
from anew.runner.guard.output_log import SEARCHED_BYTES
from anew.runner.guard.terminal_text import KEEP_ROWS
from anew.runner.lazy.patterns import regexp
from anew.runner.run.recorder import Recorder
from anew.runner.settings import OutputSettings
from anew.runner.store.files import open_regular

_EVERY_S = 0.5
_MOST_AT_ONCE = 1 << 20
_LEFT_OUT = regexp(rb"\[\.\.\. +(\d+) bytes (?:left out|could not be written)")


class PrintedMetrics:
    """
    Logs what is printed of metrics: while the run goes on what can change no more, and the rest at its end.

    The log is read, as the guard process writes it, so that nothing stands in the way of what prints. Each line counts
    once, in its final state: a progress bar is one line, and the last rows may yet be written over. It has to be
    stopped when the capture has stopped, and before the recorder. In a forked child it does nothing.

    Args:
        recorder: Takes the metrics.
        path: The log.
        settings: How it is written, and what in it is a metric.
    """

    def __init__(self, recorder: Recorder, path: Path, settings: OutputSettings) -> None:
        self._recorder = recorder
        self._path = path
        self._patterns = [pattern_of(text) for text in settings.metrics]
        self._bars = Bars() if None in self._patterns else None
        # beyond, the log may yet be cut
        self._settled = max(0, settings.limit_bytes - settings.limit_bytes // 4 - SEARCHED_BYTES)
        self._steps: Counter[str] = Counter()
        self._at = 0
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to read, in a thread."""
        self._thread = threading.Thread(target=self._follow, name="anew-metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Read the rest."""
        if self._thread is None:
            return
        self._ending.set()
        self._thread.join()
        if self._recorder.is_open:
            self._read(is_last=True)
            for found in self._bars.rest() if self._bars is not None else ():
                self._take(found)

    def _follow(self) -> None:
        while not self._ending.wait(_EVERY_S):
            self._read(is_last=False)

    def _read(self, *, is_last: bool) -> None:
        """Read on, as far as the text is final."""
        try:
            with open_regular(self._path) as file:
                while lines := self._whole_lines(file.fileno(), is_last):
                    for line in lines:
                        self._log(line)
        except OSError as error:
            if is_last:
                why = error.strerror or error
                self._recorder.warn_once("printed", f"No metrics were read from the output: {self._path}: {why}")

    def _whole_lines(self, descriptor: int, is_last: bool) -> list[bytes]:
        """Return the next lines, as many as are final; none when there are no more."""
        size = os.fstat(descriptor).st_size
        end = size if is_last else min(size, self._settled)
        data = os.pread(descriptor, min(_MOST_AT_ONCE, max(0, end - self._at)), self._at)
        *lines, rest = data.split(b"\n")
        if is_last and self._at + len(data) >= size:
            self._at += len(data)
            return [*lines, rest] if rest else lines
        if not is_last and end == size and self._at + len(data) >= end:
            lines = lines[:-KEEP_ROWS]
        if not lines and len(data) == _MOST_AT_ONCE:
            lines = [data]  # a line of a megabyte, which is none of a metric's
            self._at += len(data)
            return lines
        self._at += sum(len(line) + 1 for line in lines)
        return lines

    def _log(self, line: bytes) -> None:
        if cut := _LEFT_OUT.match(line):
            self._recorder.warn_once(
                "printed",
                f"{cut[1].decode()} bytes of the output are not in its log, so that metrics printed there are not on "
                "record. To have more of it: anew.output.limit_bytes=100000000",
            )
            return
        text = line.decode("utf-8", "replace")
        for found in metrics_in(text, self._patterns):
            self._take(found)
        for found in self._bars.metrics_in(text) if self._bars is not None else ():
            self._take(found)

    def _take(self, found: Found) -> None:
        step = found.step
        if step is None:
            step = max(self._steps[name] for name in found.values)
        for name in found.values:
            self._steps[name] = step + 1
        self._recorder.log(found.values, step)
