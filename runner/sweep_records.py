"""A sweep and its jobs: frozen, plain, as they are written and as they are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import Any, Protocol

from anew.runner.attached.aims import Constraint, beats, is_finite, is_number, picked, read_constraint
from anew.runner.attached.aims import direction_of as direction_of
from anew.runner.dataclass import dataclass
from anew.runner.markup.runs import sweep_grid
from anew.runner.markup.tables import brief
from anew.runner.records import CommandFacts, ParentRun, ProcessFacts, RerunOf, SourceFacts, Status, state_of


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepStart:
    """
    What is known of a sweep when it begins; written once.

    Attributes:
        uid: Its name everywhere.
        id: Its number in the store.
        experiment: The experiment's name.
        started_at: When it began, aware.
        command: How it was started.
        overrides: As typed, sweeps over values among them, those of the `anew` node left out.
        flags: Hydra's flags that chose the configuration.
        settings: Overrides of the `anew` node, as typed.
        sweeper: The class that chooses the jobs.
        launcher: What runs them: the option's name.
        planned_ahead: Whether all jobs were known before the first began.
        direction: Which result is best, "maximize" or "minimize", where the settings or the sweeper say it; else None.
        directions: Of a search by several numbers, for each of them.
        value: What a search goes by: keys of what main returns, or metrics; none where main returns the numbers.
        constraints: What a search asks of a result beside, such as "size <= 100".
        source: The project's files as they were.
        hostname: The machine that it began on.
        origin_mark: Whose it is; see `marks`.
        parent: The run that it was started in.
        is_sealed: Whether its other files are sealed, and its jobs and claims marked; earlier versions left them bare.
        repeats: The run that it repeats from recorded source: today's is none that its jobs could be run from.
    """

    uid: str
    id: int
    experiment: str
    started_at: datetime
    command: CommandFacts
    overrides: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    sweeper: str = ""
    launcher: str = ""
    planned_ahead: bool = True
    direction: str | None = None
    directions: tuple[str, ...] = ()
    value: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    source: SourceFacts = field(default_factory=SourceFacts)
    hostname: str = ""
    origin_mark: str = ""
    parent: ParentRun | None = None
    is_sealed: bool = False
    repeats: RerunOf | None = None

    @property
    def aim(self) -> Aim:
        """Which result is best, as far as it was said when it began."""
        return Aim(
            self.direction,
            value=self.value[0] if len(self.value) == 1 else "",
            constraints=tuple(filter(None, map(read_constraint, self.constraints))),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedJob:
    """
    One job as it is to be.

    Attributes:
        index: From 0, in the order of planning.
        overrides: Those of this job.
        config: Resolved plain values, secrets redacted; of a job that cannot be composed, the sweep's own.
        refused: Why it cannot be composed, in a line; "" when it can.
    """

    index: int
    overrides: tuple[str, ...]
    config: Mapping[str, Any]
    refused: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """
    A job, taken by a process to be run. There is at most one for each attempt.

    Attributes:
        index: The job.
        attempt: From 1.
        run: The number of the run that does it; None for none, or when the file that says so is missing or damaged.
        uid: That run's uid, which tells whether the number is still what the store calls it; empty in earlier versions.
        process: The process that took it; None for a run that was there already.
        taken_at: When, aware.
        reused: Whether the run had been completed before, and was not run for this.
        cause: Why no process came to main, where there is no run for that; else empty.
    """

    index: int
    attempt: int
    run: int | None
    taken_at: datetime
    process: ProcessFacts | None = None
    reused: bool = False
    uid: str = ""
    cause: str = ""

    @property
    def is_damaged(self) -> bool:
        """Whether the file that says whose it is, is missing or damaged."""
        return self.run is None and not self.cause


@dataclass(frozen=True, kw_only=True, slots=True)
class Conductor:
    """
    A process that hands out the jobs of a sweep; a resumed sweep has had several.

    Attributes:
        number: From 1.
        process: That process.
        started_at: When it began, aware.
        beside: Whether jobs run in other processes.
    """

    number: int
    process: ProcessFacts
    started_at: datetime
    beside: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class ConductorEnded:
    """
    How a conductor came to its end.

    Attributes:
        reason: "done", "interrupted", "stopped", "failed", "budget", or "added" of one that planned more jobs.
        detail: More of it, for people.
        sums: Of the sweep's files that are not sealed, by path: how long they were, and the CRC-32 of so much.
    """

    ended_at: datetime
    reason: str
    detail: str = ""
    sums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepJob:
    """
    One job of a sweep, as it stands.

    Attributes:
        index: From 0.
        status: QUEUED until a run of it has begun, then that of its latest run.
        overrides: Those of this job.
        run: The number of its latest run, or None.
        runs: The numbers of all its runs, oldest first.
        result: What main returned, or None.
        error: What ended it, in a line, or None.
        duration_s: Of the latest run, when it has ended.
        reused: Whether the run had been completed before the sweep.
        attempts: How many times it was begun.
        metrics: Metric name -> last value.
        pruned: Whether a search told it to stop before its end.
        deleted: Whether its latest run was deleted since; it is then LOST, and run again only when that is asked for.
    """

    index: int
    status: Status
    overrides: tuple[str, ...]
    run: int | None = None
    runs: tuple[int, ...] = ()
    result: Any = None
    error: str | None = None
    duration_s: float | None = None
    reused: bool = False
    attempts: int = 0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    pruned: bool = False
    deleted: bool = False

    @property
    def state(self) -> str:
        """The status as it is shown: "PRUNED" of a completed job that was told to stop, "DELETED" without its run."""
        return "DELETED" if self.deleted else state_of(self.status, self.pruned)


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepRecord:
    """
    A sweep and its jobs, as they stand.

    Attributes:
        start: What is known since it began.
        status: RUNNING while somebody hands out jobs or one is running; COMPLETED when all jobs are; FAILED when one is
            FAILED or LOST; INTERRUPTED when jobs are left; LOST when whoever handed them out died.
        ended_at: When the last conductor ended, aware, or None.
        jobs: By index.
        reason: Why the last conductor ended, or None.
        warnings: What of the sweep's files is missing or damaged, in sentences.
        search: What has learnt from the jobs, where they were chosen by a search; see `importance` and `study`.
    """

    start: SweepStart
    status: Status
    jobs: tuple[SweepJob, ...] = ()
    ended_at: datetime | None = None
    reason: str | None = None
    warnings: tuple[str, ...] = ()
    search: Searched | None = field(default=None, compare=False)

    @property
    def id(self) -> int:
        """Its number in the store."""
        return self.start.id

    @property
    def experiment(self) -> str:
        """The experiment's name."""
        return self.start.experiment

    @property
    def is_deleted(self) -> bool:
        """Whether all runs that it had were deleted."""
        begun = [job for job in self.jobs if job.attempts]
        return bool(begun) and all(job.deleted for job in begun) and self.status is not Status.RUNNING

    @property
    def overrides(self) -> tuple[str, ...]:
        """As typed."""
        return self.start.overrides

    def counts(self) -> dict[Status, int]:
        """Return how many jobs there are of each status, those that there are."""
        found: dict[Status, int] = {}
        for job in self.jobs:
            found[job.status] = found.get(job.status, 0) + 1
        return found

    def told(self) -> str:
        """Return how many jobs there are of each state, as it is shown: "3 COMPLETED, 2 PRUNED"."""
        found = Counter(job.state for job in self.jobs)
        return ", ".join(f"{count} {state}" for state, count in found.items()) or "no jobs"

    @property
    def best(self) -> SweepJob | None:
        """
        The completed job with the best result, the earliest of equals.

        The result is what main returned, or what `hydra.sweeper.value` names. None without a finite number among the
        results, and where it is not known which is best, as with several directions. A job that was pruned, or does
        not meet the constraints, is never best.
        """
        return best_of(self.jobs, aim_of(self.jobs, self.start.aim))

    @property
    def pareto(self) -> tuple[SweepJob, ...]:
        """
        The completed jobs that no other one beats in all directions, by index.

        With one direction those that are as good as the best. None where `best` would know of none.
        """
        if not self.start.directions:
            aim = aim_of(self.jobs, self.start.aim)
            best = best_of(self.jobs, aim)
            return tuple(job for job in self.jobs if best is not None and aim.of(job) == aim.of(best))
        return pareto_of(self.jobs, self.start)

    @property
    def importance(self) -> Mapping[str, float]:
        """
        How much of what came out each parameter of a search accounts for, most first; the shares sum up to 1.

        Empty with fewer than 4 jobs that came to their end, and for a sweep that is no search.

        Raises:
            MissingExtraError: Optuna is not installed, and it was not worked out before.
            StoreError: What the search learnt cannot be read.
        """
        return {} if self.search is None else self.search.importance()

    @property
    def study(self) -> Any:
        """
        The search as an `optuna.Study`: a copy in memory, whose trials are the jobs in order of their indices.

        What is done with it changes nothing on record. None for a sweep that is no search.

        Raises:
            MissingExtraError: Optuna is not installed.
            StoreError: What the search learnt cannot be read, or is kept where a record of somebody else's leads.
        """
        return None if self.search is None else self.search.study()

    def __repr__(self) -> str:
        """Return what tells sweeps apart, in a line: there may be thousands of jobs."""
        counts = " ".join(f"{status}={count}" for status, count in self.counts().items())
        return f"SweepRecord(id={self.id}, experiment={brief(self.experiment)}, status={self.status}, jobs: {counts})"

    def _repr_html_(self) -> str:
        """Return what notebooks show: a row for each job."""
        return sweep_grid(self)


