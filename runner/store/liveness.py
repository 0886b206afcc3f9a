"""
Is that process alive?

A process is named by its ID, its start time and the boot that it belongs to, since IDs are used again.
"""

from __future__ import annotations

import os
import socket
import time

from anew.runner.kernel.door import boot_id, state_of, was_rebooted
from anew.runner.records import ProcessFacts

# this process -> its start, in ticks
_started: dict[int, float] = {}


def process_facts() -> ProcessFacts:
    """Return this process in the terms that `process_alive` needs."""
    pid = os.getpid()
    if pid not in _started:
        state = state_of(pid)
        _started.clear()  # what a forked child has of its parent
        _started[pid] = state[1] if state else 0.0
    return ProcessFacts(
        pid=pid,
        started_ticks=_started[pid],
        boot_id=boot_id(),
        hostname=socket.gethostname(),
        monotonic_s=time.monotonic(),
    )


def process_alive(facts: ProcessFacts) -> bool | None:
    """
    Return whether the process lives, or None when that cannot be told from here (another host or container).

    A stopped process lives; a zombie is dead. After a reboot of the same host the process is dead.
    """
    if facts.boot_id != boot_id():
        rebooted = facts.hostname == socket.gethostname() and was_rebooted(facts.boot_id)
        return False if rebooted else None
    return state_of(facts.pid) == (True, facts.started_ticks)
