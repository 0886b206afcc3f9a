"""Sweeps: how they stand, which job is best, which parameters matter, what no other job beats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from msgspec import Meta

from anew.runner.errors import AnewError, StoreError
from anew.runner.server.failures import Refused
from anew.runner.server.jobs import anew_command
from anew.runner.server.routes import Asked
from anew.runner.server.site import Site
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.sweep_state import ScannedOnce, read_sweep
from anew.runner.sweep.groups import groups_of
from anew.runner.sweep.report import ranking
from anew.runner.sweep.told import group_to_json, pairs_of, search_to_json, sweep_to_json, varying
from anew.runner.sweep_records import SweepJob, SweepRecord

_LEAST_JOBS = 3


class NoMore(Asked):
    """Nothing more is said."""


class SweepAsked(Asked):
    """Which sweep."""

    sweep: Annotated[str, Meta(min_length=1, max_length=100)]


class StopAsked(Asked):
    """Which sweep, and whether its running jobs come to their end."""

    sweep: Annotated[str, Meta(min_length=1, max_length=100)]
    finish: bool = False


def sweeps(site: Site, asked: NoMore) -> dict[str, Any]:
    """All sweeps, newest first."""
    store = site.store
    if not isinstance(store, RunFolders):
        return {"sweeps": []}
    runs = ScannedOnce(store)
    found = []
    for number in store.sweep_numbers():
        folder = store.sweep_folder(number)
        try:
            if folder.start() is not None:
                found.append(read_sweep(folder, runs))
        except AnewError:
            continue  # one that is damaged is listed by anew check
    found = [sweep for sweep in found if not sweep.is_deleted]
    found.sort(key=lambda sweep: (sweep.start.started_at, sweep.id), reverse=True)
    return {"sweeps": [sweep_to_json(sweep, jobs=False) for sweep in found]}


def sweep(site: Site, asked: SweepAsked) -> dict[str, Any]:
    """A sweep and its jobs, best first."""
    store = site.folders
    record = store.sweep(asked.sweep)
    jobs, aim = ranking(record)
    folder = store.layout.sweep(record.id).search
    search = search_to_json(folder, False)
    keys = varying(record)
    shares, method = _importance(record, keys, search)
    data = sweep_to_json(record, jobs=True)
    places = {job.index: place for place, job in enumerate(jobs)}
    data["jobs"].sort(key=lambda job: places[job["index"]])
    return {
        **data,
        "groups": [group_to_json(group) for group in groups_of(record.jobs, by=None, aim=aim)],
        "search": search,
        "swept": keys,
        "values": {str(job.index): pairs_of(job) for job in record.jobs},
        "objective": {"name": aim.words, "direction": aim.direction},
        "importance": [{"key": key, "share": share} for key, share in shares.items()],
        "importance_method": method,
        "pareto": _pareto(record, search),
    }


# --- which parameters matter ----------------------------------------------------------------------------------------


def _importance(
    record: SweepRecord, keys: Sequence[str], search: Mapping[str, Any] | None
) -> tuple[dict[str, float], str | None]:
    """Return the share of each key, the greatest first, and how that was worked out."""
    if search and search.get("importance"):
        return dict(search["importance"]), "PED-ANOVA of the search"
    found = variance_shares(record.jobs, keys)
    method = "share of the variance of results that lies between the values of a key, the key alone"
    return found, method if found else None


def variance_shares(jobs: Sequence[SweepJob], keys: Sequence[str]) -> dict[str, float]:
    """
    Return how much of the results' variance lies between the values of each key (eta squared), the greatest first.

    Each key is looked at alone, so that shares need not sum up to 1. What by chance alone would lie there is taken off
    (epsilon squared): of a key with as many values as jobs nothing can be told.
    """
    scored = [(pairs_of(job), float(job.result)) for job in jobs if _is_number(job.result)]
    if len(scored) < _LEAST_JOBS:
        return {}
    mean = math.fsum(result for _, result in scored) / len(scored)
    whole = math.fsum((result - mean) ** 2 for _, result in scored)
    if not whole > 0 or not math.isfinite(whole):
        return {}
    shares: dict[str, float] = {}
    for key in keys:
        groups: dict[str, list[float]] = {}
        for pairs, result in scored:
            groups.setdefault(pairs.get(key, ""), []).append(result)
        freedom = len(scored) - len(groups)
        if len(groups) < 2 or freedom < 1:
            continue
        within = math.fsum(_squares(results) for results in groups.values())
        between = whole - within - (len(groups) - 1) * within / freedom
        shares[key] = min(1.0, max(0.0, between / whole))
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _squares(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    try:
        return is_number and math.isfinite(value)
    except OverflowError:
        return False


def _pareto(record: SweepRecord, search: Mapping[str, Any] | None) -> list[int] | None:
    """Return the runs that no other beats in all objectives; None for a sweep with one."""
    if not search or len(search.get("directions") or ()) < 2:
        return None
    runs = {job.index: job.run for job in record.jobs}
    return [run for each in search.get("best", ()) if (run := runs.get(each["index"])) is not None]


# --- going on, and not ----------------------------------------------------------------------------------------------


def stop(site: Site, asked: StopAsked) -> dict[str, Any]:
    """Have a sweep stop: its running jobs are interrupted, or come to their end; the others stay planned."""
    store = site.folders
    folder = store.sweep_folder(asked.sweep)
    if store.recording() is not store:
        raise StoreError(f"Nothing runs in {store.url}. Stop sweep {folder.number} where it is recorded.")
    if not folder.conductor_alive():
        raise Refused(409, f"Sweep {folder.number} is not going on: nobody hands out its jobs.")
    folder.ask_to_stop("finish" if asked.finish else "now")
    return {"sweep": folder.number, "asked": "finish" if asked.finish else "stop"}


def resume(site: Site, asked: SweepAsked) -> dict[str, Any]:
    """Run what has not completed of a sweep, in a process of its own; it refuses what is not one's own."""
    number = site.folders.sweep_folder(asked.sweep).number
    words = ("sweep", "resume", str(number), "--store", site.store.url)
    job = site.jobs.start(("anew", *words), anew_command(*words))
    return {"job": job.number, "sweep": number}
