"""What a re-run is to do, told by the process that prepares it to the process that runs main."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anew.runner.format.serial import from_json, to_json
from anew.runner.places import Places
from anew.runner.records import CommandFacts, RerunOf, SourceFacts
from anew.runner.store.files import replace_whole


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """
    What a process is to do once it comes to main: one re-run, one job of a sweep, or what is left of a sweep.

    Attributes:
        store: The store that the new run goes to.
        rerun_of: The run that is repeated; None in a sweep.
        sweep: The sweep's number; None in a re-run.
        job: The job that is to be run; None in a sweep that is taken up again.
        attempt: What the job is taken by.
        only: In a sweep that is taken up again: statuses of the jobs that are run; none for all that did not complete.
        command: As on record; `places` says where its files are now.
        config: As on record, secrets redacted.
        flags: Hydra's flags that chose the configuration.
        overrides: As on record, secrets redacted.
        changes: Overrides on top.
        settings: Overrides of the `anew` node.
        seed: The root seed; None to have it drawn.
        source: As on record, where the recorded source is run; None for today's.
        root: The project's root, as on record.
        mirror: The folder that files were laid out in.
        torch_threads: What torch's thread count was, if torch was imported.
        report: A file in which the process that runs main says which run it started.
    """

    store: str
    rerun_of: RerunOf | None = None
    sweep: int | None = None
    job: int | None = None
    attempt: int = 0
    only: tuple[str, ...] = ()
    command: CommandFacts
    config: Mapping[str, Any]
    flags: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    seed: int | None = None
    source: SourceFacts | None = None
    root: str
    mirror: str
    torch_threads: int | None = None
    report: str

    @property
    def places(self) -> Places:
        """Where the run's files are now."""
        return Places(Path(self.root), Path(self.mirror), moved=self.source is not None)

    def write(self, path: Path) -> None:
        """Write the plan where `read_plan` finds it, for this user's eyes only. Raises OSError."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(to_json(self)), encoding="utf-8")


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """
    What the process that runs main says as soon as it has a run.

    Attributes:
        number: The new run.
        ignore: Patterns of metrics that need not come out the same.
        notes: What could not be done as on record, in sentences.
    """

    number: int
    ignore: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def write(self, path: Path) -> None:
        """Write the report, at once complete. Raises OSError."""
        replace_whole(path, json.dumps(to_json(self)).encode())


def read_plan(path: Path) -> Plan:
    """Return the plan that was written. Raises OSError, ValueError."""
    return from_json(Plan, json.loads(path.read_text(encoding="utf-8")))


def read_report(path: Path) -> Report | None:
    """Return the report, or None when main's process did not get so far."""
    try:
        return from_json(Report, json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


_active: Plan | None = None


def activate(plan: Plan) -> None:
    """Have this process do a plan: the next run of its main function is the re-run."""
    global _active
    _active = plan


def active() -> Plan | None:
    """Return the plan that this process is to do, if it was started for one."""
    return _active
