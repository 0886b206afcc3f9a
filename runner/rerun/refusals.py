"""What a re-run is not begun for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from anew.runner.errors import RerunError
from anew.runner.records import RunRecord
from anew.runner.store.typed import as_typed

_INSTEAD = {
    "anew.store": "It goes to the store of the run that it repeats. To have it elsewhere, afterwards: anew sync",
    "anew.tags": "What a run is called is no part of what is repeated. To give it tags, afterwards: anew tag",
    "anew.note": "What a run is called is no part of what is repeated. To give it a note, afterwards: anew note",
}


def refuse_idle(overrides: Sequence[str]) -> None:
    """Refuse settings that a re-run does not heed. Raises RerunError."""
    for each in overrides:
        key = each.lstrip("+~").partition("=")[0]
        if key in _INSTEAD:
            raise RerunError(f"{each!r} has no effect on a re-run. {_INSTEAD[key]}")


def refuse_unfit(record: RunRecord, code: str, store: str) -> None:
    """Refuse a run whose record does not suffice, or that is going on, in the store at a URL. Raises RerunError."""
    ref = record.id
    if not record.uid:
        check = as_typed("anew check", store)
        raise RerunError(f"Run {ref} cannot be run again: {'; '.join(record.warnings)}. To look into it: {check}")
    if not record.status.final:
        where = f" (process {record.process.pid} on {record.process.hostname})" if record.process else ""
        logs = as_typed(f"anew logs {ref} -f", store)
        raise RerunError(f"Run {ref} is still going on{where}. Wait for its end, or follow it: {logs}")
    if not record.command.function:
        raise RerunError(f"It is not on record which function run {ref} called, so it cannot be called again.")
    root = record.source.root
    if root is None or (code == "current" and not Path(root).is_dir()):
        raise RerunError(f"There is no project at {root!r} any more. To run the recorded source: --code recorded")
    if code == "current" and record.command.entry == "cells":
        raise RerunError(
            f"Run {ref} was started from the cells of a notebook, which are on record, and in no file of today's "
            f"project. To run them: anew rerun {ref}"
        )
    if code == "recorded" and not record.source.files:
        raise RerunError(
            f"The source of run {ref} is not on record (anew.source.enabled was false, or its files were left out). "
            f"To run today's: {as_typed(f'anew rerun {ref} --code current', store)}"
        )
