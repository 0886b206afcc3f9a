"""
Space that is set aside for a run's outcome while there is some: a disk that is full by then does not keep it out.

The guard writes outcomes, too: the standard library has to do.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from anew.runner.kernel.door import allocate

RESERVED_BYTES = 1 << 14
_NAME = ".outcome.reserve"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def set_aside(folder: str) -> None:
    """
    Set space aside in a run's folder; none where a limit on the size of files leaves no room for it.

    Raises:
        OSError: There is no space.
    """
    try:
        descriptor = os.open(os.path.join(folder, _NAME), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        return
    try:
        _allocate(descriptor)
    except OSError as error:
        give_up(folder)
        if error.errno in _NO_SPACE:
            raise
    finally:
        os.close(descriptor)


def _allocate(descriptor: int) -> None:
    if allocate(descriptor, RESERVED_BYTES):
        return
    # bytes that are written take space everywhere
    zeros = memoryview(bytes(RESERVED_BYTES))
    while zeros:
        zeros = zeros[os.write(descriptor, zeros) :]


def create_from_reserve(target: str, data: bytes) -> bool:
    """
    Create *target*, whole and synced, in the space that was set aside in its folder; False when it exists.

    Whoever takes the space has it alone, by a change of name, which needs none; the name of the target is given
    exclusively. Safe between processes.

    Raises:
        OSError: There is none, it is too small, or it cannot be written to.
    """
    folder = os.path.dirname(target)
    reserve, mine = os.path.join(folder, _NAME), os.path.join(folder, f".outcome.{os.getpid()}")
    os.rename(reserve, mine)
    try:
        _write(mine, data)
        try:
            os.link(mine, target)
        except FileExistsError:
            return False
        sync_folder(folder)
    except OSError:
        with suppress(OSError):
            os.rename(mine, reserve)  # for a shorter one
        raise
    finally:
        with suppress(OSError):
            os.unlink(mine)
    return True


def sync_folder(folder: str) -> None:
    """Make the names in a folder survive a power cut. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if len(data) > os.fstat(descriptor).st_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(descriptor, data[written:], written)
        except OSError as error:
            if error.errno != errno.EFBIG:
                raise
            _write_mapped(descriptor, data)
        os.ftruncate(descriptor, len(data))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_mapped(descriptor: int, data: bytes) -> None:
    """Write past a limit on the size of files (`ulimit -f`), which is none for memory."""
    import mmap

    with mmap.mmap(descriptor, RESERVED_BYTES) as memory:
        memory[: len(data)] = data


def give_up(folder: str) -> None:
    """Free the space; nothing where there is none."""
    with suppress(OSError):
        os.unlink(os.path.join(folder, _NAME))
