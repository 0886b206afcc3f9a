"""How a sweep went, said at its end."""

from __future__ import annotations

from anew.runner.recorder import say
from anew.runner.records import Status
from anew.runner.sweeps import SweepRecord
from anew.runner.wording import short

_MOST = 20


def report(sweep: SweepRecord) -> None:
    """Say on stderr how many jobs ended how, which was best, and which failed and why."""
    counts = ", ".join(f"{count} {status.value}" for status, count in sweep.counts().items())
    best = sweep.best
    ending = f"; best {short(best.result)}: run {best.run} ({' '.join(best.overrides)})" if best is not None else ""
    say(f"sweep {sweep.id}: {counts or 'no jobs'}{ending}")
    failed = [job for job in sweep.jobs if job.status in (Status.FAILED, Status.LOST)]
    for job in failed[:_MOST]:
        run = f"run {job.run}" if job.run is not None else "no run"
        why = job.error or ("its process died" if job.status is Status.LOST else "")
        say(f"  job {job.index}  {run}  {job.status.value}  {' '.join(job.overrides)}  {why}")
    if len(failed) > _MOST:
        say(f"  and {len(failed) - _MOST} more")
    if failed:
        say(f"to see why: anew show sweep:{sweep.id}/{failed[0].index}")
    if sweep.status is not Status.COMPLETED:
        say(f"to run what has not completed: anew sweep resume {sweep.id}")
