"""What tells a file or folder from what it was before: `stat` alone, which is asked again later."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import field

from anew.runner.dataclass import dataclass

State = tuple[int, ...] | None
# what has changed so shortly before a look may have changed after it, within one tick of the clock ("racy git")
_GRANULE_NS = 50_000_000
# and where whole seconds are told, as by sshfs, or every other one, as on FAT
_SECOND_NS, _COARSE_NS = 10**9, 2 * 10**9
_UNTOLD = (-1,)  # what nothing is like


def state(path: str, look: Callable[[str], os.stat_result] = os.lstat) -> State:
    """Return what tells a file or folder from another; its changes come last. None where there is none."""
    try:
        return _told_by(look(path))
    except (OSError, ValueError):
        return None


def _told_by(found: os.stat_result) -> tuple[int, ...]:
    return found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def are_settled(states: Iterable[State], looked_ns: int) -> bool:
    """Whether a later change would show, of what was looked at since a moment, in nanoseconds since 1970."""
    return all(each is None or is_settled(each[-1], looked_ns) for each in states)


def is_settled(changed_ns: int, looked_ns: int) -> bool:
    """Whether a change after a look would have another time than the latest one before; in nanoseconds since 1970."""
    return changed_ns < looked_ns - (_GRANULE_NS if changed_ns % _SECOND_NS else _COARSE_NS)


@dataclass(slots=True)
class Seen:
    """Files and folders that were looked at, and what they were like at the first look."""

    paths: dict[str, State] = field(default_factory=dict)
    targets: dict[str, State] = field(default_factory=dict)

    def look(self, path: str) -> os.stat_result | None:
        """Look at what lies at a path; None for nothing. Raises OSError: it cannot be told."""
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            self.paths.setdefault(path, None)
            return None
        except OSError:
            self.paths.setdefault(path, _UNTOLD)
            raise
        self.paths.setdefault(path, _told_by(found))
        return found

    def look_through(self, link: str) -> None:
        """Look at what a link leads to, too."""
        self.targets[link] = state(link, os.stat)

    def are_settled(self, looked_ns: int) -> bool:
        """Whether a later change would show, of what was looked at since a moment, in nanoseconds since 1970."""
        return are_settled((*self.paths.values(), *self.targets.values()), looked_ns)

    def are_same(self) -> bool:
        """Whether all are as they were."""
        look = os.lstat  # there may be thousands, hence no calls of ours
        for path, was in self.paths.items():
            try:
                now = look(path)
            except (OSError, ValueError):
                if was is None:
                    continue
                return False
            if (now.st_mode, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns) != was:
                return False
        return all(state(link, os.stat) == was for link, was in self.targets.items())
