"""
What every POSIX system has, in the place of what only Linux does, see `door` and, for what is meant, `linux`.

psutil is imported where it is asked: the guard process is started without it, and asks for none of that.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import threading
from contextlib import suppress
from functools import cache
from typing import BinaryIO
from zlib import crc32

# what lies below is the system's, and no input of anybody's
SYSTEM_FOLDERS: tuple[str, ...] = (
    *("/bin/", "/dev/", "/etc/", "/lib", "/run/", "/sbin/", "/usr/", "/var/lib/", "/var/cache/"),
    *("/Library/", "/System/", "/private/etc/", "/private/var/db/"),
)
# it is said in no file
MOUNTS = ""


# --- processes ------------------------------------------------------------------------------------------------------


@cache
def boot_id() -> str:
    """Return what tells this boot from every other: the host's name and the second in which it was started."""
    import psutil

    return f"{socket.gethostname()}-{int(psutil.boot_time())}"


def was_rebooted(other: str) -> bool:
    """Whether *other* was an earlier boot: never certain here, since a clock that is set moves the second of a boot."""
    return False


def state_of(pid: int) -> tuple[bool, float] | None:
    """Return whether a process lives (a zombie does not), and its start since the epoch in seconds; None for none."""
    import psutil

    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE, process.create_time()
    except psutil.Error:
        return None


def usage_of_tree(pid: int) -> tuple[float, int]:
    """Return CPU seconds used and resident bytes of a process and everything below it, as far as it can be read."""
    import psutil

    cpu_s, memory = 0.0, 0
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.Error):
                times = process.cpu_times()
                # the last two are there on Linux and macOS, and are those of children that were waited for
                cpu_s += times.user + times.system
                cpu_s += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
                memory += process.memory_info().rss
    return cpu_s, memory


def below(pid: int) -> list[tuple[int, int]]:
    """Return the processes below one, as ps(1) tells: number, and a number for when it started."""
    rows = [(int(one), int(parent), crc32(start.encode())) for one, parent, start in _processes("-A")]
    found = {pid: 0}
    while more := {one: start for one, parent, start in rows if parent in found and one not in found}:
        found |= more
    return [each for each in found.items() if each[0] != pid]


def end_with_start(pid: int, start: int) -> None:
    """Kill a process if it is the one that started then, as `below` has it. Raises OSError."""
    if any(crc32(each.encode()) == start for _, _, each in _processes("-p", str(pid))):
        os.kill(pid, signal.SIGKILL)


def _processes(*which: str) -> list[tuple[str, str, str]]:
    """Return number, parent and start of processes."""
    import subprocess  # the guard's process starts without it

    command = ["ps", *which, "-o", "pid=,ppid=,lstart="]
    with suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=10, check=False
        ).stdout
        words = [line.split() for line in said.splitlines()]
        return [(each[0], each[1], " ".join(each[2:])) for each in words]
    return []


def open_process(pid: int) -> int | None:
    """Return None: that a process has ended is looked for, not told."""
    return None


def kill(pid: int, descriptor: int | None) -> None:
    """Kill a process by its number. Raises OSError."""
    os.kill(pid, signal.SIGKILL)


def end_with(pipe: int) -> None:
    """Have this process be sent SIGTERM when the other end of a pipe is closed, which a thread waits for."""
    os.set_inheritable(pipe, False)
    threading.Thread(target=_end_with, args=(pipe, os.getpid()), name="anew-lifeline", daemon=True).start()


def _end_with(pipe: int, pid: int) -> None:
    with suppress(OSError):
        while os.read(pipe, 1):
            pass
    os.kill(pid, signal.SIGTERM)


def end_other_with(pipe: int, pid: int) -> None:
    """Do nothing: a child can be told by its parent alone, and outlives one that is killed."""


def open_switch() -> int | None:
    """Return None: a process that is stuck in C can only be killed, and a shell reports 137 of it."""
    return None


# --- files ----------------------------------------------------------------------------------------------------------


def sync_data(descriptor: int) -> None:
    """Have a file survive a power cut; on macOS fsync(2) alone leaves it in the drive's own cache. Raises OSError."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        # a network's file system has no such call
        with suppress(OSError):
            fcntl.fcntl(descriptor, full)
            return
    os.fsync(descriptor)


def allocate(descriptor: int, size: int) -> bool:
    """Return False: space is taken by what is written only."""
    return False


def path_of(descriptor: int) -> str | None:
    """Return where what is open is, as far as that can be known: macOS says it."""
    ask = getattr(fcntl, "F_GETPATH", None)
    if ask is None:
        return None
    try:
        return os.fsdecode(fcntl.fcntl(descriptor, ask, bytes(1024)).rstrip(b"\0"))
    except OSError:
        return None


def names_of(descriptor: int) -> tuple[str, ...]:
    """Return by which names what is open can be opened again: by its path, as long as it has one."""
    path = path_of(descriptor)
    return () if path is None else (path,)


def share_blocks(source: int, target: int) -> bool:
    """Return False: what is to be kept is copied."""
    return False


def unnamed_file() -> BinaryIO:
    """Return a file without a name, open to be added to and read, that forked children share. Raises OSError."""
    import tempfile

    return tempfile.TemporaryFile("a+b", buffering=0)  # closed by whoever asks


def nameless_file(folder: str) -> tuple[int, str] | None:
    """Return None: what has no name cannot be given one."""
    return None


def is_held(path: str) -> bool:
    """Return True: who has a file open is not told."""
    return True


def open_watch() -> int | None:
    """Return None: what other systems have of it watches folders, or needs a descriptor for each file."""
    return None


def watch_first_use(watch: int, path: str) -> int:
    """Watch nothing."""
    return -1


def first_uses(watch: int) -> dict[int, bool]:
    """Return nothing."""
    return {}


def threads() -> int:
    """Return how many threads this process has, those of libraries as well."""
    import psutil

    return int(psutil.Process().num_threads())


def mapped_files() -> set[str]:
    """Return nothing."""
    return set()


def allow_tracing(is_allowed: bool) -> None:
    """Do nothing: what traces here is Linux's alone."""


def tracers() -> set[int]:
    """Return nothing."""
    return set()


def limit_written(pid: int, most_bytes: int) -> None:
    """Do nothing."""


# --- the machine ----------------------------------------------------------------------------------------------------


def cpu_model() -> str:
    """Return what the processor calls itself; empty when it does not say."""
    import platform

    return platform.processor()


def memory_bytes() -> int:
    """Return the machine's memory."""
    import psutil

    return int(psutil.virtual_memory().total)


def allowed_cores() -> float:
    """Return how many cores there are: nothing holds a process to fewer."""
    return float(os.cpu_count() or 1)


def memory_limits() -> list[int]:
    """Return nothing: there are no cgroups."""
    return []
