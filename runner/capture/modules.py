"""The files of a project that loaded modules come from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from anew.runner.capture.loaded import derived

_places: dict[tuple[str, str], str | None] = {}


def imported_files(root: Path) -> tuple[str, ...]:
    """Return the files of imported modules below *root*, relative to it, without installed packages."""
    letters = str(root)
    return derived(("below", letters), lambda modules: tuple(_below(letters, (file for _, file, _ in modules))))


def _below(root: str, files: Iterable[Any]) -> Iterator[str]:
    for file in files:
        if not isinstance(file, str) or file.endswith(".pyc"):
            continue
        key = root, file
        if key not in _places:
            _places[key] = place_of(root, file)
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
