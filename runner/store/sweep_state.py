"""
How a sweep and its jobs stand: what their runs have come to, and what is known where a file is missing or damaged.

A claim is not needed to know whose a run is: its own record says that it is of this sweep and job.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Protocol

from anew.runner.errors import SweepNotFoundError
from anew.runner.records import RunRecord, Status
from anew.runner.search.files import SearchFiles
from anew.runner.search.summary import Searched
from anew.runner.store.liveness import process_alive
from anew.runner.store.living import SILENT_S, file_clock
from anew.runner.store.loose import loose_damage
from anew.runner.store.paths import StoreLayout, SweepLayout
from anew.runner.store.sweep_folder import SweepFolder
from anew.runner.store.typed import as_typed
from anew.runner.sweep_records import PlannedJob, SweepJob, SweepRecord, SweepStart, Taken


class Runs(Protocol):
    """The runs of a store, as light records."""

    def runs(self, numbers: Sequence[int], /) -> Mapping[int, RunRecord]:
        """Return some by number, those that there are."""
        ...

    def records(self) -> Iterable[RunRecord]:
        """Return all of them."""
        ...


class ScannedOnce:
    """The runs of a store, all of them read once at most: for whoever reads many sweeps. To be used in one thread."""

    def __init__(self, store: Runs) -> None:
        self._store = store

    def runs(self, numbers: Sequence[int], /) -> Mapping[int, RunRecord]:
        """Return some by number, those that there are."""
        return self._store.runs(numbers)

    def records(self) -> Iterable[RunRecord]:
        """Return all of them, as they were when they were asked for first."""
        return self._records

    @cached_property
    def _records(self) -> list[RunRecord]:
        return [record for record in self._store.records() if record.sweep is not None]


def read_sweep(folder: SweepFolder, store: Runs) -> SweepRecord:
    """
    Return a sweep as it stands.

    Args:
        folder: The sweep on disk.
        store: The runs beside it.

    Raises:
        SweepNotFoundError: It never began, or its record is damaged.
        StoreError: It cannot be read.
    """
    start = folder.start()
    if start is None:
        raise SweepNotFoundError(
            f"Sweep {folder.number} in {str(folder.layout.folder)!r} has no record: it ended before its first job, or "
            f"sweep.json is damaged. To see the others: {as_typed('anew sweep list', folder.store)}"
        )
    alive = folder.conductor_alive()
    lines = folder.lines()
    planned = {job.index: job for job in folder.planned()}
    found, runs = _with_runs(folder.taken(), store, folder.number)
    # that a job has no claim is no news while others are being handed out
    if (not alive and planned.keys() - found.keys()) or any(each.is_damaged for each in _flat(found)):
        found, runs = _with_runs(_recovered(found, _members(start, planned, store)), store, folder.number)
    overrides = {index: job.overrides for index, job in planned.items()}
    for index in found.keys() - planned.keys():
        # its line of the plan is damaged; its run knows
        record = runs.get(found[index][-1].run or 0)
        overrides[index] = record.overrides if record else ()
    jobs = tuple(_job(index, overrides[index], found.get(index, []), runs, folder) for index in sorted(overrides))
    ended = folder.ended()
    is_search = folder.layout.search.exists()
    return SweepRecord(
        start=start,
        status=_status(start, jobs, ended.reason if ended else None, alive=alive),
        jobs=jobs,
        ended_at=ended.ended_at if ended else None,
        reason=ended.reason if ended else None,
        search=Searched(folder.layout.folder, trusted=folder.is_own()) if is_search else None,
        warnings=(
            *(f"line {line.number} of jobs.jsonl is damaged" for line in lines if line.job is None),
            *(loose_damage(folder.layout, ended.sums, plan=True) if ended and not alive else ()),
            *_claim_warnings(folder, found),
            *_conductor_warnings(folder, has_ended=ended is not None),
        ),
    )


def job_state(folder: SweepFolder, index: int, overrides: tuple[str, ...], store: Runs) -> SweepJob:
    """Return one job as it stands, by its claims alone."""
    found, runs = _with_runs({index: folder.attempts(index)}, store, folder.number)
    return _job(index, overrides, found[index], runs, folder)


def restore_claims(folder: SweepFolder, store: Runs) -> list[str]:
    """
    Write claims anew that are missing or damaged, as far as runs tell; return what was done, in sentences.

    For whoever conducts the sweep, before it hands out the first job: one that a run has done is not done again.

    Raises:
        StoreError: It cannot be read or written.
    """
    start = folder.start()
    if start is None:
        return []
    planned = {job.index: job for job in folder.planned()}
    found, _ = _with_runs(folder.taken(), store, folder.number)
    known = {(each.index, each.attempt): each.run for each in _flat(found)}
    said = []
    for each in _flat(_recovered(found, _members(start, planned, store))):
        if each.run is not None and known.get((each.index, each.attempt)) is None:
            folder.restore(each)
            said.append(f"{_name(each)} was missing or damaged; by its own record run {each.run} did the job")
    folder.taken()
    return said


# --- what is missing or damaged -----------------------------------------------------------------------------------


def _flat(found: Mapping[int, Sequence[Taken]]) -> Iterator[Taken]:
    for attempts in found.values():
        yield from attempts


def _name(taken: Taken) -> str:
    return f"taken/{taken.index}.{taken.attempt}.json"


def _with_runs(
    found: Mapping[int, Sequence[Taken]], store: Runs, sweep: int
) -> tuple[dict[int, list[Taken]], Mapping[int, RunRecord]]:
    """Return claims and their runs; one whose run is another by its uid, or says it is of another job, has none."""
    runs = store.runs([each.run for each in _flat(found) if each.run is not None])

    def checked(taken: Taken) -> Taken:
        record = runs.get(taken.run) if taken.run is not None else None
        if record is None:
            return taken
        is_named = taken.uid in ("", record.uid)
        is_meant = is_named and (taken.reused or _is_of(record, sweep, taken.index))
        return taken if is_meant else replace(taken, run=None, process=None)

    return {index: [checked(each) for each in attempts] for index, attempts in found.items()}, runs


def _is_of(record: RunRecord, sweep: int, index: int) -> bool:
    return record.sweep is not None and (record.sweep.id, record.sweep.index) == (sweep, index)


def _members(start: SweepStart, planned: Mapping[int, PlannedJob], store: Runs) -> dict[int, list[RunRecord]]:
    """
    Return the runs that say they are of a sweep, by job, oldest first.

    One of an earlier version names a number alone, which a sweep of another store has, too: it would have to be of the
    same experiment, younger, and with the overrides of that job.
    """
    found: dict[int, list[RunRecord]] = {}
    for record in store.records():
        if record.sweep is None or record.sweep.id != start.id or record.id is None:
            continue
        if record.sweep.uid == start.uid:
            found.setdefault(record.sweep.index, []).append(record)
            continue
        job = planned.get(record.sweep.index)
        # a run's record has Hydra's own overrides as well, before those of the job
        is_as_planned = job is None or job.overrides == record.overrides[-len(job.overrides) or len(record.overrides) :]
        if is_as_planned and record.experiment == start.experiment and record.started_at >= start.started_at:
            found.setdefault(record.sweep.index, []).append(record)
    for records in found.values():
        records.sort(key=lambda record: record.id or 0)
    return found


def _recovered(found: Mapping[int, list[Taken]], members: Mapping[int, list[RunRecord]]) -> dict[int, list[Taken]]:
    """Return claims, with the runs that no claim names in the place of those that are missing or damaged."""
    whole = {index: list(attempts) for index, attempts in found.items()}
    claimed = {each.run for each in _flat(found)}
    for index, records in members.items():
        attempts = whole.setdefault(index, [])
        strays = [record for record in records if record.id not in claimed]
        gaps = [place for place, each in enumerate(attempts) if each.is_damaged]
        for place in reversed(gaps[-len(strays) :] if strays else []):
            attempts[place] = _claim_of(strays.pop(), attempts[place].attempt, index)
        for record in strays:
            attempts.append(_claim_of(record, len(attempts) + 1, index))
        if not attempts:
            del whole[index]
    return whole


def _claim_of(record: RunRecord, attempt: int, index: int) -> Taken:
    return Taken(
        index=index,
        attempt=attempt,
        run=record.id,
        taken_at=record.started_at,
        process=record.process,
        uid=record.uid,
    )


def _claim_warnings(folder: SweepFolder, found: Mapping[int, Sequence[Taken]]) -> Iterator[str]:
    intact = {(each.index, each.attempt): each.run for each in _flat(folder.taken())}
    for each in _flat(found):
        if each.is_damaged or intact.get((each.index, each.attempt)) != each.run:
            who = "no run says that it took" if each.run is None else f"by its own record run {each.run} did"
            yield f"{_name(each)} is missing or damaged; {who} the job"


def _conductor_warnings(folder: SweepFolder, *, has_ended: bool) -> Iterator[str]:
    conductors = folder.conductors()
    for number, conductor in conductors.items():
        if conductor is None:
            yield f"conductors/{number}.json is damaged: who handed out jobs is not known"
    last = max(conductors, default=0)
    if last and not has_ended and folder.layout.ended(last).exists():
        yield f"conductors/{last}.ended.json is damaged: why it ended is not known"


# --- how things stand ---------------------------------------------------------------------------------------------


def _status(start: SweepStart, jobs: Sequence[SweepJob], reason: str | None, *, alive: bool) -> Status:
    # what was deleted is left to be run, as what never began
    states = {Status.QUEUED if job.deleted else job.status for job in jobs}
    if alive or Status.RUNNING in states:
        return Status.RUNNING
    if Status.UNKNOWN in states:
        return Status.UNKNOWN
    is_whole = start.planned_ahead or reason == "done"
    if is_whole and states <= {Status.COMPLETED}:
        return Status.COMPLETED
    if reason is None:
        return Status.LOST
    if states & {Status.FAILED, Status.LOST}:
        return Status.FAILED
    return Status.INTERRUPTED


def _job(
    index: int,
    overrides: tuple[str, ...],
    attempts: Sequence[Taken],
    runs: Mapping[int, RunRecord],
    folder: SweepFolder,
) -> SweepJob:
    last = attempts[-1] if attempts else None
    if last is not None and last.run is None:
        # a claim that says nothing does not undo what an earlier one came to
        last = next((each for each in reversed(attempts) if _has_completed(each, runs)), last)
    record = runs.get(last.run) if last and last.run is not None else None
    job = SweepJob(
        index=index,
        status=Status.QUEUED if last is None else Status.LOST,
        overrides=overrides,
        run=last.run if last else None,
        runs=tuple(each.run for each in attempts if each.run is not None and each.run in runs),
        reused=last.reused if last else False,
        attempts=len(attempts),
    )
    if last is not None and last.cause:
        return replace(job, error=last.cause)
    if last is not None and last.run is None:
        return replace(job, error=f"{_name(last)} is missing or damaged, and no run says that it took the job")
    if record is None and last is not None and _is_trashed(folder, last):
        return replace(job, deleted=True, error=f"its run was deleted; to have it back: anew restore {last.run}")
    if record is None and folder.is_deleted(index, len(attempts)):
        return replace(job, deleted=True, error="its run was deleted, and purged")
    if job.status is Status.LOST or (record is not None and record.status is Status.LOST):
        job = replace(job, error=folder.cause(index, len(attempts)))
    if record is None:
        starting = last is not None and _is_starting(last, folder.layout)
        return replace(job, status=Status.RUNNING, error=None) if starting else job
    error = record.error
    return replace(
        job,
        status=record.status,
        result=record.result,
        error=f"{error.type}: {error.message}".strip().split("\n")[0] if error else record.signal or job.error,
        duration_s=record.duration_s,
        metrics={name: each.last for name, each in record.metrics.items()},
        pruned=record.pruned or SearchFiles(folder.layout.folder).stop_mark(index).exists(),
    )


def _is_trashed(folder: SweepFolder, taken: Taken) -> bool:
    store = StoreLayout(folder.layout.folder.parent.parent)
    return taken.run is not None and store.trashed(taken.run).folder.exists()


def _has_completed(taken: Taken, runs: Mapping[int, RunRecord]) -> bool:
    record = runs.get(taken.run) if taken.run is not None else None
    return record is not None and record.status is Status.COMPLETED


def _is_starting(taken: Taken, layout: SweepLayout) -> bool:
    """Whether a job that was taken may yet begin."""
    if taken.process is None or taken.run is None:
        return False
    if not StoreLayout(layout.folder.parent.parent).run(taken.run).folder.exists():
        return False  # it was refused, and gave its number up
    alive = process_alive(taken.process)
    if alive is not None:
        return alive
    path = layout.attempt(taken.index, taken.attempt)
    with suppress(OSError):
        return file_clock(path.parent) - path.stat().st_mtime < SILENT_S
    return False
