"""A sweep while it goes on: its record, which jobs are due, and who runs them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from anew.runner.errors import EXIT_SIGINT, ConfigError, JobTakenError, StoreError, SweepStoppedError
from anew.runner.format import ids
from anew.runner.format.redact import Redactor
from anew.runner.places import Places
from anew.runner.records import CommandFacts, SourceFacts, Status
from anew.runner.settings import Settings
from anew.runner.store.folder import FolderStore
from anew.runner.store.sweep_folder import BEAT_S, SweepFolder, marked, read_sweep
from anew.runner.sweep.handout import TICK_S, Engine, HandOut
from anew.runner.sweep.progress import Progress
from anew.runner.sweep.reference import Attachment, MainReference
from anew.runner.sweep.report import report
from anew.runner.sweep.reuse import Reuse
from anew.runner.sweep.signals import heard
from anew.runner.sweep_records import PlannedJob, SweepJob, SweepRecord, SweepStart
from anew.runner.wording import say

if TYPE_CHECKING:
    from anew.runner.config.main import Launching, Ticket


class SweepSession:
    """
    One sweep, conducted by this process; the hooks that `config` calls. To be used in one thread.

    Args:
        store: Where it is recorded.
        settings: Of the recording.
        experiment: The experiment's name.
        command: How the sweep was started.
        source: Gives the project's files as they are.
        main: Where main is found by other processes.
        options: What was typed beside overrides.
        resume: The sweep that is taken up again; None for a new one.
        only: In one taken up again, the statuses of jobs that are run again.
        places: Where the project's files are, when the recorded ones were laid out.
        quiet: Say nothing.
    """

    def __init__(
        self,
        store: FolderStore,
        settings: Settings,
        *,
        experiment: str,
        command: CommandFacts,
        source: Callable[[], SourceFacts],
        main: Callable[[], MainReference],
        options: Mapping[str, Any],
        resume: int | None = None,
        only: Sequence[Status] = (),
        places: Places | None = None,
        quiet: bool = False,
    ) -> None:
        self._store = store
        self._settings = settings
        self._experiment = experiment
        self._command = command
        self._source = source
        self._main = main
        self._options = options
        self._only = frozenset(only)
        self._places = places
        self._quiet = quiet
        self._redactor = Redactor.of_environment()
        self._resumed = resume is not None
        number = store.claim_sweep()[0] if resume is None else resume
        self.folder = SweepFolder(store.layout.sweep(number), number)
        self._conductor = 0
        self._known: dict[int, PlannedJob] = {}
        self.attempts: dict[int, int] = {}
        self._begun: set[int] = set()
        self.elsewhere: set[int] = set()
        self._failed: int | None = None
        self._started_s = time.monotonic()
        self._beaten_s = 0.0
        self._launching: Launching | None = None
        self._reuse: Reuse | None = None
        self._progress: Progress | None = None

    # --- the record -----------------------------------------------------------------------------------------------

    def begin(self, launching: Launching, overrides: Sequence[str], flags: Sequence[str], ours: Sequence[str]) -> None:
        """Begin the sweep, or take it up again."""
        self._launching = launching
        self._refuse_unfit(launching)
        if not self._resumed:
            self.folder.begin(
                marked(
                    SweepStart(
                        uid=ids.new_uid(),
                        id=self.folder.number,
                        experiment=self._experiment,
                        started_at=datetime.now(timezone.utc),
                        command=replace(self._command, argv=self._redactor.arguments(self._command.argv)),
                        overrides=self._redactor.arguments(overrides),
                        flags=tuple(flags),
                        settings=self._redactor.arguments(ours),
                        sweeper=launching.sweeper,
                        launcher=launching.option,
                        planned_ahead=launching.planned_ahead,
                        direction=launching.direction or self._settings.sweep.direction,
                        source=self._source(),
                        hostname=socket.gethostname(),
                    )
                )
            )
        self._conductor = self.folder.conduct(beside=self._is_beside)
        self._known = {job.index: job for job in self.folder.planned()}
        if self._settings.sweep.skip == "done":
            start = self.folder.start()
            self._reuse = Reuse(self._store, self._experiment, start.source if start else self._source())

    def _refuse_unfit(self, launching: Launching) -> None:
        if launching.engine is None and self._settings.sweep.workers is not None:
            with suppress(OSError):
                self.folder.layout.folder.rmdir()
            raise ConfigError(
                f"anew.sweep.workers is for anew's own launchers; hydra/launcher={launching.option} takes its own, "
                "such as hydra.launcher.n_jobs=2. Leave one of the two out.",
                key="anew.sweep.workers",
            )

    def plan(self, jobs: Sequence[PlannedJob]) -> list[bool]:
        """Put jobs on record that are not yet; return of each whether it is as it was planned before."""
        fresh = [job for job in jobs if job.index not in self._known]
        if fresh:
            self.folder.plan(self._redacted(job) for job in fresh)
        unchanged = [self._known.get(job.index, job) == job for job in jobs]
        self._known.update({job.index: job for job in fresh})
        if fresh and not self._quiet and (self._launching is None or self._launching.planned_ahead):
            self._announce(len(self._known))
        return unchanged

    def _redacted(self, job: PlannedJob) -> PlannedJob:
        arguments = self._redactor.arguments(job.overrides)
        return replace(job, overrides=arguments, config=self._redactor.value(job.config))

    def _announce(self, count: int) -> None:
        left = sum(1 for index in self._known if self.job(index).status is not Status.COMPLETED)
        again = f", {count - left} of them completed" if self._resumed else ""
        say(f"sweep {self.folder.number} of {self._experiment}: {count} jobs{again}")

    def job(self, index: int) -> SweepJob:
        """Return how a job stands."""
        planned = self._known.get(index)
        return self.folder.job(index, planned.overrides if planned else (), self._store.runs)

    def end(self, reason: str, detail: str = "") -> SweepRecord:
        """Write that nobody hands out jobs any more, and return how it went."""
        if self._progress is not None:
            self._progress.close()
        self.folder.conducted(self._conductor, reason, detail)
        record = read_sweep(self.folder, self._store.runs)
        if not self._quiet:
            report(record)
        return record

    # --- which jobs are due ---------------------------------------------------------------------------------------

    def due(self, index: int) -> int | None:
        """Return the attempt that a job is to be run in now; 0 while another process runs it; None for not at all."""
        if index in self._begun:
            return None
        job = self.job(index)
        if job.status is Status.RUNNING:
            self.elsewhere.add(index)
            return 0
        self.elsewhere.discard(index)
        if job.status is Status.COMPLETED or (job.status is not Status.QUEUED and not self._again(job)):
            return None
        if self._only and job.status not in self._only:
            return None
        if self._reuse is not None and self._reused(job):
            return None
        self.attempts[index] = job.attempts + 1
        return job.attempts + 1

    def _again(self, job: SweepJob) -> bool:
        """Whether a job that ended otherwise than well is run again: in a sweep that is taken up again, once."""
        return self._resumed and job.status.final

    def _reused(self, job: SweepJob) -> bool:
        assert self._reuse is not None
        run = self._reuse.find(self._known[job.index].config)
        if run is None or not self.folder.take(job.index, job.attempts + 1, run, reused=True):
            return False
        if self._progress is not None:
            self._progress.ended(self.job(job.index))
        elif not self._quiet:
            say(f"job {job.index} was done before, by run {run}: not run again")
        return True

    def attachment(self) -> Attachment:
        """Return the sweep as other processes are told of it."""
        return Attachment(
            root=self._store.url,
            sweep=self.folder.number,
            command=self._command,
            attempts=dict(self.attempts),
            options={**self._options, "quiet": True},
            places=self._places,
            source=self._source() if self._places is not None else None,
        )

    # --- running them ---------------------------------------------------------------------------------------------

    def conduct(
        self,
        following: Callable[[], Ticket | None],
        run_here: Callable[[Ticket], object],
        told: Callable[[int], object],
    ) -> None:
        """Run jobs until there are no more. Raises SweepStoppedError when it is stopped before."""
        total = len(self._known) if self._launching is not None and self._launching.planned_ahead else None
        if self._progress is None and self._is_beside:
            done = sum(1 for index in self._known if self.job(index).status is Status.COMPLETED) if self._resumed else 0
            self._progress = Progress(
                self.folder.number, total, direction=self._direction, quiet=self._quiet, done=done
            )
        with heard():
            if self._is_beside:
                HandOut(self, self._engine(), following, told).run()
            else:
                self._one_by_one(following, run_here, told)

    @property
    def _direction(self) -> str:
        start = self.folder.start()
        return start.direction if start else self._settings.sweep.direction

    @property
    def _is_beside(self) -> bool:
        engine = self._launching.engine if self._launching else None
        return engine != "local" or self._settings.sweep.workers is not None

    def _one_by_one(self, following: Any, run_here: Any, told: Any) -> None:
        while True:
            self._check_stopped()
            ticket = following()
            if ticket is None:
                if not self.elsewhere:
                    return
                self.tick(TICK_S)
                continue
            self._begun.add(ticket.index)
            try:
                run_here(ticket)
            except JobTakenError:
                self._begun.discard(ticket.index)
                continue
            self.tick(0)
            self.ended(self.job(ticket.index))
            told(ticket.index)

    def _engine(self) -> Engine:
        from anew.runner.sweep.engines import make_engine

        assert self._launching is not None
        return make_engine(self._launching, self._settings.sweep, self.folder, self._main(), self.attachment())

    def watch(self, launch: Callable[[], object], indices: Sequence[int]) -> None:
        """Have a launcher of Hydra's run jobs. Raises SweepStoppedError when it runs none of them."""
        self._check_stopped()
        error: Exception | None = None
        with heard():
            try:
                launch()
            except Exception as raised:
                error = raised
        ended = [index for index in indices if self.job(index).status is not Status.QUEUED]
        self._begun.update(ended)
        for index in ended:
            self.ended(self.job(index))
        if not ended:
            line = f"{type(error).__name__}: {error}".strip().split("\n")[0] if error else "no reason given"
            option = self._launching.option if self._launching else "?"
            raise SweepStoppedError(
                f"hydra/launcher={option} ran none of {len(indices)} jobs: {line}", reason="failed", exit_code=2
            ) from error
        if error is not None and not self._quiet:
            say(f"the launcher gave up on a job ({type(error).__name__}); going on with the others")

    # --- when to stop ---------------------------------------------------------------------------------------------

    def tick(self, pause_s: float) -> None:
        """Pause, and give a sign of life when one is due."""
        if pause_s:
            time.sleep(pause_s)
        if time.monotonic() - self._beaten_s > BEAT_S:
            self._beaten_s = time.monotonic()
            self.folder.beat(self._conductor)

    def began(self, index: int) -> None:
        """Take note that a job was handed out."""
        self._begun.add(index)
        if self._progress is not None:
            self._progress.began()

    def not_begun(self, index: int) -> None:
        """Take note that a job which was handed out is not run by it."""
        self._begun.discard(index)

    def ended(self, job: SweepJob) -> None:
        """Take note of how a job ended."""
        if job.status in (Status.FAILED, Status.LOST):
            self._failed = job.index
        if self._progress is not None:
            self._progress.ended(job)

    def _check_stopped(self) -> None:
        stopped = self.stopped()
        if stopped is not None:
            raise stopped

    def stopped(self) -> SweepStoppedError | None:
        """Return why no further job is begun, or None."""
        sweep, number = self._settings.sweep, self.folder.number
        asked = self.folder.asked_to_stop()
        resume = f"To go on: anew sweep resume {number}"
        if asked == "finish":
            return SweepStoppedError(f"Sweep {number} was asked to finish. {resume}", reason="budget", exit_code=0)
        if asked:
            return SweepStoppedError(
                f"Sweep {number} was asked to stop. {resume}", reason="stopped", exit_code=EXIT_SIGINT
            )
        if sweep.stop_on_failure and self._failed is not None:
            return SweepStoppedError(
                f"Job {self._failed} failed, and by anew.sweep.stop_on_failure no further job was begun. {resume}",
                reason="failed",
                exit_code=1,
            )
        if sweep.max_jobs is not None and len(self._begun) >= sweep.max_jobs:
            if all(self.job(index).status is not Status.QUEUED for index in self._known) and self._is_grid:
                return None
            return SweepStoppedError(
                f"{sweep.max_jobs} jobs were begun (anew.sweep.max_jobs). {resume}", reason="budget", exit_code=0
            )
        if sweep.max_time_s is not None and time.monotonic() - self._started_s >= sweep.max_time_s:
            return SweepStoppedError(
                f"{sweep.max_time} have passed (anew.sweep.max_time). {resume}", reason="budget", exit_code=0
            )
        return None

    @property
    def _is_grid(self) -> bool:
        return self._launching is not None and self._launching.planned_ahead


def take(store: FolderStore, sweep: Attachment | SweepSession, index: int, run: int) -> int:
    """
    Take a job of a sweep for a run; return the sweep's number.

    Raises:
        JobTakenError: Another process has; the run's number is given up.
        StoreError: It cannot be written.
    """
    folder, attempt = sweep.folder, sweep.attempts.get(index)
    try:
        if attempt is not None and folder.asked_to_stop() is None and folder.take(index, attempt, run):
            return folder.number
    except StoreError:
        store.abandon(run)
        raise
    store.abandon(run)
    raise JobTakenError(f"Job {index} of sweep {folder.number} is not to be run here: another process has taken it.")
