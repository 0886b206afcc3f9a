"""By what a finished run's folder is known to be as it was when it was read: the sizes and times of its files."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress

from anew.runner.dataclass import dataclass

# in the same moment as another one a change may leave a folder's time as it is; some file systems count whole seconds
YOUNG_NS = 2 * 10**9
# a file that was written just now may be written once more, and by another process than main's later, too
_SETTLED_NS, _SEVERAL_NS = 10 * 10**9, 3600 * 10**9
SeenFile = tuple[str, int, int, int]
_OF_FOLDER = -1


@dataclass(frozen=True, slots=True)
class Stamp:
    """
    What was seen of a folder.

    Attributes:
        seen: Name, size in bytes, and the times of the last change of its inode and of its content, in nanoseconds, of
            each file; of each folder no size, and no change of its inode.
        is_young: Whether a folder had just been changed, so that its time alone does not tell of a further name in it.
    """

    seen: tuple[SeenFile, ...]
    is_young: bool

    @property
    def is_settled(self) -> bool:
        """Whether nobody writes to the folder any more, as far as that can be told, but what says so in the store."""
        journals = sum(name.startswith("events/") for name, *_ in self.seen)
        newest = max((mtime for *_, mtime in self.seen), default=0)
        waits = _SEVERAL_NS if journals > 1 else _SETTLED_NS
        return not self.is_young and bool(self.seen) and newest < time.time_ns() - waits

    @property
    def files(self) -> tuple[SeenFile, ...]:
        """What was seen of files, without folders."""
        return tuple([each for each in self.seen if each[1] != _OF_FOLDER])

    @property
    def text(self) -> str:
        """The stamp as text."""
        return json.dumps([self.is_young, *self.seen], separators=(",", ":"))

    @classmethod
    def of_text(cls, text: str) -> Stamp:
        """Return the stamp that `text` gave; for any other text one that never holds."""
        try:
            is_young, *seen = json.loads(text)
            return cls(tuple([(name, size, ctime, mtime) for name, size, ctime, mtime in seen]), bool(is_young))
        except (ValueError, TypeError):
            return NEVER

    def holds(self, folder: str) -> bool:
        """Whether the folder is as it was."""
        if self.is_young:
            now = taken(folder)
            return now is not None and now.seen == self.seen
        look, prefix = os.lstat, f"{folder}/"
        try:
            for name, size, ctime, mtime in self.seen:
                status = look(prefix + name)
                if status.st_mtime_ns != mtime:
                    return False
                if size != _OF_FOLDER and (status.st_size != size or status.st_ctime_ns != ctime):
                    return False
        except (OSError, ValueError, TypeError):
            return False
        return True


NEVER = Stamp((), is_young=True)
"""What no folder has."""


def taken(folder: str) -> Stamp | None:
    """Return the stamp of a run's folder; None in doubt, and of a run that has no outcome."""
    seen: list[SeenFile] = []
    try:
        os.lstat(f"{folder}/outcome.json")
        for name in (".", "events"):
            seen.append((name, _OF_FOLDER, _OF_FOLDER, os.lstat(f"{folder}/{name}").st_mtime_ns))
        newest = max(each[-1] for each in seen)
        names = [f"events/{name}" for name in sorted(os.listdir(f"{folder}/events"))]
        seen += [_of_file(folder, name) for name in (*names, "run.json", "outcome.json")]
    except OSError:
        return None
    for name in ("output.log", "curated.json"):
        with suppress(FileNotFoundError, NotADirectoryError):
            seen.append(_of_file(folder, name))
    return Stamp(tuple(seen), newest > time.time_ns() - YOUNG_NS)


def _of_file(folder: str, name: str) -> SeenFile:
    status = os.lstat(f"{folder}/{name}")
    return name, status.st_size, status.st_ctime_ns, status.st_mtime_ns
