"""How a sweep went: said at its end, and its jobs in order of their results."""

from __future__ import annotations

from anew.runner.errors import FilterError
from anew.runner.records import Status
from anew.runner.sweep_records import SweepJob, SweepRecord
from anew.runner.wording import say, short, without_noise

_MOST = 20


def say_ending(sweep: SweepRecord, *, is_recorded: bool = True) -> None:
    """Say on stderr how many jobs ended how, which was best, and which failed and why; of what stays, what to type."""
    counts = ", ".join(f"{count} {status.value}" for status, count in sweep.counts().items())
    best = sweep.best
    ending = (
        f"; best {short(best.result)}: run {best.run} {' '.join(map(without_noise, best.overrides))}".rstrip()
        if best
        else ""
    )
    say(f"sweep {sweep.id}: {counts or 'no jobs'}{ending}")
    say_failures(sweep, is_recorded=is_recorded)
    if is_recorded and sweep.status is not Status.COMPLETED:
        say(f"to run what has not completed: anew sweep resume {sweep.id}")


def say_failures(sweep: SweepRecord, *, is_recorded: bool = True) -> None:
    """Say on stderr which jobs failed, and why; of what stays, what to type."""
    failed = [job for job in sweep.jobs if job.status in (Status.FAILED, Status.LOST)]
    for job in failed[:_MOST]:
        run = f"run {job.run}" if job.run is not None else "no run"
        why = job.error or ("its process died" if job.status is Status.LOST else "")
        say(f"  job {job.index}  {run}  {job.status.value}  {' '.join(map(without_noise, job.overrides))}  {why}")
    if len(failed) > _MOST:
        say(f"  and {len(failed) - _MOST} more")
    if failed and is_recorded:
        say(f"to see why: anew show sweep:{sweep.id}/{failed[0].index}")


def ranking(sweep: SweepRecord, *, by: str | None = None, smallest: bool | None = None) -> list[SweepJob]:
    """
    Return a sweep's jobs, best first; those without a number after them, by index.

    Raises:
        FilterError: No job has the metric *by*.
    """
    if by is not None and not any(by in job.metrics for job in sweep.jobs):
        names = sorted({name for job in sweep.jobs for name in job.metrics})
        raise FilterError(f"No job of sweep {sweep.id} has a metric {by!r}. There are: {', '.join(names) or 'none'}.")
    least = smallest if smallest is not None else sweep.start.direction == "minimize"

    def key(job: SweepJob) -> tuple[bool, float | int, int]:
        value = job.metrics.get(by) if by is not None else job.result
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value != value:
            return True, 0.0, job.index
        return False, value if least else -value, job.index

    return sorted(sweep.jobs, key=key)
