"""
Processes that multiprocessing begins anew, brought into the run of the process that starts them.

A child made by fork has all that its parent has. One made by spawn has the environment and the output; one made by
forkserver, Python's choice on Linux since 3.14, has those of the server, as they were when that was started: before the
run, or in an earlier one. All are handed a copy of their parent's configuration of multiprocessing, which is unpickled
before their work begins. What a run puts in there sets the child up.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any

from anew.runner.capture.opened import OpenedFiles
from anew.runner.kernel.importing import ImportWatch

_KEY = "anew"
_PROCESS = "multiprocessing.process"
_STREAMS = (1, 2)


class Children:
    """
    Has the children that this process starts follow a run: its variables, its output, the files that they open.

    Costs a program that does without multiprocessing nothing. One run at a time; not to be shared between threads.
    """

    def __init__(self, variables: Mapping[str, str], opened: OpenedFiles | None) -> None:
        self._heritage = _Heritage(dict(variables), opened)
        self._watch = ImportWatch((_PROCESS,), self._begin)
        self._config: dict[str, Any] | None = None
        self._before: Any = None

    def start(self) -> None:
        """From now on, until `stop`."""
        self._watch.start()

    def _begin(self, _name: str, process: ModuleType) -> None:
        self._config = process.current_process()._config
        self._before = self._config.get(_KEY)
        self._config[_KEY] = self._heritage

    def stop(self) -> None:
        """Leave children that are started later as they were."""
        self._watch.close()
        if self._config is not None:
            self._config[_KEY] = self._before


class _Heritage:
    """What a child is given: pickled while it is started, and at work as soon as it is unpickled there."""

    def __init__(self, variables: dict[str, str], opened: OpenedFiles | None) -> None:
        self._variables = variables
        self._opened = opened

    def __reduce__(self) -> tuple[Any, ...]:
        from multiprocessing.context import get_spawning_popen
        from multiprocessing.reduction import DupFd

        starting = get_spawning_popen()
        streams: dict[int, Any] = {}
        watched: tuple[Any, ...] | None = None
        if starting is not None:
            if starting.method == "forkserver":
                streams = {number: DupFd(number) for number in _STREAMS if _is_open(number)}
            spool = self._opened.spool if self._opened is not None else None
            if self._opened is not None and spool is not None:
                watched = DupFd(spool), *self._opened.limits
        return _enter, (self._variables, streams, watched)


def _enter(variables: dict[str, str], streams: dict[int, Any], watched: tuple[Any, ...] | None) -> _Heritage:
    """Set this process up, a child; return what its own children are given."""
    os.environ.update(variables)
    opened = None
    # a child that lacks one of them works as it would without us
    with suppress(OSError):
        for number, stream in streams.items():
            _move(stream.detach(), number)
        if watched is not None:
            spool, *limits = watched
            opened = OpenedFiles.shared(spool.detach(), *limits)
    return _Heritage(variables, opened)


def _move(source: int, target: int) -> None:
    os.dup2(source, target)
    os.close(source)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
