"""
A sweep's folder: the plan, who took which job, who hands them out.

Whether a job is run at most once is decided here and nowhere else: an attempt at a job is taken by making a file that
must not exist. What became of it is what became of its run; nothing of that is written twice.
"""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import field, replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.errors import StoreError
from anew.runner.format import ids, serial
from anew.runner.format.serial import DamagedError, from_json, to_json
from anew.runner.lazy.patterns import regexp
from anew.runner.records import FORMAT
from anew.runner.store import marks
from anew.runner.store.files import cannot, create_whole, read_regular, replace_whole, sync_folder, write_new
from anew.runner.store.liveness import process_alive, process_facts
from anew.runner.store.living import file_clock
from anew.runner.store.loose import loose_damage, loose_sums
from anew.runner.store.paths import SweepLayout
from anew.runner.store.typed import as_typed
from anew.runner.sweep_records import Conductor, ConductorEnded, PlannedJob, SweepStart, Taken

BEAT_S = 5.0
_SILENT_CONDUCTOR_S = 30.0
_CAUSE = "cause"
_MOST_BYTES = 1 << 30  # far more than a plan of a million jobs
_CLAIM = regexp(r"([0-9]{1,9})\.([1-9][0-9]{0,3})\.json")  # of attempts there are few, and each is looked at
_HALT = regexp(r"([0-9]{1,9})\.([1-9][0-9]{0,3})\.stop")
_NUMBER = regexp(r"([1-9][0-9]{0,8})\.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanLine:
    """A line of the plan: its number in the file, from 1, what it says, and its job; None for one that is damaged."""

    number: int
    raw: Mapping[str, Any] = field(default_factory=dict)
    job: PlannedJob | None = None


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
        self._attempts: dict[int, int] = {}

    @property
    def store(self) -> Path:
        """The folder of its store."""
        return self.layout.folder.parent.parent

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
        lines = b"".join(self._line("job", job) for job in jobs)
        try:
            is_new = not self.layout.jobs.exists()
            with self.layout.jobs.open("ab") as file:
                if file.tell() and not self.layout.jobs.read_bytes().endswith(b"\n"):
                    file.write(b"\n")  # what a killed process left half written stays a line of its own
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
            if is_new:
                sync_folder(self.layout.folder)
        except OSError as error:
            raise cannot("write", self.layout.jobs, error) from error

    def take(self, index: int, attempt: int, run: int, uid: str = "", *, reused: bool = False) -> bool:
        """Take an attempt at a job for a run, by number and uid; False when somebody has. Raises StoreError."""
        taken = Taken(
            index=index,
            attempt=attempt,
            run=run,
            taken_at=datetime.now(timezone.utc),
            process=None if reused else process_facts(),
            reused=reused,
            uid=uid,
        )
        return create_whole(self.layout.attempt(index, attempt), self._line("claim", taken))

    def lose(self, index: int, attempt: int, cause: str) -> bool:
        """Take an attempt at a job of which no process came to main; False when one has. Raises StoreError."""
        lost = Taken(index=index, attempt=attempt, run=None, taken_at=datetime.now(timezone.utc), cause=cause)
        return create_whole(self.layout.attempt(index, attempt), self._line("claim", lost))

    def died(self, index: int, attempt: int, cause: str) -> None:
        """Note what ended the process of an attempt, for people; what became of the job is read from its run."""
        with suppress(StoreError):
            create_whole(self.layout.death(index, attempt), serial.seal({_CAUSE: cause}), sync=False)

    def conduct(self, *, beside: bool = True) -> int:
        """
        Become the one who hands out jobs; return the number for `beat` and `conducted`.

        Raises:
            StoreError: Somebody else does, or the folder cannot be written.
        """
        number = max(self.conductors(), default=0) + 1
        if self.conductor_alive():
            raise StoreError(
                f"Sweep {self.number} is going on: another process hands out its jobs. To see it: "
                f"{as_typed(f'anew sweep show {self.number}', self.store)}. "
                f"To stop it: {as_typed(f'anew sweep stop {self.number}', self.store)}"
            )
        mine = Conductor(number=number, process=process_facts(), started_at=datetime.now(timezone.utc), beside=beside)
        if not create_whole(self.layout.conductor(number), serial.seal(to_json(mine))):
            raise StoreError(f"Sweep {self.number} has been taken up by another process just now.")
        self.layout.stop.unlink(missing_ok=True)
        for name in _names(self.layout.taken):
            match = _HALT.fullmatch(name)
            if match and not self.layout.attempt(int(match[1]), int(match[2])).exists():
                self.layout.taken.joinpath(name).unlink(missing_ok=True)
        return number

    def beat(self, conductor: int) -> None:
        """Give a sign of life, for readers on other hosts. Never raises."""
        with suppress(OSError):
            os.utime(self.layout.conductor(conductor))

    def conducted(self, conductor: int, reason: str, detail: str = "") -> None:
        """Write why nobody hands out jobs any more. Raises StoreError."""
        ended = ConductorEnded(
            ended_at=datetime.now(timezone.utc), reason=reason, detail=detail, sums=loose_sums(self.layout)
        )
        create_whole(self.layout.ended(conductor), serial.seal(to_json(ended)))

    def ask_to_stop(self, how: str) -> None:
        """
        Have the sweep stop: "now", or "finish" for once what is running has ended.

        A conductor that runs the jobs itself is busy with one: on this host it is sent a SIGINT.

        Raises:
            StoreError: It cannot be written.
        """
        replace_whole(self.layout.stop, how.encode())
        conductors = self.conductors()
        last = conductors[max(conductors)] if conductors else None
        if how == "now" and last is not None and not last.beside and process_alive(last.process):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(last.process.pid, signal.SIGINT)

    def asked_to_stop(self) -> str | None:
        """Return how the sweep is to stop, or None."""
        try:
            return self._bytes(self.layout.stop).decode("utf-8", "replace").strip() or None
        except OSError:
            return None

    def halt(self, index: int, attempt: int) -> None:
        """Have one attempt stop, or not begin if it has not, as long as this conductor goes on. Raises StoreError."""
        create_whole(self.layout.halt(index, attempt), serial.seal({_CAUSE: "stopped"}))

    def note_deleted(self, index: int, run: int) -> None:
        """Take note that the run of a job was deleted: what it did is not missing. Never raises."""
        with suppress(StoreError):
            for taken in self.attempts(index):
                if taken.run == run:
                    create_whole(self.layout.deletion(index, taken.attempt), serial.seal({_CAUSE: "deleted"}))

    def is_deleted(self, index: int, attempt: int) -> bool:
        """Whether the run of an attempt was deleted; it may have been restored since."""
        return os.path.lexists(self.layout.deletion(index, attempt))

    def is_halted(self, index: int, attempt: int) -> bool:
        """Whether an attempt was to stop."""
        return os.path.lexists(self.layout.halt(index, attempt))

    def cause(self, index: int, attempt: int) -> str | None:
        """Return what ended the process of an attempt, where that is known, and not damaged."""
        try:
            return cause_of(self._bytes(self.layout.death(index, attempt)))
        except (OSError, DamagedError):
            return None

    def flaws(self) -> Iterator[str]:
        """Yield what is damaged of the files that nothing depends on: they are for people."""
        for name in sorted(_names(self.layout.taken)):
            if name.endswith((".death", ".deleted", ".stop")) and not name.startswith("."):
                try:
                    cause_of(self._bytes(self.layout.taken / name))
                except (OSError, DamagedError) as error:
                    yield f"taken/{name} is damaged ({error}): what ended that attempt is not known"
        asked = self.asked_to_stop()
        if asked is not None and asked not in ("now", "finish"):
            yield f"stop is damaged: it says {asked[:20]!r}, not now or finish"
        ended = self.ended()
        if ended is not None and not self.conductor_alive():
            yield from loose_damage(self.layout, ended.sums, plan=False)

    # --- reading --------------------------------------------------------------------------------------------------

    def _bytes(self, path: Path) -> bytes:
        """Return what a file of the sweep holds; a link is not followed, nor one of its folders. Raises OSError."""
        for folder in {path.parent, self.layout.folder}:
            if folder.is_symlink():
                raise OSError(errno.ELOOP, "a link is not followed", str(folder))
        return read_regular(path, _MOST_BYTES)

    def is_headless(self) -> bool:
        """Whether there is something of a sweep, and no record of it: a number that was never used has no plan."""
        if os.path.lexists(self.layout.record):
            return False
        return bool({"jobs.jsonl", "taken", "conductors"} & set(_names(self.layout.folder)))

    def start(self) -> SweepStart | None:
        """Return what is known of the sweep; None when it never began, or that is damaged."""
        found = self.first_start()
        return None if found is None else replace(found, id=self.number)

    def first_start(self) -> SweepStart | None:
        """Return the same with the number that the sweep had where it began."""
        try:
            return from_json(SweepStart, serial.unseal(self._bytes(self.layout.record)))
        except (OSError, DamagedError):
            return None

    @cached_property
    def _head(self) -> SweepStart | None:
        return self.start()

    @property
    def uid(self) -> str:
        """The sweep's uid; empty when it never began, or that is damaged."""
        return self._head.uid if self._head is not None else ""

    def lines(self) -> list[PlanLine]:
        """Return the lines of the plan, those that are damaged among them. Raises StoreError."""
        try:
            texts = self._bytes(self.layout.jobs).splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise cannot("read", self.layout.jobs, error) from error
        return [_plan_line(number, text) for number, text in enumerate(texts, 1) if text]

    def planned(self) -> list[PlannedJob]:
        """Return the planned jobs, by index; a damaged line is passed over."""
        found: dict[int, PlannedJob] = {}
        for line in self.lines():
            if line.job is not None:
                found.setdefault(line.job.index, line.job)
        return [found[index] for index in sorted(found)]

    def taken(self) -> dict[int, list[Taken]]:
        """Return who took what: job -> attempts, first to last. Of one that is damaged or missing, the run is None."""
        for name in _names(self.layout.taken):
            if match := _CLAIM.fullmatch(name):
                index, attempt = int(match[1]), int(match[2])
                self._attempts[index] = max(attempt, self._attempts.get(index, 0))
        return {index: self.attempts(index) for index in sorted(self._attempts)}

    def attempts(self, index: int) -> list[Taken]:
        """Return who took one job, as `taken`; a gap is seen where `taken` was asked before."""
        found: list[Taken] = []
        while len(found) < self._attempts.get(index, 0) or self.layout.attempt(index, len(found) + 1).exists():
            found.append(self.claim(index, len(found) + 1))
        return found

    def claim(self, index: int, attempt: int) -> Taken:
        """Return one claim; of one that is damaged or missing, the run is None."""
        path = self.layout.attempt(index, attempt)
        with suppress(OSError, ValueError):
            taken = from_json(Taken, self._read(path))
            is_whole = type(taken.run) is int or (taken.run is None and taken.cause != "")
            if (taken.index, taken.attempt) == (index, attempt) and is_whole:
                return taken
        return Taken(index=index, attempt=attempt, run=None, taken_at=datetime.now(timezone.utc))

    def _read(self, path: Path) -> dict[str, Any]:
        """Return what a file says. Raises OSError; ValueError where it is damaged."""
        data = self._bytes(path)
        try:
            return serial.unseal(data)
        except DamagedError:
            if self._head is not None and self._head.is_sealed:
                raise
            found = json.loads(data)  # as versions before this wrote it
            if not isinstance(found, dict) or "c" in found:
                raise
            return found

    # --- whose it is ----------------------------------------------------------------------------------------------

    def is_own(self) -> bool:
        """Whether this user began the sweep. Never raises."""
        with suppress(StoreError, OSError, ValueError):
            return marks.is_own(serial.unseal(self._bytes(self.layout.record)))
        return False

    def strange(self) -> list[str]:
        """
        Return what of plan and claims does not carry this user's mark, in words.

        Jobs and claims of a sweep that this user began with an earlier version carry none, and are not asked for it.
        """
        start = self._head
        if start is None or (not start.is_sealed and marks.is_own(serial.unseal(self._bytes(self.layout.record)))):
            return []
        found: dict[int, str] = {}
        for line in self.lines():
            if line.job is not None and line.job.index not in found:
                is_own = self._is_own("job", line.raw)
                found[line.job.index] = "" if is_own else f"job {line.job.index}  {' '.join(line.job.overrides)}"
        claims = [
            f"{path.relative_to(self.layout.folder)}  job {index} was done by run {run}"
            for path, index, run in self._strange_claims()
        ]
        return [*filter(None, found.values()), *claims]

    def _strange_claims(self) -> Iterator[tuple[Path, int, int]]:
        for attempts in self.taken().values():
            for each in attempts:
                path = self.layout.attempt(each.index, each.attempt)
                if each.run is not None and not self._is_own("claim", self._read(path)):
                    yield path, each.index, each.run

    def vouch(self) -> None:
        """Put this user's mark on plan and claims as they are: somebody has looked at them. Raises StoreError."""
        self._replace(self.layout.jobs, b"".join(self._line("job", job) for job in self.planned()))
        for path, *_ in list(self._strange_claims()):
            self._replace(path, self._line("claim", from_json(Taken, self._read(path))))

    def vouch_for(self, index: int, attempt: int) -> None:
        """Put this user's mark on a claim that was taken on their behalf, where another key marked it. Never raises."""
        path = self.layout.attempt(index, attempt)
        with suppress(StoreError, OSError, ValueError):
            raw = self._read(path)
            if not self._is_own("claim", raw):
                self._replace(path, self._line("claim", from_json(Taken, raw)))

    def restore(self, taken: Taken) -> None:
        """Write a claim anew that is missing or damaged. For whoever conducts the sweep. Raises StoreError."""
        self._replace(self.layout.attempt(taken.index, taken.attempt), self._line("claim", taken))

    def claim_line(self, taken: Taken) -> Mapping[str, Any]:
        """Return what a claim says, as it was written. Raises OSError; ValueError where it is damaged."""
        return self._read(self.layout.attempt(taken.index, taken.attempt))

    def is_own_claim(self, raw: Mapping[str, Any]) -> bool:
        """Whether a claim, as it was written, carries this user's mark."""
        return self._is_own("claim", raw)

    def line_of(self, taken: Taken, mark: str | None) -> bytes:
        """Return a claim's line with another's mark; None for this user's."""
        return self._line("claim", taken) if mark is None else serial.seal({**to_json(taken), "origin_mark": mark})

    def _line(self, what: str, value: object) -> bytes:
        body = to_json(value)
        return serial.seal({**body, "origin_mark": marks.mark(self._marked(what, body))})

    def _marked(self, what: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return what the mark is made of: the sweep as well, since a line of another one is none of this one's.

        A claim's run is meant by its uid, where that is said: its number is another one in each store.
        """
        told = {name: value for name, value in body.items() if name != "run"} if body.get("uid") else body
        return {"of": f"{what} of {self.uid}", **told}

    def _is_own(self, what: str, body: Mapping[str, Any]) -> bool:
        return marks.is_own(self._marked(what, body))

    def _replace(self, path: Path, data: bytes) -> None:
        temporary = path.with_name(f".{path.name}.{ids.new_uid()}")
        try:
            path.parent.mkdir(exist_ok=True)
            write_new(temporary, data)
            temporary.replace(path)
            sync_folder(path.parent)
        except OSError as error:
            raise cannot("write", path, error) from error

    # --- who hands out the jobs -----------------------------------------------------------------------------------

    def conductors(self) -> dict[int, Conductor | None]:
        """Return who has handed out jobs, by number, first to last; None for one whose file is damaged."""
        numbers = sorted(int(match[1]) for name in _names(self.layout.conductors) if (match := _NUMBER.fullmatch(name)))
        return {number: self._conductor(number) for number in numbers}

    def _conductor(self, number: int) -> Conductor | None:
        with suppress(OSError, ValueError):
            return from_json(Conductor, self._read(self.layout.conductor(number)))
        return None

    def ended(self) -> ConductorEnded | None:
        """Return how the last one ended; None when it did not, or that is damaged."""
        with suppress(OSError, ValueError):
            return from_json(ConductorEnded, self._read(self.layout.ended(max(self.conductors(), default=0))))
        return None

    def conductor_alive(self) -> bool:
        """Whether somebody hands out jobs now."""
        conductors = self.conductors()
        number = max(conductors, default=0)
        if not number or self.layout.ended(number).exists():
            return False
        last = conductors[number]
        alive = process_alive(last.process) if last is not None else None
        if alive is not None:
            return alive
        with suppress(OSError):
            beaten = self.layout.conductor(number).stat().st_mtime
            return file_clock(self.layout.conductors) - beaten < _SILENT_CONDUCTOR_S
        return False


def _plan_line(number: int, text: bytes) -> PlanLine:
    with suppress(DamagedError):
        raw = serial.unseal(text)
        job = from_json(PlannedJob, raw)
        if type(job.index) is int and job.index >= 0 and all(isinstance(each, str) for each in job.overrides):
            return PlanLine(number=number, raw=raw, job=job)
    return PlanLine(number=number)


def cause_of(data: bytes) -> str:
    """Return what ended an attempt; earlier versions wrote the plain words. Raises DamagedError."""
    if not data.startswith(b"{") and serial.looks_sealed(data) is None and data and b"\0" not in data:
        return data.decode("utf-8", "replace")
    cause = serial.unseal(data).get(_CAUSE)
    if not isinstance(cause, str):
        raise DamagedError("it names no cause")
    return cause


def _names(folder: Path) -> list[str]:
    try:
        return [] if folder.is_symlink() else os.listdir(folder)
    except OSError:
        return []


def marked(start: SweepStart) -> SweepStart:
    """Return what is known of a sweep with this user's mark."""
    sealed = replace(start, is_sealed=True)
    return replace(sealed, origin_mark=marks.mark(_start_to_json(sealed)))


def _start_to_json(start: SweepStart) -> dict[str, object]:
    return {"format": FORMAT, **to_json(start)}
