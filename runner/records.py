"""A run's record and the facts inside it: frozen, plain, one meaning per field.

Nothing here computes; `serial` turns these into JSON values and back, `replay` folds events into them. Sequences are
tuples and mappings are never changed after they were handed over, so records can be shared between threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime
from enum import Enum
from typing import Any, BinaryIO

from anew.runner.attached.comments import Comment
from anew.runner.attached.damage import Damage as Damage
from anew.runner.attached.damage import Part as Part
from anew.runner.attached.damage import Severity as Severity
from anew.runner.attached.foreign import ForeignFacts as ForeignFacts
from anew.runner.attached.media import MediaSummary
from anew.runner.attached.relations import ParentRun as ParentRun
from anew.runner.attached.relations import RerunOf as RerunOf
from anew.runner.attached.relations import Stop as Stop
from anew.runner.attached.relations import SweepMembership as SweepMembership
from anew.runner.attached.relations import WhyMembership as WhyMembership
from anew.runner.attached.unread import Readable as _Readable
from anew.runner.attached.verdict import Cause as Cause
from anew.runner.attached.verdict import Verdict as Verdict
from anew.runner.dataclass import dataclass
from anew.runner.markup.runs import run_sheet
from anew.runner.markup.tables import brief

FORMAT = 1


class Status(str, Enum):
    """
    The state of a run. LOST and UNKNOWN are worked out by readers, never written.

    LOST is a death without an outcome. UNKNOWN is a run that an observer reported, from whose machine nothing was heard
    for a while: it goes on, or has ended, and how is known there.
    """

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"
    LOST = "LOST"
    UNKNOWN = "UNKNOWN"

    def __str__(self) -> str:
        return self.value

    @property
    def final(self) -> bool:
        """Whether a run in this state is known not to go on."""
        return self not in (Status.QUEUED, Status.RUNNING, Status.UNKNOWN)


PRUNED = "PRUNED"


def state_of(status: Status, pruned: bool) -> str:
    """Return a status as it is shown: of what has completed, and was told to stop before its end, that."""
    return PRUNED if pruned and status is Status.COMPLETED else status.value


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandFacts:
    """How the run was started.

    Attributes:
        argv: As the process got it, secrets redacted.
        cwd: The working directory at the start.
        entry: "script", "module" (python -m), "call" (`main.run()` from Python), "cells" (the same, of a main that was
            made in cells of a notebook), "start" (`anew.start()` in a script, module or cells), "program", "command" or
            "notebook" (what `anew run` runs), or "sacred" (the main file of an experiment of Sacred).
        target: The script's path or the module's name; the path that cells are kept as.
        function: Module and qualified name of the main function, as "module:name".
        interpreter: Path of the Python executable.
        options: What the interpreter was given before the script, such as ("-O",).
        import_paths: Folders of the project that modules are imported from, absolute, in the order of `sys.path`.
        call: Which call of this main function in its process it was, from 1; None when that is not known.
        user: The login name of who started it.
    """

    argv: tuple[str, ...]
    cwd: str
    entry: str = "script"
    target: str = ""
    function: str = ""
    interpreter: str = ""
    options: tuple[str, ...] = ()
    import_paths: tuple[str, ...] = ()
    call: int | None = None
    user: str = ""

    @property
    def runs_module(self) -> bool:
        """Whether the target is a module's name, as of `python -m`."""
        is_path = self.target.startswith("/") or not self.target
        return self.entry == "module" or (self.entry == "start" and not is_path)


class _Openable:
    """Where content can be opened, once a store has said so: no field, so that it is neither compared nor kept."""

    __slots__ = ("_opener",)


