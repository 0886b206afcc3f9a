"""A sweep taken up again, or one job of it run on another machine: in a process that starts the recorded script."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from anew.runner.capture.written import WrittenFiles
from anew.runner.dispatch.spool import is_spool, remove_delivered_sweep
from anew.runner.errors import RerunError
from anew.runner.format.cells import FILE_NAME
from anew.runner.format.redact import REDACTED
from anew.runner.places import cache_folder
from anew.runner.records import RunRecord, SourceFacts, Status
from anew.runner.relaunch import trust
from anew.runner.relaunch.mirror import digest, lay_out_source
from anew.runner.relaunch.plan import Add, OneJob, Resume
from anew.runner.relaunch.sandbox import Sandbox, sandbox
from anew.runner.relaunch.supervise import run_where_it_was
from anew.runner.search.record import read_record
from anew.runner.store.locate import open_run_folders
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.typed import as_typed
from anew.runner.sweep import vouching
from anew.runner.sweep.fetched import fetched
from anew.runner.sweep.repeat import import_paths_of, restore_beside
from anew.runner.sweep_records import PlannedJob, SweepRecord, SweepStart
from anew.runner.wording import nearest, some

CHANGEABLE = ("hydra.sweeper.n_trials", "hydra.sweeper.max_failure_rate", "hydra.sweeper.patience")
_NAMED = 3


def resume(
    ref: str | int,
    *,
    store: str | os.PathLike[str] | RunFolders | None = None,
    failed: bool = False,
    missing: bool = False,
    settings: Sequence[str] = (),
    changes: Sequence[str] = (),
    code: str | None = None,
    trust_source: bool = False,
    tell: Callable[[str], object] | None = None,
) -> int:
    """
    Run what is missing of a sweep, in a process of its own.

    Jobs that did not complete are run once more each, as new runs beside those that failed; those that another process
    is still running are waited for.

    Args:
        ref: The sweep's number, its uid or the beginning of it, or "last".
        store: The store's folder, or the store; None for the default.
        failed: Run those that failed (or were lost or interrupted), not those that never began.
        missing: Run those that never began (or were lost or interrupted, or whose runs were deleted), not those that
            failed.
        settings: Overrides of the `anew` node on top, such as "anew.sweep.workers=4".
        changes: Of a search, how long it is to be: overrides of `CHANGEABLE`, such as "hydra.sweeper.n_trials=40".
        code: "current" uses today's files; "recorded" lays the recorded ones out; None for today's where they are
            those on record, and for the recorded ones of a sweep that repeats a run from these.
        trust_source: Trust the source of a record that came from elsewhere, and the plan as it is, from now on.
        tell: Called with each line that is to be known before it begins; None for silence.

    Returns:
        The exit code of that process: 0 when all jobs have completed now.

    Raises:
        SweepNotFoundError: No such sweep.
        AmbiguousRefError: Several sweeps have a uid that begins so.
        RerunError: It cannot be taken up as asked for: it is going on, or its files have changed.
        RefusedError: The want of trust did not let it start.
    """
    opened = store if isinstance(store, RunFolders) else open_run_folders(store)
    with fetched(opened, ref, tell or print) as (place, uid):
        ended = _resume(uid, place, _only(failed, missing), settings, changes, code, trust_source, tell)
    if is_spool(opened):
        remove_delivered_sweep(opened, opened.sweep(uid).id)
    return ended


def _resume(
    uid: str,
    opened: RunFolders,
    only: tuple[str, ...],
    settings: Sequence[str],
    changes: Sequence[str],
    code: str | None,
    trust_source: bool,
    tell: Callable[[str], object] | None,
) -> int:
    sweep = _at_rest(opened, uid)
    start = sweep.start
    for warning in sweep.warnings:
        (tell or print)(f"sweep {start.id}: {warning}")
    overrides = _changed(start, opened, changes)
    is_over = _is_complete(sweep, only) and not changes
    if not is_over:
        trust.require_sweep(start, opened.layout.sweep(start.id), given=trust_source, tell=tell or print)
    vouching.require(opened.sweep_folder(start.id), given=trust_source)
    if is_over:
        (tell or print)(_of_complete(sweep, opened.url))
        return 0
    chosen = _chosen(start, opened, code)
    repeats = _repeated(start, opened, chosen, trust_source, tell or print)
    with sandbox(False, tell or (lambda text: None)) as place:
        basis = _basis(opened, start, place, chosen, settings)
        errand = Resume(**basis, sweep=start.id, overrides=overrides, only=only)
        return _run(errand, repeats, place, opened)


def add(
    ref: str | int,
    words: Sequence[str],
    *,
    store: str | os.PathLike[str] | RunFolders | None = None,
    code: str | None = None,
    trust_source: bool = False,
    tell: Callable[[str], object] = print,
) -> int:
    """
    Add jobs to the plan of a sweep, as if more had been typed, in a process of its own; `resume` runs them.

    Args:
        ref: The sweep's number, its uid or the beginning of it, or "last".
        words: Overrides in the place of those of the sweep that have the same keys, such as "lr=0.5,0.6". A job that
            the sweep has already is not added.
        store: As for `resume`.
        code: As for `resume`.
        trust_source: As for `resume`.
        tell: Called with each line that is to be known before it begins.

    Returns:
        The exit code of that process: 0 when there are more jobs now.

    Raises:
        SweepNotFoundError: No such sweep.
        RerunError: It is going on, or its files have changed.
        RefusedError: The want of trust did not let it start.
    """
    stored = store if isinstance(store, RunFolders) else open_run_folders(store)
    with fetched(stored, ref, tell) as (opened, uid):
        start = _at_rest(opened, uid).start
        trust.require_sweep(start, opened.layout.sweep(start.id), given=trust_source, tell=tell)
        vouching.require(opened.sweep_folder(start.id), given=trust_source)
        chosen = _chosen(start, opened, code)
        repeats = _repeated(start, opened, chosen, trust_source, tell)
        with sandbox(False, tell) as place:
            basis = _basis(opened, start, place, chosen, ())
            errand = Add(**basis, sweep=start.id, overrides=start.overrides, words=tuple(words))
            return _run(errand, repeats, place, opened)


def _at_rest(store: RunFolders, uid: str) -> SweepRecord:
    """Return a sweep that nobody conducts. Raises SweepNotFoundError, RerunError."""
    sweep = store.sweep(uid)
    if store.sweep_folder(sweep.id).conductor_alive():
        raise RerunError(
            f"Sweep {sweep.id} is going on. To see it: {as_typed(f'anew sweep show {sweep.id}', store.url)}"
        )
    return sweep


def _is_complete(sweep: SweepRecord, only: tuple[str, ...]) -> bool:
    """Whether there is nothing to run: what was deleted is run only where what never began is asked for by name."""
    if Status.QUEUED.value in only:
        return sweep.status is Status.COMPLETED
    is_whole = sweep.start.planned_ahead or sweep.reason == "done"
    return is_whole and bool(sweep.jobs) and all(job.deleted or job.status is Status.COMPLETED for job in sweep.jobs)


def _of_complete(sweep: SweepRecord, url: str) -> str:
    deleted = sum(job.deleted for job in sweep.jobs)
    if not deleted:
        return f"sweep {sweep.id} is complete: there is nothing left to run"
    return (
        f"sweep {sweep.id} is complete but for {deleted} of its runs that were deleted. To run their jobs again: "
        f"{as_typed(f'anew sweep resume {sweep.id} --missing', url)}"
    )


def _chosen(start: SweepStart, store: RunFolders, code: str | None) -> str:
    """Return which source is run, "current" or "recorded". Raises RerunError where there is none that can be."""
    _refuse_secrets(start)
    chosen = code or _code(start, store.url)
    if chosen == "current" and start.command.entry == "cells":
        again = as_typed(f"anew sweep resume {start.id} --code recorded", store.url)
        raise RerunError(
            f"Sweep {start.id} was started from the cells of a notebook, which are on record, and in no file of "
            f"today's project. To go on with them: {again}"
        )
    return chosen


def run_job(
    store: RunFolders,
    sweep: int,
    job: PlannedJob,
    attempt: int,
    *,
    settings: Sequence[str] = (),
    expected: str | None = None,
) -> int:
    """
    Run one job of a sweep from its recorded source, in a process of its own; return that process's exit code.

    The project's files are used where they lie as they are on record, else the recorded ones are laid out.

    Args:
        store: Where the sweep is.
        sweep: Its number.
        job: One of its jobs.
        attempt: What the job is taken by.
        settings: Overrides of the `anew` node on top.
        expected: The digest of what is to be run; None to have this user's key vouch for it.

    Raises:
        SweepNotFoundError: No such sweep.
        RefusedError: What is in the store is not what is to be run.
        RerunError: Files cannot be laid out.
    """
    start = store.sweep(sweep).start
    repeats = vouching.require_job(start, store, job, expected)
    with sandbox(False, lambda text: None) as place:
        code = "recorded" if start.repeats is not None or changed_files(start.source) else "current"
        basis = _basis(store, start, place, code, settings)
        errand = OneJob(
            **basis, sweep=start.id, job=job.index, attempt=attempt, config=job.config, overrides=job.overrides
        )
        return _run(errand, repeats, place, store)


def _changed(start: SweepStart, store: RunFolders, changes: Sequence[str]) -> tuple[str, ...]:
    """Return the overrides of a sweep, with what of a search is to be otherwise, now or since an earlier start."""
    found = read_record(store.layout.sweep(start.id).folder)
    for each in changes:
        key = each.lstrip("+").partition("=")[0]
        if key not in CHANGEABLE:
            raise RerunError(
                f"{each!r} is nothing that a sweep can be taken up again with. What the jobs are was planned; what can "
                f"be otherwise are settings of the recording (anew....), and of a search: {', '.join(CHANGEABLE)}."
                f"{nearest(key, CHANGEABLE)}"
            )
        if found is None:
            raise RerunError(
                f"Sweep {start.id} is no search, so that {each!r} says nothing. Its jobs were all planned."
            )
    if found is not None:
        # an earlier start may have been told to make it longer
        changes = (f"hydra.sweeper.n_trials={found.n_trials}", *changes)
    latest = {each.lstrip("+").partition("=")[0]: each for each in changes}
    kept = [each for each in start.overrides if each.lstrip("+").partition("=")[0] not in latest]
    return (*kept, *latest.values())


def changed_files(source: SourceFacts) -> list[str]:
    """Return the recorded files that are gone, or are neither what they were nor what a run left there."""
    root = Path(source.root or "")
    changed = [file.path for file in source.files if file.link is None and digest(root / file.path) != file.sha256]
    written = WrittenFiles(cache_folder(), root)
    return [path for path in changed if not written.has(path)]


def _refuse_secrets(start: SweepStart) -> None:
    hidden = [each for each in (*start.overrides, *start.settings) if REDACTED in each]
    if hidden:
        raise RerunError(
            f"Overrides of sweep {start.id} held secrets, which are not on record: {', '.join(hidden)}. Give such "
            "values by environment variables: key='${oc.env:NAME}'"
        )


def _code(start: SweepStart, store: str) -> str:
    if start.repeats is not None:
        return "recorded"
    changed = changed_files(start.source)
    if start.command.entry == "cells" and [Path(path).name for path in changed] == [FILE_NAME]:
        return "recorded"
    if not changed:
        return "current"
    raise RerunError(
        f"Since sweep {start.id} began, {some(changed, _NAMED)} changed, so that its jobs would not be of one kind. "
        f"To go on with the files as they were: {as_typed(f'anew sweep resume {start.id} --code recorded', store)}. "
        "With today's: --code current"
    )


def _only(failed: bool, missing: bool) -> tuple[str, ...]:
    unfinished = (Status.LOST.value, Status.INTERRUPTED.value)
    if failed and not missing:
        return (Status.FAILED.value, *unfinished)
    if missing and not failed:
        return (Status.QUEUED.value, *unfinished)
    return ()


def _basis(store: RunFolders, start: SweepStart, place: Sandbox, code: str, settings: Sequence[str]) -> dict[str, Any]:
    """Return what a process is told of a sweep, whichever of its jobs it is to run."""
    kept = [each for each in start.settings if not each.lstrip("+~").startswith("anew.store")]
    return {
        "store": store.url,
        "command": start.command,
        "experiment": start.experiment,
        "flags": start.flags,
        "settings": (*kept, *settings),
        "source": start.source if code == "recorded" else None,
        "root": start.source.root or "",
        "mirror": str(place.folder / "files"),
        "report": str(place.folder / "report.json"),
        "parent": start.parent,
    }


def _repeated(
    start: SweepStart, store: RunFolders, code: str, trust_source: bool, tell: Callable[[str], object]
) -> RunRecord | None:
    """Return the run of whose files jobs are run, if there is one. Raises RefusedError."""
    return vouching.require_repeated(start, store, given=trust_source, tell=tell) if code == "recorded" else None


def _run(errand: Resume | OneJob, repeats: RunRecord | None, place: Sandbox, store: RunFolders) -> int:
    import_paths = None
    if errand.source is not None:
        again = as_typed(f"anew sweep resume {errand.sweep} --code current", store.url)
        lay_out_source(errand.source, errand.places, store.objects, again=again, what="sweep", ref=errand.sweep)
        if repeats is not None:
            restore_beside(repeats, errand.places, store)
            import_paths = import_paths_of(repeats)
    return run_where_it_was(errand, place, import_paths=import_paths).exit_code
