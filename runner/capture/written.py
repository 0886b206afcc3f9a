"""
Which files of a project its runs have written, and how they left them: those are results, and no source.

A file that a run read before it wrote it stays source, since what came out may follow from it; so does one that
somebody has changed since. What is known lies in the user's cache, a line for each thing that is learnt, written at
once, so that runs beside each other learn of each other; a line that is lost makes a result source again, and nothing
else.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping, Set
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from anew.runner.format.serial import from_json, to_json
from anew.runner.records import ProcessFacts
from anew.runner.store.files import open_made, replace_whole
from anew.runner.store.liveness import process_alive, process_facts

_MOST_BYTES = 2**20


class WrittenFiles:
    """
    What is known of one project.

    Args:
        cache: The folder that it is kept in.
        root: The project's root.
    """

    def __init__(self, cache: Path, root: Path) -> None:
        self._root = f"{root}{os.sep}"
        self._path = _file(cache, str(root))
        self._file = -1
        self._process: ProcessFacts | None = None
        self._known: dict[str, Any] | None = None

    # --- what a run tells ---------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Be ready to be told; where the cache cannot be written, nothing of that is known later. Never raises."""
        with suppress(OSError):
            self._file = open_made(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
            # not of the child that writes: the run goes on when that has ended
            self._process = process_facts()

    def begin(self, path: str) -> None:
        """Take note that the run, or a child of it, is about to write a file."""
        self._tell(path, {"by": to_json(self._process)})

    def end(self, paths: Iterable[str]) -> None:
        """The run has ended, and leaves these files as they are now."""
        for path in paths:
            with suppress(OSError):
                self._tell(path, {"as": _state(path)})

    def close(self) -> None:
        """Be told no more."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _tell(self, path: str, values: Mapping[str, Any]) -> None:
        if self._file >= 0 and path.startswith(self._root):
            line = json.dumps({"path": path[len(self._root) :].replace(os.sep, "/"), **values})
            with suppress(OSError):
                os.write(self._file, line.encode() + b"\n")

    # --- what is known ------------------------------------------------------------------------------------------------

    def has(self, path: str) -> bool:
        """Whether a file of the project, by its path in it, is as a run left it, or is being written by one."""
        if self._known is None:
            self._known = self._read()
        known = self._known.get(path)
        if known is None:
            return False
        try:
            if "as" in known:
                return bool(known["as"] == _state(self._root + path))
            return process_alive(from_json(ProcessFacts, known["by"])) is True
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return False

    def among(self, paths: Set[str]) -> set[str]:
        """Return those of some files that `has` is true of."""
        if self._known is None:
            self._known = self._read()
        return {path for path in self._known.keys() & paths if self.has(path)}

    def _read(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        try:
            # nothing is known of most projects
            data = self._path.read_bytes() if os.stat(self._path).st_size else b""
        except OSError:
            return found
        for line in data.split(b"\n"):
            with suppress(ValueError, KeyError, TypeError):
                values = json.loads(line)
                found[values["path"]] = values
        if len(data) > _MOST_BYTES:
            found = {path: values for path, values in found.items() if os.path.lexists(self._root + path)}
            with suppress(OSError):
                replace_whole(self._path, b"".join(json.dumps(each).encode() + b"\n" for each in found.values()))
        return found


@lru_cache(maxsize=16)
def _file(cache: Path, root: str) -> Path:
    return cache / f"written-{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.jsonl"


def _state(path: str) -> list[int]:
    """Return what tells that a regular file has not changed. Raises OSError."""
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path!r} is no regular file")
    return [status.st_size, status.st_mtime_ns, status.st_ino]
