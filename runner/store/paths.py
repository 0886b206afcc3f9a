"""Every path inside a store, in one place."""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path

from anew.runner.dataclass import dataclass

RETIRED = "retired-"
PURGING = ".purging-"
FETCHED = "fetched.json"  # in a mirror of a database: how much of it was fetched
PACK, OUT = ".sqlar", ".out"
# what the name of a cursor begins with whose observer is another store, to which whole runs are copied
TRANSFER = "sync-"


@dataclass(frozen=True)
class RunLayout:
    """The folder of one run. Each path is made once: a run asks for its own some forty times."""

    folder: Path

    @cached_property
    def record(self) -> Path:
        """`run.json`: written once, complete before user code starts."""
        return self.folder / "run.json"

    @cached_property
    def events(self) -> Path:
        """The folder of journals, one per writing process."""
        return self.folder / "events"

    def journal(self, writer: str) -> Path:
        """The journal of one writer."""
        return self.events / f"{writer}.jsonl"

    @cached_property
    def curated(self) -> Path:
        """`curated.json`: which journals of tags and notes were added since the end."""
        return self.folder / "curated.json"

    @cached_property
    def output(self) -> Path:
        """`output.log`: what the process and its children printed."""
        return self.folder / "output.log"

    @cached_property
    def output_sums(self) -> Path:
        """`output.sums`: checksums of the output, a line for each stretch of it."""
        return self.output.with_suffix(".sums")

    @cached_property
    def observers(self) -> Path:
        """The folder of cursors."""
        return self.folder / "observers"

    def cursor(self, observer: str) -> Path:
        """How far one observer has got."""
        return self.observers / f"{observer}.cursor"

    def spec(self, observer: str) -> Path:
        """How one observer is configured, without secrets."""
        return self.observers / f"{observer}.json"

    def aside(self, observer: str) -> Path:
        """Which events one observer could not take."""
        return self.observers / f"{observer}.aside.jsonl"

    def observer_log(self, observer: str) -> Path:
        """What one observer printed and logged, and its tracebacks."""
        return self.observers / f"{observer}.log"

    def lock(self, observer: str) -> Path:
        """Held by whoever delivers to one observer."""
        return self.observers / f"{observer}.lock"

    @cached_property
    def outcome(self) -> Path:
        """`outcome.json`: created once, exclusively, at the end."""
        return self.folder / "outcome.json"

    @cached_property
    def files(self) -> Path:
        """`run.dir`: a folder of its own for what main writes."""
        return self.folder / "files"

    @cached_property
    def hydra(self) -> Path:
        """Where Hydra writes what it composed, unless it was told otherwise."""
        return self.files / ".hydra"


@dataclass(frozen=True, slots=True)
class SweepLayout:
    """The folder of one sweep."""

    folder: Path

    @property
    def record(self) -> Path:
        """`sweep.json`: written once, before the first job."""
        return self.folder / "sweep.json"

    @property
    def jobs(self) -> Path:
        """`jobs.jsonl`: the planned jobs, a sealed line each."""
        return self.folder / "jobs.jsonl"

    @property
    def multirun(self) -> Path:
        """Where Hydra writes what a sweep was composed of, unless it was told otherwise."""
        return self.folder / "multirun.yaml"

    @property
    def taken(self) -> Path:
        """The folder of what was taken: a file per job and attempt, each made exclusively."""
        return self.folder / "taken"

    def attempt(self, index: int, attempt: int) -> Path:
        """The file of one attempt at one job."""
        return self.taken / f"{index}.{attempt}.json"

    def death(self, index: int, attempt: int) -> Path:
        """What ended the process of an attempt, where that is known."""
        return self.taken / f"{index}.{attempt}.death"

    def deletion(self, index: int, attempt: int) -> Path:
        """What says that the run of an attempt was deleted."""
        return self.taken / f"{index}.{attempt}.deleted"

    def halt(self, index: int, attempt: int) -> Path:
        """What says that an attempt is to stop, or not to begin."""
        return self.taken / f"{index}.{attempt}.stop"

    @property
    def conductors(self) -> Path:
        """The folder of those who handed out jobs."""
        return self.folder / "conductors"

    def conductor(self, number: int) -> Path:
        """The file of one of them; touched every few seconds while it lives."""
        return self.conductors / f"{number}.json"

    def ended(self, number: int) -> Path:
        """How that one ended; absent while it lives, and when it was killed."""
        return self.conductors / f"{number}.ended.json"

    @property
    def stop(self) -> Path:
        """There while somebody wants the sweep to stop: "now", or "finish" to let running jobs come to their end."""
        return self.folder / "stop"

    @property
    def search(self) -> Path:
        """What a sweeper that learns has learnt."""
        return self.folder / "search"

    def engine(self, name: str) -> Path:
        """What an engine keeps, such as what is handed to Slurm and what its jobs printed outside of any run."""
        return self.folder / name

    def worker_log(self, number: int) -> Path:
        """What a worker printed outside of any run."""
        return self.folder / "workers" / f"{number}.log"


