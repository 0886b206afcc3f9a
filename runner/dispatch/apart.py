"""
Whose is what is printed?

What an observer prints is its own, and kept in its log: taken for the run's output it would come back to the observer
as an event, which it prints. Told apart by the thread: that in which an observer is called, and those that it starts.
What is written to descriptors past Python cannot be told apart in the run's own process.
"""

from __future__ import annotations

import logging
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

_FORMAT = logging.Formatter("[%(asctime)s][%(name)s][%(levelname)s] - %(message)s")


class Takes(Protocol):
    """Takes what is printed: an `ObserverLog`."""

    def write(self, text: str) -> object:
        """Take it; it must not raise."""
        ...


_logs: weakref.WeakKeyDictionary[threading.Thread, Takes] = weakref.WeakKeyDictionary()


def log_of(thread: threading.Thread | None = None) -> Takes | None:
    """Return where what a thread, or this one, prints belongs; None for the process's own."""
    return _logs.get(thread or threading.current_thread()) if _logs else None


@contextmanager
def belonging_to(log: Takes) -> Iterator[None]:
    """Have all that this thread prints meanwhile be a log's; while `ApartStreams` are there, of what it starts, too."""
    thread = threading.current_thread()
    before = _logs.get(thread)
    _logs[thread] = log
    try:
        yield
    finally:
        if before is None:
            _logs.pop(thread, None)
        else:
            _logs[thread] = before


@contextmanager
def aloud() -> Iterator[None]:
    """Have what this thread prints meanwhile go where the process's own goes: what is meant to be seen at once."""
    thread = threading.current_thread()
    log = _logs.pop(thread, None)
    try:
        yield
    finally:
        if log is not None:
            _logs[thread] = log


class ApartStreams:
    """
    Python's streams and its logging, with what threads of observers write led to their logs. Used in one thread.

    A record that an observer logs goes to handlers of loggers of its own, and to its log in place of those at the root,
    which are the run's, and of those that lead to the process's streams.

    Others may put streams of their own before them; `end` leaves those alone.

    Args:
        root_is_theirs: Whether handlers at the root are the observers', too: in a process that is for them alone.
    """

    def __init__(self, *, root_is_theirs: bool) -> None:
        self._root_is_theirs = root_is_theirs
        self._undo: list[Callable[[], None]] = []

    def begin(self) -> None:
        """Tell apart what is printed from now on; to be called once."""
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None:
                self._replace(sys, name, _Apart(stream))
        handed = _telling_apart(logging.Logger.callHandlers, self._root_is_theirs)
        self._replace(logging.Logger, "callHandlers", handed)
        self._replace(threading.Thread, "start", _handing_down(threading.Thread.start))

    def end(self) -> None:
        """Have everything as it was."""
        while self._undo:
            self._undo.pop()()

    def _replace(self, owner: Any, name: str, ours: Any) -> None:
        before = getattr(owner, name)
        setattr(owner, name, ours)
        self._undo.append(lambda: setattr(owner, name, before) if getattr(owner, name) is ours else None)


def _handing_down(before: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    """Return what takes the place of `Thread.start`: a thread belongs to whom the one does that starts it."""

    def start(thread: threading.Thread) -> None:
        if (log := log_of()) is not None:
            _logs[thread] = log
        before(thread)

    return start


class _Apart:
    """
    Stands in for `sys.stdout` or `sys.stderr`; all but what is written is the original's.

    Attributes:
        of_the_process: The original.
    """

    def __init__(self, of_the_process: Any) -> None:
        self.of_the_process = of_the_process
        if hasattr(of_the_process, "buffer"):
            self.buffer = _ApartBytes(of_the_process.buffer)

    def aloud(self) -> AbstractContextManager[None]:
        return aloud()

    def write(self, text: str) -> Any:
        log = log_of()
        if log is None:
            return self.of_the_process.write(text)
        log.write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.of_the_process, name)

    def __iter__(self) -> Any:
        return iter(self.of_the_process)

    def __enter__(self) -> _Apart:
        return self

    def __exit__(self, *failure: object) -> None:
        self.of_the_process.__exit__(*failure)


class _ApartBytes:
    """The same for the bytes below a text stream."""

    def __init__(self, of_the_process: Any) -> None:
        self._of_the_process = of_the_process

    def write(self, data: Any) -> Any:
        log = log_of()
        if log is None:
            return self._of_the_process.write(data)
        text = bytes(data)
        log.write(text.decode("utf-8", "replace"))
        return len(text)

    def writelines(self, lines: Iterable[Any]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of_the_process, name)


# --- logging ------------------------------------------------------------------------------------------------------

_Handed = Callable[[logging.Logger, logging.LogRecord], None]


def _telling_apart(before: _Handed, root_is_theirs: bool) -> _Handed:
    """Return what takes the place of `Logger.callHandlers`, which *before* was."""

    def call_handlers(logger: logging.Logger, record: logging.LogRecord) -> None:
        log = log_of()
        if log is None:
            before(logger, record)
            return
        goes_to_log = False
        at: logging.Logger | None = logger
        while at is not None:
            theirs = at.parent is not None or root_is_theirs
            for handler in at.handlers:
                if not theirs or _leads_to_process(handler):
                    goes_to_log = True
                elif record.levelno >= handler.level:
                    handler.handle(record)
            goes_to_log = goes_to_log or (at.parent is None and not (theirs and at.handlers))
            at = at.parent if at.propagate else None
        if goes_to_log:
            log.write(_FORMAT.format(record) + "\n")

    return call_handlers


def _leads_to_process(handler: logging.Handler) -> bool:
    """Whether a handler has a stream of the process that it looked up before streams were told apart."""
    streams = (sys.__stdout__, sys.__stderr__, *(getattr(each, "of_the_process", None) for each in _standard()))
    stream = getattr(handler, "stream", None)
    return stream is not None and any(stream is each for each in streams)


def _standard() -> tuple[Any, Any]:
    return sys.stdout, sys.stderr
