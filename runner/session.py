"""One command of an experiment, or one call of it from Python: what happens between Hydra and the store."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner import origins
from anew.runner.config.main import ComposedJob, SweepHooks, TaskSpec, Ticket, run_app, run_job
from anew.runner.errors import AnewError
from anew.runner.events import RunEnded
from anew.runner.guard.interrupts import stand_by, stand_down
from anew.runner.guard.watch import Guard
from anew.runner.lazy.modules import later
from anew.runner.records import RunRecord, SourceFacts, Status
from anew.runner.relaunch.plan import Add, Errand, OneJob, Repeat, Report, Rerun, Resume, surroundings
from anew.runner.run.lifecycle import Begun, execute
from anew.runner.run.origin import Claim, Origin
from anew.runner.settings import KEPT, Settings
from anew.runner.store.folder import FolderStore
from anew.runner.store.known import Known
from anew.runner.store.locate import open_for_recording
from anew.runner.sweep.reference import Attachment, MainReference, reference_to
from anew.runner.sweep_records import PlannedJob

if TYPE_CHECKING:
    from anew.runner.capture import elsewhere, kept
    from anew.runner.dispatch import possible, spool
    from anew.runner.store import passing
    from anew.runner.sweep import ledger
    from anew.runner.sweep import session as sweeps
    from anew.runner.sweep.session import SweepSession
else:
    # a run that is none of a sweep, goes to a folder and is repeated by nobody does without them
    elsewhere, kept = later("anew.runner.capture.elsewhere"), later("anew.runner.capture.kept")
    possible, spool = later("anew.runner.dispatch.possible"), later("anew.runner.dispatch.spool")
    passing, ledger = later("anew.runner.store.passing"), later("anew.runner.sweep.ledger")
    sweeps = later("anew.runner.sweep.session")

__all__ = ["Session", "reference_to"]


class Session:
    """
    What records the jobs of one command: the hooks that `config` calls. For one thread.

    Args:
        spec: The main function, and where its configuration comes from.
        experiment: The experiment's name.
        observers: Those given in Python: name -> instance, class or function.
        reference: Says where main is found by another process; with `script=False`, by one that imports no script.
        options: What was typed beside overrides: `store`, `quiet`, `record`.
        entry: Which way main was called: "call" from Python; None for a program that was started.
        call: Which call of it in this process it is, from 1.
        errand: What this process was started for, if it was.
        attachment: The sweep whose jobs are run here, when another process conducts it.

    Attributes:
        stopped_with: The exit code of the last run, when a signal ended it; None when none did.
    """

    def __init__(
        self,
        spec: TaskSpec,
        *,
        experiment: str,
        observers: Mapping[str, Any],
        reference: Callable[..., MainReference],
        options: Mapping[str, Any],
        entry: str | None = None,
        call: int | None = None,
        errand: Errand | None = None,
        attachment: Attachment | None = None,
    ) -> None:
        self._spec = spec
        self._reference = reference
        self._options = options
        self._errand = errand
        self._claims: list[Claim] = []
        self._sweep: SweepSession | Attachment | None = attachment if errand is None else origins.attachment_of(errand)
        self._last: RunRecord | None = None
        self._known: Known | None = None
        self._passing: passing.PassingStore | None = None
        self.failure: Exception | None = None
        self.stopped_with: int | None = None
        if errand is not None:
            self._origin = origins.of_errand(errand, experiment, observers)
        else:
            self._origin = origins.of_main(spec.function, entry, call, experiment, observers, attachment)

    # --- what is asked for ------------------------------------------------------------------------------------------

    def start_guard(self) -> None:
        """Start the guard process now: it is up by the time that the configuration is composed."""
        Guard.shared()

    def run(self, words: Sequence[str], *, interactive: bool) -> Any:
        """Do a command line, or the same from Python. Returns and raises as `run_app`."""
        try:
            return run_app(self._spec, words, self, interactive=interactive, cache=self._origin.cache)
        finally:
            if self._passing is not None:
                self._passing.remove()

    def run_errand(self, *, interactive: bool) -> Any:
        """Do what this process was started for. Returns and raises as `run_app`."""
        errand = self._errand
        assert errand is not None
        if isinstance(errand, (Repeat, Resume)):
            Report(number=0).write(Path(errand.report))
            overrides = errand.merged if isinstance(errand, Add) else errand.overrides
            if isinstance(errand, Repeat):
                overrides = (*overrides, *errand.words)
            return self.run(["-m", *errand.flags, *overrides, *errand.settings], interactive=False)
        words = [*errand.flags, *errand.settings]
        recorded = origins.recorded(errand)
        return run_app(self._spec, words, self, interactive=interactive, cache=self._origin.cache, recorded=recorded)

    def run_job(self, ticket: Ticket) -> None:
        """Run one job of the sweep that this session is attached to. Raises as `config.main.run_job`."""
        run_job(self._spec, ticket, self)

    def last_record(self) -> RunRecord:
        """Return the record of the run that ended last."""
        claim = self._claims[-1]
        return claim.store.just_ended(claim.number, self._known) if self._last is None else self._last

    # --- runs -------------------------------------------------------------------------------------------------------

    def claim(self, settings: Mapping[str, Any], multirun: bool, job_num: int | None) -> Path:
        """Take a run number; return the folder for the job's output."""
        checked = self._able(settings)
        store = self._store(checked)
        stand_by()
        try:
            number, layout = store.claim()
            is_attached = isinstance(self._sweep, Attachment)
            claim = Claim(store=store, number=number, layout=layout, settings=checked, is_attached=is_attached)
            try:
                claim = self._claimed(claim, job_num if multirun else None)
            except BaseException:
                store.abandon(number)
                raise
        except BaseException:
            stand_down()
            raise
        self._claims.append(claim)
        return layout.files

    def _claimed(self, claim: Claim, job: int | None) -> Claim:
        """Return what was claimed with what is known of the sweep that the run is of."""
        if not self._claims:
            self._keep_earlier(claim.store, claim.number)
        if isinstance(self._errand, OneJob):
            job = self._errand.job
        if self._sweep is not None and job is not None:
            member = ledger.take(claim.store, self._sweep, job, claim.number, claim.uid)
            orders = ledger.orders_for(self._sweep, job, claim.settings.sweep, is_apart=claim.is_attached)
            claim = replace(claim, sweep=member, orders=orders)
        return claim

    def _keep_earlier(self, store: FolderStore, number: int) -> None:
        """Have whatever is run once more change nothing in the records of runs before *number*."""
        if isinstance(self._errand, Rerun):
            own = self._errand.own
            kept.KeptAsTheyAre(store.root, number, (*own.folders, *([own.output] if own.is_apart else []))).start()
            return
        is_again = isinstance(self._errand, Resume) or (isinstance(self._errand, OneJob) and self._errand.attempt > 1)
        if is_again or (isinstance(self._sweep, Attachment) and self._sweep.is_resumed):
            kept.KeptAsTheyAre(store.root, number, ()).start()

    def execute(self, job: ComposedJob) -> Any:
        """Record one job as a run."""
        claim = self._claims[-1]
        try:
            return execute(job, claim, self._reported(claim), job.call, self._note_end)
        except Exception as error:
            self.failure = error
            raise
        finally:
            stand_down()
            self._settle(claim)

    def begin(self, job: ComposedJob) -> Begun:
        """Begin to record what no function runs, as a run."""
        claim = self._claims[-1]

        def note(ended: RunEnded | None, known: Known | None) -> None:
            self._note_end(ended, known)
            self._settle(claim)
            if self._passing is not None:
                self._passing.remove()

        try:
            return Begun(job, claim, self._reported(claim), note)
        finally:
            stand_down()

    def _reported(self, claim: Claim) -> Origin:
        """Say which run an errand has come to; return what starts it."""
        if isinstance(self._errand, (Rerun, OneJob)):
            Report(number=claim.number, ignore=claim.settings.rerun.ignore).write(Path(self._errand.report))
        return self._origin if claim.settings.record else replace(self._origin, observers={})

    def _settle(self, claim: Claim) -> None:
        """Have the record of a run that no folder keeps; what became of a sweep's jobs is read from their runs."""
        is_recorded = claim.settings.record
        if claim.sweep is None and not (claim.settings.keep and is_recorded):
            self._last = _take_from_spool(claim) if is_recorded else claim.store.get(claim.number)

    def _note_end(self, ended: RunEnded | None, known: Known | None) -> None:
        self._known = known
        self.stopped_with = ended.exit_code if ended is not None and ended.status is Status.INTERRUPTED else None

    def abandon(self) -> None:
        """Give up the number taken last."""
        claim = self._claims.pop()
        claim.store.abandon(claim.number)
        stand_down()

    # --- sweeps -----------------------------------------------------------------------------------------------------

    def planned(self) -> Sequence[PlannedJob]:
        """Return the jobs of the sweep that is taken up again."""
        if not isinstance(self._errand, Resume):
            return ()
        return self._store(self._settings({})).sweep_folder(self._errand.sweep).planned()

    def adds(self) -> bool:
        """Whether jobs are added to the plan of that sweep, and none is run."""
        return isinstance(self._errand, Add)

    def sweep(self, settings: Mapping[str, Any]) -> tuple[Path, SweepHooks]:
        """Take a sweep number; return the sweep's folder, and what conducts it."""
        checked = self._able(settings)
        store = self._store(checked)
        resumed = self._errand if isinstance(self._errand, Resume) else None
        session = sweeps.SweepSession(
            store,
            checked,
            experiment=self._origin.experiment,
            command=self._origin.command,
            source=lambda: self._source(store, checked),
            main=self._reference,
            options={"store": store.url} if checked.keep else {},
            cache=self._origin.cache,
            resume=resumed.sweep if resumed is not None else None,
            only=[Status(each) for each in resumed.only] if resumed is not None else (),
            places=self._origin.places if self._origin.source is not None else None,
            made=self._origin.made,
            within=self._origin.within,
            repeats=self._errand.repeats if isinstance(self._errand, Repeat) else None,
            quiet=checked.quiet,
        )
        self._sweep = session
        return session.folder.layout.folder, session

    def earlier(self, settings: Mapping[str, Any], where: str) -> Sequence[RunRecord]:
        """Return the runs of the store that meet a filter."""
        return list(self._store(self._settings(settings)).find(where))

    def task(self) -> Callable[[], tuple[TaskSpec, Session]]:
        """Return what another process makes main and its session by."""
        assert self._sweep is not None
        assert not isinstance(self._sweep, Attachment)
        return functools.partial(_attach, self._reference(script=False), self._sweep.attachment())

    def _source(self, store: FolderStore, settings: Settings) -> SourceFacts:
        if self._origin.scan is None or not settings.source.enabled:
            return self._origin.source or SourceFacts(root=str(self._origin.places.root))
        source = self._origin.scan.finish(store.objects, settings.source, exclude=(store.root,))
        return elsewhere.with_elsewhere(source, self._origin.places, store.objects, settings.source)

    # --- the `anew` node --------------------------------------------------------------------------------------------

    def _settings(self, settings: Mapping[str, Any]) -> Settings:
        chosen = {key: value for key, value in self._options.items() if value is not None}
        if self._errand is None and self._origin.within is not None and (around := surroundings()) is not None:
            chosen.setdefault("store", around.store)
        if not isinstance(self._errand, Rerun):
            read = _checked({**settings, **chosen})
            return read if read.record else read.in_passing()
        if isinstance(observers := settings.get("observers"), Mapping):
            # what is compared afterwards has to be in the store
            chosen["observers"] = {**observers, KEPT: {}}
        # what a run was called is no part of what is repeated; and without a record nothing could be compared
        return Settings.from_mapping({**settings, **chosen, "tags": (), "note": None, "record": True})

    def _able(self, settings: Mapping[str, Any]) -> Settings:
        """Return the settings of what was just typed, with observers that can work; a re-run does with what it gets."""
        checked = self._settings(settings)
        if checked.observers and self._errand is None and not isinstance(self._sweep, Attachment):
            possible.refuse_impossible(checked.observers)
        return checked

    def _store(self, settings: Settings) -> FolderStore:
        if not settings.record and not isinstance(self._sweep, Attachment):
            self._passing = self._passing or passing.PassingStore()
            return self._passing.store
        if not settings.keep:
            return open_for_recording(self._origin.cache / "spool")
        return open_for_recording(settings.store, start=self._origin.places.root)


def _checked(values: Mapping[str, Any]) -> Settings:
    """Return settings, checked once in a process where they are the same plain values: many runs are alike."""
    observers = values.get("observers", {})
    if not (isinstance(observers, dict) and observers.keys() <= {KEPT}):
        # what is given to an observer may be anything
        return Settings.from_mapping(values)
    try:
        return _checked_as_text(json.dumps(values))
    except (TypeError, ValueError):
        return Settings.from_mapping(values)  # what no text is, and what is refused


@functools.lru_cache(maxsize=16)
def _checked_as_text(text: str) -> Settings:
    return Settings.from_mapping(json.loads(text))


def _attach(reference: MainReference, attachment: Attachment) -> tuple[TaskSpec, Session]:
    """Make main and a session for one sweep in a process that somebody else started."""
    main = reference.load()
    return main.spec, main.attached(attachment)


def _take_from_spool(claim: Claim) -> RunRecord | None:
    """Return the record of a run that no folder keeps; the spool is gone once every observer has all of it."""
    try:
        record = claim.store.get(claim.number)
        spool.remove_delivered(claim.store, claim.number)
    except AnewError:
        return None
    return record
