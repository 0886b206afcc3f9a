"""Hooks that record jobs in a list, for tests of the configuration room alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from anew.runner.config.main import ComposedJob, Due, Launching, Ticket, Undue, run_app, task_spec
from anew.runner.records import Status
from anew.runner.sweep_records import PlannedJob, SweepJob


class Hooks:
    """Claims folders 1, 2, ... below a root; the run handed to main is the number."""

    def __init__(self, root: Path, before: Callable[[ComposedJob], None] | None = None) -> None:
        self.root = root
        self.log: list[Any] = []
        self.jobs: list[ComposedJob] = []
        self.results: dict[int, Any] = {}
        self._before = before
        self._number = 0

    def claim(self, settings: Mapping[str, Any], multirun: bool, job_num: int | None) -> Path:
        self._number += 1
        self.log.append(("claim", multirun, job_num))
        return self.root / str(self._number) / "files"

    def sweep(self, settings: Mapping[str, Any]) -> tuple[Path, Sweep]:
        self.log.append("sweep")
        return self.root / "sweeps" / "1", Sweep(self)

    def adds(self) -> bool:
        return False

    def planned(self) -> list[PlannedJob]:
        return []

    def earlier(self, settings: Mapping[str, Any], where: str) -> list[Any]:
        return []

    def task(self) -> Any:
        return None

    def execute(self, job: ComposedJob) -> Any:
        self.log.append("execute")
        self.jobs.append(job)
        if self._before:
            self._before(job)
        result = job.call(self._number)
        self.results[job.job_num or 0] = result
        return result

    def abandon(self) -> None:
        self.log.append("abandon")

    @property
    def job(self) -> ComposedJob:
        """The one job."""
        [job] = self.jobs
        return job


class Sweep:
    """Runs all jobs in this process; the result of a sweep is a list of what main returned."""

    def __init__(self, hooks: Hooks) -> None:
        self.hooks = hooks
        self.planned: list[PlannedJob] = []
        self.launching: Launching | None = None

    def begin(self, launching: Launching, overrides: Sequence[str], flags: Sequence[str], ours: Sequence[str]) -> None:
        self.launching = launching

    def plan(self, jobs: Sequence[PlannedJob]) -> list[bool]:
        self.planned += jobs
        return [True for _ in jobs]

    def due(self, index: int) -> Due | Undue:
        return Undue.NOT_DUE if index in self.hooks.results else Due(1)

    def conduct(
        self,
        following: Callable[[], Ticket | None],
        run_here: Callable[[Ticket], object],
        tell: Callable[[int], object],
    ) -> None:
        while (ticket := following()) is not None:
            run_here(ticket)
            tell(ticket.index)

    def watch(self, launch: Callable[[], object], indices: Sequence[int]) -> None:
        with suppress(Exception):
            launch()
        for index in indices:
            self.hooks.results.setdefault(index, None)

    def job(self, index: int) -> SweepJob:
        overrides = self.planned[index].overrides
        if index not in self.hooks.results:
            return SweepJob(index=index, status=Status.FAILED, overrides=overrides, error="failed")
        return SweepJob(index=index, status=Status.COMPLETED, overrides=overrides, result=self.hooks.results[index])

    def withdraw(self) -> None:
        return

    def end(self, reason: str, detail: str = "") -> Any:
        return [result for _, result in sorted(self.hooks.results.items())]


def run(root: Path, main: Callable[..., Any], *overrides: str, **given: Any) -> tuple[Any, Hooks]:
    """Run a main function once, as from Python; return what it returned and the hooks."""
    hooks = Hooks(root)
    return run_app(task_spec(main, **given), overrides, hooks, interactive=True), hooks
