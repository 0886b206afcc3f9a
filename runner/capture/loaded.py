"""
The files that loaded modules come from, looked at again only where something has changed.

Of a process that begins many runs, the same thousand modules are asked about several times in each. What is made of
them is kept until a module has come, gone or taken another's place, or says that it comes from another file. The last
takes most of a look, and is asked once in a stretch of our own, between which main has no turn (`one_look`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import field
from itertools import repeat
from operator import is_
from types import ModuleType
from typing import Any, TypeVar

from anew.runner.dataclass import dataclass

T = TypeVar("T")
# what is kept of one state of modules: more keys than there are folders that runs of one process ask about
_MOST = 64


@dataclass(slots=True)
class _State:
    """Modules as they were at one moment, what they said of themselves, and what was made of that."""

    names: list[str]
    modules: list[Any]
    spaces: list[dict[str, Any]] = field(default_factory=list)
    said: list[Any] = field(default_factory=list)
    kinds: list[type[Any]] = field(default_factory=list)
    made: dict[Hashable, Any] = field(default_factory=dict)

    def look(self) -> None:
        """Ask each module, without waking one that is loaded at the first look at it."""
        self.spaces = [namespace(module) for module in self.modules]
        self.said = [space.get("__file__") for space in self.spaces]
        self.kinds = list(map(type, self.modules))

    def has(self, names: list[str], modules: list[Any]) -> bool:
        """Whether these are the same modules."""
        return names == self.names and all(map(is_, modules, self.modules))

    def says_so(self) -> bool:
        """Whether they still say the same; a lazy one becomes another kind when it is loaded."""
        files = map(dict.get, self.spaces, repeat("__file__"))
        return all(map(is_, files, self.said)) and all(map(is_, map(type, self.modules), self.kinds))


@dataclass(slots=True)
class _Stretch:
    """How many stretches of one look are open, and whether the modules were looked at in them."""

    open: int = 0
    looked: bool = False


_latest = [_State([], [])]
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


def derived(key: Hashable, make: Callable[[tuple[tuple[str, Any, bool], ...]], T], *, asks: bool = True) -> T:
    """
    Return what *make* makes of the loaded modules, made anew where they have changed. Safe between threads.

    Args:
        key: What tells it from what others make, with all that it depends on beside the modules.
        make: Given of each module its name, what it says its file is, and whether it is a true module: libraries put
            objects in their place that make attributes when they are asked for them. What it returns is shared.
        asks: Whether it matters to that what a module says its file is, beside which modules there are.
    """
    state, loaded = _latest[0], sys.modules.copy()
    names, modules = list(loaded), list(loaded.values())
    is_looked = _stretch.open > 0 and _stretch.looked
    if not (state.has(names, modules) and (is_looked or not asks or state.says_so())):
        state = _State(names, modules)
        state.look()
        _latest[0] = state
    _stretch.looked = _stretch.looked or asks
    if key not in state.made:
        if len(state.made) >= _MOST:
            state.made.clear()
        state.made[key] = make(
            tuple(zip(state.names, state.said, (kind is ModuleType for kind in state.kinds), strict=True))
        )
    found: T = state.made[key]
    return found
