"""What is read of what a descriptor prints: a pipe or a pseudo-terminal in its place, or the file itself, once more."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import Any

from anew.runner.guard.carrier import Source
from anew.runner.kernel.door import names_of

_PIPE_BYTES = 1 << 20

Identity = tuple[int, int, int]


def identity(descriptor: int) -> Identity:
    """Return what tells the file behind a descriptor from others; for a terminal, the terminal."""
    status = os.fstat(descriptor)
    return (0, 0, status.st_rdev) if os.isatty(descriptor) else (status.st_dev, status.st_ino, 0)


def file_behind(descriptor: int) -> tuple[Source, None] | None:
    """Return how to follow the file that a descriptor prints to, which stays in its place; None where it is none."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return None
    import fcntl

    appends = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND
    begin = status.st_size if appends else os.lseek(descriptor, 0, os.SEEK_CUR)
    for path in names_of(descriptor):
        with suppress(OSError):  # it is not ours to read, or not there any more
            read = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            if os.path.samestat(os.fstat(read), status):
                os.lseek(read, begin, os.SEEK_SET)
                return Source(read, os.dup(descriptor) if begin < status.st_size else None, follows=True), None
            os.close(read)
    return None


def unread(file: int) -> int:
    return max(0, os.fstat(file).st_size - os.lseek(file, 0, os.SEEK_CUR))


def can_seek(descriptor: int) -> bool:
    try:
        return os.lseek(descriptor, 0, os.SEEK_CUR) >= 0
    except OSError:
        return False


def stream_to(destination: int) -> tuple[Source, int]:
    """Return a stream that leads to *destination* and looks like it, and its writing end."""
    if os.isatty(destination):
        with suppress(OSError):  # no pseudo-terminals to be had: then a pipe
            master, end = _pseudo_terminal(destination)
            return Source(master, destination, terminal=True), end
    read, end = pipe()
    return Source(read, destination), end


def pipe() -> tuple[int, int]:
    read, write = os.pipe()
    with suppress(OSError):  # more than an unprivileged user may have
        _enlarge(write)
    return read, write


def _enlarge(pipe: int) -> None:
    import fcntl

    if hasattr(fcntl, "F_SETPIPE_SZ"):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _pseudo_terminal(real: int) -> tuple[int, int]:
    """Return master and slave, with modes and size of *real*, except that bytes pass unchanged: *real* is next."""
    import fcntl
    import termios

    master, slave = os.openpty()
    try:
        modes: list[Any] = termios.tcgetattr(real)
        modes[1] &= ~termios.OPOST
        termios.tcsetattr(slave, termios.TCSANOW, modes)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, fcntl.ioctl(real, termios.TIOCGWINSZ, bytes(8)))
    except (OSError, termios.error) as error:
        os.close(master)
        os.close(slave)
        raise OSError(str(error)) from error
    return master, slave
