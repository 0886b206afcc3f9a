"""
The process's one audit hook (PEP 578), which stays for good, as hooks do.

It is begun with the first import of what makes experiments, so that files which a script reads on its way to its first
run are known: they are kept in a short list for whoever watches then.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Protocol

_MOST_EARLY = 10_000


class Watching(Protocol):
    """Who is told of what the interpreter does."""

    def tell(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take one event; what it raises is passed over."""
        ...


class Hook:
    """
    What the hook does. At rest it costs a comparison or two per event.

    Attributes:
        watching: Who is told.
        refusing: Who may refuse an event, told of it first.
        early: Absolute paths of files that were opened for reading before anybody watched.
        is_early: Whether nobody has watched yet.
        also: Who is told beside that.
    """

    def __init__(self) -> None:
        self.watching: Watching | None = None
        self.refusing: Callable[[str, tuple[Any, ...]], object] | None = None
        self.early: list[str] = []
        self.is_early = True
        self.also: tuple[Callable[[str, tuple[Any, ...]], object], ...] = ()
        self._installed = False

    def install(self) -> None:
        """Have the interpreter call the hook, from the first time on."""
        if not self._installed:
            self._installed = True
            sys.addaudithook(_tell)

    def keep(self, path: Any, flags: Any) -> None:
        """Put an opened file on the list."""
        is_read = type(path) is str and not (flags or 0) & (os.O_WRONLY | os.O_RDWR)
        if is_read and not path.endswith((".pyc", ".py")) and len(self.early) < _MOST_EARLY:
            self.early.append(path if path[:1] == "/" else os.path.abspath(path))


hook = Hook()


def _tell(event: str, arguments: tuple[Any, ...]) -> None:
    if hook.refusing is not None:
        hook.refusing(event, arguments)
    try:
        if hook.watching is not None:
            hook.watching.tell(event, arguments)
        elif event == "open" and hook.is_early:
            hook.keep(arguments[0], arguments[2])
        for each in hook.also:
            each(event, arguments)
    except Exception:
        return  # an error here would stop the program from opening its file
