"""Where an observer's files go: a folder of its own for each run, where many runs write side by side."""

from __future__ import annotations

import re
from pathlib import Path

from anew.runner.contracts import RunStore
from anew.runner.records import RunRecord

_MOST_NAME_BYTES = 120
_SHORT_UID = 10


def folder_of_runs(given: str | None, store: RunStore | None, name: str) -> Path:
    """
    Return the folder that runs get their own folders in, absolute; it need not be there.

    Args:
        given: What the configuration says, or None.
        store: The store that the run is recorded in, if it is known.
        name: The folder where nothing is given: in the store's own, or in the working directory if it has none.
    """
    if given is not None:
        return Path(given).expanduser().absolute()
    return Path(getattr(store, "root", None) or "").absolute() / name


def claim_folder(folder: Path, record: RunRecord) -> Path:
    """
    Return the run's own folder in *folder*, made if need be: `7-digits`, or with a beginning of the uid for a number.

    The same run always gets the same one, whichever process asks. Where another run has that name already (two stores
    count from 1), the uid is added. An empty file `.anew-UID` says whose a folder is. Safe between processes.

    Raises:
        OSError: It cannot be made.
    """
    name = f"{record.id or record.uid[:_SHORT_UID]}-{_safe(record.experiment)}"
    mine = folder / name
    if _is_mine(mine, record.uid):
        return mine
    apart = folder / f"{name}-{record.uid}"
    apart.mkdir(exist_ok=True)
    _mark(apart, record.uid).touch()
    return apart


def _is_mine(folder: Path, uid: str) -> bool:
    if _mark(folder, uid).exists():
        return True
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return False
    _mark(folder, uid).touch()
    return True


def _mark(folder: Path, uid: str) -> Path:
    return folder / f".anew-{uid}"


def _safe(name: str) -> str:
    """Return a name as part of a file name, in letters, digits and few signs."""
    text = re.sub(r"[^\w.+-]+", "_", name).encode("utf-8")[:_MOST_NAME_BYTES].decode("utf-8", "ignore")
    return text or "run"
