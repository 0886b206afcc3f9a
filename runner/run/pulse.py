"""The run's background thread: system metrics, a look at the signal handlers, signs of life without a guard."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from anew.runner import events as ev
from anew.runner.run.recorder import Recorder

_TICK_S = 0.5
LEAST_BEAT_S = _TICK_S


class Pulse:
    """
    A daemon thread that ticks twice a second, from `start` to `stop`. It never raises into the run.

    Args:
        recorder: Where heartbeats and samples go.
        heartbeat_s: Seconds between heartbeats.
        is_needed: Whether heartbeats are, since nobody else gives them.
        sample: Gives system metrics, or None when they are off.
        interval_s: Seconds between samples; the first is taken after one interval.
        every_tick: Called at every tick.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        heartbeat_s: float,
        is_needed: Callable[[], bool],
        sample: Callable[[], Mapping[str, Any]] | None,
        interval_s: float,
        every_tick: Callable[[], None],
    ) -> None:
        self._recorder = recorder
        self._is_needed = is_needed
        self._sample = sample
        self._every_tick = every_tick
        self._periods = {"beat": max(heartbeat_s, _TICK_S), "sample": max(interval_s, _TICK_S)}
        self._due = dict(self._periods)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="anew-pulse", daemon=True)

    def start(self) -> None:
        """Begin to tick; to be called once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; wait for a tick under way."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=2)

    def _work(self) -> None:
        while not self._stop.wait(_TICK_S):
            self._every_tick()
            now = self._recorder.elapsed_s
            if self._is_due("beat", now) and self._is_needed():
                self._recorder.add(ev.Heartbeat)
            if self._sample is not None and self._is_due("sample", now):
                values = self._sample()
                if values:
                    self._recorder.log(values, None)

    def _is_due(self, name: str, now: float) -> bool:
        if now < self._due[name]:
            return False
        self._due[name] = now + self._periods[name]
        return True
