"""
Files in GridFS: sources and inputs once per content, artifacts once per run and name.

The identifiers of files, and of their chunks, are worked out from what they are. So whoever uploads the same at the
same time, or again after a failure, writes the same documents, and goes on where the other one stopped. The document
in `fs.files` is written last: without it there is no content.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, BinaryIO

from anew.observers.mongo.client import insert_missing
from anew.observers.mongo.view import short_name
from anew.runner.contracts import RunStore
from anew.runner.dataclass import dataclass
from anew.runner.errors import ObjectNotFoundError
from anew.runner.records import ContentRef, RunRecord

if TYPE_CHECKING:
    from bson import ObjectId
    from pymongo.database import Database

CHUNK_BYTES = 255 * 1024
_SMALL = 2**20
# What is sent at a time: little enough for a slow network within a timeout.
_SLICE_BYTES = 2 * 2**20
_MOST_ASKED = 2000
_MOST_WARNINGS = 100


def shared_id(sha256: str) -> ObjectId:
    """Return the identifier in GridFS of content that any number of runs refer to."""
    from bson import ObjectId

    return ObjectId(sha256[:24])


def artifact_id(uid: str, number: int, artifact: ContentRef) -> ObjectId:
    """Return the identifier in GridFS of an artifact's content, which is this run's own: Omniboard deletes it along."""
    from bson import ObjectId

    told = f"{uid}/{number}/{artifact.sha256}/{artifact.path}"
    return ObjectId(hashlib.sha256(told.encode("utf-8", "surrogatepass")).digest()[:12])


@dataclass(frozen=True, slots=True)
class _File:
    """A file that is to be in GridFS."""

    file_id: ObjectId
    content: ContentRef
    metadata: dict[str, Any]


class _UnreadableError(Exception):
    """Content that the store does not give."""


class Content:
    """
    The content of one run, from its store into GridFS.

    Args:
        database: Where to.
        store: Where from; None if nobody knows.
        beat: Called between pieces of something large.
    """

    def __init__(self, database: Database[dict[str, Any]], store: RunStore | None, beat: Callable[[], None]) -> None:
        self._files = database["fs.files"]
        self._chunks = database["fs.chunks"]
        self._store = store
        self._beat = beat
        self._kept: set[ObjectId] = set()
        self._missing: dict[ObjectId, str] = {}

    @property
    def warnings(self) -> list[str]:
        """What could not be kept, and why, in sentences; the first hundred."""
        warnings = list(dict.fromkeys(self._missing.values()))
        more = len(warnings) - _MOST_WARNINGS
        return warnings if more <= 0 else [*warnings[:_MOST_WARNINGS], f"{more} more files were not kept."]

    def source(self, content: ContentRef) -> ObjectId | None:
        """Return where the content of a source or an input is; None if it is not there."""
        return self._if_kept(content, shared_id)

    def artifact(self, uid: str, number: int, content: ContentRef) -> ObjectId | None:
        """Return where the content of an artifact is; None if it is not there."""
        return self._if_kept(content, lambda _: artifact_id(uid, number, content))

    def keep(self, record: RunRecord, number: int, *, until: float = float("inf"), again: bool = False) -> bool:
        """
        See to it that all content of a record is there, but for what cannot be read: see `warnings`.

        Args:
            record: What the run is known to have.
            number: The run's number.
            until: On the monotonic clock: when to leave the rest for later.
            again: Whether to look also for what was there before, and to try what could not be read.

        Returns:
            Whether nothing was left for later.
        """
        if again:
            self._kept.clear()
            self._missing.clear()
        return self._keep_all(_files_of(record, number), until)

    def keep_files(self, files: Iterable[ContentRef]) -> None:
        """See to it that sources are there, but for what cannot be read."""
        self._keep_all(_shared(files), float("inf"))

    def _keep_all(self, files: Iterable[_File], until: float) -> bool:
        wanted = {file.file_id: file for file in files}
        todo = [file for file_id, file in wanted.items() if file_id not in self._kept and file_id not in self._missing]
        for begin in range(0, len(todo), _MOST_ASKED):
            if time.monotonic() > until or not self._keep(todo[begin : begin + _MOST_ASKED], until):
                return False
        return True

    def remove(self, file_ids: Iterable[ObjectId], number: int) -> None:
        """Take artifacts of a run out of GridFS."""
        for file_id in file_ids:
            gone = self._files.delete_one({"_id": file_id, "metadata.anew": True, "metadata.run": number})
            if gone.deleted_count:
                self._chunks.delete_many({"files_id": file_id})
            self._kept.discard(file_id)

    def _if_kept(self, content: ContentRef, identify: Callable[[str], ObjectId]) -> ObjectId | None:
        if not content.kept:
            return None
        try:
            file_id = identify(content.sha256)
        except Exception:  # InvalidId: no digest
            return None
        return file_id if file_id in self._kept else None

    def _keep(self, files: list[_File], until: float) -> bool:
        missing = self._not_there(files)
        small = _Slice(self._chunks, self._files)
        for file in missing:
            if time.monotonic() > until:
                self._kept |= small.flush()
                return False
            try:
                with closing(self._open(file)) as stream:
                    if file.content.size <= _SMALL:
                        self._kept |= small.add(file, self._read_small(stream, file))
                    else:
                        self._upload(stream, file)
            except _UnreadableError as error:
                self._missing[file.file_id] = str(error)
            self._beat()
        self._kept |= small.flush()
        return True

    def _not_there(self, files: list[_File]) -> list[_File]:
        """Return the files that are not in GridFS, or not as they should be."""
        query = {"_id": {"$in": [file.file_id for file in files]}}
        found = {each["_id"]: each for each in self._files.find(query, {"length": 1, "metadata": 1})}
        missing = []
        for file in files:
            there = found.get(file.file_id)
            if there is None:
                missing.append(file)
            elif there.get("length") == file.content.size and _digest_of(there) == file.content.sha256:
                self._kept.add(file.file_id)
            else:  # somebody else's doing
                self._files.delete_one({"_id": file.file_id})
                self._chunks.delete_many({"files_id": file.file_id})
                missing.append(file)
        return missing

    # --- reading ------------------------------------------------------------------------------------------------

    def _open(self, file: _File) -> BinaryIO:
        if self._store is None:
            raise _UnreadableError("The content of files was not kept: there was no store to read it from.")
        try:
            return self._store.open_object(file.content.sha256)
        except ObjectNotFoundError:
            raise _unreadable(file, "the run's store does not have it") from None
        except OSError as error:
            raise _unreadable(file, f"it cannot be read: {error}") from error

    def _read_small(self, stream: BinaryIO, file: _File) -> bytes:
        data = _read(stream, _SMALL + 1, file)
        if len(data) != file.content.size or hashlib.sha256(data).hexdigest() != file.content.sha256:
            raise _unreadable(file, "it is damaged in the run's store")
        return data

    def _upload(self, stream: BinaryIO, file: _File) -> None:
        """Send something large in pieces, without those that an earlier attempt has sent."""
        self._verify(stream, file)
        sent = {chunk["n"] for chunk in self._chunks.find({"files_id": file.file_id}, {"n": 1, "_id": 0})}
        with closing(self._open(file)) as again:
            documents: list[dict[str, Any]] = []
            for n, data in enumerate(_pieces(again, file)):
                if n not in sent:
                    documents.append(_chunk(file.file_id, n, data))
                if len(documents) * CHUNK_BYTES >= _SLICE_BYTES:
                    insert_missing(self._chunks, documents)
                    documents = []
                self._beat()
            insert_missing(self._chunks, documents)
        insert_missing(self._files, [_entry(file)])
        self._kept.add(file.file_id)

    def _verify(self, stream: BinaryIO, file: _File) -> None:
        """Read it once before anything is sent, so that whatever is in GridFS under its identifier is right."""
        digest = hashlib.sha256()
        size = 0
        for data in _pieces(stream, file):
            digest.update(data)
            size += len(data)
            self._beat()
        if size != file.content.size or digest.hexdigest() != file.content.sha256:
            raise _unreadable(file, "it is damaged in the run's store")


class _Slice:
    """Small files on their way, many in one message."""

    def __init__(self, chunks: Any, files: Any) -> None:
        self._chunks = chunks
        self._files = files
        self._waiting: list[dict[str, Any]] = []
        self._entries: list[dict[str, Any]] = []
        self._size = 0

    def add(self, file: _File, data: bytes) -> set[ObjectId]:
        """Take a file; return those that are in GridFS now."""
        self._waiting += [
            _chunk(file.file_id, n, data[begin : begin + CHUNK_BYTES])
            for n, begin in enumerate(range(0, len(data), CHUNK_BYTES))
        ]
        self._entries.append(_entry(file))
        self._size += len(data) + 500
        return self.flush() if self._size >= _SLICE_BYTES else set()

    def flush(self) -> set[ObjectId]:
        """Send what waits; return the files that are in GridFS by that."""
        insert_missing(self._chunks, self._waiting)
        insert_missing(self._files, self._entries)
        done = {entry["_id"] for entry in self._entries}
        self._waiting, self._entries, self._size = [], [], 0
        return done


def _files_of(record: RunRecord, number: int) -> Iterator[_File]:
    yield from _shared((*record.source.files, *record.inputs))
    for content in record.artifacts:
        if content.kept and _is_digest(content.sha256):
            owner = {"run": number, "name": short_name(content.path)}
            metadata = {"sha256": content.sha256, "anew": True, **owner}
            yield _File(artifact_id(record.uid, number, content), content, metadata)


def _shared(files: Iterable[ContentRef]) -> Iterator[_File]:
    for content in files:
        if content.kept and _is_digest(content.sha256):
            yield _File(shared_id(content.sha256), content, {"sha256": content.sha256, "anew": True})


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _digest_of(entry: dict[str, Any]) -> Any:
    metadata = entry.get("metadata")
    return metadata.get("sha256") if isinstance(metadata, dict) else None


def _entry(file: _File) -> dict[str, Any]:
    return {
        "_id": file.file_id,
        "filename": short_name(file.content.path),
        "length": file.content.size,
        "chunkSize": CHUNK_BYTES,
        "uploadDate": datetime.now(timezone.utc),
        "metadata": file.metadata,
    }


def _chunk(file_id: ObjectId, n: int, data: bytes) -> dict[str, Any]:
    from bson import ObjectId

    name = hashlib.sha256(file_id.binary + n.to_bytes(8, "big")).digest()[:12]
    return {"_id": ObjectId(name), "files_id": file_id, "n": n, "data": data}


def _pieces(stream: BinaryIO, file: _File) -> Iterator[bytes]:
    while data := _read(stream, CHUNK_BYTES, file):
        yield data


def _read(stream: BinaryIO, size: int, file: _File) -> bytes:
    """Return so many bytes, fewer at the end only."""
    parts: list[bytes] = []
    while size:
        try:
            data = stream.read(size)
        except OSError as error:
            raise _unreadable(file, f"it cannot be read: {error}") from error
        if not data:
            break
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


def _unreadable(file: _File, why: str) -> _UnreadableError:
    return _UnreadableError(f"The content of {short_name(file.content.path)!r} was not kept: {why}.")
