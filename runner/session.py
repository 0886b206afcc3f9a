"""One command of an experiment, or one call of it from Python: what happens between Hydra and the store."""

from __future__ import annotations

import functools
import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner.capture.cells import executed_cells
from anew.runner.capture.command import capture_command, program_files
from anew.runner.capture.source import SourceScan, cache_file
from anew.runner.config.main import ComposedJob, Recorded, SweepHooks, TaskSpec, Ticket, run_app, run_job
from anew.runner.errors import AnewError
from anew.runner.events import RunEnded
from anew.runner.format.cells import FILE_NAME
from anew.runner.guard.watch import Guard
from anew.runner.lazy.modules import later
from anew.runner.places import STARTED_IN, Places, cache_folder, project_root
from anew.runner.records import RunRecord, SourceFacts, Status
from anew.runner.relaunch.plan import Add, Errand, OneJob, Repeat, Report, Rerun, Resume, surroundings
from anew.runner.run.enclosing import enclosing
from anew.runner.run.lifecycle import Begun, execute
from anew.runner.run.origin import Claim, Origin
from anew.runner.settings import KEPT, Settings
from anew.runner.store.choosing import left_out
from anew.runner.store.folder import FolderStore
from anew.runner.store.known import Known
from anew.runner.store.locate import open_for_recording
from anew.runner.store.related import Enclosing
from anew.runner.sweep.reference import Attachment, MainReference, reference_to
from anew.runner.sweep_records import PlannedJob
from anew.runner.wording import say

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
        self._sweep: SweepSession | Attachment | None = attachment if errand is None else _attachment(errand)
        self._last: RunRecord | None = None
        self._known: Known | None = None
        self._passing: passing.PassingStore | None = None
        self.failure: Exception | None = None
        self.stopped_with: int | None = None
        if errand is not None:
            self._origin = _origin_of_errand(errand, experiment, observers)
        else:
            self._origin = _origin(spec.function, entry, call, experiment, observers, attachment)

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
        recorded = _recorded(errand)
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
        number, layout = store.claim()
        if not self._claims:
            self._keep_earlier(store, number)
        is_attached = isinstance(self._sweep, Attachment)
        claim = Claim(store=store, number=number, layout=layout, settings=checked, is_attached=is_attached)
        if isinstance(self._errand, OneJob):
            multirun, job_num = True, self._errand.job
        if multirun and self._sweep is not None and job_num is not None:
            member = ledger.take(store, self._sweep, job_num, number, claim.uid)
            orders = ledger.orders_for(self._sweep, job_num, checked.sweep, is_apart=is_attached)
            claim = replace(claim, sweep=member, orders=orders)
        self._claims.append(claim)
        return layout.files

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
        origin = self._reported(claim)
        try:
            return execute(job, claim, origin, job.call, self._note_end)
        except Exception as error:
            self.failure = error
            raise
        finally:
            self._settle(claim)

    def begin(self, job: ComposedJob) -> Begun:
        """Begin to record what no function runs, as a run."""
        claim = self._claims[-1]

        def note(ended: RunEnded | None, known: Known | None) -> None:
            self._note_end(ended, known)
            self._settle(claim)
            if self._passing is not None:
                self._passing.remove()

        return Begun(job, claim, self._reported(claim), note)

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
        store = self._store(self._settings(settings))
        for why in left_out(store):
            say(why)
        return list(store.find(where))

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


# --- what starts the runs -----------------------------------------------------------------------------------------


