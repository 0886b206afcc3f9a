"""Files that Sacred kept: sources, resources and artifacts, in GridFS."""

from __future__ import annotations

import io
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from anew.observers.mongo.client import place
from anew.observers.mongo.read.members import (
    MOST_NAME,
    Notes,
    UnreadableError,
    asking,
    codec_options,
    mapping_of,
    moment_of,
    name_in_words,
    reference_of,
    step_of,
)
from anew.observers.mongo.view import clean
from anew.runner.records import ContentRef

if TYPE_CHECKING:
    from pymongo.collection import Collection
    from pymongo.database import Database

MOST_FILES = 100_000
MOST_CONTENT_BYTES = 2**40
_BUFFER_BYTES = 64 * 1024
_MD5 = re.compile(r"[0-9a-f]{32}")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")

Put = Callable[[BinaryIO], "tuple[str, int]"]


class Files:
    """The files of one run, from GridFS to where they are kept; those with the same identifier are fetched once."""

    def __init__(self, database: Database[dict[str, Any]], put: Put, notes: Notes) -> None:
        self._database = database
        self._put = put
        self._notes = notes
        self._kept: dict[Any, tuple[str, int] | None] = {}
        self._left = MOST_FILES
        self._bytes_left = MOST_CONTENT_BYTES

    def sources(self, pairs: Sequence[Any], root: str) -> tuple[ContentRef, ...]:
        """Return what `experiment.sources` lists."""
        return self._listed("source file", pairs, root)

    def inputs(self, pairs: Sequence[Any], root: str) -> tuple[ContentRef, ...]:
        """Return what `resources` lists."""
        return self._listed("input", pairs, root)

    def artifacts(self, items: Sequence[Any]) -> Iterator[tuple[datetime | None, ContentRef]]:
        """Yield artifacts and when they were uploaded; of several with one name the last."""
        named: dict[str, Any] = {}
        for item in self._within(items):
            given = mapping_of(item).get("name")
            name = _artifact_name(given)
            if name is None:
                self._notes.add(f"An artifact was left out: it is called {name_in_words(given)}.")
                continue
            if name != given and name in named:
                self._notes.add(f"The artifact {name_in_words(given)} was left out: {name_in_words(name)} is another.")
                continue
            if name != given:
                self._notes.add(f"The artifact {name_in_words(given)} is called {name_in_words(name)} here.")
            named[name] = mapping_of(item).get("file_id")
        for name, file_id in named.items():
            entry = self._entry("artifact", name, file_id)
            kept = self._content("artifact", name, entry)
            if kept is not None:
                moment = moment_of(entry.get("uploadDate")) if entry else None
                yield moment, ContentRef(path=name, sha256=kept[0], size=kept[1])

    def _listed(self, what: str, pairs: Sequence[Any], root: str) -> tuple[ContentRef, ...]:
        found: dict[str, ContentRef] = {}
        for pair in self._within(pairs):
            given, reference = pair if isinstance(pair, (list, tuple)) and len(pair) == 2 else (None, None)
            path = _project_path(given, root)
            if path is None:
                self._notes.add(f"The {what} that is called {name_in_words(given)} was left out: that is no path.")
                continue
            entry = self._entry(what, path, reference, (str(given), posixpath.join(root, str(given))))
            kept = self._content(what, path, entry)
            if kept is not None:
                found[path] = ContentRef(path=path, sha256=kept[0], size=kept[1])
        return tuple(found[path] for path in sorted(found))

    def _within(self, items: Sequence[Any]) -> Sequence[Any]:
        if len(items) > self._left:
            self._notes.add(f"Files were left out: the run lists more than {MOST_FILES}.")
        taken = items[: self._left]
        self._left -= len(taken)
        return taken

    def _entry(self, what: str, name: str, reference: Any, filenames: Sequence[str] = ()) -> Mapping[str, Any] | None:
        """Return the document of a file; Sacred refers to some by name and MD5 and does not always keep those."""
        by_digest = isinstance(reference, str) and _MD5.fullmatch(reference) is not None and bool(filenames)
        if by_digest:
            query: dict[str, Any] = {"filename": {"$in": list(filenames)}, "md5": {"$eq": reference}}
        else:
            identity = reference_of(reference)
            if identity is None:
                self._notes.add(
                    f"The {what} {name_in_words(name)} was left out: where it is, is {name_in_words(reference)}."
                )
                return None
            query = {"_id": {"$eq": identity}}
        collection: Collection[dict[str, Any]] = self._database.get_collection(
            "fs.files", codec_options=codec_options()
        )
        try:
            with asking(self._database):
                entry = collection.find_one(query, {"length": 1, "uploadDate": 1})
        except UnreadableError as error:
            self._notes.add(f"The {what} {name_in_words(name)} was left out: it cannot be read ({error}).")
            return None
        if entry is None:
            why = f"Sacred recorded its MD5 only, {reference}" if by_digest else "the database does not have it"
            self._notes.add(f"The content of the {what} {name_in_words(name)} is not known: {why}.")
        return entry

    def _content(self, what: str, name: str, entry: Mapping[str, Any] | None) -> tuple[str, int] | None:
        if entry is None:
            return None
        identity = reference_of(entry.get("_id"))
        if identity not in self._kept:
            self._kept[identity] = None
            try:
                self._kept[identity] = self._fetch(identity, entry.get("length"))
            except UnreadableError as error:
                self._notes.add(f"The content of the {what} {name_in_words(name)} is not known: {error}.")
                return None
        return self._kept[identity]

    def _fetch(self, identity: Any, length: Any) -> tuple[str, int]:
        size = step_of(length)
        if size is None or size < 0 or identity is None:
            raise UnreadableError("the database does not say how long it is")
        if size > self._bytes_left:
            raise UnreadableError(f"the files of the run are larger than {MOST_CONTENT_BYTES} bytes")
        chunks = _Chunks(self._database, identity, size)
        with io.BufferedReader(chunks, _BUFFER_BYTES) as stream:
            try:
                kept = self._put(stream)
            except Exception:
                # whatever became of it on its way through `put`
                if chunks.problem is not None:
                    raise UnreadableError(chunks.problem) from None
                raise
        self._bytes_left -= size
        return kept


