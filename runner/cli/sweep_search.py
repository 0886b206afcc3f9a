"""What a search has found, beside the jobs of its sweep."""

from __future__ import annotations

from pathlib import Path

from anew.runner.cli.render import remark, say
from anew.runner.errors import MissingExtraError, StoreError
from anew.runner.store.typed import as_typed
from anew.runner.sweep.told import search_in
from anew.runner.sweep_records import SweepRecord
from anew.runner.wording import printable, short

_EXACT = 1e6
_MOST_BEST = 5


def print_search(sweep: SweepRecord, folder: Path, trusted: bool) -> None:
    """Print how the search of a sweep stands; nothing for a sweep that is none."""
    try:
        found = search_in(folder, trusted)
    except (MissingExtraError, StoreError) as error:
        remark(str(error))
        return
    if found is None:
        return
    if found.unopened:
        how = as_typed(f"anew sweep show {sweep.id} --trust", folder.parent.parent.parent)
        remark(f"The search by {found.sampler} is kept in {printable(found.unopened)}; to have it opened: {how}")
        return
    begun = sum(bool(job.attempts) for job in sweep.jobs)
    # how its jobs stand is said above: of a job that was cut short the search knows that it began, and no more
    say(f"search by {found.sampler}, seed {found.seed}: {begun} of {found.wanted} jobs begun")
    for best in found.best[:_MOST_BEST]:
        values = " ".join(map(_objective, best.values))
        params = " ".join(f"{key}={short(value)}" for key, value in best.params.items())
        say(f"  best  {values}  job {best.index}  {params}")
    if found.importance:
        shares = ", ".join(f"{key} {share:.0%}" for key, share in found.importance.items())
        of = f"  (mean over {', '.join(sweep.start.value) or 'the objectives'})" if len(found.directions) > 1 else ""
        say(f"  importance  {shares}{of}")


def _objective(value: float) -> str:
    """Return a number as it was most likely given: the search has all of them as floats."""
    return short(int(value) if value.is_integer() and abs(value) < _EXACT else value)
