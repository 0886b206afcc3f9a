"""
Is that process alive?

A process is named by its ID, its start time and the boot that it belongs to, since IDs are used again. On Linux all of
it comes from /proc; elsewhere from psutil.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from functools import cache
from pathlib import Path

from anew.runner.records import ProcessFacts

_LINUX = sys.platform.startswith("linux")
_DEAD = frozenset("ZXx")


@cache
def boot_id() -> str:
    """
    Return what tells this boot, and this pid namespace, from every other.

    Two containers on one machine share the boot but not the process IDs: with the namespace in it, one is a foreign
    host to the other.
    """
    if not _LINUX:
        import psutil

        return f"{socket.gethostname()}-{int(psutil.boot_time())}"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}-{Path('/proc/self/ns/pid').stat().st_ino}"


def _stat(pid: int) -> tuple[str, float] | None:
    """Return state and start time of a process, or None when there is none."""
    if not _LINUX:
        import psutil

        try:
            process = psutil.Process(pid)
            return ("Z" if process.status() == psutil.STATUS_ZOMBIE else "R"), process.create_time()
        except psutil.Error:
            return None
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    except OSError:
        return None
    return fields[0].decode(), float(fields[19])


def process_facts() -> ProcessFacts:
    """Return this process in the terms that `process_alive` needs."""
    state = _stat(os.getpid())
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
        rebooted = facts.hostname == socket.gethostname() and _same_namespace(facts.boot_id)
        return False if rebooted else None
    state = _stat(facts.pid)
    return state is not None and state[0] not in _DEAD and state[1] == facts.started_ticks


def _same_namespace(other: str) -> bool:
    """
    Whether another boot ID has the initial pid namespace of the kernel (a fixed number), as ours has.

    Only then does the same host name mean the same machine, restarted; containers come and go on one boot.
    """
    initial = "-4026531836"
    return other.endswith(initial) and boot_id().endswith(initial)
