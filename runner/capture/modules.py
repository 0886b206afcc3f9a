"""The files of a project that loaded modules come from."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_places: dict[tuple[str, str], str | None] = {}


def imported_files(root: Path) -> Iterator[str]:
    """Yield the files of imported modules below *root*, relative to it, without installed packages."""
    letters = str(root)
    for module in list(sys.modules.values()):
        file = _file_of(module)
        if not isinstance(file, str) or file.endswith(".pyc"):
            continue
        key = letters, file
        if key not in _places:
            _places[key] = place_of(letters, file)
        place = _places[key]
        if place is not None:
            yield place


def place_of(root: str, file: str) -> str | None:
    """Return a module's or script's file relative to *root*; None when it lies elsewhere, or in a package's folder."""
    if "site-packages" in file or "dist-packages" in file:
        return None
    folder, _, name = file.rpartition(os.sep)
    # a path on sys.path such as root/scripts/.. is inside by its letters only
    inside = file.startswith(f"{root}{os.sep}") and f"{os.sep}.." not in folder
    path = file if inside else f"{os.path.realpath(folder)}{os.sep}{name}"
    for start in (f"{root}{os.sep}", f"{os.path.realpath(root)}{os.sep}"):
        if path.startswith(start):
            return path[len(start) :].replace(os.sep, "/")
    return None


def _file_of(module: Any) -> Any:
    """Return a module's file without waking one that is loaded at the first look at it."""
    try:
        return object.__getattribute__(module, "__dict__").get("__file__")
    except AttributeError:
        return None
