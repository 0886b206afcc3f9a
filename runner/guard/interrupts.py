"""
SIGINT and SIGTERM while runs are going on: the part that needs Python.

Both raise an exception in the main thread, so that what main has to clean up is cleaned up. What must not wait for that
is the guard's, which C-level signal handling tells by way of the wake-up descriptor.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from anew.runner.errors import EXIT_SIGTERM
from anew.runner.guard.orders import Told
from anew.runner.guard.protocol import FOREIGN, ORDER, SEEN

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ECHO_S = 0.03
_POSTPONED_S = 0.01


class Terminated(SystemExit):
    """Raised in the main thread by SIGTERM; left alone, the process exits with 143."""

    def __init__(self) -> None:
        super().__init__(EXIT_SIGTERM)


class ToldToEnd(Terminated):
    """Raised in the main thread when a job of a sweep is to end, and nothing but this job."""


def terminate(number: int, frame: FrameType | None) -> None:
    """Have SIGTERM raise Terminated where no run is going on; a run takes the place of this handler."""
    raise Terminated


def give_up(number: int, frame: FrameType | None) -> None:
    """Have SIGTERM raise Terminated while a run is about to begin."""
    raise Terminated


def stand_by() -> None:
    """
    Have SIGTERM undo what was begun, before it ends this process, until a run takes its place, or `stand_down`.

    To be called where a run is about to begin; outside the main thread, and where somebody handles it, nothing changes.
    """
    _hand_over(signal.SIG_DFL, give_up)


def stand_down() -> None:
    """Leave SIGTERM to itself again, unless a run has taken its place."""
    _hand_over(give_up, signal.SIG_DFL)


def _hand_over(before: Any, after: Any) -> None:
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGTERM) is before:
        signal.signal(signal.SIGTERM, after)


class Interruptible:
    """
    What one run has got of signals.

    Attributes:
        received: Name of the first signal that came while main was running, or None.
        told: Why the run is to end, when something else than a signal of somebody's ends it.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self.told: Told | None = None
        self._done = False
        self._terminated = False
        self._later: signal.Signals | None = None

    def finish(self) -> None:
        """Main has returned: what comes now waits until the record is complete; a second Ctrl-C does not."""
        self._done = True

    @property
    def is_waiting(self) -> bool:
        """Whether a signal has come since main returned: somebody is in a hurry."""
        return self._later is not None

    @property
    def overdue(self) -> signal.Signals | None:
        """The signal that has waited, unless one interrupted main already, which is then on its way out."""
        return self._later if self.received is None else None

    def look(self) -> Told | None:
        """Return why the run is to end now; None for not."""
        return None

    def be_told(self) -> bool:
        """Take note that the run is to end now, if that is so and it has not ended."""
        if self._done or self.told is not None:
            return False
        self.told = self.look()
        return self.told is not None

    def take(self, number: signal.Signals, ending: type[Terminated] = Terminated) -> None:
        """Note a signal; raise what it is to raise here, which of SIGTERM is *ending*."""
        if self._done:
            if self._later is None:
                self._later = number
                return
        elif self.received is None:
            self.received = number.name
        if number is signal.SIGINT:
            raise KeyboardInterrupt
        # Senders of SIGTERM repeat themselves (timeout(1) does), and cleaning up must not be interrupted by that.
        if not self._done and not self._terminated:
            self._terminated = True
            raise ending


