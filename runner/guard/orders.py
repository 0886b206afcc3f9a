"""
What has a job of a sweep end before its time: the time is up, or somebody left word of it in a file.

The guard's process looks for it, as it does when main holds the interpreter's lock; the job's process asks once more
before it obeys. Standard library only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, field
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.kernel.door import below, end_with_start

LOOK_S = 1.0
_ANSWER_S = 5.0
_GRACE_S = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """
    Why a job is ended, as its record has it.

    Attributes:
        status: "FAILED" or "INTERRUPTED".
        kind: What stands in the place of an exception's name.
        message: For people.
    """

    status: str
    kind: str
    message: str

    @property
    def error(self) -> dict[str, str]:
        """What an outcome has of it, where nobody knows where main was."""
        return {"type": self.kind, "message": self.message, "traceback": f"{self.kind}: {self.message}\n"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Orders:
    """
    What a job is to heed.

    Attributes:
        limit_s: How many seconds it may take; None for as long as it likes.
        limit: The same, as it was typed.
        stop: The file that is there once it is to stop.
        job: How the job is referred to, such as "7/3".
        is_apart: Whether its process runs nothing but jobs: then one that does not obey is killed.
    """

    limit_s: float | None
    limit: str
    stop: str
    job: str
    is_apart: bool

    def message(self) -> dict[str, Any]:
        """Return these as the guard takes them, with the processes that this one has started before the job."""
        # found out by the guard, they could be the job's own by then
        return {**asdict(self), "before": below(os.getpid())}

    def look(self, origin: float) -> Told | None:
        """Return why the job is to end now, None for not; *origin* is when it began, on the monotonic clock."""
        if os.path.lexists(self.stop):
            return Told(status="INTERRUPTED", kind="Stopped", message=f"by anew sweep stop {self.job}")
        if self.limit_s is not None and time.monotonic() - origin >= self.limit_s:
            text = f"the job took longer than anew.sweep.job_timeout={self.limit}"
            return Told(status="FAILED", kind="TimeoutError", message=text)
        return None


@dataclass(slots=True)
class _Charge:
    orders: Orders
    origin: float
    before: set[tuple[int, int]]
    told: Told | None = None
    asked_s: float = 0.0
    has_answered: bool = False
    is_declined: bool = False
    children: set[tuple[int, int]] = field(default_factory=set)

    def is_overdue(self, now: float) -> bool:
        """Whether a process that may be killed has not done what it was told."""
        patience_s = _GRACE_S if self.has_answered else _ANSWER_S
        return self.orders.is_apart and not self.is_declined and now - self.asked_s > patience_s


class Overseer:
    """
    Has the jobs of a process end that are to; lives in its guard.

    Args:
        pid: The process.
        ask: Asks it to end what is to end.
        seize: Called when it does not answer, or does not obey, and is to be ended itself.
    """

    def __init__(self, pid: int, ask: Callable[[], object], seize: Callable[[], object]) -> None:
        self._pid = pid
        self._ask = ask
        self._seize = seize
        self._charges: dict[int, _Charge] = {}

    @property
    def is_at_work(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._charges)

    def begin(self, number: int, orders: dict[str, Any] | None, origin: float) -> None:
        """Take charge of a job; *orders* as `message` has them, None for no job."""
        if orders is not None:
            before = {(pid, start) for pid, start in orders.pop("before")}
            self._charges[number] = _Charge(Orders(**orders), origin, before)

    def end(self, number: int) -> None:
        """The job has ended. What it has started and was to end with it is killed."""
        charge = self._charges.pop(number, None)
        if charge is not None and charge.told is not None and not charge.is_declined:
            _kill(charge.children | (set(below(self._pid)) - charge.before))

    def end_all(self) -> None:
        """The process has ended."""
        for number in list(self._charges):
            self.end(number)

    def told(self, number: int) -> Told | None:
        """Return why a job is being ended, None when it is not."""
        charge = self._charges.get(number)
        return None if charge is None else charge.told

    def answered(self, *, declined: bool = False) -> None:
        """The process has heard; *declined*: what was to end was over already."""
        for charge in self._charges.values():
            if charge.told is not None:
                charge.has_answered = True
                charge.is_declined = charge.is_declined or declined

    def tend(self) -> None:
        """Look whether a job is to end, and whether those that were to have."""
        now = time.monotonic()
        for charge in list(self._charges.values()):
            if charge.told is None:
                charge.told = charge.orders.look(charge.origin)
                if charge.told is not None:
                    charge.asked_s = now
                    self._ask()
            elif charge.is_overdue(now):
                charge.asked_s = now
                self._seize()
            if charge.told is not None:
                # what it has started cannot be found any more once it has ended itself
                charge.children |= set(below(self._pid)) - charge.before


def _kill(processes: Iterable[tuple[int, int]]) -> None:
    for pid, start in processes:
        with suppress(OSError):
            end_with_start(pid, start)
