"""One run of a database as a folder: what is new is added to what was fetched before."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.observers.mongo.chunks import (
    COLLECTION,
    OUTCOME,
    OUTPUT,
    START,
    Chunk,
    chunk_of,
    entries_of,
    is_key,
    line_of,
)
from anew.runner import events as ev
from anew.runner.dataclass import dataclass
from anew.runner.errors import StoreError
from anew.runner.format.serial import DamagedError
from anew.runner.store.files import cannot, create_whole, replace_whole
from anew.runner.store.output_sums import seal_output
from anew.runner.store.paths import FETCHED, RunLayout

if TYPE_CHECKING:
    from pymongo.database import Database

_MOST_CHUNKS = 5_000_000
_MOST_S = 600.0
_MOST_OUTPUT = 2**34
_AT_A_TIME = 50
_DAMAGED = b"damaged in the database\n"
_KEY = {"_id": 1, "run": 1, "w": 1, "q": 1, "last": 1, "part": 1, "parts": 1}


@dataclass(slots=True)
class _Had:
    """
    What was fetched.

    Attributes:
        uid: Of which run; it and `is_whole` are all that is known of one that Sacred wrote.
        is_whole: Whether the end was fetched, when `rev` was the document's.
        last, size: Writer -> the number of its last line, and the length of its file.
    """

    uid: str = ""
    rev: int = -1
    is_whole: bool = False
    last: dict[str, int] = field(default_factory=dict)
    size: dict[str, int] = field(default_factory=dict)


class Copy:
    """
    The folder of one run.

    Args:
        database: Where the run is.
        layout: The folder.
    """

    def __init__(self, database: Database[dict[str, Any]], layout: RunLayout) -> None:
        self._chunks = database[COLLECTION]
        self._layout = layout
        self._state = layout.folder / FETCHED

    def remove(self) -> None:
        """Remove the folder, as the run is not there any more. Never raises."""
        if self._layout.folder.exists():
            shutil.rmtree(self._layout.folder, ignore_errors=True)

    def of_journal(self, uid: str, document: Mapping[str, Any]) -> None:
        """
        Fetch what is new of a run of ours.

        Raises:
            StoreError: The folder cannot be written, or the database goes on without end.
        """
        ours = document["anew"]
        rev = ours.get("rev") if isinstance(ours.get("rev"), int) else 0
        with self._alone():
            had = self._had(uid)
            if had.is_whole and had.rev == rev:
                return
            keys = self._keys(uid)
            if any(writer not in keys or keys[writer][-1]["last"] < last for writer, last in had.last.items()):
                # what is there now is less than what was
                self._begin_anew()
                had = _Had(uid=uid)
            has_end = OUTCOME in keys
            for writer in sorted(keys, key=lambda name: (name == OUTCOME, name != START, name)):
                self._fetch(writer, keys[writer], had, has_end)
            seal_output(self._layout, is_closed=False)
            had.rev, had.is_whole = rev, OUTCOME in had.last
            self._save(had)
            self._date(document.get("heartbeat"))

    def of_events(self, events: Iterable[ev.Event], document: Mapping[str, Any]) -> None:
        """
        Write a run that Sacred recorded, from the events made of it, unless it is there and has ended.

        Raises:
            StoreError: The folder cannot be written.
        """
        stamp = f"sacred-{document.get('_id')}-{document.get('status')}-{document.get('heartbeat')}"
        with self._alone():
            if self._had(stamp, keep=True).is_whole:
                return
            self._begin_anew()
            files: dict[str, Any] = {}
            try:
                for event in events:
                    self._write_event(event, files)
            except OSError as error:
                raise error if isinstance(error, StoreError) else cannot("write", self._layout.folder, error) from error
            finally:
                for file in files.values():
                    file.close()
            self._save(_Had(uid=stamp, is_whole=True))
            self._date(document.get("heartbeat"))

    # --- the folder ---------------------------------------------------------------------------------------------

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Be the only one who writes; others wait."""
        path = self._layout.folder.parent / ".lock"
        try:
            with path.open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise error if isinstance(error, StoreError) else cannot("write", self._layout.folder, error) from error

    def _had(self, uid: str, *, keep: bool = False) -> _Had:
        """Return what was fetched of this run; what is there of another one goes away, unless *keep*."""
        try:
            had = _Had(**json.loads(self._state.read_bytes()))
        except (OSError, ValueError, TypeError):
            had = _Had()
        if had.uid == uid:
            return had
        if not keep:
            self._begin_anew()
        return _Had(uid=uid)

    def _begin_anew(self) -> None:
        shutil.rmtree(self._layout.folder, ignore_errors=True)
        self._layout.events.mkdir(parents=True, exist_ok=True)

    def _save(self, had: _Had) -> None:
        replace_whole(self._state, json.dumps(asdict(had)).encode())

    def _date(self, beat: Any) -> None:
        """Have the files be as old as the run's last sign of life, which is what its life is judged by."""
        if not isinstance(beat, datetime) or self._layout.outcome.exists():
            return
        for path in (*self._layout.events.glob("*.jsonl"), self._layout.output, self._layout.folder):
            with suppress(OSError, OverflowError, ValueError):
                os.utime(path, (beat.timestamp(), beat.timestamp()))

    # --- a journal ----------------------------------------------------------------------------------------------

    def _keys(self, uid: str) -> dict[str, list[dict[str, Any]]]:
        """Return the keys of all chunks, by writer, in order."""
        found: dict[str, list[dict[str, Any]]] = {}
        until = time.monotonic() + _MOST_S
        for count, key in enumerate(self._chunks.find({"run": uid}, _KEY)):
            if count >= _MOST_CHUNKS or time.monotonic() > until:
                raise StoreError(f"The database goes on sending parts of run {uid} after {count:,}.")
            if is_key(key) and key["run"] == uid:
                found.setdefault(key["w"], []).append(key)
        for keys in found.values():
            keys.sort(key=lambda key: (key["q"], key["part"]))
        return found

    def _fetch(self, writer: str, keys: list[dict[str, Any]], had: _Had, has_end: bool) -> None:
        known = had.last.get(writer, -1)
        if keys[-1]["last"] <= known:
            return
        wanted = [key["_id"] for key in keys if key["last"] > known]
        if writer in (START, OUTCOME):
            lines = [line for chunk in self._fetched(wanted) for line, _ in entries_of(chunk)]
            path = self._layout.record if writer == START else self._layout.outcome
            path.unlink(missing_ok=True)
            # of what is damaged there, the reader of the folder says so
            create_whole(path, lines[0] if lines else _DAMAGED, sync=False)
            if lines:
                had.last[writer] = 0
            return
        path = self._layout.output if writer == OUTPUT else self._layout.journal(writer)
        with path.open("r+b" if path.exists() else "w+b") as file:
            if writer == OUTPUT:
                had.last[writer] = _lay_output(file, self._fetched(wanted), known)
                return
            file.truncate(had.size.get(writer, 0))
            file.seek(0, os.SEEK_END)
            for chunk in self._fetched(wanted):
                for line, entry in entries_of(chunk):
                    q = entry.get("q")
                    if type(q) is not int or q <= known:
                        continue
                    if q > max(known, 0) + 1 and not has_end:
                        # what lies between is still to come
                        break
                    file.write(line)
                    known = q
            had.size[writer] = file.tell()
            had.last[writer] = known

    def _fetched(self, wanted: list[str]) -> Iterator[Chunk]:
        """Yield chunks by their keys' order; what is damaged is passed over."""
        for begin in range(0, len(wanted), _AT_A_TIME):
            some = wanted[begin : begin + _AT_A_TIME]
            documents = {}
            for count, document in enumerate(self._chunks.find({"_id": {"$in": some}})):
                if count > len(some):
                    raise StoreError("The database sends parts of a run that were not asked for.")
                if is_key(document):
                    documents[document["_id"]] = document
            yield from self._wholes([documents[key] for key in some if key in documents])

    def _wholes(self, documents: list[dict[str, Any]]) -> Iterator[Chunk]:
        index = 0
        while index < len(documents):
            parts = documents[index : index + max(1, documents[index]["parts"])]
            index += len(parts)
            try:
                yield chunk_of(parts)
            except DamagedError:
                continue

    # --- events -------------------------------------------------------------------------------------------------

    def _write_event(self, event: ev.Event, files: dict[str, Any]) -> None:
        if isinstance(event, ev.RunStarted):
            create_whole(self._layout.record, line_of(event), sync=False)
        elif isinstance(event, ev.RunEnded):
            create_whole(self._layout.outcome, line_of(event), sync=False)
        elif isinstance(event, ev.OutputCaptured):
            _opened(files, self._layout.output).write(event.text.encode("utf-8", "backslashreplace"))
        else:
            _opened(files, self._layout.journal(event.writer)).write(line_of(event))


def _opened(files: dict[str, Any], path: Path) -> Any:
    if path.name not in files:
        files[path.name] = path.open("wb")
    return files[path.name]


def _lay_output(file: Any, chunks: Iterable[Chunk], known: int) -> int:
    """Write pieces of output, each in place of everything from its offset on; return the number of the last one."""
    for chunk in chunks:
        for _, entry in entries_of(chunk):
            q, offset, text = entry.get("q"), entry.get("o"), entry.get("x")
            if type(q) is not int or type(offset) is not int or not isinstance(text, str) or q <= known:
                continue
            if not 0 <= offset <= file.seek(0, os.SEEK_END) or offset > _MOST_OUTPUT:
                continue
            file.truncate(offset)
            file.seek(offset)
            file.write(text.encode("utf-8", "backslashreplace"))
            known = q
    return known
