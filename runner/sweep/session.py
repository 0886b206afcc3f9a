"""A sweep while it goes on: its record, and who runs its jobs."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from anew.runner.capture.elsewhere import modules_elsewhere
from anew.runner.capture.environment import capture_environment
from anew.runner.dispatch.spool import remove_delivered_sweep
from anew.runner.errors import AnewError, ConfigError, JobTakenError, StoreError, SweepStoppedError
from anew.runner.format import ids
from anew.runner.format.redact import Redactor, secrets_in
from anew.runner.places import Places
from anew.runner.records import CommandFacts, RerunOf, SourceFacts, Status
from anew.runner.relaunch.pythons import as_recorded
from anew.runner.settings import Settings
from anew.runner.store.files import replace_whole
from anew.runner.store.folder import FolderStore
from anew.runner.store.related import Enclosing
from anew.runner.store.sweep_folder import SweepFolder, marked
from anew.runner.store.sweep_state import read_sweep, restore_claims
from anew.runner.sweep import vouching
from anew.runner.sweep.elsewhere import SweepJobs
from anew.runner.sweep.engine import Engine, EngineSetup, Workers
from anew.runner.sweep.engines import make_engine
from anew.runner.sweep.followed import JobsFollowed
from anew.runner.sweep.handout import TICK_S, HandOut, raise_on_sigterm
from anew.runner.sweep.ledger import Ledger
from anew.runner.sweep.progress import Progress
from anew.runner.sweep.reference import Attachment, MainReference
from anew.runner.sweep.report import say_ending, say_failures
from anew.runner.sweep.reuse import Reuse, unknown
from anew.runner.sweep.telling import tell_observers
from anew.runner.sweep.work import Work
from anew.runner.sweep_records import Aim, PlannedJob, SweepJob, SweepRecord, SweepStart
from anew.runner.wording import say

if TYPE_CHECKING:
    from anew.runner.config.main import Due, Launching, Ticket, Undue


_AT_ONCE = 10_000


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
        cache: A folder for what only saves time.
        made: Source that lies in no file: the path that it is kept as -> text.
        within: The run that it was started in.
        repeats: The run that it repeats from recorded source.
        quiet: Say nothing.

    Attributes:
        folder: The sweep on disk.
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
        cache: Path,
        resume: int | None = None,
        only: Sequence[Status] = (),
        places: Places | None = None,
        made: Mapping[str, str] = MappingProxyType({}),
        within: Enclosing | None = None,
        repeats: RerunOf | None = None,
        quiet: bool = False,
    ) -> None:
        self._store = store
        self._settings = settings
        self._experiment = experiment
        self._command = command
        self._source = source
        self._main = main
        self._options = options
        self._only = only
        self._places = places
        self._cache = cache
        self._made = made
        self._within = within
        self._repeats = repeats
        self._quiet = quiet
        self._redactor = Redactor.of_environment()
        self._redactor.learn(secret for each in settings.observers for secret in secrets_in(each.spec))
        self._is_resumed = resume is not None
        number = store.claim_sweep()[0] if resume is None else resume
        self.folder = SweepFolder(store.layout.sweep(number), number)
        self._followed = JobsFollowed(store, number, settings.observers)
        self._begun: tuple[Launching, Ledger] | None = None
        # jobs as they are on record: without secrets
        self._written: dict[int, PlannedJob] = {}

    @property
    def _launching(self) -> Launching:
        assert self._begun is not None, "`begin` is the first hook that is called"
        return self._begun[0]

    @property
    def _ledger(self) -> Ledger:
        assert self._begun is not None, "`begin` is the first hook that is called"
        return self._begun[1]

    @property
    def attempts(self) -> Mapping[int, int]:
        """What jobs are due in, by index."""
        return self._ledger.attempts

    # --- the record -----------------------------------------------------------------------------------------------

    def begin(self, launching: Launching, overrides: Sequence[str], flags: Sequence[str], ours: Sequence[str]) -> None:
        """Begin the sweep, or take it up again."""
        self._refuse_unfit(launching)
        # what one word gives away may stand in another
        for words in (overrides, ours, self._command.argv):
            self._redactor.arguments(words)
        if not self._is_resumed:
            self.folder.begin(marked(self._start(launching, overrides, flags, ours)))
        conductor = self.folder.conduct(beside=self._is_beside(launching))
        for done in restore_claims(self.folder, self._store) if self._is_resumed else ():
            if not self._quiet:
                say(f"sweep {self.folder.number}: {done}")
        ledger = Ledger(
            self._store,
            self.folder,
            self._settings.sweep,
            conductor=conductor,
            planned=self.folder.planned(),
            is_resumed=self._is_resumed,
            is_grid=launching.planned_ahead,
            only=self._only,
            reuse=self._reuse(),
            quiet=self._quiet,
        )
        self._begun = launching, ledger

    def _start(
        self, launching: Launching, overrides: Sequence[str], flags: Sequence[str], ours: Sequence[str]
    ) -> SweepStart:
        return SweepStart(
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
            direction=launching.direction or (self._direction() if len(launching.directions) < 2 else None),
            directions=launching.directions if len(launching.directions) > 1 else (),
            value=launching.value,
            constraints=launching.constraints,
            source=self._source(),
            hostname=socket.gethostname(),
            parent=None if self._within is None else self._within.seen_from(self._store.root),
            repeats=self._repeats,
        )

    def _direction(self) -> str | None:
        chosen = self._settings.sweep.direction
        return None if chosen == "auto" else chosen

    def _refuse_unfit(self, launching: Launching) -> None:
        if not self._settings.record and launching.engine not in (None, "local"):
            raise ConfigError(
                f"Jobs of hydra/launcher={launching.option} run elsewhere and are recorded. For a sweep of which "
                "nothing stays leave the launcher out; anew.sweep.workers=2 runs two jobs at a time.",
                key="anew.record",
            )
        if launching.engine is None and self._settings.sweep.workers is not None:
            with suppress(OSError):
                self.folder.layout.folder.rmdir()
            raise ConfigError(
                f"anew.sweep.workers is for anew's own launchers; hydra/launcher={launching.option} takes its own, "
                "such as hydra.launcher.n_jobs=2. Leave one of the two out.",
                key="anew.sweep.workers",
            )

    def _reuse(self) -> Reuse | None:
        """Return what was done before, where jobs that were done are to be skipped and the code is known."""
        if self._settings.sweep.skip != "done":
            return None
        start, settings = self.folder.start(), self._settings
        source = start.source if start else self._source()
        places = self._places or Places(Path(source.root or ""))
        elsewhere = modules_elsewhere(places, self._store.objects, settings.source) if source.files else ()
        environment = capture_environment(settings.environment, self._cache / "environment.json")
        variables = places.as_recorded(as_recorded(environment.variables, places))
        work = Work(
            experiment=self._experiment,
            command=self._command,
            source=replace(source, files=(*source.files, *elsewhere)),
            # where files are laid out is no part of what a run is given
            environment=replace(environment, variables=variables),
            seed=settings.seed,
        )
        why = unknown(work) or ("" if settings.inputs.notice else "inputs are not noticed (anew.inputs.notice=false)")
        if why and not self._quiet:
            say(f"sweep {self.folder.number}: all jobs are run, whatever was done before (anew.sweep.skip): {why}")
        return None if why else Reuse(self._store, work)

    def plan(self, jobs: Sequence[PlannedJob]) -> list[bool]:
        """Put jobs on record that are not yet; return of each whether it is as it was planned before."""
        known = self._ledger.known
        unchanged = [known.get(job.index, job) == job for job in jobs]
        fresh = [job for job in jobs if job.index not in known]
        if fresh:
            self._redactor.learn(secret for job in fresh for secret in secrets_in(job.config))
            for some in (fresh[at : at + _AT_ONCE] for at in range(0, len(fresh), _AT_ONCE)):
                written = [self._redact(job) for job in some]
                self.folder.plan(written)
                self._written.update((job.index, job) for job, own in zip(written, some, strict=True) if job is not own)
            self._ledger.add(fresh)
            if not self._quiet and self._launching.planned_ahead:
                self._announce()
        return unchanged

    def _redact(self, job: PlannedJob) -> PlannedJob:
        written = replace(
            job, overrides=self._redactor.arguments(job.overrides), config=self._redactor.value(job.config)
        )
        # where there is nothing to hide, one of the two is enough to keep
        return job if written == job else written

    def _redact_hydras(self) -> None:
        """Take secrets out of what Hydra's sweeper wrote."""
        with suppress(OSError, StoreError):
            path = self._launching.multirun or self.folder.layout.multirun
            text = path.read_text(encoding="utf-8", errors="surrogateescape")
            redacted = self._redactor.yaml(text)
            if redacted != text:
                replace_whole(path, redacted.encode("utf-8", "surrogateescape"))

    def _announce(self) -> None:
        again = f", {self._ledger.count_completed()} of them completed" if self._is_resumed else ""
        count = len(self._ledger.known)
        say(f"sweep {self.folder.number} of {self._experiment}: {count} job{'' if count == 1 else 's'}{again}")

    def job(self, index: int) -> SweepJob:
        """Return how a job stands."""
        return self._ledger.job(index)

    def due(self, index: int) -> Due | Undue:
        """Return the attempt that a job is to be run in now, or why it is not."""
        return self._ledger.due(index)

    def withdraw(self) -> None:
        """Leave nothing of a sweep of which no job was planned."""
        if not self._is_resumed and not self._ledger.known:
            self._ledger.close("failed", "")
            shutil.rmtree(self.folder.layout.folder, ignore_errors=True)

    def end(self, reason: str, detail: str = "") -> SweepRecord:
        """Write that nobody hands out jobs any more, and return how it went."""
        self._ledger.close(reason, detail)
        record = read_sweep(self.folder, self._store)
        if not self._quiet:
            say_ending(record, self._store.url, is_recorded=self._settings.record)
        elif self._command.entry != "call":
            # of which nothing else would tell: workers' jobs print into their own records
            say_failures(record, self._store.url, is_recorded=self._settings.record)
        tell_observers(record, self._settings.observers, self._redactor)
        self._followed.say_behind()
        if not (self._settings.keep or self._is_resumed):
            # taken up again, what was there before is kept as it was by this process
            with suppress(AnewError):
                remove_delivered_sweep(self._store, record.id)
        return record

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
            made=self._made,
            uid=self.folder.uid,
            is_resumed=self._is_resumed,
            within=self._within,
        )

    # --- running them ---------------------------------------------------------------------------------------------

    def conduct(
        self,
        following: Callable[[], Ticket | None],
        run_here: Callable[[Ticket], str],
        tell: Callable[[int], object],
    ) -> None:
        """Run jobs until there are no more. Raises SweepStoppedError when it is stopped before."""
        self._redact_hydras()
        self._followed.require()
        following = self._without_refused(following, run_here, tell)
        with raise_on_sigterm():
            if self._is_beside(self._launching):
                if self._ledger.progress is None:
                    self._ledger.progress = self._progress()
                engine = self._engine()
                more = self._digested(following) if engine.is_remote else following
                HandOut(self._ledger, engine, more, self._watching(tell)).run()
            else:
                self._one_by_one(following, run_here, tell)

    def _without_refused(
        self,
        following: Callable[[], Ticket | None],
        run_here: Callable[[Ticket], str],
        tell: Callable[[int], object],
    ) -> Callable[[], Ticket | None]:
        """Return what gives the jobs that can be composed; of the others it is put on record here that they failed."""

        def more() -> Ticket | None:
            while (ticket := following()) is not None and ticket.refused:
                self._ledger.note_begin(ticket.index)
                run_here(ticket)
                self._ledger.note_end(self._ledger.job_ended(ticket.index))
                tell(ticket.index)
            return ticket

        return more

    def _watching(self, tell: Callable[[int], object]) -> Callable[[int], object]:
        """Return what is called with a job that has ended in another process, whose observers say nothing here."""

        def told(index: int) -> None:
            if self._settings.observers:
                self._followed.look(self._ledger.job(index).run)
            tell(index)

        return told

    def _digested(self, following: Callable[[], Ticket | None]) -> Callable[[], Ticket | None]:
        """Return what gives the jobs with the digest of what they are to run: they are read from the store."""
        start = self.folder.start()
        repeats = None if start is None else vouching.repeated(start, self._store)

        def more() -> Ticket | None:
            ticket = following()
            if ticket is None or start is None:
                return ticket
            planned = self._written.get(ticket.index) or self._ledger.known[ticket.index]
            return replace(ticket, digest=vouching.digest(start, planned, repeats))

        return more

    def _is_beside(self, launching: Launching) -> bool:
        """Whether jobs run in other processes than this one."""
        return launching.engine != "local" or self._settings.sweep.workers is not None

    def _progress(self) -> Progress:
        start = self.folder.start()
        return Progress(
            self.folder.number,
            len(self._ledger.known) if self._launching.planned_ahead else None,
            aim=start.aim if start else Aim(self._direction()),
            quiet=self._quiet,
            done=self._ledger.count_completed() if self._is_resumed else 0,
        )

    def _engine(self) -> Engine:
        attachment, settings, name = self.attachment(), self._settings.sweep, self._launching.engine
        setup = EngineSetup(
            launcher=self._launching.option,
            options=self._launching.options,
            most=settings.workers,
            batch=SweepJobs(attachment),
            folder=self.folder.layout.engine(name or ""),
            workers=Workers(settings=settings, main=self._main(), attachment=attachment, layout=self.folder.layout),
        )
        return make_engine(name, setup)

    def _one_by_one(
        self,
        following: Callable[[], Ticket | None],
        run_here: Callable[[Ticket], str],
        tell: Callable[[int], object],
    ) -> None:
        ledger = self._ledger
        again: Ticket | None = None
        while True:
            ledger.raise_if_stopped()
            ticket, again = again or following(), None
            if ticket is None:
                if not ledger.elsewhere:
                    return
                ledger.tick(TICK_S)
                continue
            ledger.note_begin(ticket.index)
            try:
                death = run_here(ticket)
            except JobTakenError:
                ledger.note_not_begun(ticket.index)
                continue
            except AnewError as error:
                ledger.folder.died(ticket.index, ticket.attempt, str(error).split("\n")[0])
                raise
            ledger.tick(0)
            job = ledger.job_ended(ticket.index)
            if death and job.status is Status.LOST:
                ledger.folder.died(ticket.index, ticket.attempt, death)
                job = ledger.job_ended(ticket.index)
            if (attempt := ledger.retry(job)) is not None:
                again = replace(ticket, attempt=attempt)
                continue
            ledger.note_end(job)
            tell(ticket.index)

    def watch(self, launch: Callable[[], object], indices: Sequence[int]) -> None:
        """Have a launcher of Hydra's run jobs. Raises SweepStoppedError when it runs none of them."""
        self._redact_hydras()
        ledger = self._ledger
        ledger.raise_if_stopped()
        self._followed.require()
        error: Exception | None = None
        with raise_on_sigterm():
            try:
                launch()
            except Exception as raised:
                error = raised
        over = [job for job in map(ledger.job, indices) if job.status is not Status.QUEUED]
        for job in over:
            if ledger.retry(job) is None:
                ledger.note_end(job)
            self._followed.look(job.run)
        if not over:
            line = f"{type(error).__name__}: {error}".strip().split("\n")[0] if error else "no reason given"
            raise SweepStoppedError(
                f"hydra/launcher={self._launching.option} ran none of {len(indices)} jobs: {line}",
                reason="failed",
                exit_code=2,
            ) from error
        if error is not None and not self._quiet:
            say(f"the launcher gave up on a job ({type(error).__name__}); going on with the others")
