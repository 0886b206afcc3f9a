"""What a sweep says while it goes on: a line for each job that ended; on a terminal a bar below them. All on stderr."""

from __future__ import annotations

import sys
from typing import Any

from anew.runner.records import Status
from anew.runner.sweep_records import Aim, SweepJob, aim_of, best_of
from anew.runner.wording import duration, lines, say, short, without_noise


class Progress:
    """
    Shows how far a sweep has got. To be used in one thread.

    Args:
        sweep: Its number.
        total: How many jobs there are, None when that is not known.
        aim: Which result is best, as far as that is known before there are any.
        quiet: Say nothing.
    """

    def __init__(self, sweep: int, total: int | None, *, aim: Aim, quiet: bool, done: int = 0) -> None:
        self._sweep = sweep
        self._total = total
        self._aim = aim
        self._quiet = quiet
        self._counts: dict[Status, int] = {}
        self._ended: list[SweepJob] = []
        self._running = 0
        self._finished = done
        self._bar: Any = None
        self._task: Any = None
        if not quiet and sys.stderr is not None and sys.stderr.isatty():
            self._bar, self._task = _bar(sweep, total, done)

    def begin(self) -> None:
        """A job has begun."""
        self._running += 1
        self._show()

    def withdraw(self) -> None:
        """A job that was handed out has not begun."""
        self._running = max(0, self._running - 1)
        self._show()

    def end(self, job: SweepJob) -> None:
        """A job has ended."""
        self._running = max(0, self._running - 1)
        self._finished += 1
        self._counts[job.status] = self._counts.get(job.status, 0) + 1
        self._ended.append(job)
        if self._bar is not None:
            # above the bar, which goes on below
            self._bar.console.print(
                f"anew: {lines(self._line(job))}", markup=False, highlight=False, emoji=False, soft_wrap=True
            )
        elif not self._quiet:
            say(self._line(job))
        self._show()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _line(self, job: SweepJob) -> str:
        of = f"/{self._total}" if self._total is not None else ""
        what = short(self._aim.of(job)) if job.status is Status.COMPLETED else (job.error or "")
        parts = [
            f"sweep {self._sweep} [{self._finished}{of}]",
            f"job {job.index}",
            f"run {job.run}" if job.run is not None else "",
            job.state,
            what,
            " ".join(map(without_noise, job.overrides)),
            f"({duration(job.duration_s)})" if job.duration_s is not None else "",
        ]
        return "  ".join(part for part in parts if part)

    def _show(self) -> None:
        if self._bar is None:
            return
        failed = sum(self._counts.get(status, 0) for status in (Status.FAILED, Status.LOST))
        words = [f"{self._running} running"]
        if failed:
            words.append(f"[red]{failed} failed[/]")
        aim = aim_of(self._ended, self._aim)
        if (best := best_of(self._ended, aim)) is not None:
            words.append(f"{aim.words} {short(aim.of(best))} (run {best.run})")
        self._bar.update(self._task, completed=self._finished, words=", ".join(words))


def _bar(sweep: int, total: int | None, done: int) -> tuple[Any, Any]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        TextColumn(f"sweep {sweep}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[words]}"),
        TextColumn("time left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task("jobs", total=total, completed=done, words="")
    bar.start()
    return bar, task