@dataclass(frozen=True, slots=True)
class WhyLayout:
    """The folder of one search for a cause."""

    folder: Path

    @property
    def record(self) -> Path:
        """`why.json`: written once, before the first trial."""
        return self.folder / "why.json"

    @property
    def answer(self) -> Path:
        """`answer.json`: what it came to, so far."""
        return self.folder / "answer.json"

    def trial(self, number: int) -> TrialLayout:
        """The folder of a trial that is run elsewhere, until what came of it is known."""
        return TrialLayout(self.folder / "trials" / str(number))

    def engine(self, name: str) -> Path:
        """What an engine keeps, as `SweepLayout.engine`."""
        return self.folder / name


@dataclass(frozen=True, slots=True)
class TrialLayout:
    """The folder of one trial of a search, which another machine runs."""

    folder: Path

    @property
    def order(self) -> Path:
        """`order.json`: what is to be run."""
        return self.folder / "order.json"

    @property
    def begun(self) -> Path:
        """`begun`: there once a process has taken it."""
        return self.folder / "begun"

    @property
    def end(self) -> Path:
        """`end.json`: the run that came of it, or why there is none."""
        return self.folder / "end.json"


@dataclass(frozen=True)
class StoreLayout:
    """The folder of a store."""

    root: Path

    @cached_property
    def format(self) -> Path:
        """The format's version, one integer."""
        return self.root / "FORMAT"

    @property
    def gitignore(self) -> Path:
        """Keeps the store out of the project's history."""
        return self.root / ".gitignore"

    def run(self, number: int) -> RunLayout:
        """The folder of a run; asked again for the same one, the same with the paths that it has made."""
        latest: tuple[int, RunLayout] | None = self.__dict__.get("latest")
        if latest is None or latest[0] != number:
            latest = self.__dict__["latest"] = number, RunLayout(self.root / str(number))
        return latest[1]

    @cached_property
    def objects(self) -> Path:
        """Content by SHA-256."""
        return self.root / "objects"

    @cached_property
    def index(self) -> Path:
        """Derived and disposable."""
        return self.root / "index.sqlite"

    @property
    def views(self) -> Path:
        """Questions that have names, a file each."""
        return self.root / "views"

    @cached_property
    def packs(self) -> Path:
        """Finished runs, many in a file."""
        return self.root / "packs"

    @property
    def sweeps(self) -> Path:
        """One folder per sweep."""
        return self.root / "sweeps"

    @property
    def whys(self) -> Path:
        """One folder per search for a cause."""
        return self.root / "whys"

    def why(self, number: int) -> WhyLayout:
        """The folder of one of those."""
        return WhyLayout(self.whys / str(number))

    def sweep(self, number: int) -> SweepLayout:
        """The folder of a sweep."""
        return SweepLayout(self.sweeps / str(number))

    @cached_property
    def trash(self) -> Path:
        """Deleted runs, until they are purged."""
        return self.root / "trash"

    def trashed(self, number: int) -> RunLayout:
        """The folder of a deleted run."""
        return RunLayout(self.trash / str(number))

    def retired(self, number: int) -> Path:
        """There so that a number that no folder holds is not given again."""
        return self.trash / f"{RETIRED}{number}"

    def purging(self, number: int, uid: str) -> Path:
        """The folder of a deleted run that is being removed; *uid* tells one removal from another."""
        return self.trash / f"{PURGING}{number}-{uid}"


@lru_cache(maxsize=16)
def store_layout(root: Path) -> StoreLayout:
    """Return the layout of a store; of the same folder the same one, with the paths that it has made."""
    return StoreLayout(root)