class _Chunks(io.RawIOBase):
    """
    A file in GridFS, from its chunks one after another, each of which is looked at before it is believed.

    Attributes:
        problem: Why it cannot be read, once that is so.
    """

    def __init__(self, database: Database[dict[str, Any]], identity: Any, size: int) -> None:
        self.problem: str | None = None
        self._database = database
        chunks: Collection[dict[str, Any]] = database.get_collection("fs.chunks", codec_options=codec_options())
        self._cursor = chunks.find({"files_id": {"$eq": identity}}, {"n": 1, "data": 1, "_id": 0}).sort("n", 1)
        self._size = size
        self._read = 0
        self._next = 0
        self._data = memoryview(b"")

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read some bytes. Raises StoreError when the database cannot be reached, OSError for a damaged file."""
        if not self._data and not self._take():
            return 0
        count = min(len(buffer), len(self._data))
        buffer[:count] = self._data[:count]
        self._data = self._data[count:]
        return count

    def close(self) -> None:
        """Let go of the cursor."""
        if not self.closed:
            self._cursor.close()
        super().close()

    def _take(self) -> bool:
        """Fetch a chunk; False at the end."""
        try:
            if self.problem is not None:
                raise UnreadableError(self.problem)
            with asking(self._database):
                chunk = next(self._cursor, None)
            if chunk is None:
                if self._read != self._size:
                    raise UnreadableError(f"of {self._size} bytes the database has {self._read}")
                return False
            data = chunk.get("data")
            if step_of(chunk.get("n")) != self._next or not isinstance(data, bytes):
                raise UnreadableError("parts of it are missing or damaged")
            if (not data and self._size) or self._read + len(data) > self._size:
                raise UnreadableError("parts of it have a wrong length")
        except UnreadableError as error:
            self.problem = str(error)
            raise OSError(f"A file in MongoDB at {place(self._database)} is damaged: {error}") from None
        self._next += 1
        self._read += len(data)
        self._data = memoryview(bytes(data))
        return bool(data)


def _artifact_name(name: Any) -> str | None:
    """Return what an artifact may be called: its name as a relative path that stays below; None if nothing is left."""
    if not isinstance(name, str) or len(name) > MOST_NAME:
        return None
    parts = (part.strip() for part in clean(name).replace("\0", "").split("/"))
    return "/".join(part for part in parts if part not in ("", ".", "..")) or None


def _project_path(name: Any, root: str) -> str | None:
    """Return a file's path as records have it: relative where it is below the root, else absolute; None for no path."""
    if not isinstance(name, str) or not 0 < len(name) <= 4096 or "\0" in name or "\0" in root:
        return None
    path, above = clean(name), root
    if _DRIVE.match(root) or _DRIVE.match(name):
        path, above = path.replace("\\", "/"), root.replace("\\", "/")
    whole = posixpath.normpath(path if _is_absolute(path) else posixpath.join(above, path))
    above = posixpath.normpath(above) if above else ""
    if above and whole.startswith(above.rstrip("/") + "/"):
        return whole[len(above.rstrip("/")) + 1 :]
    if _is_absolute(whole) and (_is_absolute(path) or above):
        return whole
    return None if whole.startswith("..") or whole == "." or above else whole


def _is_absolute(path: str) -> bool:
    return path.startswith("/") or _DRIVE.match(path) is not None
