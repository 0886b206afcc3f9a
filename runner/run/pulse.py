"""The background thread of runs: system metrics, a look at the signal handlers, signs of life without a guard."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from anew.runner import events as ev
from anew.runner.run.recorder import Recorder

if TYPE_CHECKING:
    from anew.runner.capture.system import SystemSampler

_TICK_S = 0.5
_LINGER_S = 10.0
LEAST_BEAT_S = _TICK_S


class Pulse:
    """
    Ticks twice a second, from `start` to `stop`, in a thread that all runs of a process share. Never raises into a run.

    Args:
        recorder: Where heartbeats and samples go.
        heartbeat_s: Seconds between heartbeats.
        is_needed: Whether heartbeats are, since nobody else gives them.
        sampler: Makes what gives system metrics, at the first tick; None when they are off.
        interval_s: Seconds between samples; the first is taken after one interval.
        every_tick: Called at every tick.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        heartbeat_s: float,
        is_needed: Callable[[], bool],
        sampler: Callable[[], SystemSampler] | None,
        interval_s: float,
        every_tick: Callable[[], None],
    ) -> None:
        self._recorder = recorder
        self._is_needed = is_needed
        self._make_sampler = sampler
        self._sampler: SystemSampler | None = None
        self._every_tick = every_tick
        self._periods = {"beat": max(heartbeat_s, _TICK_S), "sample": max(interval_s, _TICK_S)}
        self._due = dict(self._periods)
        self.next = 0.0
        # held while it ticks
        self._turn = threading.Lock()
        self._is_over = False

    def start(self) -> None:
        """Begin to tick; to be called once."""
        _beating.begin(self)

    def stop(self) -> None:
        """Tick no more; wait for a tick under way."""
        _beating.end(self)
        self._is_over = True
        if self._turn.acquire(timeout=2):
            self._turn.release()

    def tick(self) -> None:
        """Do what is due; for the thread."""
        with self._turn:
            if not self._is_over:
                self._tick()

    def _tick(self) -> None:
        self._every_tick()
        now = self._recorder.elapsed_s
        if self._is_due("beat", now) and self._is_needed():
            self._recorder.add(ev.Heartbeat)
        if self._make_sampler is None:
            return
        if self._sampler is None:
            # what it says of the CPU is since it was made
            self._sampler = self._make_sampler()
        elif self._is_due("sample", now):
            values = self._sampler.sample()
            if values:
                self._recorder.log(values, None)

    def _is_due(self, name: str, now: float) -> bool:
        if now < self._due[name]:
            return False
        self._due[name] = now + self._periods[name]
        return True


class _Beating:
    """The pulses of this process, and the thread that ticks them; it ends some seconds after the last of them."""

    def __init__(self) -> None:
        self._wake = threading.Condition(threading.Lock())
        self._pulses: list[Pulse] = []
        self._thread: threading.Thread | None = None
        self._sleeps_until = 0.0

    def begin(self, pulse: Pulse) -> None:
        """Have a pulse ticked."""
        pulse.next = time.monotonic() + _TICK_S
        with self._wake:
            self._pulses.append(pulse)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="anew-pulse", daemon=True)
                self._thread.start()
            elif pulse.next < self._sleeps_until:
                self._wake.notify()

    def end(self, pulse: Pulse) -> None:
        """Have it ticked no more; nothing where it is not."""
        with self._wake:
            if pulse in self._pulses:
                self._pulses.remove(pulse)

    def _work(self) -> None:
        ends_at = time.monotonic() + _LINGER_S
        while True:
            with self._wake:
                now = time.monotonic()
                if self._pulses:
                    ends_at = now + _LINGER_S
                elif now >= ends_at:
                    self._thread = None
                    return
                # never longer than a pulse that comes meanwhile may wait: it need not wake anybody
                self._sleeps_until = min((pulse.next for pulse in self._pulses), default=now + _TICK_S)
                self._wake.wait(max(self._sleeps_until - now, 0.0))
                due = [pulse for pulse in self._pulses if pulse.next <= time.monotonic()]
            for pulse in due:
                try:
                    pulse.tick()
                except Exception:
                    # it ends, and the thread with it, which is then on record; the others go on in another one
                    self.end(pulse)
                    self._go_on()
                    raise
                pulse.next = time.monotonic() + _TICK_S

    def _go_on(self) -> None:
        with self._wake:
            self._thread = threading.Thread(target=self._work, name="anew-pulse", daemon=True)
            self._thread.start()

    def after_fork(self) -> None:
        """Forget those of the parent, whose thread is not here."""
        self.__init__()  # type: ignore[misc]


_beating = _Beating()
os.register_at_fork(after_in_child=_beating.after_fork)
