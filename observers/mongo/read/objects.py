"""Content that is fetched from GridFS when it is wanted, and kept in a folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from anew.runner.store.objects import ObjectStore

if TYPE_CHECKING:
    from pymongo.database import Database

_DIGEST = re.compile(r"[0-9a-f]{64}")
_MOST_FILES = 20
_BLOCK = 1 << 20


class MongoObjects(ObjectStore):
    """
    An object store that asks GridFS for what it does not hold, and believes nothing but the digest.

    Args:
        root: Where the content is kept.
        database: Where it comes from.
        reading: A context in which errors of the server are raised as StoreError.
    """

    def __init__(
        self, root: Path, database: Database[dict[str, Any]], reading: Callable[[], AbstractContextManager[None]]
    ) -> None:
        super().__init__(root)
        self._database = database
        self._reading = reading

    def has(self, sha256: str) -> bool:
        """Whether the content is here or in GridFS; it is here afterwards."""
        return self._fetched(sha256)

    def size(self, sha256: str) -> int:
        """Return the size in bytes; see `ObjectStore.size`."""
        self._fetched(sha256)
        return super().size(sha256)

    def open(self, sha256: str) -> BinaryIO:
        """Open content for reading; see `ObjectStore.open`."""
        self._refuse_replaced(sha256)
        return super().open(sha256)

    def lay_out(self, sha256: str, target: Path, *, mode: int | None = None, writable: bool = True) -> None:
        """Lay content out; see `ObjectStore.lay_out`."""
        self._refuse_replaced(sha256)
        super().lay_out(sha256, target, mode=mode, writable=writable)

    def put_stream(self, stream: BinaryIO) -> tuple[str, int]:
        """Keep what a stream gives; return digest and size. Raises StoreError, and OSError as the stream does."""
        temporary = self.temporary()
        try:
            with temporary.open("wb") as file:
                while block := stream.read(_BLOCK):
                    file.write(block)
            return self.put_file(temporary, sync=False)
        finally:
            with suppress(OSError):
                temporary.unlink()

    def _refuse_replaced(self, sha256: str) -> None:
        """Fetch content. Raises StoreError when what is called so in GridFS is something else."""
        if not self._fetched(sha256) and _DIGEST.fullmatch(sha256):
            with self._reading():
                if self._database["fs.files"].find_one({"metadata.sha256": sha256}, {"_id": 1}) is not None:
                    raise self._damaged(sha256)

    def _fetched(self, sha256: str) -> bool:
        if super().has(sha256):
            return True
        if not _DIGEST.fullmatch(sha256):
            return False
        with self._reading():
            files = list(self._database["fs.files"].find({"metadata.sha256": sha256}, {"_id": 1}).limit(_MOST_FILES))
            return any(self._fetch(file.get("_id"), sha256) for file in files[:_MOST_FILES])

    def _fetch(self, file_id: Any, sha256: str) -> bool:
        """Fetch a file; return whether it is what it should be."""
        from bson import ObjectId
        from gridfs import GridFS
        from gridfs.errors import GridFSError

        if not isinstance(file_id, ObjectId):
            return False
        temporary = self.temporary()
        digest = hashlib.sha256()
        try:
            source = GridFS(self._database).get(file_id)
            with temporary.open("wb") as file:
                while block := source.read(_BLOCK):
                    digest.update(block)
                    file.write(block)
            if digest.hexdigest() != sha256:
                return False
            self.put_file(temporary, sync=False)
        except (GridFSError, TypeError, ValueError, KeyError, AttributeError):
            return False
        finally:
            with suppress(OSError):
                temporary.unlink()
        return True
