"""
Event files of TensorBoard that a run makes, found while it goes on.

What this process opens in Python, the audit hook tells of at once. What its children make, and C libraries
(TensorFlow's), is looked for: among the files that they have open, and by names below some folders. Such a name says
when a file was begun and by which process, so that a file of another run, or of an earlier one, is never taken.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from anew.runner.capture.noted import WRITING
from anew.runner.capture.unseen import STARTING
from anew.runner.format.event_files import MARK
from anew.runner.kernel.hook import hook

_NAME = re.compile(rf"{re.escape(MARK)}(\d+)(?:\..*?\.(\d+)\.(\d+)(?:\D.*)?)?", re.DOTALL)
_LEFT_OUT = frozenset({"node_modules", "site-packages", "dist-packages", "__pycache__"})
_MOST_ENTRIES = 20_000
_LEAST_PAUSE_S = 1.0
# a look may take this part of the time
_SHARE = 0.02

commands: set[int] = set()
"""The processes of commands that this one has started, told by whoever did: some end before they are looked for."""


class SummaryFiles:
    """
    Finds event files that are begun by this process and by those below it. In a forked child it finds nothing.

    Args:
        folder: The tree that is searched by names, but for hidden folders; some 20,000 entries of it at most.
        own: The run's own folder, in which every event file is the run's.
        store: The folder of runs, whose folders are not searched.
        on_first: Called once, when the first is found, by whoever opens it where that is in this process.
    """

    def __init__(self, folder: str, own: str, store: str, on_first: Callable[[], object]) -> None:
        self._folder = folder
        self._own = own
        self._store = store
        self._on_first = on_first
        self._told: Callable[[str, tuple[Any, ...]], object] = self._tell  # one object, to be recognised by
        self._since = 0
        self._known: set[str] = set()
        self._new: deque[str] = deque()
        self._pids = {os.getpid()}
        self._is_wide = False
        self._next_look = 0.0
        self._next_search = 0.0

    def start(self) -> None:
        """Find those that are begun from now on."""
        self._since = int(time.time())
        self._known.update(_named(self._own))
        hook.also = (*hook.also, self._told)
        hook.install()

    def stop(self) -> None:
        """Be told no more; may be called again."""
        hook.also = tuple(each for each in hook.also if each is not self._told)

    def found(self, *, is_last: bool = False) -> list[str]:
        """Return those that were found since the last call, in the order in which they were begun."""
        found: list[str] = []
        while self._new:
            found.append(self._new.popleft())
        if self._is_wide or "tensorflow" in sys.modules:
            found += sorted(self._looked_for(is_last=is_last), key=_order)
        return found

    # --- called by the hook -------------------------------------------------------------------------------------

    def _tell(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, flags = arguments[0], arguments[2] or 0
            if flags & WRITING and type(path) in (str, bytes) and MARK in os.fsdecode(path):
                self._open(os.path.abspath(os.fsdecode(path)))
        elif event in STARTING:
            self._is_wide = True

    def _open(self, path: str) -> None:
        if os.path.lexists(path):
            # begun by somebody else, unless it is known
            self._known.add(path)
        elif self._is_new(path):
            self._new.append(path)

    def _is_new(self, path: str) -> bool:
        if path in self._known or not os.path.basename(path).startswith(MARK):
            return False
        self._known.add(path)
        self._on_first()
        return True

    # --- what others make ---------------------------------------------------------------------------------------

    def _looked_for(self, *, is_last: bool) -> Iterator[str]:
        now = time.monotonic()
        if now >= self._next_look or is_last:
            for path in self._held():
                if self._since <= _order(path)[0] and self._is_new(path):
                    yield path
            self._next_look = _after(now, _LEAST_PAUSE_S)
        now = time.monotonic()
        if now >= self._next_search or is_last:
            for path in self._searched():
                if self._is_new(path):
                    yield path
            self._next_search = _after(now, 2 * _LEAST_PAUSE_S)

    def _held(self) -> list[str]:
        """Return event files that this process and those below it have open to be written; note who they are."""
        # not at the top: only who starts processes has to wait for it
        import psutil

        found: list[str] = []
        with suppress(psutil.Error, OSError):
            this = psutil.Process()
            for process in (this, *this.children(recursive=True)):
                self._pids.add(process.pid)
                with suppress(psutil.Error, OSError):
                    found += [
                        each.path
                        for each in process.open_files()
                        if MARK in each.path and getattr(each, "mode", "w") != "r"
                    ]
        return found

    def _searched(self) -> Iterator[str]:
        yield from _named(self._own)
        for path in _named(self._folder, self._store):
            match = _NAME.fullmatch(os.path.basename(path))
            if match and int(match[1]) >= self._since and int(match[2] or -1) in {*self._pids, *commands}:
                yield path


def _order(path: str) -> tuple[int, int, str]:
    """Return what sorts event files by their beginning: second, number within the process, path."""
    match = _NAME.fullmatch(os.path.basename(path))
    return (int(match[1]), int(match[3] or 0), path) if match else (0, 0, path)


def _after(began: float, least: float) -> float:
    """Return when the next look may come, after one that began then."""
    now = time.monotonic()
    return now + max(least, (now - began) / _SHARE)


def _named(folder: str, store: str = "") -> Iterator[str]:
    """Yield the files below a folder that are called as event files are; not in the runs' own folders of a store."""
    waiting, seen = deque([folder]), 0
    while waiting:
        parent = waiting.popleft()
        try:
            with os.scandir(parent) as entries:
                for entry in entries:
                    seen += 1
                    if seen > _MOST_ENTRIES:
                        return
                    name = entry.name
                    if name.startswith(MARK):
                        yield os.path.abspath(entry.path)
                    elif (
                        name.startswith(".")
                        or name in _LEFT_OUT
                        or (parent == store and (name.isdigit() or name == "objects"))
                    ):
                        continue
                    elif entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            continue  # gone meanwhile, or not to be read