def _origin(
    function: Callable[..., Any],
    entry: str | None,
    call: int | None,
    experiment: str,
    observers: Mapping[str, Any],
    attachment: Attachment | None,
) -> Origin:
    """Return what starts runs of the project as it is; those of a sweep are on record as the sweep was started."""
    file = _file_of(function)
    root = project_root(file.parent if file else Path.cwd())
    cache = cache_folder()
    is_started = entry == "start"
    cells = executed_cells(function, is_called=is_started) if attachment is None else None
    command = capture_command(function, entry if cells is None or is_started else "cells", root, call)
    if cells is not None:
        command = replace(command, target=str(Path.cwd() / FILE_NAME))
    origin = Origin(
        experiment=experiment,
        command=command,
        places=Places(root),
        scan=None,
        cache=cache,
        made={} if cells is None else {Places(root).name(Path(command.target)): cells},
        within=enclosing() if attachment is None else attachment.within,
        observers=observers,
    )
    if attachment is None and (laid_out := _laid_out(origin)) is not None:
        return laid_out
    if attachment is not None:
        command = replace(attachment.command, interpreter=sys.executable)
        origin = replace(origin, command=command, made=attachment.made)
        if attachment.places is not None:
            return replace(origin, places=attachment.places, source=attachment.source)
    # begun now: git's answers are under way while Hydra composes
    return replace(origin, scan=SourceScan(root, cache_file(cache, root), program_files(command), origin.made))


def _laid_out(origin: Origin) -> Origin | None:
    """Return what starts a run in a re-run, whose files were laid out: all of it at its recorded paths; else None."""
    around = surroundings()
    if around is None or origin.within is None or not around.moved:
        return None
    places, command = around.places, origin.command
    if not origin.places.root.is_relative_to(around.mirror):
        return None
    told = {"argv": command.argv, "cwd": command.cwd, "target": command.target, "import_paths": command.import_paths}
    command = replace(command, **places.as_recorded(told))
    return replace(origin, command=command, places=places, source=origin.within.source)


def _origin_of_errand(errand: Errand, experiment: str, observers: Mapping[str, Any]) -> Origin:
    """Return what starts the runs of an errand: everything as on record, but for the interpreter."""
    cache = cache_folder()
    root = Path(errand.root)
    programs = program_files(errand.command)
    origin = Origin(
        experiment=experiment,
        command=replace(errand.command, interpreter=sys.executable),
        places=errand.places,
        scan=SourceScan(root, cache_file(cache, root), programs) if errand.source is None else None,
        cache=cache,
        source=errand.source,
        within=_within(errand),
        observers=observers,
    )
    if not isinstance(errand, Rerun):
        return origin
    return replace(
        origin, rerun_of=errand.rerun_of, why=errand.why, seed=errand.seed, torch_threads=errand.torch_threads
    )


def _within(errand: Errand) -> Enclosing | None:
    """Return the run that those of an errand are started in, as on record."""
    if errand.parent is None:
        return None
    return Enclosing(parent=errand.parent, store=errand.store, source=errand.source or SourceFacts())


def _recorded(errand: Errand) -> Recorded:
    """Return the configuration that an errand is to be done with."""
    if isinstance(errand, OneJob):
        ref = f"sweep:{errand.sweep}/{errand.job}"
        return Recorded(ref=ref, config=errand.config, overrides=errand.overrides, job=errand.job)
    assert isinstance(errand, Rerun)
    ref = str(errand.rerun_of.id or errand.rerun_of.uid)
    return Recorded(
        ref=ref,
        config=errand.config,
        overrides=errand.overrides,
        changes=errand.changes,
        places=errand.places,
        own=errand.own,
    )


def _attachment(errand: Errand) -> Attachment | None:
    """Return the sweep that an errand's one job is of."""
    if not isinstance(errand, OneJob):
        return None
    attempts = {errand.job: errand.attempt}
    return Attachment(root=errand.store, sweep=errand.sweep, command=errand.command, attempts=attempts)


def _file_of(function: Callable[..., Any]) -> Path | None:
    path = Path(STARTED_IN, inspect.unwrap(function).__code__.co_filename)
    # of an archive the archive itself
    return next((_resolved(each) for each in (path, path.parent) if each.is_file()), None)


@functools.lru_cache(maxsize=256)
def _resolved(path: Path) -> Path:
    """Return where code lies that this process has loaded from a path."""
    return path.resolve()
