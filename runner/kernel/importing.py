"""
Imports, watched: whoever has something to set in a library is told when the library is there.

A library is waited for and never imported, so that a program that does without it does not pay for it.
"""

from __future__ import annotations

import importlib.machinery
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from types import ModuleType
from typing import Any


class ImportWatch:
    """
    Tells when modules are imported: at once of those that are already, of the others when their import has finished.

    A module is found as it would be without the watch, and keeps its own loader. One that was found and not loaded is
    waited for further, since many a program only asks whether a library is there; so is one whose import failed. Any
    number of watches can be at work at once, for the same modules too, and be closed in any order.

    `loaded` is called once for each name, in the thread that imports, before the import statement returns; an error it
    raises is passed over, since an import that worked without us works with us. A module whose import is under way when
    the watch starts, in whatever thread, is missed.

    Args:
        names: Full names of modules.
        loaded: Called with name and module.
    """

    def __init__(self, names: Iterable[str], loaded: Callable[[str, ModuleType], object]) -> None:
        self._names = tuple(names)
        self._loaded = loaded
        self._waiting: set[str] = set()
        self._finding: set[tuple[int, str]] = set()

    def start(self) -> None:
        """Tell of what is imported, and from now on of what is going to be; to be called once."""
        self._waiting.update(self._names)
        # before the look at what is there: what another thread imports meanwhile is then met on one way or the other
        sys.meta_path.insert(0, self)
        for name in self._names:
            module = sys.modules.get(name)
            if module is not None and hasattr(module, "__spec__") and not _is_loading(module):
                self._tell(name, module)

    def close(self) -> None:
        """Tell of nothing any more, not even of what was found and is loaded later; may be called again."""
        self._waiting.clear()
        with suppress(ValueError):
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a module of ours as the other finders do, and have its loader tell; for the import system."""
        here = (threading.get_ident(), fullname)
        # another finder that asks all finders, such as another watch, comes back to this one, which then stands aside
        if fullname not in self._waiting or here in self._finding:
            return None
        self._finding.add(here)
        try:
            spec = _find(fullname, path, target)
        finally:
            self._finding.discard(here)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            watched: Any = _TellingLoader(spec.loader, partial(self._tell, fullname))
            spec.loader = watched
        return spec

    def _tell(self, name: str, module: ModuleType) -> None:
        try:
            self._waiting.remove(name)
        except KeyError:
            return
        with suppress(Exception):
            self._loaded(name, module)


def _is_loading(module: ModuleType) -> bool:
    return bool(getattr(module.__spec__, "_initializing", False))


def _find(
    fullname: str, path: Sequence[str] | None, target: ModuleType | None
) -> importlib.machinery.ModuleSpec | None:
    for finder in tuple(sys.meta_path):
        if hasattr(finder, "find_spec"):
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                return spec
    return None


class _TellingLoader:
    """Loads as the original does, leaves the original in its place, and then tells."""

    def __init__(self, original: Any, tell: Callable[[ModuleType], None]) -> None:
        self._original = original
        self._tell = tell

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self).get("_original"), name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self._original.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._original
        module.__loader__ = self._original
        self._original.exec_module(module)
        self._tell(module)
