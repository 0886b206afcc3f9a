"""
Each Python of a re-run begins with this: what leads into today's project leads to the laid-out files.

It is copied into a folder of its own as `sitecustomize`, which stands first on `PYTHONPATH`; so it knows the standard
library only, and whoever has main's variables runs it, but for `python -I`, `-E` and `-S`.
"""

import os
import sys
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from importlib.util import module_from_spec

# of the finders that setuptools writes for installs in place
_TABLES = ("MAPPING", "NAMESPACES")


def moved(path: str, root: str, mirror: str) -> str:
    """Return where a path leads: what is below *root*, but for installed packages, is below *mirror*."""
    inside = path == root or path.startswith(f"{root}{os.sep}")
    return f"{mirror}{path}" if inside and "site-packages" not in path else path


def redirect(root: str, mirror: str) -> None:
    """Have `sys.path` and installs in place (editable ones) of the project lead to the laid-out files."""
    sys.path[:] = [moved(path, root, mirror) if isinstance(path, str) else path for path in sys.path]
    _look_in(root, mirror)
    for finder in sys.meta_path:
        module = sys.modules.get(getattr(finder, "__module__", ""))
        for name in _TABLES:
            table = getattr(module, name, None)
            if isinstance(table, dict):
                table.update({key: _moved(value, root, mirror) for key, value in table.items()})


def _moved(value: object, root: str, mirror: str) -> object:
    if isinstance(value, list):
        return [_moved(each, root, mirror) for each in value]
    if not isinstance(value, str):
        return value
    # an install in place of another project, of which there are recorded files
    is_there = os.path.isabs(value) and any(os.path.exists(f"{mirror}{value}{end}") for end in ("", ".py"))
    return f"{mirror}{value}" if is_there else moved(value, root, mirror)


class _Laid:
    """Finds modules of a folder outside of the project: those laid out, and of others what is there today."""

    def __init__(self, laid: str, today: str) -> None:
        details = [
            (ExtensionFileLoader, EXTENSION_SUFFIXES),
            (SourceFileLoader, SOURCE_SUFFIXES),
            (SourcelessFileLoader, BYTECODE_SUFFIXES),
        ]
        self._finders = [FileFinder(path, *details) for path in (laid, today)]

    def find_spec(self, name: str, target: object = None) -> "ModuleSpec | None":
        specs = [finder.find_spec(name) for finder in self._finders]
        found = [spec for spec in specs if spec is not None]
        # a folder alone, which is there for what lies below it, is no module
        return next((spec for spec in found if spec.loader is not None), found[-1] if found else None)

    def invalidate_caches(self) -> None:
        for finder in self._finders:
            finder.invalidate_caches()


def _look_in(root: str, mirror: str) -> None:
    """Look in the mirror first for what is in folders outside of the project, also those put on `sys.path` later."""

    def hook(path: str) -> _Laid:
        today = path[len(mirror) :] if path.startswith(f"{mirror}{os.sep}") else path
        is_its = today == root or today.startswith(f"{root}{os.sep}") or "site-packages" in today
        if is_its or not os.path.isabs(today) or not os.path.isdir(f"{mirror}{today}"):
            raise ImportError(path)
        return _Laid(f"{mirror}{today}", today)

    if not any(getattr(each, "__qualname__", "") == hook.__qualname__ for each in sys.path_hooks):
        sys.path_hooks.insert(0, hook)
        sys.path_importer_cache.clear()


def begin(root: str, mirror: str, folder: str) -> None:
    """Redirect, and then do what the `sitecustomize` would have done that this one in *folder* stands before."""
    sys.path[:] = [path for path in sys.path if path != folder]
    sys.path_importer_cache.pop(folder, None)
    spec = PathFinder.find_spec("sitecustomize", sys.path)
    redirect(root, mirror)
    if spec is not None and spec.loader is not None:
        sys.modules["sitecustomize"] = module = module_from_spec(spec)
        spec.loader.exec_module(module)
        redirect(root, mirror)