class Interrupts:
    """
    The handlers of one process, in place while runs are going on. To be used in the main thread.

    A signal that is ignored, or that has a handler of the user's, is left alone. So is a wake-up descriptor that
    somebody else has set; then the guard learns of a signal when Python does.

    Args:
        tell: Sends one byte to the guard.
        wakeup: The descriptor that goes there, or None.
    """

    def __init__(self, tell: Callable[[int], None], wakeup: int | None) -> None:
        self._tell = tell
        self._wakeup = wakeup
        self._pid = os.getpid()
        self._runs: list[Interruptible] = []
        self._before: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {}
        self._wakeup_before = -1
        self._last_interrupt = float("-inf")
        self._postponing = False
        self._masks = threading.local()
        self._handler = self._handle  # one object, to be recognised by

    def begin(self, run: Interruptible) -> list[signal.Signals]:
        """Put the handlers in place for a run; return the signals that are ours, none outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return []
        # in the list first: a signal that comes while the handlers are put in place finds the run, and `end` all of it
        self._runs.append(run)
        if len(self._runs) == 1:
            self._install()
            return [*self._before]
        return [number for number in _SIGNALS if self.ours(number)]

    def end(self, run: Interruptible) -> None:
        """Put back what was there before the first run, when this is the last; then let a signal that waited act."""
        if run not in self._runs:
            return
        self._runs.remove(run)
        if not self._runs:
            self.remove()
        if run.overdue is not None:
            signal.raise_signal(run.overdue)

    def ours(self, number: int) -> bool:
        """Whether the handler of a signal is ours; may be asked in any thread."""
        return signal.getsignal(number) == self._handler

    def disown(self, number: int) -> None:
        """Tell the guard, if a signal's handler is no longer ours, that it is none of our business."""
        if not self.ours(number):
            self._tell(FOREIGN + number)

    def disown_all(self) -> None:
        """Do so for every signal that was ours."""
        for number in tuple(self._before):
            self.disown(number)

    def order(self) -> None:
        """Have a run end that is to end now, if there is one: by SIGTERM. May be called in any thread."""
        has_handler = callable(signal.getsignal(signal.SIGTERM))
        if has_handler and any(run.be_told() for run in tuple(self._runs)):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        else:
            self._tell(ORDER)

    def hold(self) -> None:
        """
        Hold signals up in this thread, before a fork.

        One that is meant for the child must not be told to the parent's guard, nor be lost, before the child has taken
        the handlers away.
        """
        if self._runs:
            self._postponing = True
            self._masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def release(self) -> None:
        """Let them come, after the fork."""
        mask = self._masks.__dict__.pop("before", None)
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            self._postponing = False

    def _install(self) -> None:
        # an echo is of a Ctrl-C in the same run; one that comes to the next run, however soon, is meant for it
        self._last_interrupt = float("-inf")
        for number in _SIGNALS:
            before = signal.getsignal(number)
            if before in (signal.SIG_DFL, signal.default_int_handler, terminate, give_up):
                self._before[number] = signal.SIG_DFL if before is give_up else before
                signal.signal(number, self._handler)
        if self._wakeup is not None:
            self._wakeup_before = signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
            if self._wakeup_before != -1:
                signal.set_wakeup_fd(self._wakeup_before)

    def remove(self) -> None:
        """Put back what was there before, where it is still ours."""
        if self._wakeup is not None:
            current = signal.set_wakeup_fd(-1)
            if current != self._wakeup:
                with suppress(OSError, ValueError):
                    signal.set_wakeup_fd(current)
        for number, before in self._before.items():
            if self.ours(number):
                signal.signal(number, before)
        self._before.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            self._handle_elsewhere(number)
            return
        self._tell(SEEN + number)
        if self._postponing:  # an exception in a hook around a fork is lost
            threading.Timer(_POSTPONED_S, signal.raise_signal, (number,)).start()
            return
        if number == signal.SIGINT and self._is_echo():
            return
        for outer in self._runs[:-1]:
            outer.received = outer.received or signal.Signals(number).name
        ending = ToldToEnd if any(run.told is not None for run in self._runs) else Terminated
        (self._runs[-1] if self._runs else Interruptible()).take(signal.Signals(number), ending)

    def _is_echo(self) -> bool:
        """Whether this is the same Ctrl-C, passed on by a parent that got it too."""
        now = time.monotonic()
        last, self._last_interrupt = self._last_interrupt, now
        return now - last < _ECHO_S

    def _handle_elsewhere(self, number: int) -> None:
        """Do in a child, forked by C code behind Python's back, what would be done without a run."""
        signal.set_wakeup_fd(-1)
        signal.signal(number, self._before.get(signal.Signals(number), signal.SIG_DFL))
        signal.raise_signal(number)
