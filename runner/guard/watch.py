"""
What protects a run from its own process: signals leave an outcome, output is read, whatever main is doing.

The work is done in a small process beside this one, see `guard_process`. Where it cannot be started (an application
with Python inside, no /bin/sh), or was killed, the same is done in this process as well as Python can: an outcome then
has to wait for a C call that holds the GIL, and output is captured from Python's own streams only.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from anew.runner.dataclass import dataclass
from anew.runner.guard import fork_warning
from anew.runner.guard.interrupts import Interruptible, Interrupts, Terminated
from anew.runner.guard.link import GuardGoneError, GuardLink
from anew.runner.guard.orders import Orders, Told
from anew.runner.guard.protocol import ORDER

if TYPE_CHECKING:
    from anew.runner.guard.carrier import Source

__all__ = ["Drained", "Guard", "GuardGoneError", "Terminated", "Watch"]


@dataclass(frozen=True, slots=True)
class Drained:
    """
    What a capture has come to.

    Attributes:
        problem: What could not be written, as a sentence.
        settled_bytes: How many bytes of the log will not change any more.
        sealed_bytes: How many of these have their checksums on record.
        is_whole: Whether all that was printed is in the log.
        turns: How many lines of it are of stdout, of stderr, and so on by turns; None where that cannot be told.
    """

    problem: str | None
    settled_bytes: int
    sealed_bytes: int
    is_whole: bool
    turns: tuple[int, ...] | None


class Guard:
    """
    The guard of this process; every run of it shares one. Safe in threads.

    A forked child has none until it asks for one, and does not hear the signals of its parent's.
    """

    _shared: ClassVar[Guard | None] = None
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self._bereaved: list[Callable[[], None]] = []
        self._link: GuardLink | None = None
        try:
            self._link = GuardLink(self._answer, self._died)
        except OSError:
            self._link = None
        self._interrupts = Interrupts(self._tell, self._link.wakeup if self._link else None)

    @classmethod
    def shared(cls) -> Guard:
        """Return the guard, started now if there is none: about 2 ms, while its own start goes on by itself."""
        with cls._lock:
            if cls._shared is None or not (cls._shared.alive or cls._shared._link is None):
                cls._shared = cls()
            return cls._shared

    @property
    def alive(self) -> bool:
        """Whether there is a guard process."""
        return self._link is not None and self._link.alive

    def watch(self, watch: Watch) -> None:
        """Begin to guard a run."""
        numbers = self._interrupts.begin(watch)
        if self._link is not None:
            # known before it is sent, so that a signal that comes between leaves no watch which nobody ends
            watch.number = self._link.new_id()
            self._send(
                "watch",
                watch.number,
                outcome=str(watch.outcome.absolute()),
                template=dict(watch.template),
                origin=watch.origin,
                signals=[int(number) for number in numbers],
                beat_s=watch.beat_s,
                orders=None if watch.orders is None or not numbers else watch.orders.message(),
            )

    def unwatch(self, watch: Watch) -> None:
        """End what `watch` began, or was about to; what the run held back of signals acts now."""
        if watch.number is not None:
            self._send("unwatch", watch.number)
        self._interrupts.end(watch)

    def check_handlers(self) -> None:
        """Tell the guard process which signals have a handler that is not ours."""
        self._interrupts.disown_all()

    def capture(
        self, log: int, sources: Sequence[Source], *, limit_bytes: int, secrets: Sequence[str], seals: str | None = None
    ) -> int | None:
        """
        Have streams carried by the guard process; see `pump.Capture`.

        Descriptors are duplicated. Returns a number for `drain`, or None when there is no guard process.
        """
        descriptors = [log]
        for source in sources:
            descriptors += [source.read] if source.destination is None else [source.read, source.destination]
        return self._send(
            "capture",
            descriptors=descriptors,
            limit_bytes=limit_bytes,
            secrets=list(secrets),
            seals=seals,
            sources=[
                {
                    "passes_on": item.destination is not None,
                    "terminal": item.terminal,
                    "follows": item.follows,
                    "prints": item.prints,
                }
                for item in sources
            ],
        )

    def drain(self, capture: int, timeout_s: float) -> Drained | None:
        """
        Wait until everything printed before the call has arrived; None when it has not. Files are followed no further.

        Raises:
            GuardGoneError: The guard process has died.
        """
        if self._link is None:
            raise GuardGoneError("it was never started")
        answer = self._link.ask({"do": "drain", "id": capture}, timeout_s)
        if not answer:
            return None
        turns = None if answer["turns"] is None else tuple(answer["turns"])
        return Drained(answer["problem"], answer["settled"], answer["sealed"], answer["whole"], turns)

    def on_death(self, callback: Callable[[], None]) -> None:
        """Have *callback* called, in a thread, if the guard process dies; once."""
        self._bereaved.append(callback)

    def forget(self, callback: Callable[[], None]) -> None:
        """Take back what `on_death` was given."""
        if callback in self._bereaved:
            self._bereaved.remove(callback)

    def _send(
        self, kind: str, number: int | None = None, descriptors: Sequence[int] = (), **members: Any
    ) -> int | None:
        if self._link is None or not self._link.alive:
            return None
        number = self._link.new_id() if number is None else number
        try:
            self._link.send({"do": kind, "id": number, **members}, descriptors)
        except GuardGoneError:
            return None
        return number

    def _tell(self, byte: int) -> None:
        if self._link is not None:
            self._link.tell(byte)

    def order(self) -> None:
        """Have a run end that is to end now, where there is no guard process that sees to it."""
        if self._link is None or not self._link.alive:
            self._interrupts.order()

    def _answer(self, number: int) -> None:
        if number == ORDER:
            self._interrupts.order()
        else:
            self._interrupts.disown(number)

    def _died(self) -> None:
        for callback in list(self._bereaved):
            callback()

    # --- forks --------------------------------------------------------------------------------------------------

    @classmethod
    def _before_fork(cls) -> None:
        fork_warning.leave_unsaid()
        if cls._shared is not None:
            cls._shared._interrupts.hold()

    @classmethod
    def _after_fork_in_parent(cls) -> None:
        if cls._shared is not None:
            cls._shared._interrupts.release()

    @classmethod
    def _after_fork_in_child(cls) -> None:
        guard, cls._shared, cls._lock = cls._shared, None, threading.Lock()
        if guard is not None:
            guard._interrupts.remove()
            if guard._link is not None:
                guard._link.abandon()
            guard._interrupts.release()


os.register_at_fork(
    before=Guard._before_fork,
    after_in_parent=Guard._after_fork_in_parent,
    after_in_child=Guard._after_fork_in_child,
)


class Watch(Interruptible):
    """
    The protection of one run, from before user code until its outcome is written.

    While it lasts, SIGINT raises KeyboardInterrupt and SIGTERM `Terminated` in the main thread, and within a second of
    either the outcome exists: written by the run, or else by the guard, as INTERRUPTED. A process that takes no note of
    the signal, stuck in a C call, is ended after that with 143 or 130: at once after SIGTERM; after SIGINT when it
    comes a second time, or after 5 s. Cleaning up is never cut short.

    Args:
        guard: The process's guard.
        outcome: Where the run's outcome belongs; its folder exists.
        template: What stands in the outcome before what the guard knows: the format and the run's uid.
        started_at: Aware; for the duration.
        beat_s: Seconds between signs of life, which the guard gives.
        orders: What has a job of a sweep end; None for nothing.
    """

    def __init__(
        self,
        guard: Guard,
        outcome: Path,
        template: Mapping[str, Any],
        *,
        started_at: datetime,
        beat_s: float = 10.0,
        orders: Orders | None = None,
    ) -> None:
        super().__init__()
        self.outcome = outcome
        self.template = template
        self.started_at = started_at
        self.number: int | None = None
        self.beat_s = beat_s
        self.orders = orders
        self.origin = time.monotonic()
        self._guard = guard
        self._pid = os.getpid()

    def start(self) -> None:
        """Begin the protection."""
        elapsed_s = (datetime.now(timezone.utc) - self.started_at).total_seconds()
        self.origin = time.monotonic() - elapsed_s
        self._guard.watch(self)

    def look(self) -> Told | None:
        """Return why the run is to end now; None for not."""
        return None if self.orders is None else self.orders.look(self.origin)

    def mark_done(self) -> None:
        """
        Say that main has ended. From now on a signal waits for `stop`, so that the record is not torn.

        A second Ctrl-C does not wait. The guard does not either: whoever writes the outcome first has written it.
        """
        self.finish()

    def stop(self) -> None:
        """End the protection; call it when the outcome is written, last of all. A signal that waited acts now."""
        if os.getpid() == self._pid:
            self._guard.unwatch(self)

    @property
    def has_guard(self) -> bool:
        """Whether there is a guard process, which gives the signs of life."""
        return self.number is not None and self._guard.alive

    def check_handlers(self) -> None:
        """Tell the guard if the user has replaced our handlers. It asks for itself, too, when a signal comes."""
        self._guard.check_handlers()
        if self.orders is not None:
            self._guard.order()
