"""One composed job, and what a recorder of runs must offer to have jobs executed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from anew.runner.records import Provenance


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """
    What a run's configuration was, and what is to be another.

    Attributes:
        ref: How to name the run in a message.
        config: Plain values, as `values.recorded` gives them, secrets redacted.
        overrides: As typed, secrets redacted.
        changes: Overrides on top.
    """

    ref: str
    config: Mapping[str, Any]
    overrides: tuple[str, ...]
    changes: tuple[str, ...] = ()


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

    def sweep_dir(self, settings: Mapping[str, Any]) -> Path:
        """Take a place for a sweep and return its folder. Called at most once, before the sweep's first job."""
        ...

    def execute(self, job: ComposedJob) -> Any:
        """Run `job.call` and return what it returns; what it raises must be raised on."""
        ...

    def abandon(self) -> None:
        """Give up the place claimed last: its job will not be executed."""
        ...
