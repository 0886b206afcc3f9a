"""The observers of a sweep's jobs, as whoever hands out these sees them: jobs in other processes print for nobody."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from anew.runner.dispatch.follow import REQUIRED_S
from anew.runner.dispatch.pending import behind
from anew.runner.dispatch.specs import read_specs
from anew.runner.dispatch.spool import is_spool
from anew.runner.dispatch.trial import tried
from anew.runner.errors import AnewError, SweepStoppedError
from anew.runner.settings import ObserverSettings
from anew.runner.store.folder import FolderStore
from anew.runner.store.position import Cursor, read_cursor
from anew.runner.store.typed import as_typed
from anew.runner.wording import say, sentence


class JobsFollowed:
    """
    What observers have of a sweep's jobs. To be used in one thread.

    Args:
        store: Where the sweep is recorded.
        sweep: Its number.
        observers: Those configured.
    """

    def __init__(self, store: FolderStore, sweep: int, observers: Sequence[ObserverSettings]) -> None:
        self._store = store
        self._sweep = sweep
        self._observers = observers
        self._are_there = not any(each.required for each in observers)
        self._behind: dict[str, list[int]] = {}

    def require(self) -> None:
        """
        Return if every observer that is required can be built and its other side is there; looked at once.

        Raises:
            SweepStoppedError: One of them is not; no job was begun.
        """
        if self._are_there:
            return
        for each in self._observers:
            if each.required and (why := _problem(each)):
                again = as_typed(f"anew sweep resume {self._sweep}", self._store.url)
                raise SweepStoppedError(
                    f"The observer {each.name!r} is required and does not answer: {sentence(why)} No job was begun. "
                    f"To see what is wrong: anew check. To go on once it is there: {again}",
                    reason="failed",
                    exit_code=2,
                )
        self._are_there = True

    def look(self, run: int | None) -> None:
        """See how far the observers of a job that has ended are; the first that is behind is told of at once."""
        for name, _, why in self._left(run) if run is not None else ():
            runs = self._behind.setdefault(name, [])
            runs.append(run or 0)
            if len(runs) == 1:
                say(f"the observer {name!r} is behind: {sentence(why)} The sweep goes on, and nothing is lost.")

    def say_behind(self) -> None:
        """Say which observers have not all of the jobs that were looked at, and what to type."""
        for name, runs in self._behind.items():
            left = [each for run in runs for each in self._left(run) if each[0] == name]
            if not left:
                continue
            events, why = sum(count for _, count, _ in left), left[-1][2]
            of = f"{len(left)} run{'' if len(left) == 1 else 's'}"
            again = "anew sync" if is_spool(self._store) else as_typed("anew sync", self._store.url)
            say(f"{events} events of {of} are still to be delivered to {name!r} ({why}). To deliver them: {again}")

    def _left(self, run: int) -> list[tuple[str, int, str]]:
        """Return for each observer that has not all of a run its name, how many events it has not, and why."""
        layout, found = self._store.layout.run(run), []
        with suppress(AnewError, OSError):
            for name in read_specs(layout) if self._observers else ():
                cursor = read_cursor(layout.cursor(name))
                count = behind(layout, name) + cursor.aside
                if count:
                    found.append((name, count, cursor.error.rstrip(".") or _reason(cursor)))
        return found


def _reason(cursor: Cursor) -> str:
    if cursor.aside:
        return f"it could not take {cursor.aside} of them"
    return "it is slow" if cursor.done.started else "it has not answered yet"


def _problem(observer: ObserverSettings) -> str:
    """Return what is wrong with an observer; empty when nothing is. Waits as long as a run would."""
    found: list[str] = []
    trial = partial(tried, observer.name, lambda: observer.spec)
    thread = threading.Thread(target=lambda: found.append(trial().problem), name="anew-required", daemon=True)
    thread.start()
    thread.join(REQUIRED_S)
    return found[0] if found else f"it did not answer within {REQUIRED_S:.0f} s"
