"""What `strace -f -y -o FILE` tells of files: who opened which, how, and whether it was there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from anew.runner.dataclass import dataclass
from anew.runner.lazy.patterns import regexp

# those with a `?` are not there on every machine, or for every strace
CALLS = (
    *("?open", "openat", "?openat2", "?creat", "execve", "?truncate"),
    *("?rename", "?renameat", "renameat2", "chdir", "fchdir", "clone", "?clone3", "?fork", "?vfork"),
)
_CUT = b" <unfinished ...>"
_LINE = regexp(rb"(\d+) +(<\.\.\. \w+ resumed>)?(.*)", re.DOTALL)
_CALL = regexp(rb"(\w+)\((.*)\) += (-?\d+)(.*)", re.DOTALL)
# a path, and what it is relative to where that is said: a descriptor, or where the process is
_PATH = regexp(rb'(?:(AT_FDCWD|-?\d+)(?:<((?:[^>\\]|\\.)*)>)?, )?"((?:[^"\\]|\\.)*)"', re.DOTALL)
_FOLDER = regexp(rb"-?\d+<((?:[^>\\]|\\.)*)>", re.DOTALL)
_FLAG = regexp(rb"O_[A-Z]+")
_ESCAPED = regexp(rb"\\(?:x([0-9a-f]{2})|([0-7]{1,3})|(.))", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f", b"a": b"\a", b"b": b"\b"}
_CREATED = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
# they open nothing that has content
_NO_CONTENT = frozenset({b"O_DIRECTORY", b"O_PATH", b"O_TMPFILE"})


@dataclass(frozen=True, slots=True)
class Opening:
    """
    One file that was opened, moved to, or executed.

    Attributes:
        path: Absolute, as the process named it.
        flags: As of open(2).
        is_missing: Whether it was not there.
    """

    path: str
    flags: int
    is_missing: bool = False


def openings(lines: Iterable[bytes], cwd: bytes) -> Iterator[Opening]:
    """Yield what was opened, in order, by a process that was in *cwd* and its children; other lines are passed over."""
    told = _Told(cwd)
    for line in lines:
        found = told.opening(line.rstrip(b"\n"))
        if found is not None:
            yield found


class _Told:
    """What is known of the processes, line by line."""

    def __init__(self, cwd: bytes) -> None:
        self._first = cwd
        self._cwds: dict[bytes, bytes] = {}
        self._begun: dict[bytes, bytes] = {}

    def opening(self, line: bytes) -> Opening | None:
        """Take a line; return what it says was opened."""
        parts = _LINE.fullmatch(line)
        if parts is None:
            return None
        process, text = parts[1], parts[3]
        if process not in self._cwds:
            self._cwds[process] = self._parents()
        if text.endswith(_CUT):
            self._begun[process] = text[: -len(_CUT)]
            return None
        if parts[2] is not None:
            text = self._begun.pop(process, b"") + text
        call = _CALL.fullmatch(text)
        return None if call is None else self._called(process, call[1], call[2], int(call[3]), call[4])

    def _parents(self) -> bytes:
        """Return where a new process is: its parent may not have been told yet that it has one."""
        starting = [each for each, text in self._begun.items() if text.startswith((b"clone", b"fork", b"vfork"))]
        return self._cwds.get(starting[-1], self._first) if starting else self._first

    def _called(self, process: bytes, name: bytes, given: bytes, result: int, why: bytes) -> Opening | None:
        if name in (b"clone", b"clone3", b"fork", b"vfork"):
            if result > 0:
                self._cwds.setdefault(b"%d" % result, self._cwds[process])
            return None
        if name == b"fchdir":
            folder = _FOLDER.match(given)
            if folder is not None and result == 0:
                self._cwds[process] = plain(folder[1])
            return None
        paths = list(_PATH.finditer(given))
        if not paths:
            return None
        # moved to: the second; of what is executed the first, its words are none
        path = paths[1] if name.startswith(b"rename") and len(paths) > 1 else paths[0]
        full = self._full(process, path)
        if name == b"chdir":
            if result == 0:
                self._cwds[process] = full
            return None
        flags = _flags(name, given[path.end() :])
        is_missing = result < 0 and why.startswith(b" ENOENT")
        if flags is None or (result < 0 and (not is_missing or flags != os.O_RDONLY or name == b"execve")):
            return None
        return Opening(os.fsdecode(full), flags, is_missing)

    def _full(self, process: bytes, path: re.Match[bytes]) -> bytes:
        folder = plain(path[2]) if path[2] is not None else self._cwds[process]
        if path[1] == b"AT_FDCWD":
            self._cwds[process] = folder
        return os.path.normpath(os.path.join(folder, plain(path[3])))


def _flags(name: bytes, rest: bytes) -> int | None:
    """Return how a file is opened by a call; None where nothing of it is read or written."""
    if name == b"execve":
        return os.O_RDONLY
    if name == b"truncate":
        return os.O_WRONLY
    if name == b"creat" or name.startswith(b"rename"):
        return _CREATED
    names = set(_FLAG.findall(rest))
    if names & _NO_CONTENT:
        return None
    flags = 0
    for each in names:
        flags |= getattr(os, each.decode(), 0)
    return flags


def plain(text: bytes) -> bytes:
    """Return what strace has escaped as it was."""
    return _ESCAPED.sub(_unescaped, text) if b"\\" in text else text


def _unescaped(match: re.Match[bytes]) -> bytes:
    if match[1] is not None:
        return bytes((int(match[1], 16),))
    if match[2] is not None:
        return bytes((int(match[2], 8),))
    return _LETTERS.get(match[3], match[3])