@dataclass(frozen=True, kw_only=True, slots=True)
class ContentRef(_Openable):
    """One piece of content: where it was or what it is called, its SHA-256 (hex), its size in bytes.

    Attributes:
        path: For sources and inputs relative to the project's root (POSIX form) where inside it, else absolute;
            for artifacts the artifact's name.
        mode: POSIX permission bits, or None when unknown.
        kept: Whether the content lies in the object store, or only its digest is known.
        link: The target, when the file is a symbolic link inside the project; then sha256 is of the target text.
    """

    path: str
    sha256: str
    size: int
    mode: int | None = None
    kept: bool = True
    link: str | None = None

    def open(self) -> BinaryIO:
        """Open an input or artifact of a record that a store gave, its checksum compared; see `contents.intact`."""
        opener: Callable[[ContentRef], BinaryIO] | None = getattr(self, "_opener", None)
        if opener is None:
            raise LookupError(f"{self.path!r} is of no store; to open it: store.open_object({self.sha256!r})")
        return opener(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class GitFacts:
    """The state of the repository that the source came from; remote has no password in it.

    Attributes:
        dirty: Whether what git tracks is another than in the commit, in it or in one of its submodules.
        diff: What is another, of all of them.
        submodules: Submodule, by its path -> the commit that is checked out there.
    """

    commit: str | None
    branch: str | None
    dirty: bool
    remote: str | None = None
    diff: str | None = None
    submodules: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderFacts:
    """A folder of the project ("." for its root): names and sizes of files that are no source, but of `more`."""

    path: str
    names: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    more: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFacts:
    """The project's files that the run could reach.

    Attributes:
        root: Absolute path of the project's root at the time.
        method: "git" or "imports": how the list of files was made.
        notes: What was left out (limits, unreadable files) and files that seem to hold a secret, in sentences.
        lost: Python files that limits or settings left out, the first hundred.
        beside: What else lay in the project.
        repositories: Folder -> state of each repository that modules from outside of the project came from.
    """

    root: str | None = None
    method: str = "imports"
    git: GitFacts | None = None
    files: tuple[ContentRef, ...] = ()
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    beside: tuple[FolderFacts, ...] = ()
    repositories: Mapping[str, GitFacts] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvironmentFacts:
    """The software around a run.

    Attributes:
        python: Version, such as "3.11.7".
        packages: Installed distribution -> version.
        origins: Distribution -> where it came from, for editable and VCS installs only.
        variables: Environment variables on the allow-list, secrets redacted.
        threads: Thread settings: variables such as OMP_NUM_THREADS and what they were (None when unset).
        libraries: Libraries below Python, "libc", "blas", "cuda" -> version, as far as known.
        imported: Modules of distributions that were imported by the end, by their first names; empty when not known.
    """

    python: str
    implementation: str = "CPython"
    executable: str = ""
    prefix: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    threads: Mapping[str, str | None] = field(default_factory=dict)
    locale: str = ""
    encoding: str = ""
    anew: str = ""
    libraries: Mapping[str, str] = field(default_factory=dict)
    imported: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuFacts:
    """One GPU as its driver names it; memory in bytes."""

    name: str
    memory_bytes: int
    driver: str = ""
    uuid: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class HardwareFacts:
    """The machine.

    Attributes:
        cpu_cores: Logical cores of the machine.
        cpu_allowed: Cores that the process may use (affinity and cgroup quota), possibly fractional.
        memory_bytes: Physical memory.
        memory_allowed_bytes: The cgroup's limit, or None.
        boot_id: Changes with every boot; with pid and its start time it tells whether a run is alive.
        container: "docker", "podman", "kubernetes", ... or None.
        scheduler: Scheduler job IDs, such as {"SLURM_JOB_ID": "17"}.
    """

    hostname: str
    os: str
    cpu_model: str = ""
    cpu_cores: int = 1
    cpu_allowed: float = 1.0
    memory_bytes: int = 0
    memory_allowed_bytes: int | None = None
    gpus: tuple[GpuFacts, ...] = ()
    boot_id: str = ""
    container: str | None = None
    scheduler: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedFacts:
    """What randomness was pinned.

    Attributes:
        root: In [0, 2**32); every other seed is derived from it.
        origin: "config" when the configuration has a seed, "setting" when `anew.seed` gave it, "recorded" in the re-run
            of a run without one, "parent" when it follows from that of the run it was started in, else "drawn".
        seeded: Library -> the seed it was given.
        hash_randomization: PYTHONHASHSEED as it was, "random" when unset.
        deterministic: Library -> what `anew.deterministic` turned on there.
    """

    root: int
    origin: str = "drawn"
    seeded: Mapping[str, int] = field(default_factory=dict)
    hash_randomization: str = "random"
    deterministic: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessFacts:
    """The process that runs main, in the terms that tell its death from a long silence.

    Attributes:
        pid: Process ID.
        started_ticks: The process's start time in clock ticks since boot (/proc), or seconds since the epoch elsewhere.
        boot_id: The boot it belongs to.
        hostname: The host it belongs to.
        monotonic_s: The machine's monotonic clock when the run started, so that children share the time base.
    """

    pid: int
    started_ticks: float
    boot_id: str
    hostname: str
    monotonic_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorFacts:
    """How a run failed: the exception's type, its message and its traceback as text, redacted."""

    type: str
    message: str
    traceback: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricSummary:
    """A metric in four numbers; `count` points in all; min and max leave NaN out (None when nothing is left)."""

    last: float | int
    min: float | int | None
    max: float | int | None
    count: int
    step: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ObserverState:
    """
    How far an observer has got.

    Attributes:
        state: "delivered", "behind" or "failing".
        behind: How many events are still to be delivered.
        aside: How many it could not take; they are given up, and listed in the run's folder.
        recorded: Whether its configuration is on record, by which `anew sync` goes on; not of one given in Python.
    """

    state: str
    behind: int = 0
    aside: int = 0
    recorded: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Where the configuration came from.

    Attributes:
        config_name: The primary config, or None.
        sources: Search path entries in order, as "provider: path".
        unresolved: The composed config before interpolation, as YAML text.
        hydra_dir: Where Hydra's own output went.
        flags: Hydra's flags that chose the configuration, such as ("--config-name", "big").
        settings: Overrides of the `anew` node, as typed.
        views: The CRC-32 of each file that is for people and read by nothing, by its path in the run's folder.
    """

    config_name: str | None = None
    sources: tuple[str, ...] = ()
    unresolved: str = ""
    hydra_dir: str | None = None
    flags: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    views: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord(_Readable):
    """What is known about one run: enough to read it, and to run it again.

    Attributes:
        uid: Made first of all; sorts by start time; unique everywhere. The number is the store's.
        id: What the store calls the run; None until it has one.
        overrides: What was typed, in order, before composition, without those of the `anew` node.
        choices: Config group -> chosen option.
        config: Composed and resolved, plain values only (see `serial.plain`), without the `anew` node.
        seed: Root seed in [0, 2**32), also in `seeds`.
        started_at, ended_at, heartbeat_at: Aware, UTC.
        duration_s: Wall time in seconds; None while the run is going.
        metrics: Name -> summary; the series are read with `RunStore.metrics`.
        media: Name -> summary of the pictures, texts, tables and histograms that were logged under it.
        comments: What people said of it, oldest first.
        parent: The run that it was started in, by its main or by a child process of it.
        pruned: Whether it was told to stop before its end; what it came to is nobody's result outside of its search.
        verdict: How it came out beside the run that it repeats, once that was judged.
        why: The search for a cause that it is a trial of.
        origin_mark: Tells the runs that this user recorded on this machine from others; see `anew.runner.store.marks`.
        unkept: Why what main returned is not on record; None when it is.
        losses: What else of the run could not be recorded, in sentences.
        foreign: What another program called it, which recorded it; None of runs of ours.
        warnings: For people: limits that bit, values refused, and the damage that was found.
        damage: What a reader found not to be as it was written; never stored.
    """

    uid: str
    experiment: str
    started_at: datetime
    format: int = FORMAT
    id: int | None = None
    status: Status = Status.RUNNING
    ended_at: datetime | None = None
    duration_s: float | None = None
    heartbeat_at: datetime | None = None
    command: CommandFacts
    config: Mapping[str, Any] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    choices: Mapping[str, Any] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)
    result: Any = None
    seed: int = 0
    seeds: SeedFacts | None = None
    source: SourceFacts = field(default_factory=SourceFacts)
    environment: EnvironmentFacts | None = None
    hardware: HardwareFacts | None = None
    process: ProcessFacts | None = None
    inputs: tuple[ContentRef, ...] = ()
    artifacts: tuple[ContentRef, ...] = ()
    metrics: Mapping[str, MetricSummary] = field(default_factory=dict)
    media: Mapping[str, MediaSummary] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    note: str | None = None
    comments: tuple[Comment, ...] = ()
    error: ErrorFacts | None = None
    rerun_of: RerunOf | None = None
    parent: ParentRun | None = None
    pruned: bool = False
    verdict: Verdict | None = None
    origin_mark: str = ""
    sweep: SweepMembership | None = None
    why: WhyMembership | None = None
    observers: Mapping[str, ObserverState] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    damage: tuple[Damage, ...] = ()
    signal: str | None = None
    exit_code: int | None = None
    unkept: str | None = None
    losses: tuple[str, ...] = ()
    foreign: ForeignFacts | None = None

    @property
    def state(self) -> str:
        """
        The status as it is shown, filtered and sorted by.

        "PRUNED" for a completed run that was told to stop; of a run that another program recorded its own word, such as
        "TIMEOUT", where we have none.
        """
        return (self.foreign.status if self.foreign else "") or state_of(self.status, self.pruned)

    def __repr__(self) -> str:
        """Return what tells runs apart, in a few lines at most: a record may hold thousands of files."""
        metrics = {name: summary.last for name, summary in self.metrics.items()}
        parts = [f"id={self.id}", f"experiment={brief(self.experiment)}", f"status={self.state}"]
        parts += [f"started_at={self.started_at:%Y-%m-%dT%H:%M:%SZ}", f"config={brief(dict(self.config))}"]
        parts += [f"result={brief(self.result)}", f"metrics={brief(metrics)}", f"uid={self.uid!r}"]
        return f"RunRecord({', '.join(parts)})"

    def _repr_html_(self) -> str:
        """Return what notebooks show: what tells runs apart."""
        return run_sheet(self)
