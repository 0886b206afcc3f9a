"""Where Optuna keeps a study: by default a journal that several processes add to."""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from anew.runner.dataclass import dataclass
from anew.runner.errors import StoreError
from anew.runner.format.redact import REDACTED, Redactor, redact_text
from anew.runner.format.secret_forms import secret_forms
from anew.runner.lazy.patterns import regexp
from anew.runner.search.extra import need

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.storages.journal import BaseJournalBackend, JournalFileOpenLock

JOURNAL = "search/journal.log"
STUDY = "search"
_VARIABLE = regexp(r"\$\{oc\.env:(?P<name>[A-Za-z_]\w*)(?:,(?P<default>[^{}]*))?\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """
    Where a study is kept, in words that may stand anywhere.

    Attributes:
        words: The path of a journal, or a URL; secrets left out, variables of the environment by name.
        folder: What relative paths are relative to, where the sweep began; None for the sweep's own folder.
    """

    words: str = JOURNAL
    folder: str | None = None


# What the words of a storage stand for in this process, where it was typed with a password that is on no record.
_typed: dict[str, str] = {}


def remember(words: str, storage: str) -> None:
    """Have a storage that held a secret be known in this process by what is on record of it."""
    if words != storage:
        _typed[words] = storage


def open_storage(sweep: Path, place: Place, *, reading: bool = False) -> BaseStorage:
    """
    Open a storage; a journal that is not there yet comes to be, unless it is only to be read.

    Args:
        sweep: The sweep's folder.
        place: Where it is.
        reading: Write nothing: neither a file, nor a table, nor a lock.

    Raises:
        MissingExtraError: Optuna is not installed.
        StoreError: It cannot be opened, or is not there to be read.
    """
    need("optuna")
    from optuna import storages
    from optuna.storages.journal import JournalFileBackend

    storage = _storage(place)
    try:
        if "://" in storage:
            return _database(storage, place, reading)
        path = _path(sweep, place, storage)
        if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
            raise OSError("it is no regular file")
        if reading:
            return storages.JournalStorage(cast("BaseJournalBackend", _Reader(path)))
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = cast("JournalFileOpenLock", _Lock(path))
        return storages.JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
    except Exception as error:
        # what reaches a server raises anything; a password may be part of it
        told = Redactor(secret_forms(storage)).text(redact_text(f"{error}".strip().split("\n")[0]))
        raise StoreError(f"Cannot open {place.words!r}, which the search is kept in: {told}", path=place.words) from (
            error if told in str(error) else None
        )


def lies_within(sweep: Path, place: Place) -> bool:
    """Whether a storage is a file in the sweep's folder, wherever links lead."""
    if "://" in place.words or "${" in place.words:
        return False
    return Path(os.path.realpath(_path(sweep, place, place.words))).is_relative_to(os.path.realpath(sweep))


def _path(sweep: Path, place: Place, storage: str) -> Path:
    # ours lies in the sweep's folder; what was typed is meant from where it was typed
    return sweep / storage if storage == JOURNAL or place.folder is None else Path(place.folder, storage)


def _storage(place: Place) -> str:
    """Return what the words stand for now. Raises StoreError."""
    if place.words in _typed:
        return _typed[place.words]
    storage = _VARIABLE.sub(lambda found: _variable(place, found), place.words)
    if REDACTED in storage:
        raise StoreError(
            f"The search is kept in {place.words!r}, whose password is not on record. For searches to come give it by "
            "a variable: hydra.sweeper.storage='${oc.env:NAME}'",
            path=place.words,
        )
    return storage


def _variable(place: Place, found: re.Match[str]) -> str:
    value = os.environ.get(found["name"], found["default"])
    if value is None:
        raise StoreError(
            f"The search is kept in {place.words!r}, and the variable {found['name']} is not set here. To set it: "
            f"export {found['name']}=...",
            path=place.words,
        )
    return value


def _database(storage: str, place: Place, reading: bool) -> BaseStorage:
    from optuna.storages import RDBStorage

    kind, _, path = storage.partition("://")
    options: dict[str, Any] = {}
    if kind.startswith("sqlite") and path.strip("/") and not path.startswith(("/:memory:", "/file:")):
        from sqlalchemy.pool import NullPool

        # Keep no file open between two calls: nobody would close it, of which Python tells since 3.13.
        options["engine_kwargs"] = {"poolclass": NullPool}
        name, mark, query = path.removeprefix("/").partition("?")
        whole = Path(os.path.abspath(Path(place.folder or "", name)))
        if reading:
            whole.stat()
            storage = f"{kind}:///file:{quote(str(whole))}?{query}{'&' if mark else ''}mode=ro&uri=true"
        elif not name.startswith("/"):
            storage = f"{kind}:///{whole}{mark}{query}"
    if reading and "skip_table_creation" in signature(RDBStorage.__init__).parameters:
        options["skip_table_creation"] = True
    return RDBStorage(storage, **options)


class _Reader:
    """
    Reads a journal without a lock and without making one: whoever only looks changes nothing, also of a file that is
    not theirs. A line that is half written is not there yet.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        journal.stat()

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Return the lines from a number on."""
        lines = self._journal.read_bytes().split(b"\n")[:-1]
        return (json.loads(line) for line in lines[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refuse."""
        raise OSError(f"{str(self._journal)!r} was opened to be read")


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
