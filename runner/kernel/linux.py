"""
What only Linux has, see `door`; `posix` has functions of the same names.

Standard library only: the guard process is started without any other.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import struct
from functools import cache
from typing import Any, BinaryIO

_FICLONE = 0x40049409
_DEAD = frozenset("ZXx")
# of prctl(2): who may trace this process where Yama asks
_SET_TRACER = 0x59616D61
# a fixed number of the kernel's
_INITIAL_NAMESPACE = "-4026531836"


# what lies below is the system's, and no input of anybody's
SYSTEM_FOLDERS: tuple[str, ...] = (
    *("/bin/", "/dev/", "/etc/", "/lib", "/proc/", "/run/", "/sbin/", "/sys/", "/usr/", "/var/lib/", "/var/cache/"),
)
# where it says what is mounted: the device, the place, the kind, ... a line each
MOUNTS = "/proc/self/mounts"


# --- processes ------------------------------------------------------------------------------------------------------


@cache
def boot_id() -> str:
    """
    Return what tells this boot, and this pid namespace, from every other.

    Two containers on one machine share the boot but not the process IDs: with the namespace in it, one is a foreign
    host to the other.
    """
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return f"{file.read().strip()}-{os.stat('/proc/self/ns/pid').st_ino}"


def was_rebooted(other: str) -> bool:
    """
    Whether the boot *other*, of a machine that has our host name, was an earlier one of this machine.

    Only in the initial pid namespace does the same name mean the same machine; containers come and go on one boot.
    """
    return other != boot_id() and other.endswith(_INITIAL_NAMESPACE) and boot_id().endswith(_INITIAL_NAMESPACE)


def state_of(pid: int) -> tuple[bool, float] | None:
    """Return whether a process lives (a zombie does not), and its start since boot in ticks; None for none."""
    fields = _stat(pid)
    return (fields[0].decode() not in _DEAD, float(fields[19])) if fields else None


def usage_of_tree(pid: int) -> tuple[float, int]:
    """Return CPU seconds used and resident bytes of a process and everything below it, as far as it can be read."""
    ticks = pages = 0
    todo = [pid]
    while todo:
        current = todo.pop()
        try:
            fields = _stat(current)
            # utime, stime, and those of children that were waited for; then resident pages: proc(5)
            ticks += sum(int(field) for field in fields[11:15])
            pages += int(fields[21])
            for task in os.listdir(f"/proc/{current}/task"):
                with open(f"/proc/{current}/task/{task}/children", encoding="ascii") as file:
                    todo += map(int, file.read().split())
        except (OSError, ValueError, IndexError):
            continue
    return ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE")


def below(pid: int) -> list[tuple[int, int]]:
    """Return the processes below one, as far as they can be read: number, and when it started, to be told apart by."""
    found = []
    todo = [pid]
    while todo:
        current = todo.pop()
        if current != pid and len(fields := _stat(current)) > 19:
            found.append((current, int(fields[19])))
        try:
            for task in os.listdir(f"/proc/{current}/task"):
                with open(f"/proc/{current}/task/{task}/children", encoding="ascii") as file:
                    todo += map(int, file.read().split())
        except (OSError, ValueError):
            continue
    return found


def end_with_start(pid: int, start: int) -> None:
    """Kill a process if it is the one that started then, as `below` has it. Raises OSError."""
    descriptor = open_process(pid)
    try:
        fields = _stat(pid)
        if len(fields) > 19 and int(fields[19]) == start:
            kill(pid, descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _stat(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat that follow the name, which may have anything in it; none without it."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2].split()
    except OSError:
        return []


def open_process(pid: int) -> int | None:
    """Return a descriptor that can be read once the process has ended; None where that cannot be had (before 5.3)."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def kill(pid: int, descriptor: int | None) -> None:
    """Kill a process; by its descriptor, if there is one, never another that has got its number. Raises OSError."""
    if descriptor is None:
        os.kill(pid, signal.SIGKILL)
    else:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)


def end_with(pipe: int) -> None:
    """
    Have this process be sent SIGTERM when the other end of a pipe, which nothing is written to, is closed.

    The kernel sends it, so that no thread has to wait, which a program would see; a forked child's copy does nothing.
    """
    os.set_inheritable(pipe, False)
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGTERM)
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | fcntl.FASYNC)
    if select.select([pipe], [], [], 0)[0]:  # it was closed before anybody was to be told
        os.kill(os.getpid(), signal.SIGTERM)


def end_other_with(pipe: int, pid: int) -> None:
    """Have a child, which holds this pipe as well, be sent SIGTERM when its other end is closed. Raises OSError."""
    fcntl.fcntl(pipe, fcntl.F_SETOWN, pid)
    fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGTERM)
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | fcntl.FASYNC)


def open_switch() -> int | None:
    """Return an eventfd, for `kill_switch`; None where that cannot be had with this C library."""
    return os.eventfd(0, os.EFD_CLOEXEC) if hasattr(os, "eventfd") else None


# --- files ----------------------------------------------------------------------------------------------------------


def sync_data(descriptor: int) -> None:
    """Have a file's content survive a power cut, and its length; not its times. Raises OSError."""
    os.fdatasync(descriptor)


def allocate(descriptor: int, size: int) -> bool:
    """Take the space of so many bytes; return whether the file system could. Raises OSError when there is none."""
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        return False  # some over the network, and those that compress
    return True


