"""Handing out jobs to an engine, and taking note of how they end."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from anew.runner.errors import EXIT_SIGNAL, StoreError, SweepStoppedError
from anew.runner.guard.interrupts import Terminated, terminate
from anew.runner.records import Status
from anew.runner.sweep.engine import Engine, Fate, JobEnd
from anew.runner.sweep.ledger import Ledger

if TYPE_CHECKING:
    from anew.runner.config.main import Ticket
    from anew.runner.sweep_records import SweepJob

TICK_S = 0.25
_GRACE_S = 15.0
_LOOK_S = 1.0
_MOMENT_S = 3.0
_TRIES = 3
_MOST_TRIES = 6
_MOST_DEATHS = 8
_SOME_JOBS = 3


class HandOut:
    """
    The jobs of a sweep that run beside each other. To be used in one thread.

    A job whose process dies before main is begun again: at once, the third time when no others are left, since the
    machine may be short of memory, or the job the one that kills, and the last time once nothing else is running. Then
    it is LOST, and the others go on. When so many processes of several jobs in a row have died that nothing seems to
    come to main, no more is handed out until what runs has ended, which may be what takes the memory; with nothing
    running the sweep ends. Whatever ends it, what is running is let come to its end.

    A job that ended otherwise than well is begun again as often as `anew.sweep.retries` has it.

    Args:
        ledger: The sweep's jobs.
        engine: Runs them; it is closed at the end.
        following: Gives the next job that is due; None for no more, for the time being or at all.
        tell: Called with a job's index once it has ended.
    """

    def __init__(
        self,
        ledger: Ledger,
        engine: Engine,
        following: Callable[[], Ticket | None],
        tell: Callable[[int], object],
    ) -> None:
        self._ledger = ledger
        self._engine = engine
        self._following = following
        self._tell = tell
        self._running: dict[Future[JobEnd], Ticket] = {}
        self._settling: dict[int, Ticket] = {}
        self._seen_over: dict[int, float] = {}
        self._refused: SweepStoppedError | None = None
        self._next: deque[Ticket] = deque()
        self._later: deque[Ticket] = deque()
        self._tries: Counter[int] = Counter()
        self._deaths: list[int] = []  # of which jobs, since one came to main
        self._has_come = False
        self._died = ""
        self._looked_s = 0.0

    def run(self) -> None:
        """Run jobs until there are no more. Raises SweepStoppedError when the sweep is stopped before."""
        ledger, running = self._ledger, self._running
        stopped: SweepStoppedError | None = None
        kill = True
        try:
            while True:
                stopped = stopped or self._fill()
                if not running and not self._settling and (stopped is not None or not ledger.elsewhere):
                    break
                finished = wait(list(running), timeout=TICK_S, return_when=FIRST_COMPLETED)[0] if running else ()
                for future in finished:
                    self._note_end(future)
                ledger.tick(0 if running or finished else TICK_S)
                self._look()
                asked = self._ledger.why_stop()
                if asked is not None and asked.reason == "stopped":
                    stopped = asked
                    self._interrupt()
            kill = False
        except (KeyboardInterrupt, Terminated):
            self._interrupt()
            raise
        finally:
            self._engine.close(kill=kill)
        if stopped is not None:
            raise stopped

    def _fill(self) -> SweepStoppedError | None:
        """Hand out jobs as long as there are idle slots; return why no more are, if that is so."""
        while len(self._running) < max(1, self._engine.slots):
            if (stopped := self._refused or self._ledger.why_stop()) is not None:
                return stopped
            if self._is_hopeless():
                return None if self._running else self._hopeless()
            ticket = self._next.popleft() if self._next else self._following() or self._once_more()
            if ticket is None:
                return None
            self._submit(ticket)
        return None

    def _once_more(self) -> Ticket | None:
        """Return a job that died several times before main, if it is its turn; for the last time with nothing else."""
        for ticket in self._later:
            if self._tries[ticket.index] < _MOST_TRIES - 1 or not self._running:
                self._later.remove(ticket)
                return ticket
        return None

    def _submit(self, ticket: Ticket) -> None:
        self._ledger.note_begin(ticket.index)
        try:
            self._running[self._engine.submit(ticket)] = ticket
        except SweepStoppedError as error:
            self._ledger.note_not_begun(ticket.index)
            self._refused = error

    def _look(self) -> None:
        """See in the store what has become of jobs that run out of sight."""
        if time.monotonic() - self._looked_s < _LOOK_S:
            return
        self._looked_s = time.monotonic()
        for index in list(self._settling):
            job = self._ledger.job(index)
            if job.status.final:
                self._settle(self._settling.pop(index), job)
        if not self._engine.is_remote:
            return
        for future, ticket in list(self._running.items()):
            job = self._ledger.job(ticket.index)
            if job.attempts < ticket.attempt or not job.status.final or future.done():
                continue
            # its engine, which knows more of its end, is given a moment to tell
            if time.monotonic() - self._seen_over.setdefault(job.index, time.monotonic()) > _MOMENT_S:
                del self._running[future]
                self._settle(ticket, job)

    def _settle(self, ticket: Ticket, job: SweepJob, code: int | None = None) -> None:
        """Take note of a job's end, or have it begun again."""
        attempt = self._ledger.retry(job, code)
        if attempt is not None:
            self._next.append(replace(ticket, attempt=attempt))
            return
        self._ledger.note_end(job)
        self._tell(job.index)

    def _note_end(self, future: Future[JobEnd]) -> None:
        """Take note of a job that has ended, whatever became of its process."""
        ticket, end = self._running.pop(future), future.result()
        job = self._ledger.job_ended(ticket.index)
        has_begun = job.attempts >= ticket.attempt
        if end.fate is Fate.TAKEN and not has_begun:
            self._ledger.note_not_begun(ticket.index)
            return
        if end.fate is Fate.NOT_BEGUN:
            self._ledger.note_not_begun(ticket.index)
            if has_begun:
                self._ledger.folder.died(ticket.index, ticket.attempt, end.why.split("\n")[0])
            self._refused = self._refused or self._stop_for(f"Job {ticket.index} could not be begun: {end.why}")
            return
        if end.fate is not Fate.TAKEN and not (has_begun and (_has_run(job, end) or not _was_killed(end))):
            # once it was taken, what is begun again is another attempt, so that a process that lives on is not met
            self._begin_again(replace(ticket, attempt=ticket.attempt + has_begun), end.why or "interrupted")
            return
        self._deaths.clear()
        self._has_come = True
        if end.fate is Fate.DIED and job.status is Status.LOST:
            self._ledger.folder.died(ticket.index, ticket.attempt, end.why)
            job = self._ledger.job(ticket.index)
        if job.status is Status.RUNNING:
            # its process cannot be seen from here, and may be going on: its silence will tell
            self._settling[ticket.index] = ticket
            return
        self._settle(ticket, job, end.code)

    def _begin_again(self, ticket: Ticket, why: str) -> None:
        """Have a job begun once more whose process died before main, if there is hope for it."""
        index = ticket.index
        self._deaths.append(index)
        self._tries[index] += 1
        self._died = f"Job {index} could not be begun: {why}"
        if self._tries[index] >= _MOST_TRIES and not self._is_hopeless():
            self._give_up(ticket, why)
            return
        self._ledger.note_not_begun(index, ticket.attempt)
        if self._tries[index] < _TRIES:
            self._next.append(ticket)
        else:
            self._later.append(ticket)

    def _give_up(self, ticket: Ticket, why: str) -> None:
        """Have a job be LOST of which no process comes to main."""
        times = self._tries[ticket.index]
        self._ledger.folder.lose(ticket.index, ticket.attempt, f"its process ended before main {times} times: {why}")
        job = self._ledger.job(ticket.index)
        if job.status is Status.RUNNING:  # one of its processes has come to main after all
            self._settling[ticket.index] = ticket
            return
        self._ledger.note_end(job)
        self._tell(job.index)

    def _is_hopeless(self) -> bool:
        """Whether nothing comes to main, and it is not a few jobs alone that kill."""
        if len(self._deaths) < _MOST_DEATHS:
            return False
        return not self._has_come or len(set(self._deaths)) >= _SOME_JOBS

    def _hopeless(self) -> SweepStoppedError:
        count = len(self._deaths)
        return self._stop_for(
            f"{self._died}. {count} processes in a row have died, and nothing came to main. What starts runs "
            'has to stand below: if __name__ == "__main__":'
        )

    def _stop_for(self, text: str) -> SweepStoppedError:
        return SweepStoppedError(text, reason="failed", exit_code=2)

    def _interrupt(self) -> None:
        """Interrupt what is running, and wait for it; somebody in a hurry says so again."""
        with suppress(StoreError):
            self._ledger.folder.ask_to_stop("now")  # what is about to begin sees it
        self._engine.interrupt()
        end = time.monotonic() + _GRACE_S
        try:
            while self._running and time.monotonic() < end:
                finished, _ = wait(list(self._running), timeout=TICK_S, return_when=FIRST_COMPLETED)
                for future in finished:
                    ticket = self._running.pop(future)
                    job = self._ledger.job(ticket.index)
                    if job.status is Status.QUEUED:
                        continue
                    with suppress(Exception):
                        self._ledger.note_end(job)
                        self._tell(job.index)
        except (KeyboardInterrupt, Terminated):
            self._engine.interrupt()
            wait(list(self._running), timeout=_GRACE_S)


def _has_run(job: SweepJob, end: JobEnd) -> bool:
    """Whether main may have been called: there is a record of the run, or may yet be one."""
    if job.run in job.runs:
        return True
    return end.fate is not Fate.ENDED and job.status is not Status.LOST


def _was_killed(end: JobEnd) -> bool:
    """Whether a signal ended a process, as far as is known: one that left by itself would do so again."""
    return end.code is None or end.code > EXIT_SIGNAL


@contextmanager
def raise_on_sigterm() -> Iterator[None]:
    """Have SIGTERM raise Terminated in the main thread, as a Ctrl-C does; a handler of the user's is left alone."""
    is_ours = threading.current_thread() is threading.main_thread()
    if not is_ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is terminate:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
