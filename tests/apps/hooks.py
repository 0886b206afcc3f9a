"""Hooks that record jobs in a list, for tests of the configuration room alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from anew.runner.config.main import ComposedJob, run_app, task_spec


class Hooks:
    """Claims folders 1, 2, ... below a root; the run handed to main is the number."""

    def __init__(self, root: Path, before: Callable[[ComposedJob], None] | None = None) -> None:
        self.root = root
        self.log: list[Any] = []
        self.jobs: list[ComposedJob] = []
        self._before = before
        self._number = 0

    def claim(self, settings: Mapping[str, Any], multirun: bool, job_num: int | None) -> Path:
        self._number += 1
        self.log.append(("claim", multirun, job_num))
        return self.root / str(self._number) / "files"

    def sweep_dir(self, settings: Mapping[str, Any]) -> Path:
        self.log.append("sweep")
        return self.root / "sweeps" / "1"

    def execute(self, job: ComposedJob) -> Any:
        self.log.append("execute")
        self.jobs.append(job)
        if self._before:
            self._before(job)
        return job.call(self._number)

    def abandon(self) -> None:
        self.log.append("abandon")

    @property
    def job(self) -> ComposedJob:
        """The one job."""
        [job] = self.jobs
        return job


def run(root: Path, main: Callable[..., Any], *overrides: str, **given: Any) -> tuple[Any, Hooks]:
    """Run a main function once, as from Python; return what it returned and the hooks."""
    hooks = Hooks(root)
    return run_app(task_spec(main, **given), overrides, hooks, interactive=True), hooks
