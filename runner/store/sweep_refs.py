"""Sweeps as references call them, and which runs are theirs; never those of several as if they were one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from anew.runner.errors import AmbiguousRefError
from anew.runner.format import ids
from anew.runner.format.redact import REDACTED
from anew.runner.records import RunRecord
from anew.runner.wording import printable


def job_of(runs: Iterable[tuple[int, RunRecord]], ref: ids.BySweep) -> list[int]:
    """
    Return the number of the latest run of a sweep's job, none where there is none.

    Args:
        runs: The runs of a store, by number, newest first.
        ref: The sweep, by its number there or the beginning of its uid, and the job.

    Raises:
        AmbiguousRefError: Several sweeps are called so.
    """
    of_job = [(number, record) for number, record in runs if record.sweep and record.sweep.index == ref.index]
    found = [(number, record) for number, record in of_job if is_of_sweep(record, ref.sweep)]
    one_sweep(ref.sweep, (record for _, record in found))
    return [number for number, _ in found][:1]


def is_of_sweep(record: RunRecord, sweep: int | str) -> bool:
    """Whether a run is of the sweep that its store calls so: by number, or by the beginning of the sweep's uid."""
    if record.sweep is None:
        return False
    return (record.sweep.uid or "").startswith(sweep) if isinstance(sweep, str) else record.sweep.id == sweep


def one_sweep(sweep: int | str, members: Iterable[RunRecord]) -> None:
    """Raise AmbiguousRefError when runs that were found by the name of a sweep are of several."""
    found = {_what_sweep(record): record.sweep.id for record in members if record.sweep is not None}
    if len(found) > 1:
        raise ambiguous_sweep(str(sweep), [(number, what) for what, number in found.items()])


def _what_sweep(record: RunRecord) -> str:
    """Return the uid of a run's sweep, or all that earlier versions say of it beside its number."""
    uid = record.sweep.uid if record.sweep else None
    command = record.command
    words = " ".join(word for word in command.argv if REDACTED not in word)
    return uid or f"{record.experiment}, started in {command.cwd} by {words}"


def ambiguous_sweep(text: str, found: Sequence[tuple[int | None, str]]) -> AmbiguousRefError:
    """Return the error for a name that several sweeps have: the number of each, its uid or what tells it apart."""
    told = [printable(what if number is None else f"{number} ({what})") for number, what in found[:5]]
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return AmbiguousRefError(
        f"{text!r} names several sweeps: {'; '.join(told)}{more}. Give the number, or more of the uid; runs can also "
        "be named by their own numbers, or by a filter such as 'sweep.uid == UID'.",
        ref=text,
        candidates=tuple(number for number, _ in found if number is not None),
    )
