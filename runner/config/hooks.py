"""One composed job, and what a recorder of runs must offer to have jobs executed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from anew.runner.config.output import Output
from anew.runner.dataclass import dataclass
from anew.runner.places import OwnPlaces, Places
from anew.runner.records import Provenance, RunRecord
from anew.runner.sweep_records import PlannedJob, SweepJob, SweepRecord

if TYPE_CHECKING:
    from anew.runner.config.signature.spec import TaskSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class ComposedJob:
    """
    A configuration, composed, and main ready to be called with it.

    Attributes:
        call: Calls main with the run it is given and returns what main returns.
        arguments: What main is called with, beside the run.
        config: Resolved plain values, without the nodes `hydra` and `anew`; what is missing is "???".
        unresolved: The composed configuration before interpolation, as YAML text.
        overrides: As typed, in order, those of the `anew` node left out; in a sweep those of this job.
        choices: Config group -> chosen option, Hydra's own groups left out.
        settings: The `anew` node, as plain values.
        views: File name -> text, for people: config.yaml (resolved), overrides.yaml, hydra.yaml.
        notes: What of a recorded configuration could not be had again, in sentences.
        multirun: Whether the job is part of a sweep.
        job_num: Its index in the sweep, from 0; None outside one.
        hydra_files: The files that Hydra wrote for it, with all that was composed in them.
        output: Its folder, where that is made when somebody asks for it; None where it is there.
        is_plain: Whether the views hold nothing beside `config`, `overrides` and what Hydra has for every run.
    """

    call: Callable[[Any], Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any]
    unresolved: str
    overrides: tuple[str, ...]
    choices: Mapping[str, Any]
    settings: Mapping[str, Any]
    provenance: Provenance
    views: Mapping[str, str]
    notes: tuple[str, ...] = ()
    multirun: bool = False
    job_num: int | None = None
    hydra_files: tuple[Path, ...] = ()
    output: Output | None = None
    is_plain: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """
    What a run's configuration was, and what is to be another.

    Attributes:
        ref: How to name the run in a message.
        config: Plain values, as `values.recorded` gives them, secrets redacted.
        overrides: As typed, secrets redacted.
        changes: Overrides on top.
        job: The index of a sweep's job, where it is one.
        places: Where the project's files are now.
        own: The run's own places.
    """

    ref: str
    config: Mapping[str, Any]
    overrides: tuple[str, ...]
    changes: tuple[str, ...] = ()
    job: int | None = None
    places: Places | None = None
    own: OwnPlaces | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ticket:
    """
    One job of a sweep, to be run once.

    Attributes:
        index: The job.
        attempt: From 1; what the job is taken by.
        overrides: Those of the job.
        packed: The job's configuration, for a process on this machine that trusts this one; see `packed`.
        shared: What all jobs of the sweep have of that.
        digest: Of all that the job runs, for a process that reads it from the store; "" where it need not.
        refused: Why it fails before it begins, since it could not be composed; "" where it could.
    """

    index: int
    attempt: int
    overrides: tuple[str, ...]
    packed: bytes
    shared: bytes
    digest: str = ""
    refused: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Launching:
    """
    What runs the jobs of a sweep.

    Attributes:
        engine: "local", or another engine of ours; None for a launcher of Hydra's, which runs them in its own way.
        option: The launcher's name as it is chosen.
        options: The engine's, plain values.
        sweeper: The dotted name of the sweeper's class.
        planned_ahead: Whether the sweeper says all jobs before the first begins.
        direction: What the sweeper calls best, where it says; "maximize" or "minimize".
        directions: The same for each of the numbers that the sweeper goes by.
        value: What these are: keys of what main returns, or metrics; none where main returns them.
        constraints: What the sweeper asks of a result beside.
        multirun: The file that Hydra's sweepers write, in the folder of `hydra.sweep.dir`.
    """

    engine: str | None
    option: str
    options: Mapping[str, Any] = field(default_factory=dict)
    sweeper: str = ""
    planned_ahead: bool = True
    direction: str | None = None
    directions: tuple[str, ...] = ()
    value: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    multirun: Path | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A job is to be run now; `attempt`, from 1, is what it is taken by."""

    attempt: int


class Undue(Enum):
    """
    Why a job is not to be run now.

    ELSEWHERE: Another process runs it; once that has ended it may be due. NOT_DUE: It is over, or was not asked for.
    """

    ELSEWHERE = "elsewhere"
    NOT_DUE = "not due"


class SweepHooks(Protocol):
    """
    Records a sweep and has its jobs run. Called from one thread.

    What a hook raises leaves `run_app` as it is.
    """

    def begin(self, launching: Launching, overrides: Sequence[str], flags: Sequence[str], ours: Sequence[str]) -> None:
        """Begin, or take up again, before the first job."""
        ...

    def plan(self, jobs: Sequence[PlannedJob]) -> list[bool]:
        """Put jobs on record; return of each whether it is planned as it was before, where it was planned before."""
        ...

    def due(self, index: int) -> Due | Undue:
        """Return the attempt that a job is to be run in now, or why it is not."""
        ...

    def conduct(
        self,
        following: Callable[[], Ticket | None],
        run_here: Callable[[Ticket], str],
        tell: Callable[[int], object],
    ) -> None:
        """
        Run jobs until there are no more.

        Args:
            following: Gives the next job that is due; None for no more, for the time being or at all.
            run_here: Runs a job in this process.
            tell: Called with a job's index once it has ended.
        """
        ...

    def watch(self, launch: Callable[[], object], indices: Sequence[int]) -> None:
        """Have a launcher of Hydra's run these jobs; what it raises is not what becomes of them."""
        ...

    def job(self, index: int) -> SweepJob:
        """Return how a job stands."""
        ...

    def withdraw(self) -> None:
        """Leave nothing of a sweep of which no job was planned."""
        ...

    def end(self, reason: str, detail: str = "") -> SweepRecord:
        """End, and return how it went. `reason` as in `ConductorEnded`."""
        ...


class JobHooks(Protocol):
    """
    Records jobs as runs. Called from one thread, in the order claim, execute, for one job after the other.

    What a hook raises leaves `run_app` as it is.
    """

    def claim(self, settings: Mapping[str, Any], multirun: bool, job_num: int | None) -> Path:
        """
        Take a place for one job and return the folder for its output.

        Called at most once per job, after its configuration was composed and checked, before its folder is made.
        """
        ...

    def planned(self) -> Sequence[PlannedJob]:
        """Return the jobs of a sweep that is taken up again; none for a new one."""
        ...

    def adds(self) -> bool:
        """Whether jobs are added to the plan of that sweep, and none is run."""
        ...

    def sweep(self, settings: Mapping[str, Any]) -> tuple[Path, SweepHooks]:
        """Take a place for a sweep; return its folder, and what records it. Called at most once, before any job."""
        ...

    def earlier(self, settings: Mapping[str, Any], where: str) -> Sequence[RunRecord]:
        """Return the runs on record that meet a filter. Raises FilterError."""
        ...

    def task(self) -> Callable[[], tuple[TaskSpec, JobHooks]]:
        """Return what another process makes main and hooks of its own by; it can be pickled."""
        ...

    def execute(self, job: ComposedJob) -> Any:
        """Run `job.call` and return what it returns; what it raises must be raised on."""
        ...

    def abandon(self) -> None:
        """Give up the place claimed last: its job will not be executed."""
        ...
