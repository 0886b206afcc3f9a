"""
The index: a SQLite table of light records, derived from the runs' folders and rebuilt whenever in doubt.

A finished run is read once. Afterwards one `stat` of its journals' folder tells whether a tag or a note was added,
since curating opens a new journal. Runs without an outcome are read every time.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from anew.runner.format import serial
from anew.runner.records import RunRecord
from anew.runner.store.stored import StoredRun

_VERSION = 1
_SCHEMA = "CREATE TABLE runs (id INTEGER PRIMARY KEY, uid TEXT, stamp INTEGER, record TEXT)"
Reader = Callable[[int], "RunRecord | None"]


def is_number(name: str) -> bool:
    """Whether a folder's name is a run number: ASCII digits, the first of them no 0."""
    return name.isascii() and name.isdigit() and name[0] != "0"


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

    def numbers(self) -> list[int]:
        """Return the numbers of all run folders, newest first."""
        with os.scandir(self._runs) as entries:
            return sorted(
                (int(entry.name) for entry in entries if is_number(entry.name) and entry.is_dir()), reverse=True
            )

    def runs(self, numbers: Iterable[int], read: Reader) -> Iterator[StoredRun]:
        """
        Yield runs with their light records, in the order given; folders whose run never started are left out.

        Args:
            numbers: Run numbers.
            read: Gives a run's full record, or None.
        """
        wanted = list(numbers)
        with closing(self._open()) as database:
            known = self._known(database, wanted)
            fresh: list[tuple[int, str, int, str]] = []
            for number in wanted:
                stamp = self._stamp(number)
                row = known.get(number)
                if row is not None and row[0] == stamp:
                    yield StoredRun(number, serial.from_json(RunRecord, json.loads(row[1])))
                    continue
                record = read(number)
                if record is None:
                    continue
                if stamp and record.status.final and record.uid:
                    fresh.append((number, record.uid, stamp, serial.dumps(serial.light_to_json(record))))
                yield StoredRun(number, record)
            self._remember(database, fresh)

    def _stamp(self, number: int) -> int:
        """Return what changes when a finished run is curated."""
        try:
            return os.stat(f"{self._runs}/{number}/events").st_mtime_ns
        except OSError:
            return 0

    def _known(self, database: sqlite3.Connection, numbers: list[int]) -> dict[int, tuple[int, str]]:
        if not numbers:
            return {}
        try:
            rows = database.execute(
                "SELECT id, stamp, record FROM runs WHERE id BETWEEN ? AND ?", (min(numbers), max(numbers))
            )
            return {number: (stamp, record) for number, stamp, record in rows}
        except sqlite3.Error:
            return {}

    def _remember(self, database: sqlite3.Connection, rows: list[tuple[int, str, int, str]]) -> None:
        if rows:
            with suppress(sqlite3.Error), database:
                database.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", rows)

    def find_uid(self, prefix: str) -> list[int]:
        """Return the numbers of indexed runs whose uid begins so; the answer may be out of date."""
        with closing(self._open()) as database, suppress(sqlite3.Error):
            rows = database.execute("SELECT id FROM runs WHERE uid >= ? AND uid < ?", (prefix, prefix + "~"))
            return [number for (number,) in rows]
        return []

    def forget(self) -> None:
        """Remove the index; it is built anew when it is next needed."""
        for suffix in ("", "-journal"):
            with suppress(OSError):
                Path(f"{self._path}{suffix}").unlink()

    def _open(self) -> sqlite3.Connection:
        for attempt in (self._open_file, self._open_afresh):
            try:
                return attempt()
            except (sqlite3.Error, OSError):
                continue
        return self._prepared(sqlite3.connect(":memory:"))

    def _open_file(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=0.5)
        try:
            return self._prepared(database)
        except sqlite3.Error:
            database.close()
            raise

    def _open_afresh(self) -> sqlite3.Connection:
        self.forget()
        return self._open_file()

    def _prepared(self, database: sqlite3.Connection) -> sqlite3.Connection:
        [(version,)] = database.execute("PRAGMA user_version").fetchall()
        if version != _VERSION:
            with database:
                database.execute("DROP TABLE IF EXISTS runs")
                database.execute(_SCHEMA)
                database.execute(f"PRAGMA user_version = {_VERSION}")
        database.execute("PRAGMA synchronous = OFF")
        database.execute("SELECT id, uid, stamp, record FROM runs LIMIT 1").fetchall()
        return database