def path_of(descriptor: int) -> str | None:
    """Return where what is open is, as far as that can be known."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return None


def names_of(descriptor: int) -> tuple[str, ...]:
    """Return by which names what is open can be opened again, the surest first."""
    path = path_of(descriptor)
    return (f"/proc/self/fd/{descriptor}", *([path] if path is not None else []))


def share_blocks(source: int, target: int) -> bool:
    """Have an empty file share the blocks of another; return whether the file system could."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def unnamed_file() -> BinaryIO:
    """Return a file without a name, open to be added to and read, that forked children share. Raises OSError."""
    try:
        descriptor = os.memfd_create("anew", os.MFD_CLOEXEC)
    except OSError:  # some containers allow none
        import tempfile

        return tempfile.TemporaryFile("a+b", buffering=0)  # closed by whoever asks
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_APPEND)
    return os.fdopen(descriptor, "a+b", buffering=0)


def nameless_file(folder: str) -> tuple[int, str] | None:
    """
    Return a new file in a folder, without a name: open to be written and read, and what it can be linked from.

    It is gone with its last descriptor. None where the file system has none such.
    """
    try:
        descriptor = os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o644)
    except OSError:
        return None
    return descriptor, f"/proc/self/fd/{descriptor}"


def is_held(path: str) -> bool:
    """Whether a process may have a file open, this one too; True where the system does not tell. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # a lease is given to who has it open alone
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


# of inotify(7): read, written, closed; and each is told of once
_FIRST_USE = 0x1 | 0x2 | 0x8 | 0x10 | 0x8000_0000
_WRITTEN = 0x2
_GONE = 0x8000
_EVENT = struct.Struct("iIII")


def open_watch() -> int | None:
    """Return a descriptor for watching the first use of files, by whatever process; None where that cannot be had."""
    number = _library().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    return number if number >= 0 else None


def watch_first_use(watch: int, path: str) -> int:
    """Watch a file; return the number by which its first use is told, one for each file, or -1."""
    number: int = _library().inotify_add_watch(watch, os.fsencode(path), _FIRST_USE)
    return number


def first_uses(watch: int) -> dict[int, bool]:
    """Return of each watched file that was used since whether it was written then: not that it was read before."""
    found: dict[int, bool] = {}
    while True:
        try:
            data = os.read(watch, 2**16)
        except BlockingIOError:
            return found
        place = 0
        while place < len(data):
            number, mask, _, size = _EVENT.unpack_from(data, place)
            place += _EVENT.size + size
            if number >= 0 and not mask & _GONE:
                found.setdefault(number, bool(mask & _WRITTEN))


def threads() -> int:
    """Return how many threads this process has, those of libraries as well."""
    return len(os.listdir("/proc/self/task"))


def mapped_files() -> set[str]:
    """Return the files that this process has in its memory: they are closed when they leave it."""
    lines = _text("/proc/self/maps").splitlines()
    return {line[line.index("/") :] for line in lines if "/" in line}


def allow_tracing(is_allowed: bool) -> None:
    """Let other processes of the user's trace this one, where they may not by themselves; or no more."""
    import ctypes

    # refused by a kernel that has no such rule
    _library().prctl(_SET_TRACER, ctypes.c_ulong(-1 if is_allowed else 0), 0, 0, 0)


def tracers() -> set[int]:
    """Return the processes that trace the threads of this one; 0 among them where there is a thread that none does."""
    said = (_member(f"/proc/self/task/{number}/status", "TracerPid") for number in os.listdir("/proc/self/task"))
    return {int(each) for each in said if each}


def limit_written(pid: int, most_bytes: int) -> None:
    """Have a process be ended by the kernel when it makes a file larger than that. Raises OSError."""
    import resource

    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most_bytes, most_bytes))


@cache
def _library() -> Any:
    import ctypes

    return ctypes.CDLL(None)


# --- the machine ----------------------------------------------------------------------------------------------------


def cpu_model() -> str:
    """Return what the processor calls itself; empty when it does not say."""
    return _member("/proc/cpuinfo", "model name", "Model", "cpu model")


def memory_bytes() -> int:
    """Return the machine's memory; 0 when it cannot be read."""
    number, _, unit = _member("/proc/meminfo", "MemTotal").partition(" ")
    return int(number) * 1024 if number.isdigit() and unit == "kB" else 0


def allowed_cores() -> float:
    """Return how many cores the process may use, by affinity and by the quota of its cgroup; possibly a fraction."""
    allowed = float(len(os.sched_getaffinity(0)))
    for folder in _cgroup_folders():
        quota, _, period = _text(f"{folder}/cpu.max").strip().partition(" ")
        if not period:
            quota, period = _text(f"{folder}/cpu.cfs_quota_us").strip(), _text(f"{folder}/cpu.cfs_period_us").strip()
        if quota.isdigit() and period.isdigit() and int(period):
            allowed = min(allowed, int(quota) / int(period))
    return allowed


def memory_limits() -> list[int]:
    """Return the bytes that the cgroup of this process, and each above it, is held to."""
    return [
        int(text)
        for folder in _cgroup_folders()
        for name in ("memory.max", "memory.limit_in_bytes")
        if (text := _text(f"{folder}/{name}").strip()).isdigit()
    ]


def _cgroup_folders() -> list[str]:
    """Return the folders of this process's cgroup and those above it, the nearest first (version 2, else 1)."""
    folders: list[str] = []
    for line in _text("/proc/self/cgroup").splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        for controller in controllers.split(","):
            root = f"/sys/fs/cgroup/{controller}".rstrip("/")
            below = [part for part in path.split("/") if part]
            folders += ["/".join([root, *below[:depth]]) for depth in range(len(below), -1, -1)]
    return folders


def _member(path: str, *names: str) -> str:
    """Return what follows the first of *names* in a file of `NAME: VALUE` lines."""
    for line in _text(path).splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip() in names and value.strip():
            return value.strip()
    return ""


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
