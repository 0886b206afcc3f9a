"""Whether what is about to be run of a sweep is what this user planned."""

from __future__ import annotations

from anew.runner.errors import RefusedError
from anew.runner.store.sweep_folder import SweepFolder
from anew.runner.wording import printable

_MOST = 10


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
        f"If they are as they should be: anew sweep resume {number} --trust",
    ]
    raise RefusedError("\n".join(map(printable, lines)), ref=number)
