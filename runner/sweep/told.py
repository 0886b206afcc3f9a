"""Sweeps, and runs with what they belong to, as `--json` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner.contracts import RunStore
from anew.runner.errors import MissingExtraError, StoreError
from anew.runner.format.serial import record_to_json
from anew.runner.format.values import iso, plain
from anew.runner.lazy.modules import later
from anew.runner.records import RunRecord
from anew.runner.sweep.groups import Group
from anew.runner.sweep.work import work_key
from anew.runner.sweep_records import SweepJob, SweepRecord, aim_of

if TYPE_CHECKING:
    from anew.runner.search import summary
    from anew.runner.search.summary import SearchSummary
else:
    # most sweeps are no searches
    summary = later("anew.runner.search.summary")


def run_to_json(record: RunRecord, store: RunStore) -> dict[str, Any]:
    """Return everything known of a run of a store."""
    return {**record_to_json(record), "key": work_key(record), "children": children(record, store)}


def nested(store: RunStore) -> list[RunRecord]:
    """Return the runs that were started in another one, oldest first."""
    return list(reversed(store.find("parent != none")))


def children(record: RunRecord, store: RunStore) -> list[int | None]:
    """Return the numbers of the runs that were started in one, oldest first."""
    return [each.id for each in nested(store) if each.parent is not None and each.parent.uid == record.uid]


def sweep_to_json(sweep: SweepRecord, *, jobs: bool) -> dict[str, Any]:
    """Return a sweep, with its jobs where these are wanted."""
    data: dict[str, Any] = {
        "id": sweep.id,
        "uid": sweep.start.uid,
        "experiment": sweep.experiment,
        "status": sweep.status.value,
        "started_at": iso(sweep.start.started_at),
        "ended_at": iso(sweep.ended_at) if sweep.ended_at else None,
        "reason": sweep.reason,
        "warnings": list(sweep.warnings),
        "overrides": list(sweep.overrides),
        "sweeper": sweep.start.sweeper,
        "launcher": sweep.start.launcher,
        "direction": aim_of(sweep.jobs, sweep.start.aim).direction,
        "best": sweep.best.index if sweep.best else None,
        "counts": {status.value: count for status, count in sweep.counts().items()},
    }
    if jobs:
        data["jobs"] = [_job_to_json(job) for job in sweep.jobs]
    return data


def _job_to_json(job: SweepJob) -> dict[str, Any]:
    return {
        "index": job.index,
        "status": job.status.value,
        "overrides": list(job.overrides),
        "run": job.run,
        "runs": list(job.runs),
        "result": plain(job.result),
        "error": job.error,
        "duration_s": job.duration_s,
        "reused": job.reused,
        "pruned": job.pruned,
        "deleted": job.deleted,
        "metrics": {name: plain(value) for name, value in job.metrics.items()},
    }


def pairs_of(job: SweepJob) -> dict[str, str]:
    """Return what was typed for each key."""
    return pairs_of_words(job.overrides)


def pairs_of_words(words: Sequence[str]) -> dict[str, str]:
    """Return the values of overrides, by their keys."""
    pairs = (each.partition("=") for each in words)
    return {key.lstrip("+~"): value for key, _, value in pairs}


def varying(sweep: SweepRecord) -> list[str]:
    """Return the keys whose values are not the same in all jobs."""
    found: dict[str, set[str]] = {}
    jobs = [pairs_of(job) for job in sweep.jobs]
    for each in jobs:
        for key in each:
            found.setdefault(key, set())
    for key, values in found.items():
        values.update(each.get(key, "") for each in jobs)
    return [key for key, values in found.items() if len(values) > 1]


def group_to_json(group: Group) -> dict[str, Any]:
    """Return jobs that differ in the seed alone."""
    return {
        "overrides": list(group.overrides),
        "jobs": list(group.jobs),
        "result": None if group.result is None else group.result.to_json(),
        "metrics": {name: spread.to_json() for name, spread in group.metrics.items()},
    }


def search_in(folder: Path, trusted: bool) -> SearchSummary | None:
    """Return what the search in a sweep's folder has found so far; None for a sweep that is none."""
    return summary.summary(folder.parent, trusted=trusted) if folder.exists() else None


def search_to_json(folder: Path, trusted: bool) -> dict[str, Any] | None:
    """Return the search of a sweep; None for a sweep that is none."""
    try:
        found = search_in(folder, trusted)
    except (MissingExtraError, StoreError) as error:
        return {"error": str(error)}
    if found is None:
        return None
    return {
        "directions": list(found.directions),
        "sampler": found.sampler,
        "seed": found.seed,
        "wanted": found.wanted,
        "trials": dict(found.n_trials),
        "best": [
            {"index": each.index, "values": [plain(value) for value in each.values], "params": plain(dict(each.params))}
            for each in found.best
        ],
        "importance": dict(found.importance),
        "unopened": found.unopened or None,
    }
