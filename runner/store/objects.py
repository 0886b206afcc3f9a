"""
Content by SHA-256: every piece kept once, read-only.

An object appears by linking a complete temporary file to its name, so concurrent writers need no locks and a killed
one leaves at most a temporary.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from anew.runner.errors import ArtifactError, ContentDamagedError, ObjectNotFoundError, StoreError
from anew.runner.format import ids
from anew.runner.kernel.door import share_blocks
from anew.runner.lazy.patterns import regexp
from anew.runner.store.durability import sync_file, sync_later
from anew.runner.store.files import cannot, digest_of, names_in, open_regular, sync_folder, write_all, write_new
from anew.runner.store.presence import gone

_SMALL = 1 << 20
_BLOCK = 1 << 20
_ATTEMPTS = 3
_LEVELS = 4  # of folders with names that lead to content, up to the store's own
_DIGEST = regexp(r"[0-9a-f]{64}")
# a store's contents, marked as used together -> when, by the monotonic clock and in seconds since 1970
_marked: dict[tuple[Path, tuple[str, ...]], tuple[float, float]] = {}
_MARKED_S, _MOST_MARKED = 600.0, 1_024


class ObjectStore:
    """
    A folder of content. Safe between threads and processes.

    What is put survives a power cut when the call returns, or with `sync=False` about half a second later.

    Args:
        root: The folder; made when something is first put.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._synced: set[Path] = set()

    def path(self, sha256: str) -> Path:
        """Return where content of this digest lies, or would. Raises ObjectNotFoundError for what is no digest."""
        # Records may come from elsewhere: "../../x" must not lead out of the store.
        if not _DIGEST.fullmatch(sha256):
            raise self._missing(sha256)
        return self.root / "sha256" / sha256[:2] / sha256[2:]

    def has(self, sha256: str) -> bool:
        """Whether the content is here."""
        return _DIGEST.fullmatch(sha256) is not None and os.path.exists(self.path(sha256))

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Return those of some digests whose content is not here."""
        return gone(self.root, digests)

    def size(self, sha256: str) -> int:
        """Return the size in bytes. Raises ObjectNotFoundError."""
        try:
            return self.path(sha256).stat().st_size
        except OSError:
            raise self._missing(sha256) from None

    def open(self, sha256: str) -> BinaryIO:
        """
        Open content for reading. A link is not followed, and nothing is waited for.

        Raises:
            ObjectNotFoundError: It is not here.
            StoreError: What is here in its place is no file, or it cannot be read.
        """
        path = self.path(sha256)
        try:
            return open_regular(path, buffering=_BLOCK)
        except (FileNotFoundError, NotADirectoryError):
            raise self._missing(sha256) from None
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ELOOP):
                raise self._damaged(sha256) from None
            raise cannot("read", path, error) from error

    def _missing(self, sha256: str) -> ObjectNotFoundError:
        return ObjectNotFoundError(
            f"The store {str(self.root.parent)!r} does not hold the content {sha256[:12]}. To see what is missing: "
            "anew check",
            sha256=sha256,
        )

    def _damaged(self, sha256: str) -> ContentDamagedError:
        return ContentDamagedError(
            f"The content {sha256[:12]} in {str(self.root.parent)!r} is damaged: its digest is another, or it is no "
            "file. To see what else is: anew check",
            path=str(self.path(sha256)),
        )

    # --- putting ------------------------------------------------------------------------------------------------

    def put_bytes(self, data: bytes, *, sync: bool = True) -> str:
        """Keep *data*; return its digest. Raises StoreError, and then nothing is left behind."""
        sha256 = hashlib.sha256(data).hexdigest()
        if self._is_whole(sha256, len(data)):
            if sync:
                self._sync_known(sha256)
        else:
            temporary = self.temporary()
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
        Keep a regular file's content, read once; return its digest and its size in bytes. A link is followed.

        Raises:
            ArtifactError: It is missing, unreadable, no regular file, or changes while it is read.
            StoreError: It cannot be written; nothing is left behind.
        """
        for _ in range(_ATTEMPTS):
            with _regular(path) as source:
                before = os.fstat(source.fileno())
                if before.st_size <= _SMALL:
                    data = _read(source, path, before.st_size + 1)
                    kept = self.put_bytes(data, sync=sync), len(data)
                else:
                    kept = self._put_large(source, path, before.st_size, sync)
                after = os.fstat(source.fileno())
            if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns) and kept[1] == after.st_size:
                return kept
        raise ArtifactError(f"{str(path)!r} keeps changing while it is read. Close it before it is logged.")

    def _put_large(self, source: BinaryIO, path: Path, expected: int, sync: bool) -> tuple[str, int]:
        temporary = self.temporary()
        try:
            with temporary.open("x+b", buffering=0) as target:
                sha256, size = _copy(source, target, lambda file, size: _read(file, path, size), expected + 1)
                if sync:
                    os.fsync(target.fileno())
            self._keep(temporary, sha256, size, sync)
        except OSError as error:
            raise cannot("write", self.root, error) from error
        finally:
            _remove(temporary)
        return sha256, size

    def temporary(self) -> Path:
        """Return a place for a file that is to be put, beside the content; what is left there is removed some day."""
        folder = self.root / "tmp"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot("write", folder, error) from error
        return folder / ids.new_uid()

    def _is_whole(self, sha256: str, size: int) -> bool:
        """Whether the content is here in full length; marks it as used now."""
        path = self.path(sha256)
        try:
            return path.stat().st_size == size and self.touch(sha256)
        except OSError:
            return False

    def touch(self, sha256: str) -> bool:
        """Mark content as used now, so that a purge under way spares it; return whether it is here."""
        try:
            os.utime(self.path(sha256))
        except PermissionError:
            return True
        except OSError:
            return False
        return True

    def touch_all(self, digests: tuple[str, ...]) -> bool:
        """
        Mark contents as used; return whether all are here.

        What this process marked a moment ago it does not mark again: a purge spares what was used within an hour.
        """
        key, now = (self.root, digests), (time.monotonic(), time.time())
        if (marked := _marked.get(key)) is not None and all(
            0 <= this - then < _MARKED_S for this, then in zip(now, marked, strict=True)
        ):
            return not self.missing(digests)
        if not all(self.touch(each) for each in digests):
            return False
        if len(_marked) >= _MOST_MARKED:
            _marked.clear()
        _marked[key] = now
        return True

    def _keep(self, temporary: Path, sha256: str, size: int, sync: bool) -> None:
        """Give a complete temporary its name; an object of another length there is damaged and gives way."""
        temporary.chmod(0o444)
        path = self.path(sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self._is_whole(sha256, size):
            if sync:
                self._sync_known(sha256)
            return
        temporary.replace(path)
        if sync:
            self._sync_names(path)
        else:
            sync_later(path, levels=_LEVELS)

    def _sync_known(self, sha256: str) -> None:
        """Sync content that was here before: whoever put it may not have come to that. Raises OSError."""
        path = self.path(sha256)
        if path not in self._synced:
            sync_file(path)
            self._sync_names(path)

    def _sync_names(self, path: Path) -> None:
        """Have content's name survive a power cut, and each folder above it, once. Raises OSError."""
        self._synced.add(path)
        sync_folder(path.parent)
        for folder in list(path.parents)[: _LEVELS - 1]:
            if folder not in self._synced:
                sync_folder(folder.parent)
                self._synced.add(folder)

    # --- laying out ---------------------------------------------------------------------------------------------

    def lay_out(self, sha256: str, target: Path, *, mode: int | None = None, writable: bool = True) -> None:
        """
        Put content at *target*, which must not exist, having compared its digest.

        A reflink where the file system has them; else, for a target that nobody writes to, a hard link (it shares the
        object's read-only inode); else a copy. On an error nothing is left at *target*.

        Args:
            sha256: Which content.
            target: Where; missing folders are made.
            mode: Permission bits; 0o644 when absent. Without *writable* nobody gets leave to write.
            writable: Whether somebody may write to it later, which must not reach the object.

        Raises:
            ObjectNotFoundError: The content is not here.
            StoreError: The content is damaged, the target exists, or it cannot be written.
        """
        bits = 0o644 if mode is None else mode
        if not writable:
            bits &= ~0o222
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if not (bits == 0o444 and not writable and self._link(sha256, target)):
                self._copy_out(sha256, target, bits)
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            raise cannot("write", target, error) from error

    def _link(self, sha256: str, target: Path) -> bool:
        """Link intact content to *target*; return whether the file system could. Raises FileExistsError."""
        if not self.verify(sha256):
            raise self._damaged(sha256) if self.has(sha256) else self._missing(sha256)
        return _linked(self.path(sha256), target)

    def _copy_out(self, sha256: str, target: Path, bits: int) -> None:
        with self.open(sha256) as source, target.open("x+b", buffering=0) as copy:
            try:
                found, _ = _copy(source, copy, lambda file, size: file.read(size), sys.maxsize)
                if found != sha256:
                    raise self._damaged(sha256)
                os.fchmod(copy.fileno(), bits)
            except BaseException:
                _remove(target)
                raise

    # --- upkeep -------------------------------------------------------------------------------------------------

    def verify(self, sha256: str) -> bool:
        """Whether the content is here and is what its name says."""
        if not self.has(sha256):
            return False
        try:
            return not self.path(sha256).is_symlink() and digest_of(self.path(sha256))[0] == sha256
        except OSError:
            return False

    def all(self) -> Iterator[str]:
        """Yield every digest here."""
        for folder in sorted(names_in(self.root / "sha256")):
            for name in sorted(names_in(self.root / "sha256" / folder)):
                if _DIGEST.fullmatch(folder + name):
                    yield folder + name

    def remove(self, sha256: str, *, unless_used_since: float | None = None) -> int:
        """
        Remove content; return the bytes freed, 0 when nothing was removed.

        Args:
            sha256: Which content.
            unless_used_since: Seconds since the epoch: content put or touched since then stays, also when that
                happens during this call.

        Raises:
            StoreError: It cannot be removed.
        """
        path, aside = self.path(sha256), self.temporary()
        try:
            path.rename(aside)
            status = aside.stat()
            if unless_used_since is not None and status.st_mtime >= unless_used_since:
                with suppress(FileExistsError):
                    os.link(aside, path)
                return 0
            return status.st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise cannot("remove", path, error) from error
        finally:
            _remove(aside)

    def used_since(self, sha256: str) -> float:
        """Return when the content was last put, in seconds since the epoch; 0 when it is not here."""
        try:
            return self.path(sha256).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def temporaries(self, older_than_s: float) -> list[Path]:
        """Return what killed writers left."""
        limit = time.time() - older_than_s
        found = []
        for path in (self.root / "tmp").glob("*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < limit:
                    found.append(path)
        return found


def _regular(path: Path) -> BinaryIO:
    """Open a regular file. Raises ArtifactError for anything else, and does not wait for a pipe's other end."""
    try:
        return open_regular(path, follow=True)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise ArtifactError(f"{str(path)!r} is no regular file, and only files have content to keep.") from error
        raise ArtifactError(f"{str(path)!r} cannot be read: {error.strerror}.") from error


def _read(file: BinaryIO, path: Path, size: int) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        raise ArtifactError(f"{str(path)!r} cannot be read: {error.strerror}.") from error


def _copy(source: BinaryIO, target: BinaryIO, read: Callable[[BinaryIO, int], bytes], limit: int) -> tuple[str, int]:
    """
    Copy a file into an empty one, sharing its blocks where that is possible; return digest and size.

    No more than *limit* bytes: a file that grows as fast as it is read would have no end.
    """
    cloned = share_blocks(source.fileno(), target.fileno())
    digest, size = hashlib.sha256(), 0
    while block := read(target if cloned else source, min(_BLOCK, limit - size)):
        digest.update(block)
        size += len(block)
        if not cloned:
            write_all(target.fileno(), block)
    return digest.hexdigest(), size


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
