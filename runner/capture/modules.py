"""The files of a project that loaded modules come from, and what those were that have changed since."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from anew.runner.capture.loaded import derived, namespace
from anew.runner.records import ContentRef

_places: dict[tuple[str, str], str | None] = {}
# the file of a module -> what it was loaded as, and its content then, as the first run after that found it
_loaded: dict[str, tuple[tuple[Any, ...], ContentRef]] = {}


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


def as_loaded(root: Path, files: Mapping[str, ContentRef]) -> dict[str, ContentRef]:
    """
    Return of the files that have changed since a module was loaded from them what they were when a run first saw them.

    Of a process that begins many runs, such as a notebook's, that is what runs: an edited file counts for it once the
    module is loaded again, which is told by its new spec.

    Args:
        root: The project's root.
        files: Those found in it now, by their paths in it.
    """
    letters, found = str(root), dict[str, ContentRef]()
    named = derived(("named below", letters), lambda modules: tuple(_named_below(letters, modules)))
    loaded: dict[str, list[Any]] = {}
    for name, path in named:
        if path in files and name in sys.modules:
            loaded.setdefault(path, []).append(_loaded_as(sys.modules[name]))
    for path, each in loaded.items():
        full = f"{letters}/{path}"
        known = _loaded.get(full)
        is_same = known is not None and [*map(id, known[0])] == [*map(id, each)]
        if known is None or not is_same:
            _loaded[full] = tuple(each), files[path]
        elif known[1].sha256 != files[path].sha256:
            found[path] = known[1]
    return found


def _loaded_as(module: Any) -> Any:
    """Return what is another one each time that a module is loaded; a script's module has nothing else."""
    return namespace(module).get("__spec__") or module


def _named_below(root: str, modules: Iterable[tuple[str, Any, bool]]) -> Iterator[tuple[str, str]]:
    for name, file, _ in modules:
        yield from ((name, place) for place in _below(root, (file,)))


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
