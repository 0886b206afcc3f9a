"""Asking why, as Python and the command line do."""

from __future__ import annotations

import os
from collections.abc import Sequence

from anew.runner.errors import AnewError, RerunError
from anew.runner.records import RunRecord
from anew.runner.relaunch import trust
from anew.runner.rerun.refusals import refuse_unfit
from anew.runner.store.folder import FolderStore
from anew.runner.store.locate import open_run_folders
from anew.runner.store.run_folders import RunFolders
from anew.runner.why import kept
from anew.runner.why.deltas import KINDS, differences
from anew.runner.why.explanation import Explanation
from anew.runner.why.measure import yardstick
from anew.runner.why.options import Options
from anew.runner.why.search import Search, Tell

_MOST_CANDIDATES = 50


def why(
    good: str | int | None,
    bad: str | int,
    *,
    metric: str | None = None,
    result: bool = False,
    only: Sequence[str] = (),
    max_runs: int | None = None,
    workers: int = 1,
    repeat: int = 1,
    tolerance: float | None = None,
    timeout: float | None = None,
    launcher: Sequence[str] = (),
    dry_run: bool = False,
    trust_source: bool = False,
    store: str | os.PathLike[str] | RunFolders | None = None,
    tell: Tell | None = None,
) -> Explanation:
    """
    Find the smallest set of differences between two runs that turns the good one into the bad one.

    Both are run again first, then mixtures of them: runs of the same store, each in a process of its own. To be called
    in one thread; stopped by a signal, the search can be taken up again by `resume`.

    Args:
        good: A run; None for the earlier completed run of the same experiment with the fewest differences.
        bad: The run that is to be explained: worse, other, or failed.
        metric: By what they are told apart: the name of a metric (its last value) or any that filters know; left out,
            the failure, the result, or the only metric that differs.
        result: By what main returned.
        only: The kinds of differences in question: config, source, packages, inputs, seed, variables, python.
        max_runs: How many runs may be started; what is known by then is returned.
        workers: How many trials run at a time.
        repeat: Run each mixture with so many seeds, at least 4, and let only differences count that are larger than
            chance.
        tolerance: How near the bad run's number is near enough; a tenth of the difference by default.
        timeout: Seconds after which a trial is cut off, which counts as how it fails.
        launcher: Overrides that say which engine of sweeps runs the trials, on other machines that share the store's
            folder, such as ("hydra/launcher=anew_slurm", "hydra.launcher.partition=gpu"); none for this machine.
        dry_run: Run nothing; return the differences.
        trust_source: Trust the source of records that came from elsewhere, from now on.
        store: The store's folder, or the store; None for the default.
        tell: Called with each line of progress; None for silence.

    Raises:
        RunNotFoundError: No such run (and the other errors of `RunStore.get`).
        RerunError: There is nothing to explain, or one of them cannot be run again.
        RefusedError: A record came from elsewhere, and is not trusted.
        StoreError: Trials cannot be recorded.
    """
    options = Options(
        metric=metric,
        result=result,
        only=tuple(only),
        max_runs=max_runs,
        workers=workers,
        repeat=repeat,
        tolerance=tolerance,
        timeout_s=timeout,
        launcher=tuple(launcher),
    )
    folders = _in_folder(store)
    again = f"anew why {bad}" if good is None else f"anew why {good} {bad}"
    ended = _fit(folders, folders.get(bad), trust_source, tell, again)
    begun = _nearest_good(folders, ended, options) if good is None else folders.get(good)
    say = tell or _silent
    if good is None:
        say(f"run {begun.id} is taken for the good one: earlier, completed, and with the fewest differences")
    search = Search(folders, _fit(folders, begun, trust_source, tell, again), ended, options, say)
    return search.planned() if dry_run else search.begun().answer()


def resume(
    number: int,
    *,
    max_runs: int | None = None,
    workers: int = 1,
    launcher: Sequence[str] | None = None,
    trust_source: bool = False,
    store: str | os.PathLike[str] | RunFolders | None = None,
    tell: Tell | None = None,
) -> Explanation:
    """
    Go on with a search; what its trials came to is taken from the store.

    Args:
        number: The search, as `anew why` called it.
        max_runs: How many runs may be started now.
        workers: How many at a time.
        launcher: As for `why`; None for the one that it was begun with.
        trust_source: As for `why`.
        store: As for `why`.
        tell: As for `why`.

    Raises:
        RerunError: There is no such search, or a run of it is gone.
        StoreError: What it was begun with is damaged; trials cannot be recorded.
    """
    folders = _in_folder(store)
    start = kept.begun(folders, number)
    known = {name: value for name, value in start.options.items() if value is not None}
    known.update(
        {name: tuple(known.get(name, ())) for name in ("only", "launcher")}, max_runs=max_runs, workers=workers
    )
    if launcher is not None:
        known["launcher"] = tuple(launcher)
    good, bad = (
        _fit(folders, folders.get(uid), trust_source, tell, f"anew why --resume {number}")
        for uid in (start.good, start.bad)
    )
    return Search(folders, good, bad, Options(**known), tell or _silent).again(start).answer()


# --- what is fit --------------------------------------------------------------------------------------------------


def _in_folder(store: str | os.PathLike[str] | RunFolders | None) -> FolderStore:
    opened = store if isinstance(store, RunFolders) else open_run_folders(store)
    if not isinstance(opened, FolderStore):
        raise RerunError(
            f"Trials are recorded in a folder, and {opened.url} is none. Bring the two runs into one: "
            f"anew --store {opened.url} sync GOOD BAD runs"
        )
    return opened


def _fit(store: FolderStore, record: RunRecord, trusted: bool, tell: Tell | None, again: str) -> RunRecord:
    """Return a run that can be mixed. Raises RerunError, RefusedError."""
    refuse_unfit(record, "recorded", store.url)
    trust.require_run(record, store.present(record.id or 0), given=trusted, tell=tell or _silent, again=again)
    return record


def _nearest_good(store: FolderStore, bad: RunRecord, options: Options) -> RunRecord:
    """Return the earlier run that is most like a bad one. Raises RerunError when there is none."""
    found: list[tuple[int, int, RunRecord]] = []
    candidates = (
        each
        for each in store.find("status == COMPLETED")
        if each.experiment == bad.experiment
        and each.started_at < bad.started_at
        and each.why is None
        and each.uid != bad.uid
    )
    for number, light in enumerate(candidates):
        if number >= _MOST_CANDIDATES:
            break
        record = store.get(light.uid)
        try:
            refuse_unfit(record, "recorded", store.url)
            yardstick(record, bad, options.metric, options.result)
        except AnewError:
            continue
        count = len(differences(record, bad, store.objects, options.only or KINDS).deltas)
        if count:
            found.append((count, number, record))
    if not found:
        raise RerunError(
            f"No earlier completed run of {bad.experiment!r} came out otherwise than run {bad.id}. Name the good one: "
            f"anew why GOOD {bad.id}"
        )
    return min(found, key=lambda each: each[:2])[2]


def _silent(text: str) -> None:
    """Say nothing."""
