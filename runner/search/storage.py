"""Where Optuna keeps a study: by default a journal that several processes add to."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from anew.runner.errors import StoreError
from anew.runner.search.extra import need

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.storages.journal import JournalFileOpenLock

JOURNAL = "search/journal.log"
STUDY = "search"


def open_storage(sweep: Path, storage: str) -> BaseStorage:
    """
    Open a storage; a journal that is not there yet comes to be.

    Args:
        sweep: What the path of a journal is relative to.
        storage: The path of a journal, or a URL.

    Raises:
        MissingExtraError: Optuna is not installed.
        StoreError: It cannot be opened.
    """
    need("optuna")
    from optuna import storages
    from optuna.storages.journal import JournalFileBackend

    try:
        if "://" in storage:
            return storages.RDBStorage(storage, engine_kwargs=_pool(storage))
        path = sweep / storage
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
            raise OSError("it is no regular file")
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = cast("JournalFileOpenLock", _Lock(path))
        return storages.JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
    except (OSError, ValueError) as error:
        raise StoreError(f"Cannot open {storage!r}, which the search is kept in: {error}", path=storage) from error


def lies_within(sweep: Path, storage: str) -> bool:
    """Whether a storage is a file in the sweep's folder, wherever links lead."""
    return "://" not in storage and Path(os.path.realpath(sweep / storage)).is_relative_to(os.path.realpath(sweep))


def _pool(url: str) -> dict[str, Any]:
    """Keep no SQLite file open between two calls: nobody would close it, of which Python tells since 3.13."""
    from sqlalchemy.pool import NullPool

    kind, _, place = url.partition("://")
    is_file = kind.startswith("sqlite") and place.strip("/") and "memory" not in place
    return {"poolclass": NullPool} if is_file else {}


class _Lock:
    """
    Lets one process at a time add to a journal.

    A lock of the operating system ends with the process that holds it, where those of Optuna hold up everybody for half
    a minute after a kill. Whoever has it cuts off half a line that such a process left, which would spoil the next one.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._descriptor = -1

    def acquire(self) -> bool:
        """Wait for the lock."""
        descriptor = os.open(f"{self._journal}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._cut()
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let go."""
        os.close(self._descriptor)

    def _cut(self) -> None:
        with self._journal.open("rb+") as file:
            end = file.seek(0, os.SEEK_END)
            if end == 0 or _byte(file.fileno(), end - 1) == b"\n":
                return
            whole = self._journal.read_bytes().rfind(b"\n") + 1
            file.truncate(whole)


def _byte(descriptor: int, place: int) -> bytes:
    return os.pread(descriptor, 1, place)
