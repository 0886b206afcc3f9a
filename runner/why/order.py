"""One trial: what is to be run of it, and the run that comes of it. Read by whatever process runs it."""

from __future__ import annotations

import signal
import subprocess
from typing import Protocol

from anew.runner.dataclass import dataclass
from anew.runner.errors import EXIT_SIGNAL, AnewError, StoreError
from anew.runner.records import RunRecord, WhyMembership
from anew.runner.relaunch.sandbox import sandbox
from anew.runner.rerun.again import Again
from anew.runner.rerun.options import RerunOptions
from anew.runner.store.folder import FolderStore
from anew.runner.wording import in_a_line


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """
    What is to be run.

    Attributes:
        mixture: A record as none is in the store: the good run's, with differences of the bad one.
        changes: Overrides on top, such as another seed.
        env: "recorded" to build the environment of the mixture, or "current".
        why: Which search it is of, and what it has of the bad run.
        timeout_s: After how many seconds it is cut off; None for never.
    """

    mixture: RunRecord
    changes: tuple[str, ...] = ()
    env: str = "current"
    why: WhyMembership
    timeout_s: float | None = None


class Crew(Protocol):
    """Who runs trials; safe between threads, but for `stop` and `close`."""

    def done(self, order: Order) -> RunRecord | str:
        """Have a trial run; return the new run's record, or why there is none. Raises as `order.done`."""
        ...

    def stop(self) -> None:
        """Have the running trials interrupted. Returns at once."""
        ...

    def close(self, *, kill: bool) -> None:
        """Let go of whatever runs them."""
        ...


class Here:
    """Runs trials on this machine, each in a process of its own, which a terminal's Ctrl-C reaches by itself."""

    def __init__(self, store: FolderStore) -> None:
        self._store = store

    def done(self, order: Order) -> RunRecord | str:
        """Run a trial. Raises as `order.done`."""
        return done(self._store, order)

    def stop(self) -> None:
        """Do nothing: the processes are told by the terminal."""

    def close(self, *, kill: bool) -> None:
        """Do nothing: no process outlives its trial."""


def done(store: FolderStore, order: Order) -> RunRecord | str:
    """
    Run it in a process of its own; return the new run's record, or why there is none.

    Raises:
        StoreError: It cannot be laid out or recorded, as no other mixture could.
        KeyboardInterrupt: This process was interrupted meanwhile; SystemExit for another signal that ends one.
    """
    again = Again(store, order.mixture, order.changes, RerunOptions(env=order.env), _silent, order.why)
    try:
        with sandbox(False, _silent) as place:
            again.prepare(place.folder)
            report = again.run(place, subprocess.DEVNULL, subprocess.DEVNULL, order.timeout_s)
            new = again.wait_for_end(report.number)
            again.keep_written(new)
    except StoreError:
        raise
    except AnewError as error:
        return in_a_line(error)
    if again.stopped == "SIGINT":
        raise KeyboardInterrupt
    if again.stopped is not None:
        raise SystemExit(EXIT_SIGNAL + signal.Signals[again.stopped])
    return new


def _silent(text: str) -> None:
    """Say nothing: a trial's own output is on record."""
