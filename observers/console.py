"""A few lines of text about a run while it goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TextIO

from anew.observers import glance
from anew.runner import events as ev
from anew.runner.errors import ConfigError
from anew.runner.wording import duration, size

_LONGEST_LINE = 1000
_MOST_PATH = 200


class ConsoleObserver:
    """
    Prints a run's start, its latest metrics now and then, its artifacts and its end; captured output is not repeated.

    Lines are plain text: no colours, nothing is moved or overwritten, and control characters in names, results and
    errors are escaped, so that it suits terminals, pipes and logs of schedulers alike. A stream that is closed, or
    whose reader is gone, is no failure: then nothing is printed.

    It is made for the run's own process (`host: thread`, which its configuration says), where lines that go to stderr
    are also part of the captured output, as everything that is printed there. A repeat of an event prints nothing; an
    instance that takes up a run midway begins with the run's start. For one thread at a time.

    Args:
        interval_s: The latest metrics are printed at most so often, in seconds, and at the end; 0: at every change.
        metrics: Which ones, as patterns such as `[val/*, lr]`; null: all but those of the machine, `system/*`.
        stream: Where to; None for `sys.stderr` as it is at that moment.

    Raises:
        ConfigError: The interval is negative.
    """

    def __init__(
        self,
        interval_s: float = 10.0,
        metrics: Sequence[str] | str | None = None,
        stream: TextIO | None = None,
    ) -> None:
        if not interval_s >= 0:
            raise ConfigError(f"interval_s={interval_s!r} must be 0 or more: seconds between two lines of metrics.")
        self._interval_s = interval_s
        self._patterns = glance.patterns_of(metrics)
        self._stream = stream
        self._run = "run"
        self._is_pruned = False
        self._latest: dict[str, int] = {}
        self._values: dict[str, float | int] = {}
        self._news: ev.MetricsLogged | None = None
        self._shown_at: float | None = None

    def handle(self, event: ev.Event, /) -> None:
        """Take one event. Never raises because of the stream."""
        if event.q <= self._latest.get(event.writer, -1):
            return
        self._latest[event.writer] = event.q
        if isinstance(event, ev.RunStarted):
            self._run = f"run {glance.number_of(event.record)}"
            self._is_pruned = False
            hardware = event.record.hardware
            self._say(f"{glance.title(event.record)} started" + (f" on {hardware.hostname}" if hardware else ""))
        elif isinstance(event, ev.MetricsLogged):
            self._values.update(event.values)
            self._news = event
            if self._shown_at is None or time.monotonic() - self._shown_at >= self._interval_s:
                self._show_metrics()
        elif isinstance(event, ev.ArtifactAdded):
            path = glance.shortened(event.artifact.path, _MOST_PATH)
            self._say(f"{self._run} keeps {path} ({size(event.artifact.size)})")
        elif isinstance(event, ev.ToldToStop):
            self._is_pruned = True
        elif isinstance(event, ev.RunEnded):
            self._show_metrics()
            self._say(f"{self._run} {glance.outcome_line(event, pruned=self._is_pruned)}")

    def close(self) -> None:
        """Do nothing: the stream is not ours to close."""

    def _show_metrics(self) -> None:
        news, self._news = self._news, None
        if news is None:
            return
        line = glance.metrics_line(self._values, self._patterns)
        if line:
            self._shown_at = time.monotonic()
            self._say(f"{self._run} at {duration(news.t)}, step {news.step}: {line}")

    def _say(self, text: str) -> None:
        stream = self._stream if self._stream is not None else sys.stderr
        line = glance.shortened(text, _LONGEST_LINE)
        try:
            encoding = getattr(stream, "encoding", None) or "utf-8"
            # what an observer prints is kept apart from the run's output, which this is meant to be in
            with getattr(stream, "aloud", nullcontext)():
                stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
                stream.flush()
        except (OSError, ValueError, AttributeError, LookupError):
            return  # closed, gone, or None in a process without streams
