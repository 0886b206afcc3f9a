"""A sweep and its jobs: frozen, plain, as they are written and as they are read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.markup.runs import sweep_grid
from anew.runner.markup.tables import brief
from anew.runner.records import CommandFacts, ParentRun, ProcessFacts, SourceFacts, Status, state_of


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
        source: The project's files as they were.
        hostname: The machine that it began on.
        origin_mark: Whose it is; see `marks`.
        parent: The run that it was started in.
        is_sealed: Whether its other files are sealed, and its jobs and claims marked; earlier versions left them bare.
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
    source: SourceFacts = field(default_factory=SourceFacts)
    hostname: str = ""
    origin_mark: str = ""
    parent: ParentRun | None = None
    is_sealed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedJob:
    """
    One job as it is to be.

    Attributes:
        index: From 0, in the order of planning.
        overrides: Those of this job.
        config: Resolved plain values, secrets redacted.
    """

    index: int
    overrides: tuple[str, ...]
    config: Mapping[str, Any]


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
    """

    start: SweepStart
    status: Status
    jobs: tuple[SweepJob, ...] = ()
    ended_at: datetime | None = None
    reason: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def id(self) -> int:
        """Its number in the store."""
        return self.start.id

    @property
    def experiment(self) -> str:
        """The experiment's name."""
        return self.start.experiment

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

        None without a finite number among the results, and where it is not known which result is best. A job that was
        pruned is never best.
        """
        return best_of(self.jobs, aim_of(self.jobs, self.start.direction))

    def __repr__(self) -> str:
        """Return what tells sweeps apart, in a line: there may be thousands of jobs."""
        counts = " ".join(f"{status}={count}" for status, count in self.counts().items())
        return f"SweepRecord(id={self.id}, experiment={brief(self.experiment)}, status={self.status}, jobs: {counts})"

    def _repr_html_(self) -> str:
        """Return what notebooks show: a row for each job."""
        return sweep_grid(self)


@dataclass(frozen=True, slots=True)
class Aim:
    """
    Which result is best.

    Attributes:
        direction: "maximize" or "minimize"; None when it is not known.
        name: The metric that the results are, where its name says so.
    """

    direction: str | None
    name: str = ""

    @property
    def words(self) -> str:
        """What is best, such as "smallest loss"."""
        return f"{'smallest' if self.direction == 'minimize' else 'largest'} {self.name}".strip()


def aim_of(jobs: Iterable[SweepJob], direction: str | None) -> Aim:
    """Return which result is best: as *direction* says, or else the name of a metric that ended as each result."""
    if direction is not None:
        return Aim(direction)
    names: set[str] | None = None
    for job in filter(is_scored, jobs):
        same = {name for name, value in job.metrics.items() if value == job.result}
        names = same if names is None else names & same
    said = {name: found for name in sorted(names or ()) if (found := direction_of(name))}
    directions = set(said.values())
    return Aim(directions.pop(), next(iter(said))) if len(directions) == 1 else Aim(None)


def best_of(jobs: Iterable[SweepJob], aim: Aim) -> SweepJob | None:
    """Return the job with the best result, the earliest of equals; None when there is none, or nothing is known."""
    if aim.direction is None:
        return None
    sign = -1 if aim.direction == "minimize" else 1
    return max(filter(is_scored, jobs), key=lambda job: sign * job.result, default=None)


def is_scored(job: SweepJob) -> bool:
    """Whether a job has a result that may be best: it came to its end, with a finite number."""
    return job.status is Status.COMPLETED and not job.pruned and is_finite(job.result)


def is_finite(value: Any) -> bool:
    """Whether a value is a number, of any size, and neither NaN nor infinite."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value - value == 0


def direction_of(name: str) -> str | None:
    """Return what the name of a result says of it: "minimize" of "val/loss", "maximize" of "test_acc"; else None."""
    words = {word.lower() for word in _WORD.findall(name)}
    words |= {word.rstrip("0123456789") for word in words}
    if words & _TURNED:
        return None
    least, most = bool(words & _LESS), bool(words & _MORE)
    return None if least is most else "minimize" if least else "maximize"


_WORD = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*")
# fmt: off
_LESS = frozenset((
    "loss", "losses", "cost", "error", "errors", "err", "mse", "rmse", "rmsle", "mae", "mape", "nll", "perplexity",
    "ppl", "regret", "wer", "cer", "fid", "bpc", "bpb",
))
_MORE = frozenset((
    "acc", "accuracy", "auc", "auroc", "auprc", "f1", "precision", "recall", "score", "reward", "iou", "miou", "dice",
    "bleu", "rouge", "psnr", "ssim", "r2", "elbo",
))
# fmt: on
# such as "neg_mean_squared_error"
_TURNED = frozenset(("neg", "negative", "inverse", "minus"))