class Searched(Protocol):
    """What a search has learnt, read when it is asked for."""

    def importance(self) -> Mapping[str, float]: ...

    def study(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Aim:
    """
    Which result is best.

    Attributes:
        direction: "maximize" or "minimize"; None when it is not known.
        name: The metric that the results are, where its name says so.
        value: The key of a result, or the metric, that is compared; "" for the result itself.
        constraints: What the best has to meet.
    """

    direction: str | None
    name: str = ""
    value: str = ""
    constraints: tuple[Constraint, ...] = ()

    @property
    def words(self) -> str:
        """What is best, such as "smallest loss"."""
        return f"{'smallest' if self.direction == 'minimize' else 'largest'} {self.name or self.value}".strip()

    def of(self, job: SweepJob) -> Any:
        """Return what is compared of a job."""
        return picked(self.value, job.result, job.metrics)[1] if self.value else job.result

    def is_scored(self, job: SweepJob) -> bool:
        """Whether a job may be best: it came to its end, with a finite number, and meets the constraints."""
        has_ended = job.status is Status.COMPLETED and not job.pruned
        return has_ended and is_finite(self.of(job)) and is_met(self.constraints, job)


def is_met(constraints: Iterable[Constraint], job: SweepJob) -> bool:
    """Whether what came of a job is known to meet constraints."""
    found = [(each, picked(each.name, job.result, job.metrics)[1]) for each in constraints]
    return all(is_number(value) and each.missed_by(value) <= 0 for each, value in found)


def aim_of(jobs: Iterable[SweepJob], said: Aim | str | None) -> Aim:
    """
    Return which result is best: as it was *said*, or else by the name of a metric that ended as each result.

    Args:
        jobs: The jobs.
        said: What was said when the sweep began, or a direction alone.
    """
    if not isinstance(said, Aim):
        said = Aim(said)
    if said.direction is not None:
        return said
    names: set[str] | None = None
    for job in filter(said.is_scored, jobs):
        same = {name for name, value in job.metrics.items() if value == said.of(job)}
        names = same if names is None else names & same
    known = {name: found for name in sorted(names or ()) if (found := direction_of(name))}
    directions = set(known.values())
    return replace(said, direction=directions.pop(), name=next(iter(known))) if len(directions) == 1 else said


def best_of(jobs: Iterable[SweepJob], aim: Aim) -> SweepJob | None:
    """Return the job with the best result, the earliest of equals; None when there is none, or nothing is known."""
    if aim.direction is None:
        return None
    sign = -1 if aim.direction == "minimize" else 1
    return max(filter(aim.is_scored, jobs), key=lambda job: sign * aim.of(job), default=None)


def pareto_of(jobs: Iterable[SweepJob], start: SweepStart) -> tuple[SweepJob, ...]:
    """Return the jobs of a search by several numbers that no other one beats."""
    signs = [1 if each == "minimize" else -1 for each in start.directions]
    costs: list[tuple[SweepJob, list[Any]]] = []
    for job in jobs:
        found = [picked(each, job.result, job.metrics)[1] for each in start.value] if start.value else job.result
        if not isinstance(found, (list, tuple)) or len(found) != len(signs) or not all(map(is_finite, found)):
            continue
        if job.status is Status.COMPLETED and not job.pruned and is_met(start.aim.constraints, job):
            costs.append((job, [sign * value for sign, value in zip(signs, found, strict=True)]))
    return tuple(job for job, cost in costs if not any(beats(other, cost) for _, other in costs))
