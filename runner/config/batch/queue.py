"""Which job of a sweep comes next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from anew.runner.config.hooks import Ticket, Undue


class Tickets:
    """
    Gives the jobs that are due, one by one; one that another process runs is asked for again until it has ended.

    Args:
        ticket: Returns what a job is run by, or why it is not to be run now.
        more: Gives the index of the next job, None for no more.
        over: Called with the index of a job that is not to be run.
    """

    def __init__(
        self,
        ticket: Callable[[int], Ticket | Undue],
        more: Callable[[], int | None],
        over: Callable[[int], object],
    ) -> None:
        self._ticket = ticket
        self._more = more
        self._over = over
        self._waiting: deque[int] = deque()

    def __call__(self) -> Ticket | None:
        for _ in range(len(self._waiting)):
            if (ticket := self._tried(self._waiting.popleft())) is not None:
                return ticket
        while (index := self._more()) is not None:
            if (ticket := self._tried(index)) is not None:
                return ticket
        return None

    def _tried(self, index: int) -> Ticket | None:
        ticket = self._ticket(index)
        if isinstance(ticket, Ticket):
            return ticket
        if ticket is Undue.NOT_DUE:
            self._over(index)
        else:
            self._waiting.append(index)
        return None
