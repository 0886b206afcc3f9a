"""What runs the jobs of a sweep beside each other, and how it says that one has ended."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from anew.runner.config.main import Ticket


class Fate(Enum):
    """
    What became of a job that was handed to an engine.

    ENDED: It was begun and came to its end; the store says how. TAKEN: Another process has it. NOT_BEGUN: It was
    refused before main. DIED: Its process did not come to its end by itself.
    """

    ENDED = "ended"
    TAKEN = "taken"
    NOT_BEGUN = "not begun"
    DIED = "died"


@dataclass(frozen=True, slots=True)
class JobEnd:
    """
    How a job ended for the engine that ran it. What became of its run is in the store.

    Attributes:
        fate: What became of it.
        why: Why it was not begun, or what ended its process; else empty.
    """

    fate: Fate
    why: str = ""


class Engine(Protocol):
    """
    Runs jobs beside each other.

    Attributes:
        slots: How many jobs it can run at a time, now. With none, it is handed one all the same, which it keeps until
            it can: whether there is anything left to run is seen when it is asked for.
        is_remote: Whether jobs run where this process cannot see theirs: what the store says of a job is then looked at
            too, since a network may be cut.
    """

    @property
    def slots(self) -> int: ...

    @property
    def is_remote(self) -> bool: ...

    def submit(self, ticket: Ticket) -> Future[JobEnd]:
        """Have a job run. The future is given a result in any case, and no exception."""
        ...

    def interrupt(self) -> None:
        """Have the running jobs interrupted, as by a Ctrl-C. Returns at once; their futures end."""
        ...

    def close(self, *, kill: bool = False) -> None:
        """Let go of processes and connections; with *kill*, whatever they are doing."""
        ...
