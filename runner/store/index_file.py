"""
The file of the index: SQLite, whose every table is derived from the runs' folders and made anew whenever in doubt.

It lies in the store, or in the user's cache where the store cannot be written, or is on a network.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection, Sequence
from contextlib import closing, suppress
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from zlib import crc32

from anew.runner.kernel.door import MOUNTS
from anew.runner.lazy.modules import later
from anew.runner.lazy.patterns import regexp
from anew.runner.places import cache_folder
from anew.runner.store.index_spans import Spans

if TYPE_CHECKING:
    import sqlite3
else:
    sqlite3 = later("sqlite3")

_VERSION = 9
_PAGE_BYTES = 1 << 14
_TABLES = {
    "columns": "run INTEGER, writer TEXT, part INTEGER, data BLOB, crc INTEGER, PRIMARY KEY (run, writer, part)",
    "facts": "name INTEGER, span INTEGER, data BLOB, PRIMARY KEY (name, span)",
    "runs": "id INTEGER PRIMARY KEY, uid TEXT, stamp TEXT, record TEXT, follow TEXT, crc INTEGER",
    "state": "name TEXT PRIMARY KEY, value TEXT, crc INTEGER",
}
_BY_KEY = ("columns", "facts", "state")
_INDEXES = {
    "runs_of": "CREATE INDEX runs_of ON runs (uid)",
}
_SCHEMA = tuple(
    sorted(
        [
            *(
                ("table", name, f"CREATE TABLE {name} ({text}){' WITHOUT ROWID' if name in _BY_KEY else ''}")
                for name, text in _TABLES.items()
            ),
            *(("index", name, text) for name, text in _INDEXES.items()),
        ],
        key=lambda each: each[1],
    )
)
_SUFFIXES = ("", "-journal", "-wal", "-shm")
# fmt: off
_REMOTE = frozenset((
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "lustre", "beegfs", "gpfs", "ceph", "glusterfs", "fuse.glusterfs",
    "fuse.sshfs", "fuse.ceph", "orangefs", "pvfs2", "9p", "ncpfs", "panfs",
))
# fmt: on
_OCTAL = regexp(r"\\([0-7]{3})")


def odd_errors(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """Return what SQLite may raise on account of a file that is not what it wrote, and *others*; that loads it."""
    return (sqlite3.Error, MemoryError, ValueError, OverflowError, TypeError, *others)


def is_damage(error: Exception) -> bool:
    """Whether one of these says that a file is not what was written: one that is busy, or cannot be written, may be."""
    return not isinstance(error, sqlite3.OperationalError)


class IndexFile:
    """
    The file. Safe between threads and processes; each connection belongs to one thread.

    Args:
        path: Where it lies in the store.
        gone: Says which of some runs are in the store no more.

    Attributes:
        gone: As given.
    """

    def __init__(self, path: Path, gone: Callable[[Collection[int]], Collection[int]]) -> None:
        self._in_store = path
        self.gone = gone

    @property
    def path(self) -> Path:
        """Where it lies."""
        folder = self._in_store.parent
        if os.access(folder, os.W_OK) and not self._is_remote:
            return self._in_store
        # a home may be on a network, too: no two hosts share a file
        whose = b"" if not self._is_remote else os.fsencode(os.uname().nodename)
        name = blake2b(os.fsencode(folder) + whose, digest_size=16).hexdigest()
        return cache_folder() / "index" / f"{name}.sqlite"

    @cached_property
    def _is_remote(self) -> bool:
        return is_remote(self._in_store.parent)

    def open(self) -> sqlite3.Connection:
        """Open it; damaged, of another version, or not to be written, it is made anew, or in memory. Never raises."""
        for attempt in (self._open_file, self._open_afresh):
            try:
                return attempt()
            except odd_errors(OSError) as error:
                if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
                    break  # somebody writes to it, and nothing is wrong with it
        return _prepared(sqlite3.connect(":memory:"))

    def _open_file(self) -> sqlite3.Connection:
        path = self.path
        if path != self._in_store:
            path.parent.mkdir(parents=True, exist_ok=True)
        _refuse_unless_files(path)
        database = sqlite3.connect(path, timeout=0.5)
        try:
            return _prepared(database)
        except odd_errors():
            database.close()
            raise

    def _open_afresh(self) -> sqlite3.Connection:
        self.forget()
        return self._open_file()

    def forget(self) -> None:
        """Remove it; it is made anew when it is next needed."""
        path = self.path
        for suffix in _SUFFIXES:
            with suppress(OSError):
                os.unlink(f"{path}{suffix}")

    def flaw(self) -> str:
        """Return what is wrong with it, all of which is read; nothing where there is none. Never raises."""
        if not os.path.lexists(path := self.path):
            return ""
        try:
            _refuse_unless_files(path)
            with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=0.5)) as database:
                [(said,)] = database.execute("PRAGMA integrity_check(1)").fetchall()
                is_ours = _is_ours(database)
                wrong = sum(
                    not is_sound(row)
                    for table in ("runs", "columns")
                    for row in (database.execute(f"SELECT * FROM {table}") if is_ours else ())
                )
                if is_ours:
                    Spans(database).check()
        except odd_errors(OSError) as error:
            return f"is damaged: {error}"
        if said != "ok" or not is_ours:
            return "is damaged, or another version's" if said == "ok" else f"is damaged: {said}"
        return f"is damaged: {wrong} of its rows are not what was written" if wrong else ""


def is_remote(folder: Path, mounts: str = MOUNTS) -> bool:
    """
    Whether a folder is on a network file system, where SQLite's locks are not to be relied on. Never raises.

    Args:
        folder: The folder.
        mounts: Where the system says what is mounted; where it does not, no file system is known to be one.
    """
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split() for line in file]
        path = os.path.realpath(folder)
    except OSError:
        return False
    kinds = {_OCTAL.sub(lambda found: chr(int(found[1], 8)), line[1]): line[2] for line in lines if len(line) > 2}
    above = [place for place in kinds if path == place or path.startswith(f"{place.rstrip('/')}/")]
    return bool(above) and kinds[max(above, key=len)] in _REMOTE


def sealed(*values: Any) -> tuple[Any, ...]:
    """Return the values of a row, texts, whole numbers and bytes, and the checksum of them all behind them."""
    return *values, _crc(values)


def is_sound(row: tuple[Any, ...]) -> bool:
    """Whether a row, its checksum last, is as it was written."""
    *values, crc = row
    return type(crc) is int and all(type(value) in (int, str, bytes) for value in values) and crc == _crc(values)


def _crc(values: Sequence[Any]) -> int:
    crc = 0
    for value in values:
        # 1 is not "1", and "a", "bc" not "ab", "c"
        data = value if isinstance(value, bytes) else str(value).encode("utf-8", "backslashreplace")
        crc = crc32(data, crc32(b"%s %d " % (type(value).__name__.encode(), len(data)), crc))
    return crc


def _refuse_unless_files(path: Path) -> None:
    """Refuse anything but regular files: SQLite would wait for the other end of a fifo. Raises OSError."""
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(os.lstat(f"{path}{suffix}").st_mode):
                raise OSError(errno.EINVAL, "it is no regular file")


def _prepared(database: sqlite3.Connection) -> sqlite3.Connection:
    # a schema is a program; of this one nothing but what we wrote ourselves is run
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA synchronous = OFF")
    # a journal that comes and goes would move the time of the folder that runs lie in
    database.execute("PRAGMA journal_mode = TRUNCATE")
    if not _is_ours(database):
        if database.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall():
            raise sqlite3.DatabaseError("another version's, or somebody else's")
        # what is long lies in fewer pieces
        database.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        with database:
            database.execute("BEGIN IMMEDIATE")
            if not _is_ours(database):  # else somebody else was quicker
                for _, _, text in sorted(_SCHEMA, reverse=True):  # tables, then what is on them
                    database.execute(text)
                database.execute(f"PRAGMA user_version = {_VERSION}")
    return database


def _is_ours(database: sqlite3.Connection) -> bool:
    """Whether version and schema are those that are written here. Raises what is in `odd_errors`."""
    [(version,)] = database.execute("PRAGMA user_version").fetchall()
    schema = database.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name LIMIT 30"
    ).fetchall()
    return bool(version == _VERSION and tuple(schema) == _SCHEMA)
