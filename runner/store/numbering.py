"""Numbers of runs and sweeps: which was given last, which are never given again, and how one is taken."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from anew.runner.format.ids import is_number
from anew.runner.store.files import cannot, make_folders, names_in, sync_folder
from anew.runner.store.paths import RETIRED, StoreLayout


class LastClaimed:
    """
    The numbers that this process was given last, by stores, so that the next is found without listing all runs.

    Safe between threads. A hint: others may have taken further ones since.

    A store is told by the file that says its format, which is made once: a folder that was removed and made again is
    another store.
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, int, int], int] = {}
        self._lock = threading.Lock()

    def of(self, format_file: Path) -> int:
        """Return the greatest number that was noted; 0 for none."""
        key = _key(format_file)
        return 0 if key is None else self._numbers.get(key, 0)

    def note(self, format_file: Path, number: int) -> None:
        """Take note of a number that was given."""
        key = _key(format_file)
        with self._lock:
            if key is not None:
                self._numbers[key] = max(self._numbers.get(key, 0), number)


def _key(format_file: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(format_file)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_ctime_ns


last_claimed = LastClaimed()


def greatest_retired(layout: StoreLayout) -> int:
    """Return the greatest number that was deleted, purged, or given to a run that never started."""
    names = (name.removeprefix(RETIRED) for name in names_in(layout.trash))
    return max((int(name) for name in names if is_number(name)), default=0)


def retire(layout: StoreLayout, number: int) -> None:
    """
    Have a number never given again although no folder will hold it. Safe in a crowd: marks are only ever added, and
    removed when there is a greater one.

    Raises:
        StoreError: The store cannot be written.
    """
    mark = layout.retired(number)
    try:
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
        for name in names_in(layout.trash):
            older = name.removeprefix(RETIRED)
            if older != name and is_number(older) and int(older) < number:
                (layout.trash / name).unlink(missing_ok=True)
    except OSError as error:
        raise cannot("write", mark, error) from error


def claim_sweep(layout: StoreLayout) -> tuple[int, Path]:
    """Take the next sweep number of a store, by making its folder. Raises StoreError."""
    try:
        if not layout.sweeps.exists():
            make_folders(layout.sweeps)
        number = max((int(name) for name in names_in(layout.sweeps) if is_number(name)), default=0) + 1
        while True:
            try:
                folder = layout.sweeps / str(number)
                folder.mkdir()
                sync_folder(layout.sweeps)
                sync_folder(layout.root)  # whoever made the folder of sweeps may not have come to it
                return number, folder
            except FileExistsError:
                number += 1
    except OSError as error:
        raise cannot("write", layout.sweeps, error) from error
