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


def process_facts() -> ProcessFacts:
    """Return this process in the terms that `process_alive` needs."""
    state = state_of(os.getpid())
    return ProcessFacts(
        pid=os.getpid(),
        started_ticks=state[1] if state else 0.0,
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
