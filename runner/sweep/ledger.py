"""The jobs of a sweep as whoever hands them out sees them: which are due, which were begun, and when to stop."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from anew.runner.across.costs import budget
from anew.runner.config.main import Due, Undue
from anew.runner.errors import EXIT_SIGINT, JobTakenError, StoreError, SweepStoppedError
from anew.runner.guard.orders import Orders
from anew.runner.records import Status, SweepMembership
from anew.runner.settings import SweepSettings
from anew.runner.store.folder import FolderStore
from anew.runner.store.once import ReadOnce
from anew.runner.store.sweep_folder import BEAT_S, SweepFolder
from anew.runner.store.sweep_state import job_state
from anew.runner.store.typed import as_typed
from anew.runner.sweep.progress import Progress
from anew.runner.sweep.reuse import Reuse
from anew.runner.sweep_records import PlannedJob, SweepJob
from anew.runner.wording import say


class Ledger:
    """
    The jobs of one sweep while this process conducts it. To be used in one thread.

    Args:
        store: Where the sweep is recorded.
        folder: The sweep on disk.
        settings: When to stop, and what to skip.
        conductor: The number that this process gives its signs of life by.
        planned: The jobs that are on record already.
        is_resumed: Whether the sweep was taken up again.
        is_grid: Whether all its jobs are planned before the first begins.
        only: In a sweep taken up again, the statuses of jobs that are run again; none for all that did not complete.
        reuse: Finds what was done before; None to do everything.
        quiet: Say nothing.

    Attributes:
        attempts: What jobs are due in, by index.
        elsewhere: The jobs that another process was running when they were asked for last.
        progress: Shows how far the sweep has got, while jobs run beside each other.
    """

    def __init__(
        self,
        store: FolderStore,
        folder: SweepFolder,
        settings: SweepSettings,
        *,
        conductor: int,
        planned: Iterable[PlannedJob],
        is_resumed: bool,
        is_grid: bool,
        only: Collection[Status] = (),
        reuse: Reuse | None = None,
        quiet: bool = False,
    ) -> None:
        self.folder = folder
        self.attempts: dict[int, int] = {}
        self.elsewhere: set[int] = set()
        self.progress: Progress | None = None
        self._store = store
        self._once = ReadOnce(store)
        self._settings = settings
        self._conductor = conductor
        self._known = {job.index: job for job in planned}
        self._is_resumed = is_resumed
        self._is_grid = is_grid
        self._only = frozenset(only)
        self._reuse = reuse
        self._quiet = quiet
        self._begun: set[int] = set()
        self._retried: Counter[int] = Counter()
        self._due_again: set[int] = set()
        self._failed: int | None = None
        self._started_s = time.monotonic()
        self._budget = None if settings.max_cpu_s is None else budget(store, settings.max_cpu_s)
        self._is_spent = False
        self._beaten_s = 0.0

    # --- the jobs -------------------------------------------------------------------------------------------------

    @property
    def known(self) -> Mapping[int, PlannedJob]:
        """The jobs that are planned, by index."""
        return self._known

    def add(self, jobs: Iterable[PlannedJob]) -> None:
        """Take note of jobs that were planned."""
        self._known.update({job.index: job for job in jobs})

    def job(self, index: int) -> SweepJob:
        """Return how a job stands."""
        planned = self._known.get(index)
        return job_state(self.folder, index, planned.overrides if planned else (), self._store)

    def job_ended(self, index: int) -> SweepJob:
        """Return how a job stands whose process has just come to its end."""
        planned = self._known.get(index)
        return job_state(self.folder, index, planned.overrides if planned else (), self._once)

    def count_completed(self) -> int:
        """Return how many of the planned jobs have completed."""
        return sum(1 for index in self._known if self.job(index).status is Status.COMPLETED)

    # --- which are due --------------------------------------------------------------------------------------------

    def due(self, index: int) -> Due | Undue:
        """Return the attempt that a job is to be run in now, or why it is not."""
        if index in self._begun:
            return Undue.NOT_DUE
        job = self.job(index)
        if job.status is Status.RUNNING:
            self.elsewhere.add(index)
            return Undue.ELSEWHERE
        self.elsewhere.discard(index)
        if job.status is Status.COMPLETED or (job.status is not Status.QUEUED and not self._again(job)):
            return Undue.NOT_DUE
        if job.deleted and Status.QUEUED not in self._only:
            return Undue.NOT_DUE
        if self._only and job.status not in self._only and index not in self._due_again:
            return Undue.NOT_DUE
        is_refused = index in self._known and bool(self._known[index].refused)
        if is_refused and job.status.final:
            # it would be refused again
            return Undue.NOT_DUE
        if self._reuse is not None and not is_refused and self._take_done(self._reuse, job):
            return Undue.NOT_DUE
        if self.folder.is_halted(index, job.attempts + 1):
            if not self._quiet:
                say(f"job {index} is not begun: it was stopped before")
            return Undue.NOT_DUE
        self.attempts[index] = job.attempts + 1
        return Due(job.attempts + 1)

    def _again(self, job: SweepJob) -> bool:
        """Whether one that ended otherwise than well is run again: by `retry`, or once in a sweep taken up again."""
        return job.index in self._due_again or (self._is_resumed and job.status.final)

    def _take_done(self, reuse: Reuse, job: SweepJob) -> bool:
        found = reuse.find(self._known[job.index].config)
        if found is None or not self.folder.take(job.index, job.attempts + 1, *found, reused=True):
            return False
        if self.progress is not None:
            self.progress.end(self.job(job.index))
        elif not self._quiet:
            say(f"job {job.index} was done before, by run {found[0]}: not run again")
        return True

    # --- what becomes of them -------------------------------------------------------------------------------------

    def tick(self, pause_s: float) -> None:
        """Pause, and give a sign of life when one is due."""
        if pause_s:
            time.sleep(pause_s)
        if time.monotonic() - self._beaten_s > BEAT_S:
            self._beaten_s = time.monotonic()
            self.folder.beat(self._conductor)

    def note_begin(self, index: int) -> None:
        """Take note that a job was handed out."""
        self._begun.add(index)
        if self.progress is not None:
            self.progress.begin()

    def note_not_begun(self, index: int, attempt: int | None = None) -> None:
        """Take note that a job which was handed out is not run by it; *attempt* is what it is due in from now on."""
        self._begun.discard(index)
        if attempt is not None:
            self.attempts[index] = attempt
        if self.progress is not None:
            self.progress.withdraw()

    def retry(self, job: SweepJob, code: int | None = None) -> int | None:
        """
        Return the attempt that a job which has ended is due in once more, by `anew.sweep.retries`; None when it is not.

        Args:
            job: How it stands.
            code: The exit code of its process, where that died and it is known.
        """
        settings = self._settings
        if self._retried[job.index] >= settings.retries or not self._is_to_be_retried(job, code):
            return None
        self._retried[job.index] += 1
        self._due_again.add(job.index)
        self.note_not_begun(job.index, job.attempts + 1)
        if not self._quiet:
            what = f"{job.status.value} ({job.error})" if job.error else job.status.value
            say(f"job {job.index} is {what}: begun again, {self._retried[job.index]} of {settings.retries}")
        return job.attempts + 1

    def _is_to_be_retried(self, job: SweepJob, code: int | None) -> bool:
        on = self._settings.retry_on
        if job.pruned or job.status not in (Status.FAILED, Status.LOST):
            return False
        if job.status is Status.FAILED and job.run is not None:
            code = self._store.get(job.run).exit_code
        return job.status.value.lower() in on or (code is not None and str(code) in on)

    def note_end(self, job: SweepJob) -> None:
        """Take note of how a job ended."""
        self._begun.add(job.index)
        if job.attempts == self.attempts.get(job.index):
            # a worker of another machine may have another key, and did it for this process
            self.folder.vouch_for(job.index, job.attempts)
        if job.status in (Status.FAILED, Status.LOST):
            self._failed = job.index
        if self._budget is not None and job.run is not None:
            self._is_spent = self._budget(job.run)
        if self.progress is not None:
            self.progress.end(job)

    def close(self, reason: str, detail: str = "") -> None:
        """Write that nobody hands out jobs any more. Raises StoreError."""
        if self.progress is not None:
            self.progress.close()
        self.folder.conducted(self._conductor, reason, detail)

    # --- when to stop ---------------------------------------------------------------------------------------------

    def raise_if_stopped(self) -> None:
        """Raise SweepStoppedError when no further job is to be begun."""
        stopped = self.why_stop()
        if stopped is not None:
            raise stopped

    def why_stop(self) -> SweepStoppedError | None:
        """Return why no further job is begun, or None."""
        settings, number = self._settings, self.folder.number
        asked = self.folder.asked_to_stop()
        resume = f"To go on: {as_typed(f'anew sweep resume {number}', self._store.url)}"
        if asked == "finish":
            return SweepStoppedError(f"Sweep {number} was asked to finish. {resume}", reason="budget", exit_code=0)
        if asked:
            return SweepStoppedError(
                f"Sweep {number} was asked to stop. {resume}", reason="stopped", exit_code=EXIT_SIGINT
            )
        if settings.stop_on_failure and self._failed is not None:
            return SweepStoppedError(
                f"Job {self._failed} failed, and by anew.sweep.stop_on_failure no further job was begun. {resume}",
                reason="failed",
                exit_code=1,
            )
        if settings.max_jobs is not None and len(self._begun) >= settings.max_jobs:
            if self._is_grid and all(self.job(index).status is not Status.QUEUED for index in self._known):
                return None
            return SweepStoppedError(
                f"{settings.max_jobs} jobs were begun (anew.sweep.max_jobs). {resume}", reason="budget", exit_code=0
            )
        if self._is_spent:
            return SweepStoppedError(
                f"{settings.max_cpu} of processors are used (anew.sweep.max_cpu). {resume}",
                reason="budget",
                exit_code=0,
            )
        if settings.max_time_s is not None and time.monotonic() - self._started_s >= settings.max_time_s:
            return SweepStoppedError(
                f"{settings.max_time} have passed (anew.sweep.max_time). {resume}", reason="budget", exit_code=0
            )
        return None


class Attempts(Protocol):
    """A sweep, as far as taking a job of it goes: its folder, and what jobs are due in, by index."""

    @property
    def folder(self) -> SweepFolder: ...

    @property
    def attempts(self) -> Mapping[int, int]: ...


def take(store: FolderStore, sweep: Attempts, index: int, run: int, uid: str) -> SweepMembership:
    """
    Take a job of a sweep for a run; return what the run's record says of that.

    Raises:
        JobTakenError: Another process has; the run's number is given up.
        StoreError: It cannot be written.
    """
    folder, attempt = sweep.folder, sweep.attempts.get(index)
    try:
        is_due = attempt is not None and folder.asked_to_stop() is None and not folder.is_halted(index, attempt)
        if attempt is not None and is_due and folder.take(index, attempt, run, uid):
            return SweepMembership(id=folder.number, index=index, uid=folder.uid or None)
    except StoreError:
        store.abandon(run)
        raise
    store.abandon(run)
    raise JobTakenError(f"Job {index} of sweep {folder.number} is not to be run here: another process has taken it.")


def orders_for(sweep: Attempts, index: int, settings: SweepSettings, *, is_apart: bool) -> Orders:
    """Return what has a job end that was taken; *is_apart*: its process runs nothing but jobs."""
    folder = sweep.folder
    return Orders(
        limit_s=settings.job_timeout_s,
        limit=settings.job_timeout or "",
        stop=str(folder.layout.halt(index, sweep.attempts[index])),
        job=f"{folder.number}/{index}",
        is_apart=is_apart,
    )
