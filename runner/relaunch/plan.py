"""What a process that starts a recorded command once more is to do, told by the process that prepares it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any, Literal

from anew.runner.dataclass import dataclass
from anew.runner.format.override_text import key_of
from anew.runner.format.serial import from_json, to_json
from anew.runner.places import OwnPlaces, Places
from anew.runner.records import CommandFacts, ParentRun, RerunOf, SourceFacts, WhyMembership
from anew.runner.store.files import replace_whole

SACRED = "sacred"
"""The entry of a run that Sacred recorded."""
SACRED_MAIN = "anew.runner.foreign.sacred:main"
"""The main function that runs such a run again."""


def callable_command(command: CommandFacts) -> CommandFacts:
    """Return a command with a main function that can be called: Sacred has commands, and records no function."""
    return replace(command, function=SACRED_MAIN) if command.entry == SACRED else command


@dataclass(frozen=True, kw_only=True, slots=True)
class Errand:
    """
    What every process that was started for something is told.

    Attributes:
        store: The store that new runs go to.
        command: As on record; `places` says where its files are now.
        experiment: The experiment's name.
        flags: Hydra's flags that chose the configuration.
        overrides: As on record, secrets redacted.
        settings: Overrides of the `anew` node.
        source: As on record, where the recorded source is run; None for today's.
        root: The project's root, as on record.
        mirror: The folder that files were laid out in.
        report: A file in which the process that runs main says which run it started.
        parent: The run that the new ones are started in, as on record.
    """

    store: str
    command: CommandFacts
    experiment: str
    flags: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    source: SourceFacts | None = None
    root: str
    mirror: str
    report: str
    parent: ParentRun | None = None

    @property
    def places(self) -> Places:
        """Where the run's files are now."""
        return Places(Path(self.root), Path(self.mirror), moved=self.source is not None)

    def write(self, path: Path) -> None:
        """Write the errand where `read_errand` finds it, for this user's eyes only. Raises OSError."""
        path.touch(mode=0o600)
        path.write_text(json.dumps({"errand": type(self).__name__, **to_json(self)}), encoding="utf-8")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rerun(Errand):
    """
    Run a recorded run again.

    Attributes:
        rerun_of: That run.
        why: The search that it is a trial of.
        config: As on record, secrets redacted.
        changes: Overrides on top.
        seed: The root seed; None to have it drawn.
        torch_threads: What torch's thread count was, if torch was imported.
        own: The recorded run's own places, into which nothing is written.
    """

    rerun_of: RerunOf
    why: WhyMembership | None = None
    config: Mapping[str, Any]
    changes: tuple[str, ...] = ()
    seed: int | None = None
    torch_threads: int | None = None
    own: OwnPlaces = field(default_factory=OwnPlaces)


@dataclass(frozen=True, kw_only=True, slots=True)
class Resume(Errand):
    """
    Take a sweep up again.

    Attributes:
        sweep: Its number.
        only: Statuses of the jobs that are run; none for all that did not complete.
    """

    sweep: int
    only: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Add(Resume):
    """
    Add jobs to the plan of a sweep, and run none.

    Attributes:
        words: Overrides in the place of those of the sweep that have the same keys, and beside the others.
    """

    words: tuple[str, ...] = ()

    @property
    def merged(self) -> tuple[str, ...]:
        """What would have been typed for a sweep of these jobs."""
        given = {key_of(word) for word in self.words}
        return (*(each for each in self.overrides if key_of(each) not in given), *self.words)


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeat(Errand):
    """
    Run a recorded run again with other seeds, as a sweep.

    Attributes:
        words: Overrides on top, with the seeds among them.
        repeats: That run, where its recorded source is run.
    """

    words: tuple[str, ...]
    repeats: RerunOf | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class OneJob(Errand):
    """
    Run one job of a sweep.

    Attributes:
        sweep: The sweep's number.
        job: The job's index.
        attempt: What the job is taken by.
        config: As planned, secrets redacted.
    """

    sweep: int
    job: int
    attempt: int
    config: Mapping[str, Any]


_LAID_OUT = "ANEW_LAID_OUT"


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """
    What is told to every process of a re-run, for the runs that its main starts.

    Attributes:
        store: The store that they go to.
        root: The project's root, as on record.
        mirror: The folder that files were laid out in.
        moved: Whether the project itself was.
    """

    store: str
    root: str
    mirror: str
    moved: bool

    @property
    def places(self) -> Places:
        """Where the project's files are now."""
        return Places(Path(self.root), Path(self.mirror), moved=self.moved)

    def variables(self) -> dict[str, str]:
        """Return it as variables of the environment."""
        return {_LAID_OUT: json.dumps(to_json(self))}


def surroundings() -> Surroundings | None:
    """Return what this process was told of the re-run that it is part of; None outside of one."""
    told = os.environ.get(_LAID_OUT)
    try:
        return from_json(Surroundings, json.loads(told)) if told else None
    except ValueError:
        return None


_KINDS: dict[str, type[Errand]] = {kind.__name__: kind for kind in (Rerun, Resume, Add, Repeat, OneJob)}


def read_errand(path: Path) -> Errand:
    """Return the errand that was written. Raises OSError, ValueError."""
    told = json.loads(path.read_text(encoding="utf-8"))
    return from_json(_KINDS[told.pop("errand")], told)


class LeftOff(BaseException):
    """Ends a cell of a notebook at its call of a main, which was another run than the one that is done again."""


@dataclass(slots=True)
class Assignment:
    """
    What this process was started for; without an errand, for what its command line says.

    Attributes:
        errand: What is to be done.
        is_direct: Whether main is called for it, and not by the recorded script, which may call mains before that.
        is_ahead: Whether what is being run is a cell before the one whose call of main the errand is about.
        stage: "due", "begun" or "done".
    """

    errand: Errand | None = None
    is_direct: bool = False
    is_ahead: bool = False
    stage: Literal["due", "begun", "done"] = "due"

    def is_for(self, experiment: str, function: str, call: int) -> bool:
        """Whether a call is the one that the errand is about: the *call*-th of that function of that experiment."""
        errand = self.errand
        if errand is None or (errand.experiment, errand.command.function) != (experiment, function):
            return False
        # earlier versions did not count
        return self.is_direct or errand.command.call in (None, call)


assignment = Assignment()


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """
    What the process that runs main says as soon as it has a run.

    Attributes:
        number: The new run.
        ignore: Patterns of metrics that need not come out the same.
        notes: What could not be done as on record, in sentences.
        missed: Recorded names of files that main looked for and did not find.
        isolated: How Pythons were started that heed no variables.
    """

    number: int
    ignore: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    missed: tuple[str, ...] = field(default=())
    isolated: tuple[str, ...] = field(default=())

    def write(self, path: Path) -> None:
        """Write the report, at once complete. Raises OSError."""
        replace_whole(path, json.dumps(to_json(self)).encode())


def report_seen(missed: tuple[str, ...], isolated: tuple[str, ...]) -> None:
    """Add to the report of this process's errand, where it has one, what was seen of main; see `Report`."""
    errand = assignment.errand
    report = read_report(Path(errand.report)) if (missed or isolated) and errand is not None else None
    if errand is not None and report is not None:
        replace(report, missed=missed, isolated=isolated).write(Path(errand.report))


def read_report(path: Path) -> Report | None:
    """Return the report, or None when main's process did not get so far."""
    try:
        return from_json(Report, json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
