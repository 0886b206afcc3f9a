"""
The files that loaded modules come from, looked at again only where something has changed.

Of a process that begins many runs, the same thousand modules are asked about several times in each. What is made of
them is kept until a module has come, gone or taken another's place, or says that it comes from another file. The last
takes most of a look, and is asked once in a stretch of our own, between which main has no turn (`one_look`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import field
from types import ModuleType
from typing import Any, TypeVar

import anew
from anew.runner.dataclass import dataclass

T = TypeVar("T")
# what is kept of one state of modules: more keys than there are folders that runs of one process ask about
_MOST = 64
_OURS = f"{os.path.dirname(str(anew.__file__))}{os.sep}"
_INTERPRETERS = f"{os.path.dirname(os.__file__)}{os.sep}"


@dataclass(slots=True)
class _State:
    """Modules as they were at one moment, what they said of themselves, and what was made of that."""

    loaded: dict[str, Any]
    said: list[Any] = field(default_factory=list)
    kinds: list[type[Any]] = field(default_factory=list)
    asked: list[tuple[Any, dict[str, Any], Any, type[Any]]] = field(default_factory=list)
    made: dict[Hashable, Any] = field(default_factory=dict)

    def look(self) -> None:
        """Ask each module, without waking one that is loaded at the first look at it."""
        modules = list(self.loaded.values())
        spaces = list(map(namespace, modules))
        self.said = [space.get("__file__") for space in spaces]
        self.kinds = list(map(type, modules))
        found = zip(modules, spaces, self.said, self.kinds, strict=True)
        self.asked = [each for each in found if each[3] is not ModuleType or not _stays(each[2])]

    def is_so(self) -> bool:
        """Whether these are the modules that are loaded: what is no other object is not asked whether it is equal."""
        return sys.modules == self.loaded

    def says_so(self) -> bool:
        """Whether they still say the same; a lazy one becomes another kind when it is loaded."""
        return all(space.get("__file__") is said and type(module) is kind for module, space, said, kind in self.asked)


@dataclass(slots=True)
class _Stretch:
    """How many stretches of one look are open, and whether the modules were looked at in them."""

    open: int = 0
    looked: bool = False


_latest = [_State({})]
_stretch = _Stretch()


@contextmanager
def one_look() -> Iterator[None]:
    """Ask modules what they say once at most: for a stretch in which none but our own code has a turn."""
    _stretch.open += 1
    if _stretch.open == 1:
        _stretch.looked = False
    try:
        yield
    finally:
        _stretch.open -= 1


def namespace(module: Any) -> dict[str, Any]:
    """Return the names in a module, without waking one that is loaded at the first look at it."""
    try:
        found = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return {}
    return found if isinstance(found, dict) else {}


def _stays(file: Any) -> bool:
    """Whether a module that is loaded from a file goes on saying so: the interpreter's own, and ours."""
    if not isinstance(file, str):
        return False
    return file.startswith(_OURS) or (file.startswith(_INTERPRETERS) and "-packages" not in file)


def derived(key: Hashable, make: Callable[[tuple[tuple[str, Any, bool], ...]], T], *, asks: bool = True) -> T:
    """
    Return what *make* makes of the loaded modules, made anew where they have changed. Safe between threads.

    Args:
        key: What tells it from what others make, with all that it depends on beside the modules.
        make: Given of each module its name, what it says its file is, and whether it is a true module: libraries put
            objects in their place that make attributes when they are asked for them. What it returns is shared.
        asks: Whether it matters to that what a module says its file is, beside which modules there are.
    """
    state = _latest[0]
    is_looked = _stretch.open > 0 and _stretch.looked
    if not (state.is_so() and (is_looked or not asks or state.says_so())):
        state = _State(sys.modules.copy())
        state.look()
        _latest[0] = state
    _stretch.looked = _stretch.looked or asks
    if key not in state.made:
        if len(state.made) >= _MOST:
            state.made.clear()
        state.made[key] = make(
            tuple(zip(state.loaded, state.said, (kind is ModuleType for kind in state.kinds), strict=True))
        )
    found: T = state.made[key]
    return found
