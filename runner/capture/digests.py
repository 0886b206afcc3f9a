"""Digests of files, remembered from run to run by what `stat` says of them."""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Any

from anew.runner.capture.states import is_settled
from anew.runner.dataclass import dataclass
from anew.runner.store.files import replace_whole

# what was read last of a file, and its state then: each time it is another file, put in the place of the one before
_read: dict[Path, tuple[tuple[int, ...], dict[str, list[Any]]]] = {}


class Unkept:
    """In place of where content goes, where it must not be copied: digests and nothing else."""

    def put_bytes(self, data: bytes, *, sync: bool = True) -> str:
        """Return the digest of content."""
        return hashlib.sha256(data).hexdigest()

    def touch(self, sha256: str) -> bool:
        """Say that there is nothing to be kept."""
        return True

    def touch_all(self, digests: tuple[str, ...]) -> bool:
        """Say that there is nothing to be kept."""
        return True


@dataclass(slots=True)
class DigestCache:
    """
    Digests by a file's size, times and inode.

    A file that had changed so recently when it was read that it might change again within one tick of the clock is not
    remembered, as in git's own index ("racy git").
    """

    entries: dict[str, list[Any]] = field(default_factory=dict)
    used: dict[str, list[Any]] = field(default_factory=dict)
    changed: bool = False

    @classmethod
    def load(cls, path: Path) -> DigestCache:
        """Return what a file remembers; nothing when it is missing or damaged."""
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                state = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
                if path not in _read or _read[path][0] != state:
                    entries = json.loads(file.read())
                    _read[path] = state, entries if isinstance(entries, dict) else {}
        except (OSError, ValueError):
            return cls()
        return cls(entries=_read[path][1])

    @staticmethod
    def _key(status: os.stat_result) -> list[int]:
        return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]

    @staticmethod
    def now_ns() -> int:
        """Return the time, to be asked for before a file is read."""
        return time.time_ns()

    def known(self, path: str, status: os.stat_result) -> tuple[str, bool] | None:
        """Return digest and seeming secrecy of a file that has not changed, or None."""
        entry = self.entries.get(path)
        if not isinstance(entry, list) or len(entry) != 6 or entry[:4] != self._key(status):
            return None
        if not isinstance(entry[4], str) or not isinstance(entry[5], bool):
            return None
        self.used[path] = entry
        return entry[4], entry[5]

    def remember(self, path: str, status: os.stat_result, digest: str, secret: bool, read_at_ns: int) -> None:
        """Remember a file that was read at a time, given its state before."""
        if is_settled(max(status.st_mtime_ns, status.st_ctime_ns), read_at_ns):
            self.used[path] = [*self._key(status), digest, secret]
            self.changed = True

    def save(self, path: Path) -> None:
        """Replace the file; failing to costs only time, so it is silent."""
        if not self.changed:
            return
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_whole(path, json.dumps(self.used).encode())
