"""A recording process's end of the line to the process that its observers live in."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from anew.runner.guard.detached import can_start, start_python

Listener = Callable[[Mapping[str, Any]], None]
_SEND_S = 5.0
# The path comes first, as the packages may be found by it alone.
_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[2])
from anew.runner.dispatch.sidecar import main
main(int(sys.argv[1]))
"""


class SidecarGoneError(Exception):
    """The process cannot be started, or does not answer any more."""


class SidecarLink:
    """
    A running sidecar. Safe in threads; a forked child must `abandon` it.

    Raises:
        SidecarGoneError: It could not be started.
    """

    def __init__(self) -> None:
        self.alive = True
        self._lock = threading.Lock()
        self._listeners: dict[int, Listener] = {}
        self._last_id = 0
        if not can_start():
            raise SidecarGoneError("there is no Python to be started")
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            start_python([], ["-c", _PROGRAM, str(theirs.fileno()), json.dumps(sys.path)], [theirs.fileno()])
        except OSError as error:
            self._line.close()
            raise SidecarGoneError(str(error)) from error
        finally:
            theirs.close()
        threading.Thread(target=self._listen, name="anew-observers", daemon=True).start()

    def follow(self, task: Mapping[str, Any], listener: Listener) -> int:
        """Have a run followed; *listener* is called in a thread with every message about it. Returns the task's number.

        Raises:
            SidecarGoneError: It has died.
        """
        with self._lock:
            self._last_id += 1
            number = self._last_id
            self._listeners[number] = listener
        self._send({"do": "follow", "id": number, "path": sys.path, **task})
        return number

    def finish(self, number: int, seconds: float) -> None:
        """Say that a task's run has ended, and how long it is waited for. Never raises."""
        with suppress(SidecarGoneError):
            self._send({"do": "finish", "id": number, "seconds": seconds})

    def forget(self, number: int) -> None:
        """Listen no more."""
        self._listeners.pop(number, None)

    def abandon(self) -> None:
        """Close a forked child's copy."""
        self.alive = False
        self._line.close()

    def _send(self, message: Mapping[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        try:
            with self._lock:
                self._line.settimeout(_SEND_S)
                self._line.sendall(data)
        except OSError as error:
            self.alive = False
            raise SidecarGoneError(str(error)) from error

    def _listen(self) -> None:
        received = b""
        with suppress(OSError):
            while data := self._received():
                *lines, received = (received + data).split(b"\n")
                for line in lines:
                    message = json.loads(line)
                    if listener := self._listeners.get(message["id"]):
                        listener(message)
        self.alive = False
        for number, listener in list(self._listeners.items()):
            listener({"id": number, "state": "gone"})

    def _received(self) -> bytes:
        while True:
            try:
                return self._line.recv(1 << 16)
            except TimeoutError:
                continue


class SharedLink:
    """The sidecar of this process, which all its runs share. Safe in threads; a forked child begins without one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._link: SidecarLink | None = None

    def get(self) -> SidecarLink:
        """Return it, started when there is none. Raises SidecarGoneError."""
        with self._lock:
            if self._link is None or not self._link.alive:
                self._link = SidecarLink()
            return self._link

    def begin_anew(self) -> None:
        """Leave the parent its own, in a forked child."""
        # the one inherited may be held by a thread that is not here
        self._lock = threading.Lock()
        if self._link is not None:
            self._link.abandon()
            self._link = None


_shared = SharedLink()
os.register_at_fork(after_in_child=_shared.begin_anew)


def shared() -> SidecarLink:
    """Return this process's sidecar, started when there is none. Raises SidecarGoneError."""
    return _shared.get()
