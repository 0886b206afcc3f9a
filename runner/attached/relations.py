"""How a run is tied to others: the one that it repeats, the one that it was started in, those of a sweep or search."""

from __future__ import annotations

from anew.runner.dataclass import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """
    That `should_stop()` answered yes, the first time in one thread of one process.

    Attributes:
        asked: Which question of that thread it was, from 1; 0 where only the step is known.
        step: The greatest step that this process had reported by then; None for none.
        thread: Which of the process's threads asked: 0 for the one that runs main.
        own: Whether it was the process that runs main, and no child of it.
    """

    asked: int
    step: int | None = None
    thread: int = 0
    own: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class RerunOf:
    """
    The run that this one repeats.

    Attributes:
        id: Its number in the store it was read from.
        uid: Its name everywhere.
        stops: When it was told to stop; the re-run is told so at the same questions.
    """

    id: int | None
    uid: str
    stops: tuple[Stop, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ParentRun:
    """
    The run that this one was started in, by its main or by a child process of it.

    Attributes:
        id: Its number in the store that this run is in; None where it is not there.
        uid: Its name everywhere.
    """

    id: int | None
    uid: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepMembership:
    """
    The sweep that a run belongs to.

    Attributes:
        id: What the store calls that sweep; other stores have one of that number, too. None where it is not there.
        index: Which of its jobs this is, from 0.
        uid: Its name everywhere; None in records of earlier versions, for a sweep that is not there.
    """

    id: int | None
    index: int
    uid: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class WhyMembership:
    """
    The search for a cause that a run is a trial of.

    Attributes:
        id: What the store that it was recorded in calls that search (`anew why --show ID`).
        uid: Its name everywhere.
        deltas: Numbers of the differences that were taken over from the bad run, in order; the rest is the good run's.
    """

    id: int
    uid: str
    deltas: tuple[int, ...] = ()
