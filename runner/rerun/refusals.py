"""What a re-run is not begun for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from anew.runner.errors import RerunError
from anew.runner.format.cells import FILE_NAME
from anew.runner.records import RunRecord, Status
from anew.runner.relaunch.plan import SACRED
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
    if not record.status.final and record.status is not Status.UNKNOWN:
        where = f" (process {record.process.pid} on {record.process.hostname})" if record.process else ""
        logs = as_typed(f"anew logs {ref} -f", store)
        raise RerunError(f"Run {ref} is still going on{where}. Wait for its end, or follow it: {logs}")
    if record.command.entry == SACRED:
        _refuse_without_main_file(record, store)
    elif not record.command.function:
        raise RerunError(f"It is not on record which function run {ref} called, so it cannot be called again.")
    root = record.source.root
    if root is None or (code == "current" and not Path(root).is_dir()):
        raise RerunError(f"There is no project at {root!r} any more. To run the recorded source: --code recorded")
    if code == "current" and Path(record.command.target).name == FILE_NAME:
        raise RerunError(
            f"Run {ref} was started from the cells of a notebook, which are on record, and in no file of today's "
            f"project. To run them: anew rerun {ref}"
        )
    if code == "recorded" and not record.source.files:
        raise RerunError(
            f"The source of run {ref} is not on record (anew.source.enabled was false, or its files were left out). "
            f"To run today's: {as_typed(f'anew rerun {ref} --code current', store)}"
        )


def _refuse_without_main_file(record: RunRecord, store: str) -> None:
    """Refuse a run of Sacred's whose main file is not on record. Raises RerunError."""
    main = record.command.target
    if main and any(file.path == main for file in record.source.files):
        return
    get = as_typed(f"anew get {record.id} --source", store)
    what = f"its main file {main!r} is not on record" if main else "it is not on record which file was run"
    kept = f"What there is of its source ({len(record.source.files)} files): {get}" if record.source.files else ""
    why = f"{'; '.join(record.warnings[1:3])}. " if record.warnings[1:] else ""
    raise RerunError(f"Run {record.id}, which Sacred recorded, cannot be run again: {what}. {why}{kept}".strip())
