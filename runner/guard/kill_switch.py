"""
A way for another process to make this one exit with a status of its choice, even while a C call holds the GIL.

An asynchronous read (POSIX aio) waits on an eventfd in a thread of the C library. When something is written there, the
library calls `_exit` in another thread of its own, without Python. The status is what was written: the read's buffer is
the very place from which the library takes the argument of the call.

Why not a signal: for that its default action would have to be in place while Python is not reacting, so that of two
signals that come together, as timeout(1) sends them, the second would kill a process that was about to clean up.

Why not SIGKILL, which is the way where no switch can be had: what a shell, a batch system or a container reports of a
run that was stuck in C when it was asked to end is then 143, "terminated as asked", in place of 137, which is how a
process ends that has run out of memory, and what people and rules for retries take it for. A test in `tests/run` holds
both numbers.
"""

from __future__ import annotations

import ctypes
import os

from anew.runner.kernel.door import open_switch

_SIGEV_THREAD = 2
_LIBRARIES = (None, "librt.so.1")


class _Notification(ctypes.Structure):
    """`struct sigevent`."""

    _fields_ = (
        ("value", ctypes.c_uint64),
        ("number", ctypes.c_int),
        ("kind", ctypes.c_int),
        ("function", ctypes.c_void_p),
        ("attributes", ctypes.c_void_p),
        ("padding", ctypes.c_char * 32),
    )


class _Request(ctypes.Structure):
    """`struct aiocb` as far as POSIX has it; the C libraries keep their own members in the rest."""

    _fields_ = (
        ("descriptor", ctypes.c_int),
        ("operation", ctypes.c_int),
        ("priority", ctypes.c_int),
        ("buffer", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("notification", _Notification),
        ("rest", ctypes.c_char * 512),
    )


_armed: list[tuple[int, _Request]] = []  # process and what its C library goes on using, for as long as that lives


def arm() -> int | None:
    """
    Return an eventfd that ends this process when a status is written to it, or None where that cannot be had.

    It must stay open. A forked child is not affected by what is written, and has no switch of its own: the C library's
    threads do not survive a fork.
    """
    found = _functions() if ctypes.sizeof(ctypes.c_void_p) == 8 else None
    if found is None or (descriptor := open_switch()) is None:
        return None
    read, leave = found
    request = _Request(descriptor=descriptor, size=8)
    request.buffer = ctypes.addressof(request) + _Request.notification.offset
    request.notification.kind = _SIGEV_THREAD
    request.notification.function = leave
    if read(ctypes.byref(request)) != 0:
        os.close(descriptor)
        return None
    _armed.append((os.getpid(), request))
    return descriptor


def threads() -> int:
    """Return how many threads of the C library wait for that in this process, one for each switch."""
    return sum(pid == os.getpid() for pid, _ in _armed)


def _functions() -> tuple[ctypes._NamedFuncPointer, int | None] | None:
    """Return the C library's aio_read and the address of its _exit."""
    leave = ctypes.cast(ctypes.CDLL(None)["_exit"], ctypes.c_void_p).value
    for name in _LIBRARIES:
        try:
            return ctypes.CDLL(name)["aio_read"], leave
        except (OSError, AttributeError):
            continue
    return None
