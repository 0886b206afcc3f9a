"""
Records of earlier runs, which a re-run changes nothing in, whatever paths main has.

Values of the configuration that led into the recorded run lead into the new one; this is the second line, for paths
that come from elsewhere: a literal in the source, a file, a link.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anew.runner.capture.noted import WRITING
from anew.runner.kernel.door import path_of
from anew.runner.kernel.hook import hook

_MODES = frozenset("wax+")
# audit event -> which of its arguments are paths that are changed, and which the folder that they are relative to
_CHANGING: dict[str, tuple[tuple[int, int | None], ...]] = {
    "open": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.link": ((1, 3),),
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.rmdir": ((0, 1),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.utime": ((0, 3),),
    "shutil.rmtree": ((0, None),),
}
_OF_CONTENT = ("open", "os.truncate")


class KeptAsTheyAre:
    """
    Has this process, and children that it forks, change nothing in the records of earlier runs: PermissionError.

    Of a record that is what main could have written itself: its files, output, points and outcome. Tags and notes may
    be added. Stays for good. Costs an opening for reading 0.15 us, one for writing 20 us to 50 us: links are followed
    anew each time, since where they lead may change.

    Args:
        root: A store; runs before the first one that is claimed in this process are earlier ones.
        number: That first one.
        folders: Further folders that nothing is written into.
    """

    def __init__(self, root: Path, number: int, folders: Sequence[str]) -> None:
        self._root = f"{os.path.realpath(root)}{os.sep}"
        self._objects = f"{self._root}objects{os.sep}"
        self._number = number
        self._folders = tuple(f"{os.path.realpath(folder)}{os.sep}" for folder in folders)

    def start(self) -> None:
        """From now on."""
        hook.refusing = self.refuse
        hook.install()

    def refuse(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Raise PermissionError for what would change a record; called by the hook."""
        if event not in _CHANGING:
            return
        if event == "open":
            _, mode, flags = arguments
            if mode in ("r", "rb") or not (flags & WRITING if mode is None else _MODES & set(mode)):
                return
        for index, beside in _CHANGING[event]:
            path = arguments[index]
            if isinstance(path, (str, bytes, os.PathLike)):
                folder = arguments[beside] if beside is not None else None
                full = _real(os.fsdecode(path), folder, follows=event in _OF_CONTENT)
                if self._is_kept(full) or (event in _OF_CONTENT and self._is_content(full)):
                    _refuse_change(event, full)

    def _is_content(self, full: str) -> bool:
        """Whether a file is content of the store: that is put in place whole, and never opened for writing there."""
        return full.startswith(self._objects) and os.path.exists(full) and not os.path.basename(full).startswith(".")

    def _is_kept(self, full: str) -> bool:
        if f"{full}{os.sep}".startswith(self._folders or "\0"):
            return True
        if not full.startswith(self._root):
            return False
        number, _, rest = full[len(self._root) :].partition(os.sep)
        if not number.isdigit() or int(number) >= self._number:
            return False
        return rest != _CURATED and not rest.startswith(_AROUND)


# what is added to a run after its end, and what observers keep beside it
_CURATED = "curated.json"
_AROUND = (f"events{os.sep}curate-", f"observers{os.sep}", f".{_CURATED}", f"{_CURATED}.")


def _refuse_change(event: str, full: str) -> None:
    if event == "os.mkdir" and os.path.isdir(full):
        return  # nothing would change
    raise PermissionError(errno.EACCES, "A re-run leaves records of other runs, and content of the store, as is", full)


def _real(path: str, folder: Any, *, follows: bool) -> str:
    """Return a path without links; the last part of it stays, unless the call follows it."""
    if type(folder) is int and folder >= 0 and not os.path.isabs(path):
        # relative to an open folder; where that cannot be known, to none
        path = os.path.join(path_of(folder) or "", path)
    if follows and os.path.islink(path):
        return os.path.realpath(path)
    parent, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(parent), name)
