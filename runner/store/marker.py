"""
That something was done to runs of a store which had ended: a file whose content is another one each time.

Whoever knows a run by what it was when it ended need not look at it again while that file says the same.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from anew.runner.errors import StoreError
from anew.runner.format import ids
from anew.runner.format.serial import seal
from anew.runner.store.files import read_regular, replace_whole

_MOST_BYTES = 1 << 10


def path_of(folder: Path) -> Path:
    """Return where the file lies, given the folder that runs lie in, or the trash."""
    return (folder.parent if folder.name == "trash" else folder) / "changed"


def read_marker(folder: Path) -> str:
    """Return what the file says; nothing where there is none. Never raises."""
    try:
        return read_regular(path_of(folder), _MOST_BYTES).decode("ascii", "replace")
    except OSError:
        return ""


def move_marker(folder: Path) -> None:
    """Say that a run was changed, once it was. Never raises: without the file every run is looked at."""
    try:
        replace_whole(path_of(folder), seal({"changed": ids.new_uid()}))
    except (OSError, StoreError):
        with suppress(OSError):
            os.unlink(path_of(folder))
