"""Files that are there whole or not at all, and files that are nothing but files."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

from anew.runner.errors import StoreError
from anew.runner.format import ids
from anew.runner.guard.holes import next_data
from anew.runner.lazy.modules import later

if TYPE_CHECKING:
    import shutil
    from gzip import GzipFile
else:
    shutil = later("shutil")

_BLOCK = 1 << 20


def sync_folder(folder: Path | str) -> None:
    """Make the names in *folder* survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(folder: Path) -> None:
    """Make a folder and those above it that are missing; each survives a power cut. Safe in a crowd. Raises OSError."""
    missing = [folder]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        sync_folder(each.parent)


def create_whole(path: Path, data: bytes, *, sync: bool = True, mode: int = 0o644) -> bool:
    """
    Create *path* with *data*, at once complete; return False when it exists already.

    Written beside its place and linked there, which is exclusive on every POSIX file system. Safe between processes.

    Raises:
        StoreError: The data cannot be written (a full disk, no permission); nothing is left behind.
    """
    temporary = _beside(path)
    try:
        write_new(temporary, data, sync=sync, mode=mode)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        finally:
            os.unlink(temporary)
        if sync:
            sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)
        raise cannot("write", path, error) from error
    return True


def replace_whole(path: Path, data: bytes, *, sync: bool = False, mode: int | None = None) -> None:
    """
    Put *data* in the place of what *path* holds, if anything; readers see the one or the other, whole.

    Safe between threads and processes: of several the last one stays.

    Args:
        path: In a folder that exists.
        data: What it is to hold.
        sync: Whether it is to survive a power cut when this returns.
        mode: Who may do what with it, whatever the umask; None for what is usual in a store.

    Raises:
        StoreError: The data cannot be written; what was there is as it was, and nothing is left beside it.
    """
    temporary = _beside(path)
    try:
        if mode is None:
            write_new(temporary, data, sync=sync)
        else:
            write_new(temporary, data, sync=sync, mode=0o600)
            os.chmod(temporary, mode)
        os.replace(temporary, path)
        if sync:
            sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)
        raise cannot("write", path, error) from error


def _beside(path: Path) -> str:
    """Return a name in the same folder that nobody else uses, and that readers pass over."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{ids.new_uid()}")


def write_new(path: Path | str, data: bytes, *, sync: bool = True, mode: int = 0o644) -> None:
    """Write a file that must not exist. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        write_all(descriptor, data)
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of *data*, in as many calls as it takes. Raises OSError, and then a part of it may be there."""
    rest = memoryview(data)
    while rest:
        written = os.write(descriptor, rest)
        if not written:  # what some file systems say of a full disk
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rest = rest[written:]


def open_regular(path: Path | str, *, follow: bool = False, buffering: int = 0) -> BinaryIO:
    """
    Open a regular file for reading. Anything else under its name is refused at once.

    A fifo would be waited for and a device has no end. A link is not followed unless *follow*: in a store it may come
    from anyone and lead anywhere.

    Raises:
        OSError: It cannot be read, or is no regular file.
    """
    _refuse_unless_regular(os.stat(path) if follow else os.lstat(path), path)
    # it may have become something else by now, hence the flags and the second look
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    file = os.fdopen(os.open(path, flags), "rb", buffering=buffering)
    try:
        _refuse_unless_regular(os.fstat(file.fileno()), path)
    except OSError:
        file.close()
        raise
    return file


def _refuse_unless_regular(status: os.stat_result, path: Path | str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))


def open_made(path: Path | str, flags: int) -> int:
    """Open a file of the user's own, whose folder is made where there is none. Raises OSError."""
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, flags, 0o600)


def read_regular(path: Path | str, most: int) -> bytes:
    """
    Return the content of a regular file of a store.

    Raises:
        OSError: It cannot be read, is no regular file, or has more than *most* bytes.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(errno.EFBIG, f"it has {size} bytes, and such a file has at most {most}", str(path))
        return read_most(file, size)


def read_most(file: IO[bytes] | GzipFile, most: int) -> bytes:
    """Return what comes in an open file, at most so many bytes of it: a mere `read` takes memory for all of *most*."""
    pieces = []
    while most > 0 and (piece := file.read(min(most, _BLOCK))):
        pieces.append(piece)
        most -= len(piece)
    return b"".join(pieces)


def copy_with_holes(source: str | Path, target: str | Path) -> None:
    """
    Copy a regular file into a new one, with its times and rights; its holes, which may be of any length, stay holes.

    Raises:
        OSError: It cannot be read or written, or is no regular file.
    """
    with open_regular(Path(source)) as file, open(target, "xb", buffering=0) as copy:
        size = os.fstat(file.fileno()).st_size
        at = next_data(file.fileno(), 0)
        while at < size and (block := os.pread(file.fileno(), _BLOCK, at)):
            os.lseek(copy.fileno(), at, os.SEEK_SET)
            write_all(copy.fileno(), block)
            at = next_data(file.fileno(), at + len(block))
        copy.truncate(size)
    shutil.copystat(source, target)


def names_in(folder: Path | str) -> list[str]:
    """Return the names in a folder; none where there is no folder, nor where a link goes in circles. Raises OSError."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        if error.errno == errno.ELOOP:
            return []
        raise


def size_of(path: Path) -> int | None:
    """Return the size of a regular file, None when there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def leads_out(path: Path) -> bool:
    """Whether a file or folder right below a run's folder is somewhere else: a store may be anybody's."""
    return os.path.islink(path) or os.path.islink(path.parent)


def digest_of(path: Path) -> tuple[str, int]:
    """Return the SHA-256 of a regular file, links followed, and its size in bytes. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    with open_regular(path, follow=True) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def cannot(verb: str, path: Path | str, error: OSError) -> StoreError:
    """Return the error that says what could not be done where, and what to do about it."""
    hints = {
        errno.ENOSPC: "Free some space, or name a store on another disk: --store FOLDER",
        errno.EDQUOT: "The quota is used up; name a store elsewhere: --store FOLDER",
        errno.EACCES: "Mend its permissions, or name another store: --store FOLDER",
        errno.EPERM: "Mend its permissions, or name another store: --store FOLDER",
        errno.ENOTDIR: "A part of that path is a file; name another store: --store FOLDER, or look into it: anew check",
        errno.ENAMETOOLONG: "Name a store with a shorter path: --store FOLDER",
        errno.EROFS: "The file system is read-only; name a store elsewhere: --store FOLDER",
    }
    hint = hints.get(error.errno or 0, "To look into it: anew check")
    return StoreError(f"Cannot {verb} {str(path)!r}: {error.strerror or error}. {hint}", path=str(path))
