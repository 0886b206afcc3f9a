"""
The process beside a run in which its observers live.

In a process of its own an observer can take as long as it likes: every call of `log` lets go of the GIL while it
writes, and a busy thread beside it would keep it for 5 ms at a time. And what was not delivered when the run's process
was killed is delivered afterwards.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from anew.runner.config.build import build_observer
from anew.runner.dispatch.beside import PrintedBeside
from anew.runner.dispatch.host import Host, Task

# how long an observer that does not return from a call is waited for after the time it had
_STUCK_S = 30.0


def main(descriptor: int) -> None:
    """Serve the process that started this one, by messages on a socket: a JSON object a line."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    line = socket.socket(fileno=descriptor)
    lock = threading.Lock()

    def tell(message: Mapping[str, Any]) -> None:
        with lock:
            try:
                line.sendall(json.dumps(message).encode() + b"\n")
            except OSError:
                return

    printed = PrintedBeside()
    printed.begin()

    def heard(message: Mapping[str, Any]) -> None:
        if message["state"] in ("done", "left"):
            printed.forget(message["id"])
        tell(message)

    host = Host(heard)
    try:
        for text in line.makefile("rb"):
            message = json.loads(text)
            if message["do"] == "follow":
                sys.path[:] = message["path"]
                task = _task(message)
                printed.expect(task)
                host.follow(task)
            elif message["do"] == "finish":
                host.finish(message["id"], message["seconds"])
    except OSError:
        # the other end was killed while it wrote
        pass
    host.owner_gone()
    host.join(_STUCK_S)
    printed.end()
    os._exit(0)


def _task(message: Mapping[str, Any]) -> Task:
    return Task(
        number=message["id"],
        folder=Path(message["folder"]),
        name=message["name"],
        build=partial(build_observer, message["name"], message["spec"]),
        drain_s=message["drain_s"],
        secrets=tuple(message["secrets"]),
    )
