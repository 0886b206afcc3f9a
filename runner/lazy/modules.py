"""Modules, imported when something of them is first used: whoever imports a name alone does without the rest."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any


def later(name: str) -> Any:
    """
    Return what stands for a module until something of it is asked for, and hands out what is in it then.

    For type checkers the module is imported beside, below `TYPE_CHECKING`, under the same name.
    """
    return _Later(name)


class _Later(ModuleType):
    """Stands for a module; what is in it is looked up each time, so that what is changed there is seen."""

    def __getattr__(self, name: str) -> Any:
        held = self.__dict__
        if "module" not in held:
            # not out of sys.modules, where another thread's import may be half-way
            held["module"] = import_module(self.__name__)
        return getattr(held["module"], name)
