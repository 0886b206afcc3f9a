"""Commands as they are to be typed: with the store named, where they would lead to another one."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from anew.runner.places import is_marked, project_root

STORE_VARIABLE = "ANEW_STORE"


def default_store_path(start: Path) -> Path:
    """Return `runs/` in the project that the folder *start* belongs to: where runs go."""
    return project_root(start.resolve()) / "runs"


def nearest_store_path(start: Path) -> Path:
    """
    Return the store to look at from the folder *start*.

    The default; where nothing marks a project, the nearest one at or above *start*, since a script that lies further
    up has its runs beside it.
    """
    here = default_store_path(start)
    if here.parent != start.resolve() or is_marked(here.parent):
        return here
    return next((path for folder in here.parents if Path(path := folder / "runs", "FORMAT").is_file()), here)


def as_typed(command: str, store: str | os.PathLike[str], start: str | os.PathLike[str] | None = None) -> str:
    """
    Return a command of `anew` that is to be typed, with `--store` where it would not find this store without.

    Args:
        command: Such as "anew show 3".
        store: The store's URL, or its folder.
        start: Where it is typed; None for the working directory.
    """
    url = os.fspath(store)
    if "://" in url:
        is_found = url == os.environ.get(STORE_VARIABLE)
    else:
        try:
            named = os.environ.get(STORE_VARIABLE)
            found = Path(named).expanduser() if named else nearest_store_path(Path(start or Path.cwd()))
            is_found = os.path.realpath(found) == os.path.realpath(url)
        except OSError:
            is_found = False
    return command if is_found else f"{command} --store {shlex.quote(url)}"
