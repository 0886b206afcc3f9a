"""Where the file of a module is, found without importing a package that it is in."""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path


def module_file(name: str) -> Path | None:
    """
    Return the file that `python -m NAME` would run; None where there is none.

    Packages' own `__init__` are not run for it, so that a path which one of them works out is not followed. The working
    directory comes first, as it does there; of a command that is installed, such as `anew`, it is not on the path.
    """
    path: list[str] | None = [os.getcwd(), *sys.path]
    spec = None
    for part in name.split("."):
        spec = PathFinder.find_spec(part, path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
    if spec is not None and spec.submodule_search_locations is not None:
        spec = PathFinder.find_spec("__main__", path)
    file = Path(spec.origin) if spec is not None and spec.origin else None
    return file.absolute() if file is not None and file.suffix == ".py" and file.is_file() else None


def lead_to(folder: str) -> None:
    """Have modules of a folder found first, in place of what stands there for the program that was started."""
    if sys.path:
        sys.path[0] = folder
    else:
        sys.path.insert(0, folder)
