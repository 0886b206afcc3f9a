"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from anew.runner.errors import StoreError
from anew.runner.format import ids


def sync_folder(folder: Path) -> None:
    """Make the names in *folder* survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_whole(path: Path, data: bytes, *, sync: bool = True) -> bool:
    """
    Create *path* with *data*, at once complete; return False when it exists already.

    Written beside its place and linked there, which is exclusive on every POSIX file system. Safe between processes.

    Raises:
        StoreError: The data cannot be written (a full disk, no permission); nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{ids.new_uid()}")
    try:
        write_new(temporary, data, sync=sync)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
        if sync:
            sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise cannot("write", path, error) from error
    return True


def write_new(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write a file that must not exist. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cannot(verb: str, path: Path, error: OSError) -> StoreError:
    """Return the error that says what could not be done where, and what to do about it."""
    hints = {
        errno.ENOSPC: "Free some space, or name a store on another disk: --store FOLDER",
        errno.EDQUOT: "The quota is used up; name a store elsewhere: --store FOLDER",
        errno.EACCES: "Mend its permissions, or name another store: --store FOLDER",
        errno.EPERM: "Mend its permissions, or name another store: --store FOLDER",
        errno.EROFS: "The file system is read-only; name a store elsewhere: --store FOLDER",
    }
    hint = hints.get(error.errno or 0, "To look into it: anew check")
    return StoreError(f"Cannot {verb} {str(path)!r}: {error.strerror or error}. {hint}", path=str(path))


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder, none when it is not there. Raises OSError."""
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
