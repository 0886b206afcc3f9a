"""Whether what is about to be run of a sweep is what this user planned."""

from __future__ import annotations

from collections.abc import Callable

from anew.runner.errors import RefusedError, RunNotFoundError
from anew.runner.format.serial import to_json
from anew.runner.records import RunRecord
from anew.runner.relaunch.basis import digest_of, of_run, of_sweep
from anew.runner.relaunch.trust import require_run, require_sweep
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.sweep_folder import SweepFolder
from anew.runner.store.typed import as_typed
from anew.runner.sweep_records import PlannedJob, SweepStart
from anew.runner.wording import printable

_MOST = 10


def digest(start: SweepStart, job: PlannedJob, repeats: RunRecord | None) -> str:
    """Return the digest of all that a job runs: who hands it out says by it which is meant."""
    of_repeated = {} if repeats is None else {"run": of_run(repeats)}
    return digest_of({"sweep": of_sweep(start), "job": to_json(job), **of_repeated})


def repeated(start: SweepStart, store: RunFolders) -> RunRecord | None:
    """Return the run that a sweep repeats from recorded source; None for none, and for one that was deleted."""
    if start.repeats is None:
        return None
    try:
        return store.get(start.repeats.uid)
    except RunNotFoundError:
        return None


def require_repeated(
    start: SweepStart, store: RunFolders, *, given: bool, tell: Callable[[str], object] = lambda text: None
) -> RunRecord | None:
    """Return what `repeated` does if `trust.require_run` lets it pass. Raises RefusedError."""
    record = repeated(start, store)
    if record is not None:
        again = f"anew sweep resume {start.id}"
        require_run(record, store.present(record.id or 0), given=given, tell=tell, again=again)
    return record


def require_job(start: SweepStart, store: RunFolders, job: PlannedJob, expected: str | None) -> RunRecord | None:
    """
    Return the run that is repeated, if there is one, when a job, as it was read, is the one that is to be run.

    Args:
        start: The sweep, as it was read.
        store: Where.
        job: The job.
        expected: The digest that whoever hands it out gave; None for a job that this user's key has to vouch for.

    Raises:
        RefusedError: It is not.
    """
    folder = store.sweep_folder(start.id)
    if expected is None:
        require_sweep(start, folder.layout, given=False)
        require(folder, given=False)
        return require_repeated(start, store, given=False)
    record = repeated(start, store)
    if digest(start, job, record) != expected:
        raise RefusedError(
            f"Job {job.index} of sweep {start.id} is another in {str(folder.layout.folder)!r} than was handed out, and "
            f"is not run. To see what changed: {as_typed(f'anew sweep resume {start.id}', folder.store)}",
            ref=start.id,
        )
    return record


def require(folder: SweepFolder, *, given: bool) -> None:
    """
    Return if jobs and claims carry this user's mark; with *given*, put it on them as they are.

    Args:
        folder: The sweep.
        given: The user's word.

    Raises:
        RefusedError: Some do not; the message shows which.
        StoreError: They cannot be marked.
    """
    strange = folder.strange()
    if not strange:
        return
    if given:
        folder.vouch()
        return
    number = folder.number
    more = [f"  and {len(strange) - _MOST} more"] if len(strange) > _MOST else []
    lines = [
        f"Of sweep {number} these were not written by you, or were changed since, and would be run, or taken for done:",
        *(f"  {each}" for each in strange[:_MOST]),
        *more,
        f"If they are as they should be: {as_typed(f'anew sweep resume {number} --trust', folder.store)}",
    ]
    raise RefusedError("\n".join(map(printable, lines)), ref=number)
