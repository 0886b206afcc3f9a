"""
The index: a SQLite table of light records, derived from the runs' folders and rebuilt whenever in doubt.

A finished run is read once. Afterwards the sizes and times of its files tell whether a tag or a note was added, or one
was cut short. Runs without an outcome are read every time. Every row has its checksum: what is odd is read afresh, and
the file is replaced.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, suppress
from dataclasses import astuple
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zlib import crc32

from anew.runner.dataclass import dataclass
from anew.runner.format import serial
from anew.runner.format.ids import is_number
from anew.runner.records import RunRecord
from anew.runner.store.stored import StoredRun

_VERSION = 4
_SCHEMA = "CREATE TABLE runs (id INTEGER PRIMARY KEY, uid TEXT, stamp INTEGER, record TEXT, crc INTEGER)"
_SUFFIXES = ("", "-journal", "-wal", "-shm")
_AT_A_TIME = 500
# what SQLite may raise on account of a file that is not what it wrote
_ODD = (sqlite3.Error, MemoryError, ValueError, OverflowError, TypeError)
Reader = Callable[[int], "RunRecord | None"]


class Index:
    """
    Light records of a store's runs, by number.

    Never raises on account of its own file: damaged, locked, of another version or not writable, it is built anew, or
    in memory. Safe between processes. One instance belongs to one thread.

    Args:
        path: The file.
        runs: The folder that the runs' folders are in.
    """

    def __init__(self, path: Path, runs: Path) -> None:
        self._path = path
        self._runs = runs
        self._doubted = False

    def numbers(self) -> list[int]:
        """Return the numbers of all run folders, newest first."""
        with os.scandir(self._runs) as entries:
            return sorted(
                (int(entry.name) for entry in entries if is_number(entry.name) and _is_folder(entry)), reverse=True
            )

    def runs(self, numbers: Iterable[int], read: Reader) -> Generator[StoredRun, None, None]:
        """
        Yield runs with their light records, in the order given; folders whose run never started are left out.

        Args:
            numbers: Run numbers.
            read: Gives a run's full record, or None.
        """
        wanted = list(numbers)
        fresh: list[_Row] = []
        with closing(self._open()) as database:
            try:
                for begin in range(0, len(wanted), _AT_A_TIME):
                    some = wanted[begin : begin + _AT_A_TIME]
                    known = self._known(database, some)
                    for number in some:
                        record = self._record(number, known.get(number), read, fresh)
                        if record is not None:
                            yield StoredRun(number, record)
            finally:
                self._remember(database, fresh)

    def _record(self, number: int, row: _Row | None, read: Reader, fresh: list[_Row]) -> RunRecord | None:
        """Return a run's record out of its row, or afresh, and then note its new row."""
        stamp = self._stamp(number)
        if row is not None and row.stamp == stamp:
            with suppress(ValueError):
                return serial.from_json(RunRecord, serial.parsed(row.record.encode()))
        record = read(number)
        if record is not None and stamp and record.status.final and record.uid:
            fresh.append(_Row(number, record.uid, stamp, serial.dumps(serial.light_to_json(record))))
        return record

    def _stamp(self, number: int) -> int:
        """Return what changes when a file of a finished run is added, replaced, cut short or taken away; 0 in doubt."""
        told: list[tuple[object, ...]] = []
        folder = f"{self._runs}/{number}"
        try:
            with os.scandir(f"{folder}/events") as entries:
                told += sorted((entry.name, *_seen(entry.stat(follow_symlinks=False))) for entry in entries)
            for name in ("events", "run.json", "outcome.json"):
                told.append((name, *_seen(os.lstat(f"{folder}/{name}"))))
        except OSError:
            return 0
        for name in ("output.log", "curated.json"):
            with suppress(FileNotFoundError, NotADirectoryError):
                told.append((name, *_seen(os.lstat(f"{folder}/{name}"))))
        return int.from_bytes(blake2b(repr(told).encode("utf-8", "surrogatepass"), digest_size=7).digest(), "big")

    def _known(self, database: sqlite3.Connection, numbers: list[int]) -> dict[int, _Row]:
        marks = ",".join("?" * len(numbers))
        try:
            rows = database.execute(f"SELECT id, uid, stamp, record, crc FROM runs WHERE id IN ({marks})", numbers)
            return {row.number: row for row in map(self._sound, rows) if row is not None}
        except _ODD:
            self._doubted = True
            return {}

    def _sound(self, columns: tuple[Any, ...]) -> _Row | None:
        """Return a row that is as it was written; None for any other, and then the file is not trusted any further."""
        row = _as_written(columns)
        self._doubted = self._doubted or row is None
        return row

    def _remember(self, database: sqlite3.Connection, rows: list[_Row]) -> None:
        if self._doubted:
            self._doubted = False
            self.forget()
        elif rows:
            with suppress(*_ODD), database:
                database.executemany(
                    "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?)", [(*astuple(row), row.crc) for row in rows]
                )

    def find_uid(self, prefix: str) -> list[int]:
        """Return the numbers of indexed runs whose uid begins so; the answer may be out of date."""
        with closing(self._open()) as database, suppress(*_ODD):
            rows = database.execute(
                "SELECT id, uid, stamp, record, crc FROM runs WHERE uid >= ? AND uid < ?", (prefix, prefix + "~")
            )
            return [row.number for row in map(self._sound, rows) if row is not None]
        return []

    def flaw(self) -> str:
        """Return what is wrong with the file, all of which is read; nothing where there is none. Never raises."""
        if not os.path.lexists(self._path):
            return ""
        try:
            self._refuse_unless_files()
            with closing(sqlite3.connect(f"file:{quote(str(self._path))}?mode=ro", uri=True, timeout=0.5)) as database:
                [(said,)] = database.execute("PRAGMA integrity_check(1)").fetchall()
                version, schema = _version_of(database)
                rows = database.execute("SELECT id, uid, stamp, record, crc FROM runs").fetchall()
        except (*_ODD, OSError) as error:
            return f"is damaged: {error}"
        if said != "ok" or version != _VERSION or schema != [("table", "runs", _SCHEMA)]:
            return "is damaged, or another version's" if said == "ok" else f"is damaged: {said}"
        wrong = sum(_as_written(row) is None for row in rows)
        return f"is damaged: {wrong} of its rows are not what was written" if wrong else ""

    def forget(self) -> None:
        """Remove the index; it is built anew when it is next needed."""
        for suffix in _SUFFIXES:
            with suppress(OSError):
                os.unlink(f"{self._path}{suffix}")

    def _open(self) -> sqlite3.Connection:
        for attempt in (self._open_file, self._open_afresh):
            try:
                return attempt()
            except (*_ODD, OSError):
                continue
        return self._prepared(sqlite3.connect(":memory:"))

    def _open_file(self) -> sqlite3.Connection:
        self._refuse_unless_files()
        database = sqlite3.connect(self._path, timeout=0.5)
        try:
            return self._prepared(database)
        except _ODD:
            database.close()
            raise

    def _open_afresh(self) -> sqlite3.Connection:
        self.forget()
        return self._open_file()

    def _refuse_unless_files(self) -> None:
        """Refuse anything but regular files: SQLite would wait for the other end of a fifo. Raises OSError."""
        for suffix in _SUFFIXES:
            with suppress(FileNotFoundError):
                if not stat.S_ISREG(os.lstat(f"{self._path}{suffix}").st_mode):
                    raise OSError(errno.EINVAL, "it is no regular file")

    def _prepared(self, database: sqlite3.Connection) -> sqlite3.Connection:
        # a schema is a program; of this one nothing but what we wrote ourselves is run
        database.execute("PRAGMA trusted_schema = OFF")
        version, schema = _version_of(database)
        if version != _VERSION or schema != [("table", "runs", _SCHEMA)]:
            if schema:
                raise sqlite3.DatabaseError("another version's, or somebody else's")
            with database:
                database.execute(_SCHEMA)
                database.execute(f"PRAGMA user_version = {_VERSION}")
        database.execute("PRAGMA synchronous = OFF")
        return database


@dataclass(frozen=True, slots=True)
class _Row:
    """A run in the index."""

    number: int
    uid: str
    stamp: int
    record: str

    @property
    def is_sound(self) -> bool:
        """Whether the values are of the types that are written."""
        return type(self.stamp) is int and type(self.uid) is str and type(self.record) is str

    @property
    def crc(self) -> int:
        """What tells that the row is as it was written."""
        return crc32(f"{self.number}:{self.uid}:{self.stamp}:{self.record}".encode("utf-8", "surrogatepass"))


def _as_written(columns: tuple[Any, ...]) -> _Row | None:
    """Return a row that is as it was written."""
    *values, crc = columns
    row = _Row(*values)
    return row if row.is_sound and row.crc == crc else None


def _version_of(database: sqlite3.Connection) -> tuple[int, list[Any]]:
    """Return the version that a file has, and its schema. Raises what is in `_ODD`."""
    [(version,)] = database.execute("PRAGMA user_version").fetchall()
    return version, database.execute("SELECT type, name, sql FROM sqlite_master LIMIT 2").fetchall()


def _seen(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False
