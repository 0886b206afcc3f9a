"""Modules, imported when something of them is first used: whoever imports a name alone does without the rest."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


def later(name: str) -> Any:
    """
    Return what stands for a module until something of it is asked for, and hands out what is in it then.

    For type checkers the module is imported beside, below `TYPE_CHECKING`, under the same name.
    """
    return sys.modules.get(name) or _Later(name)


class _Later(ModuleType):
    """Stands for a module; what was asked for once is its own."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self.__name__), name)
        if not name.startswith("__"):
            self.__dict__[name] = value
        return value
