"""How a sweep went: said at its end, and its jobs in order of their results."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from anew.runner.attached.aims import direction_of, is_finite
from anew.runner.errors import FilterError
from anew.runner.records import Status
from anew.runner.store.typed import as_typed
from anew.runner.sweep_records import Aim, SweepJob, SweepRecord, aim_of, best_of, is_met
from anew.runner.wording import say, short, without_noise

_MOST = 20


def say_ending(sweep: SweepRecord, store: str, *, is_recorded: bool = True) -> None:
    """Say on stderr how many jobs ended how, which was best, and which failed and why, in the store at a URL."""
    aim = aim_of(sweep.jobs, sweep.start.aim)
    best = best_of(sweep.jobs, aim)
    where = f"run {best.run} {' '.join(map(without_noise, best.overrides))}".rstrip() if best else ""
    ending = f"; best ({aim.words}) {short(aim.of(best))}: {where}" if best else ""
    say(f"sweep {sweep.id}: {sweep.told()}{ending}")
    say_failures(sweep, store, is_recorded=is_recorded)
    queued = sum(job.status is Status.QUEUED for job in sweep.jobs)
    if queued and sweep.reason == "budget":
        say(f"sweep {sweep.id} was cut short: {queued} of its {len(sweep.jobs)} jobs never began")
    if is_recorded and sweep.status is not Status.COMPLETED:
        say(f"to run what has not completed: {as_typed(f'anew sweep resume {sweep.id}', store)}")


def say_failures(sweep: SweepRecord, store: str, *, is_recorded: bool = True) -> None:
    """Say on stderr which jobs failed, and why; of what stays, what to type."""
    failed = [job for job in sweep.jobs if job.status in (Status.FAILED, Status.LOST) and not job.deleted]
    for job in failed[:_MOST]:
        run = f"run {job.run}" if job.run is not None else "no run"
        why = job.error or ("its process died" if job.status is Status.LOST else "")
        say(f"  job {job.index}  {run}  {job.status.value}  {' '.join(map(without_noise, job.overrides))}  {why}")
    if len(failed) > _MOST:
        say(f"  and {len(failed) - _MOST} more")
    if failed and is_recorded:
        say(f"to see why: {as_typed(f'anew show sweep:{sweep.id}/{failed[0].index}', store)}")


def ranking(sweep: SweepRecord, *, by: str | None = None, smallest: bool | None = None) -> tuple[list[SweepJob], Aim]:
    """
    Return a sweep's jobs, best first, and what is best; those that cannot be best after them, by index.

    By index all of them, where it is not known which result is best.

    Args:
        sweep: The sweep.
        by: A metric to order by, in place of the result.
        smallest: Whether the smallest is best; None for what the metric's name or the sweep says.

    Raises:
        FilterError: No job has the metric *by*.
    """
    if by is not None and not any(by in job.metrics for job in sweep.jobs):
        names = sorted({name for job in sweep.jobs for name in job.metrics})
        raise FilterError(f"No job of sweep {sweep.id} has a metric {by!r}. There are: {', '.join(names) or 'none'}.")
    said = None if smallest is None else "minimize" if smallest else "maximize"
    start = sweep.start
    if by is not None:
        aim = Aim(said or direction_of(by) or start.direction, by, constraints=start.aim.constraints)
    else:
        aim = aim_of(sweep.jobs, replace(start.aim, direction=said or start.direction))
    if aim.direction is None:
        return list(sweep.jobs), aim

    def key(job: SweepJob) -> tuple[bool, Any, int]:
        value: Any = job.metrics.get(by) if by is not None else aim.of(job)
        is_good = job.status in (Status.COMPLETED, Status.RUNNING) and is_met(aim.constraints, job)
        if job.pruned or not is_good or not is_finite(value):
            return True, 0, job.index
        return False, value if aim.direction == "minimize" else -value, job.index

    return sorted(sweep.jobs, key=key), aim
