"""
A sweep's folder: the plan, who took which job, who hands them out.

Whether a job is run at most once is decided here and nowhere else: an attempt at a job is taken by making a file that
must not exist. What became of it is what became of its run; nothing of that is written twice.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from anew.runner.errors import StoreError, SweepNotFoundError
from anew.runner.format import serial
from anew.runner.format.serial import DamagedError, from_json, to_json
from anew.runner.records import FORMAT, RunRecord, Status
from anew.runner.store import marks
from anew.runner.store.files import cannot, create_whole
from anew.runner.store.liveness import process_alive, process_facts
from anew.runner.store.paths import SweepLayout
from anew.runner.store.reading import SILENT_S, file_clock
from anew.runner.sweep_records import Conductor, ConductorEnded, PlannedJob, SweepJob, SweepRecord, SweepStart, Taken

BEAT_S = 5.0
_SILENT_CONDUCTOR_S = 30.0
ReadRuns = Callable[[Sequence[int]], Mapping[int, RunRecord]]


class SweepFolder:
    """
    One sweep on disk. Safe between processes and hosts that share the folder.

    Attributes:
        number: The sweep's number in its store.
        layout: Its paths.
    """

    def __init__(self, layout: SweepLayout, number: int) -> None:
        self.layout = layout
        self.number = number

    # --- writing --------------------------------------------------------------------------------------------------

    def begin(self, start: SweepStart) -> None:
        """Write what is known of the sweep, once. Raises StoreError."""
        try:
            for folder in (self.layout.taken, self.layout.conductors):
                folder.mkdir(exist_ok=True)
        except OSError as error:
            raise cannot("write", self.layout.folder, error) from error
        create_whole(self.layout.record, serial.seal(_start_to_json(start)))

    def plan(self, jobs: Iterable[PlannedJob]) -> None:
        """Add jobs to the plan, synced. One process at a time. Raises StoreError."""
        lines = b"".join(serial.seal(to_json(job)) for job in jobs)
        try:
            with self.layout.jobs.open("ab") as file:
                if file.tell() and not self.layout.jobs.read_bytes().endswith(b"\n"):
                    file.write(b"\n")  # what a killed process left half written stays a line of its own
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise cannot("write", self.layout.jobs, error) from error

    def take(self, index: int, attempt: int, run: int, *, reused: bool = False) -> bool:
        """Take an attempt at a job for a run; False when somebody has. Raises StoreError."""
        taken = Taken(
            index=index,
            attempt=attempt,
            run=run,
            taken_at=datetime.now(timezone.utc),
            process=None if reused else process_facts(),
            reused=reused,
        )
        return create_whole(self.layout.attempt(index, attempt), _bytes(taken))

    def died(self, index: int, attempt: int, cause: str) -> None:
        """Note what ended the process of an attempt, for people; what became of the job is read from its run."""
        with suppress(StoreError):
            create_whole(self.layout.death(index, attempt), cause.encode("utf-8", "backslashreplace"), sync=False)

    def conduct(self, *, beside: bool = True) -> int:
        """
        Become the one who hands out jobs; return the number for `beat` and `conducted`.

        Raises:
            StoreError: Somebody else does, or the folder cannot be written.
        """
        number = max((each.number for each in self.conductors()), default=0) + 1
        if self.conductor_alive():
            raise StoreError(
                f"Sweep {self.number} is going on: another process hands out its jobs. To see it: "
                f"anew sweep show {self.number}. To stop it: anew sweep stop {self.number}"
            )
        mine = Conductor(number=number, process=process_facts(), started_at=datetime.now(timezone.utc), beside=beside)
        if not create_whole(self.layout.conductor(number), _bytes(mine)):
            raise StoreError(f"Sweep {self.number} has been taken up by another process just now.")
        self.layout.stop.unlink(missing_ok=True)
        return number

    def beat(self, conductor: int) -> None:
        """Give a sign of life, for readers on other hosts. Never raises."""
        with suppress(OSError):
            os.utime(self.layout.conductor(conductor))

    def conducted(self, conductor: int, reason: str, detail: str = "") -> None:
        """Write why nobody hands out jobs any more. Raises StoreError."""
        ended = ConductorEnded(ended_at=datetime.now(timezone.utc), reason=reason, detail=detail)
        create_whole(self.layout.ended(conductor), _bytes(ended))

    def ask_to_stop(self, how: str) -> None:
        """
        Have the sweep stop: "now", or "finish" for once what is running has ended.

        A conductor that runs the jobs itself is busy with one: on this host it is sent a SIGINT.

        Raises:
            StoreError: It cannot be written.
        """
        try:
            self.layout.stop.write_text(how)
        except OSError as error:
            raise cannot("write", self.layout.stop, error) from error
        last = self.conductors()[-1:]
        if how == "now" and last and not last[0].beside and process_alive(last[0].process):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(last[0].process.pid, signal.SIGINT)

    def asked_to_stop(self) -> str | None:
        """Return how the sweep is to stop, or None."""
        try:
            return self.layout.stop.read_text().strip() or None
        except OSError:
            return None

    # --- reading --------------------------------------------------------------------------------------------------

    def start(self) -> SweepStart | None:
        """Return what is known of the sweep; None when it never began, or that is damaged."""
        try:
            data = serial.unseal(self.layout.record.read_bytes())
        except (OSError, DamagedError):
            return None
        return replace(from_json(SweepStart, data), id=self.number)

    def planned(self) -> list[PlannedJob]:
        """Return the planned jobs, by index; a damaged line is passed over."""
        try:
            lines = self.layout.jobs.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise cannot("read", self.layout.jobs, error) from error
        found: dict[int, PlannedJob] = {}
        for line in lines:
            with suppress(DamagedError):
                job = from_json(PlannedJob, serial.unseal(line))
                found.setdefault(job.index, job)
        return [found[index] for index in sorted(found)]

    def taken(self) -> dict[int, list[Taken]]:
        """Return who took what: job -> attempts, first to last."""
        found: dict[int, list[Taken]] = {}
        try:
            paths = [Path(entry.path) for entry in os.scandir(self.layout.taken) if entry.name.endswith(".json")]
        except FileNotFoundError:
            return found
        for path in paths:
            if path.name.startswith("."):
                continue
            with suppress(OSError, ValueError):
                each = from_json(Taken, json.loads(path.read_bytes()))
                found.setdefault(each.index, []).append(each)
        for attempts in found.values():
            attempts.sort(key=lambda each: each.attempt)
        return found

    def attempts(self, index: int) -> list[Taken]:
        """Return who took one job, first to last."""
        found: list[Taken] = []
        while (path := self.layout.attempt(index, len(found) + 1)).exists():
            found.append(from_json(Taken, json.loads(path.read_bytes())))
        return found

    def conductors(self) -> list[Conductor]:
        """Return who has handed out jobs, first to last."""
        found = []
        for path in self.layout.conductors.glob("*.json"):
            if path.stem.isdigit():
                with suppress(OSError, ValueError):
                    found.append(from_json(Conductor, json.loads(path.read_bytes())))
        return sorted(found, key=lambda each: each.number)

    def ended(self) -> ConductorEnded | None:
        """Return how the last one ended, or None."""
        conductors = self.conductors()
        if not conductors:
            return None
        try:
            return from_json(ConductorEnded, json.loads(self.layout.ended(conductors[-1].number).read_bytes()))
        except (OSError, ValueError):
            return None

    def conductor_alive(self) -> bool:
        """Whether somebody hands out jobs now."""
        conductors = self.conductors()
        if not conductors or self.layout.ended(conductors[-1].number).exists():
            return False
        alive = process_alive(conductors[-1].process)
        if alive is not None:
            return alive
        with suppress(OSError):
            beaten = self.layout.conductor(conductors[-1].number).stat().st_mtime
            return file_clock(self.layout.conductors) - beaten < _SILENT_CONDUCTOR_S
        return False

    def job(self, index: int, overrides: tuple[str, ...], read: ReadRuns) -> SweepJob:
        """Return one job as it stands."""
        attempts = self.attempts(index)
        return _job(index, overrides, attempts, read([each.run for each in attempts]), self.layout)


def read_sweep(folder: SweepFolder, read: ReadRuns) -> SweepRecord:
    """
    Return a sweep as it stands.

    Args:
        folder: The sweep on disk.
        read: Gives the records of runs by number, those that there are.

    Raises:
        SweepNotFoundError: It never began.
        StoreError: It cannot be read.
    """
    start = folder.start()
    if start is None:
        raise SweepNotFoundError(
            f"Sweep {folder.number} in {str(folder.layout.folder)!r} has no record: it ended before its first job, or "
            "sweep.json is damaged. To see the others: anew sweep list"
        )
    taken = folder.taken()
    runs = read([each.run for attempts in taken.values() for each in attempts])
    planned = {job.index: job.overrides for job in folder.planned()}
    for index in taken.keys() - planned.keys():
        # its line of the plan is damaged; its run knows
        record = runs.get(taken[index][-1].run)
        planned[index] = record.overrides if record else ()
    jobs = tuple(_job(index, planned[index], taken.get(index, []), runs, folder.layout) for index in sorted(planned))
    ended = folder.ended()
    return SweepRecord(
        start=start,
        status=_status(start, jobs, ended.reason if ended else None, alive=folder.conductor_alive()),
        jobs=jobs,
        ended_at=ended.ended_at if ended else None,
        reason=ended.reason if ended else None,
    )


def _status(start: SweepStart, jobs: Sequence[SweepJob], reason: str | None, *, alive: bool) -> Status:
    states = {job.status for job in jobs}
    if alive or Status.RUNNING in states:
        return Status.RUNNING
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
    layout: SweepLayout,
) -> SweepJob:
    last = attempts[-1] if attempts else None
    record = runs.get(last.run) if last else None
    job = SweepJob(
        index=index,
        status=Status.QUEUED if last is None else Status.LOST,
        overrides=overrides,
        run=last.run if last else None,
        runs=tuple(each.run for each in attempts if each.run in runs),
        reused=last.reused if last else False,
        attempts=len(attempts),
    )
    if job.status is Status.LOST or (record is not None and record.status is Status.LOST):
        job = replace(job, error=_cause(layout, index, len(attempts)))
    if record is None:
        starting = last is not None and _is_starting(last, layout)
        return replace(job, status=Status.RUNNING, error=None) if starting else job
    error = record.error
    return replace(
        job,
        status=record.status,
        result=record.result,
        error=f"{error.type}: {error.message}".strip().split("\n")[0] if error else record.signal or job.error,
        duration_s=record.duration_s,
        metrics={name: each.last for name, each in record.metrics.items()},
    )


def _cause(layout: SweepLayout, index: int, attempt: int) -> str | None:
    try:
        return layout.death(index, attempt).read_text("utf-8")
    except (OSError, ValueError):
        return None


def _is_starting(taken: Taken, layout: SweepLayout) -> bool:
    """Whether a job that was taken may yet begin."""
    if taken.process is None:
        return False
    alive = process_alive(taken.process)
    if alive is not None:
        return alive
    path = layout.attempt(taken.index, taken.attempt)
    with suppress(OSError):
        return file_clock(path.parent) - path.stat().st_mtime < SILENT_S
    return False


def marked(start: SweepStart) -> SweepStart:
    """Return what is known of a sweep with this user's mark."""
    return replace(start, origin_mark=marks.mark(_start_to_json(start)))


def _start_to_json(start: SweepStart) -> dict[str, object]:
    return {"format": FORMAT, **to_json(start)}


def _bytes(value: object) -> bytes:
    return serial.dumps(to_json(value)).encode() + b"\n"
