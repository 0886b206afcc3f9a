"""
Content by SHA-256: every piece kept once, read-only.

An object appears by linking a complete temporary file to its name, so concurrent writers need no locks and a killed
one leaves at most a temporary.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from anew.runner import ids
from anew.runner.errors import ArtifactError, ObjectNotFoundError
from anew.runner.store.files import cannot, sync_folder, write_new

_SMALL = 1 << 20
_BLOCK = 1 << 20
_FICLONE = 0x40049409
_ATTEMPTS = 3


class ObjectStore:
    """
    A folder of content. Safe between threads and processes.

    Args:
        root: The folder; made when something is first put.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, sha256: str) -> Path:
        """Return where content of this digest lies, or would."""
        return self.root / "sha256" / sha256[:2] / sha256[2:]

    def has(self, sha256: str) -> bool:
        """Whether the content is here."""
        return self.path(sha256).exists()

    def size(self, sha256: str) -> int:
        """Return the size in bytes. Raises ObjectNotFoundError."""
        try:
            return self.path(sha256).stat().st_size
        except FileNotFoundError:
            raise self._missing(sha256) from None

    def open(self, sha256: str) -> BinaryIO:
        """Open content for reading. Raises ObjectNotFoundError."""
        try:
            return self.path(sha256).open("rb")
        except FileNotFoundError:
            raise self._missing(sha256) from None

    def _missing(self, sha256: str) -> ObjectNotFoundError:
        return ObjectNotFoundError(
            f"The store {str(self.root.parent)!r} does not hold the content {sha256[:12]}. To see what is missing: "
            "anew check",
            sha256=sha256,
        )

    # --- putting ------------------------------------------------------------------------------------------------

    def put_bytes(self, data: bytes, *, sync: bool = True) -> str:
        """Keep *data*; return its digest. Raises StoreError, and then nothing is left behind."""
        sha256 = hashlib.sha256(data).hexdigest()
        if not self._is_whole(sha256, len(data)):
            temporary = self._temporary()
            try:
                write_new(temporary, data, sync=sync)
                self._keep(temporary, sha256, len(data), sync)
            except OSError as error:
                raise cannot("write", self.path(sha256), error) from error
            finally:
                _remove(temporary)
        return sha256

    def put_file(self, path: Path, *, sync: bool = True) -> tuple[str, int]:
        """
        Keep a regular file's content; return its digest and its size in bytes.

        Raises:
            ArtifactError: It is missing, unreadable, no regular file, or changes while it is read.
            StoreError: It cannot be written; nothing is left behind.
        """
        for _ in range(_ATTEMPTS):
            before = _status(path)
            if before.st_size <= _SMALL:
                data = _read(path)
                kept = self.put_bytes(data, sync=sync), len(data)
            else:
                kept = self._put_large(path, sync)
            after = _status(path)
            if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns) and kept[1] == after.st_size:
                return kept
        raise ArtifactError(f"{str(path)!r} keeps changing while it is read. Close it before it is logged.")

    def _put_large(self, path: Path, sync: bool) -> tuple[str, int]:
        temporary = self._temporary()
        digest, size = hashlib.sha256(), 0
        try:
            with path.open("rb") as source, temporary.open("xb", buffering=0) as target:
                cloned = _clone(source.fileno(), target.fileno())
                with temporary.open("rb") if cloned else source as blocks:
                    while block := blocks.read(_BLOCK):
                        digest.update(block)
                        size += len(block)
                        if not cloned:
                            _write_all(target.fileno(), block)
                if sync:
                    os.fsync(target.fileno())
            self._keep(temporary, digest.hexdigest(), size, sync)
        except OSError as error:
            if isinstance(error, PermissionError) and error.filename == str(path):
                raise ArtifactError(f"{str(path)!r} cannot be read: {error.strerror}.") from error
            raise cannot("write", temporary, error) from error
        finally:
            _remove(temporary)
        return digest.hexdigest(), size

    def _temporary(self) -> Path:
        folder = self.root / "tmp"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot("write", folder, error) from error
        return folder / ids.new_uid()

    def _is_whole(self, sha256: str, size: int) -> bool:
        """Whether the content is here in full length; marks it as used now, so that a purge under way spares it."""
        path = self.path(sha256)
        try:
            if path.stat().st_size != size:
                return False
            with suppress(PermissionError):
                os.utime(path)
        except OSError:
            return False
        return True

    def _keep(self, temporary: Path, sha256: str, size: int, sync: bool) -> None:
        """Give a complete temporary its name; an object of another length there is damaged and gives way."""
        temporary.chmod(0o444)
        path = self.path(sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self._is_whole(sha256, size):
            return
        temporary.replace(path)
        if sync:
            sync_folder(path.parent)

    # --- laying out ---------------------------------------------------------------------------------------------

    def lay_out(self, sha256: str, target: Path, *, mode: int | None = None, writable: bool = True) -> None:
        """
        Put content at *target*, which must not exist.

        A reflink where the file system has them; else, for a target that nobody writes to, a hard link (it shares the
        object's read-only inode); else a copy.

        Raises:
            ObjectNotFoundError: The content is not here.
            StoreError: It cannot be written.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self.open(sha256) as source:
                if not writable and mode in (None, 0o444) and _linked(self.path(sha256), target):
                    return
                with target.open("xb") as copy:
                    if not _clone(source.fileno(), copy.fileno()):
                        shutil.copyfileobj(source, copy, _BLOCK)
            target.chmod((0o644 if mode is None else mode) if writable else (mode or 0o444) & ~0o222)
        except OSError as error:
            raise cannot("write", target, error) from error

    # --- upkeep -------------------------------------------------------------------------------------------------

    def verify(self, sha256: str) -> bool:
        """Whether the content is here and is what its name says."""
        try:
            digest = hashlib.sha256()
            with self.path(sha256).open("rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
        except OSError:
            return False
        return digest.hexdigest() == sha256

    def all(self) -> Iterator[str]:
        """Yield every digest here."""
        for folder in sorted((self.root / "sha256").glob("??")):
            for path in sorted(folder.iterdir()):
                yield folder.name + path.name

    def remove(self, sha256: str) -> int:
        """Remove content; return the bytes freed."""
        path = self.path(sha256)
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            return 0
        return size

    def used_since(self, sha256: str) -> float:
        """Return when the content was last put, in seconds since the epoch; 0 when it is not here."""
        try:
            return self.path(sha256).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def temporaries(self, older_than_s: float) -> list[Path]:
        """Return what killed writers left."""
        limit = time.time() - older_than_s
        return [path for path in (self.root / "tmp").glob("*") if path.stat().st_mtime < limit]


def _status(path: Path) -> os.stat_result:
    try:
        status = path.stat()
    except OSError as error:
        raise ArtifactError(f"{str(path)!r} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(status.st_mode):
        raise ArtifactError(f"{str(path)!r} is no regular file, and only files have content to keep.")
    return status


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{str(path)!r} cannot be read: {error.strerror}.") from error


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _clone(source: int, target: int) -> bool:
    """Share the blocks of one file with another (Linux FICLONE); return whether the file system could."""
    try:
        import fcntl

        fcntl.ioctl(target, _FICLONE, source)
    except (ImportError, OSError):
        return False
    return True


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno == errno.EEXIST:
            raise
        return False
    return True


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
