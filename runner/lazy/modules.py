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
    """Stands for a module; what is in it is looked up each time, so that what is changed there is seen."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.modules.get(self.__name__) or import_module(self.__name__), name)
