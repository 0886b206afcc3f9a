"""
Files that main opens for reading, noticed without having been declared.

Python tells an audit hook (PEP 578) of every file that it opens. The hook notes paths below the folders that matter;
what they are is looked at after main. Children made by fork are noticed too, by way of a file that they inherit, and
those of multiprocessing that begin anew, to which that file is handed. Not noticed are files that C libraries open by
themselves (HDF5, SQLite), and those of other programs.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, Protocol

from anew.runner.capture.digests import DigestCache
from anew.runner.capture.inputs import input_digest
from anew.runner.dataclass import dataclass
from anew.runner.errors import ArtifactError
from anew.runner.kernel.door import SYSTEM_FOLDERS
from anew.runner.places import Places
from anew.runner.records import ContentRef
from anew.runner.wording import some

WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
_LEFT_OUT = ("site-packages", "dist-packages", "__pycache__", ".git")
_ENDS = (".pyc", ".so", ".pyd")
_MOST_MISSED = 100
# of files outside the project, whose content is not kept, so many are looked at, and so much is read for their digests
_MOST_OUTSIDE = 200
_MOST_OUTSIDE_BYTES = 2**30


class Objects(Protocol):
    """A place for content."""

    def put_file(self, path: Path, *, sync: bool = True) -> tuple[str, int]:
        """Keep a file's content; return digest and size."""
        ...

    def touch(self, sha256: str) -> bool:
        """Mark content as used; return whether it is here."""
        ...


class OpenedFiles:
    """
    Notes the files that this process, and children that it forks, open below some folders.

    One at a time in a process. Safe between threads. The hook stays in the process for good, as hooks do; at rest it
    costs one comparison per audit event.

    Args:
        folders: Files below these count.
        exclude: Folders below them that do not count.
        most: No more files than this are noted.
        outside: Whether files elsewhere count, too, but for those of the system, of libraries and of hidden folders.
    """

    def __init__(
        self, folders: Sequence[Path], *, exclude: Sequence[Path] = (), most: int = 10_000, outside: bool = False
    ) -> None:
        self._folders = tuple(f"{os.path.abspath(folder)}{os.sep}" for folder in folders)
        self._exclude = tuple(f"{os.path.abspath(folder)}{os.sep}" for folder in exclude)
        self._most = most
        self._outside = outside
        self._seen: set[Any] = set()
        self._count = 0
        self._spool: BinaryIO | None = None

    @classmethod
    def shared(
        cls, spool: int, folders: Sequence[str], exclude: Sequence[str], most: int, outside: bool
    ) -> OpenedFiles:
        """Note files for the process that started this one, in its *spool*, a descriptor; see `limits`."""
        left_out = [Path(each) for each in exclude]
        opened = cls([Path(each) for each in folders], exclude=left_out, most=most, outside=outside)
        opened._begin(os.fdopen(spool, "a+b", buffering=0))
        return opened

    @property
    def limits(self) -> tuple[Sequence[str], Sequence[str], int, bool]:
        """What counts: folders, those below them that do not, how many files, whether files elsewhere do."""
        return self._folders, self._exclude, self._most, self._outside

    def is_outside(self, path: str) -> bool:
        """Whether a file that was noted lies below none of the folders."""
        return not path.startswith(self._folders)

    @property
    def spool(self) -> int | None:
        """The descriptor of the file in which files are noted; None before and after."""
        return self._spool.fileno() if self._spool is not None else None

    def start(self) -> None:
        """Begin to note files."""
        # unlinked, and inherited by forked children, whose writes append to it as ours do
        self._begin(tempfile.TemporaryFile("a+b", buffering=0))  # noqa: SIM115  # closed in `close`

    def _begin(self, spool: Any) -> None:
        self._spool = spool
        hook.watching = self
        hook.install()

    def stop(self) -> None:
        """Note no more. May be called again."""
        if hook.watching is self:
            hook.watching = None

    def close(self) -> None:
        """Stop, and forget what was noted."""
        self.stop()
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def note(self, path: Any, mode: Any, flags: Any) -> None:
        """Take one opening; called by the hook, for every file that is opened."""
        writes = bool(flags & WRITING) if mode is None else mode not in ("r", "rb", "rt")
        if (path, writes) in self._seen or type(path) is int:
            return
        # made whole here, since a relative path may be another file after a chdir
        full = os.path.normpath(os.path.join(os.getcwd(), os.fsdecode(path)))
        if self._counts(full) and (full, writes) not in self._seen:
            self._seen.add((full, writes))
            self._write(full, writes)

    def _counts(self, full: str) -> bool:
        if full.startswith(self._exclude or "\0"):
            return False
        if not full.startswith(self._folders) and (not self._outside or full.startswith(_of_the_system())):
            return False
        return not full.endswith(_ENDS) and not any(f"{os.sep}{name}{os.sep}" in full for name in _LEFT_OUT)

    def _write(self, full: str, writes: bool) -> None:
        self._count += 1
        if self._spool is None or self._count > self._most + 1:
            return
        before: tuple[int, int] | None = None
        with suppress(OSError):
            status = os.stat(full)
            before = status.st_size, status.st_mtime_ns
        size, changed = before or (-1, -1)
        line = b"%d %d %d %s\0" % (writes, size, changed, os.fsencode(full))
        self._spool.write(line)

    def noted(self) -> Iterator[_Noted]:
        """Yield what was noted, in order, by this process and its children."""
        if self._spool is None:
            return
        self._spool.seek(0)
        for line in self._spool.read().split(b"\0")[:-1]:
            writes, size, changed, name = line.split(b" ", 3)
            yield _Noted(os.fsdecode(name), writes == b"1", int(size), int(changed))

    @property
    def is_full(self) -> bool:
        """Whether there were more files than may be noted."""
        return self._count > self._most


@dataclass(frozen=True, slots=True)
class _Noted:
    """One file at its first opening; size and time are -1 when it was not there."""

    path: str
    writes: bool
    size: int
    changed_ns: int


@cache
def _of_the_system() -> tuple[str, ...]:
    """Return what paths begin with that are no data of anybody's: the system, this Python, settings and caches."""
    variables = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
    folders = [sys.prefix, sys.base_prefix, *filter(None, map(os.environ.get, variables))]
    return (*SYSTEM_FOLDERS, *(f"{folder}{os.sep}" for folder in folders), os.path.expanduser(f"~{os.sep}."))


def noticed_inputs(
    opened: OpenedFiles, places: Places, objects: Objects, keep_bytes: int, cache: Path, known: Collection[str]
) -> tuple[tuple[ContentRef, ...], tuple[str, ...]]:
    """
    Return the inputs among the files that were opened, their content kept up to a size, and what there is to say.

    An input was there before main opened it, and is no module. One that main or somebody else changed after it was
    first opened is named, since what main read is not known.

    Args:
        opened: What was noted; stopped.
        places: Say what files are called on record.
        objects: Where content goes.
        keep_bytes: Of larger files the digest alone is taken.
        cache: A file that remembers digests.
        known: The recorded names of declared inputs, which are left out.

    Raises:
        StoreError: Content cannot be written.
    """
    digests = DigestCache.load(cache)
    modules = _module_files()
    own: set[str] = set()
    done: set[str] = set()
    changed: list[str] = []
    found: list[ContentRef] = []
    passed: list[str] = []
    outside = _Allowance()
    for item in opened.noted():
        if item.writes and item.size < 0:
            own.add(item.path)  # made by the run
        if item.path in done or item.path in own or item.size < 0 or item.path in modules or _in_venv(item.path):
            continue
        if item.writes:
            own.add(item.path)
            continue
        done.add(item.path)
        path = _in_project(item.path, opened, places)
        name = places.name(Path(path))
        if name in known or (path != item.path and (path in done or path in own)):
            continue
        done.add(path)
        try:
            status = os.stat(path)
            if not stat.S_ISREG(status.st_mode):
                continue
            if (status.st_size, status.st_mtime_ns) != (item.size, item.changed_ns):
                changed.append(name)
                continue
            if opened.is_outside(path) and not outside.take(status.st_size):
                passed.append(name)
                continue
            keep = -1 if opened.is_outside(path) else keep_bytes
            found.append(_kept(path, name, status, objects, keep, digests))
        except (FileNotFoundError, NotADirectoryError):
            # elsewhere it was somebody's temporary file: nothing of it would have been kept
            if not opened.is_outside(path):
                changed.append(name)
        except (ArtifactError, PermissionError):
            continue
    digests.save(cache)
    return tuple(sorted(found, key=lambda ref: ref.path)), tuple(_notes(changed, passed, opened.is_full))


def _in_project(path: str, opened: OpenedFiles, places: Places) -> str:
    """Return where a file lies that was opened through a link from elsewhere into the project; any other as it is."""
    if not opened.is_outside(path):
        return path
    real = os.path.realpath(path)
    return path if os.path.isabs(places.name(Path(real))) else real


def missed_files(opened: OpenedFiles, places: Places) -> tuple[str, ...]:
    """Return the recorded names of files that were to be read and were not there, up to a limit."""
    made, missed = set(), dict[str, None]()
    for item in opened.noted():
        if item.writes:
            made.add(item.path)
        elif item.size < 0 and item.path not in made:
            missed[places.name(Path(item.path))] = None
    return tuple(missed)[:_MOST_MISSED]


def _kept(
    path: str, name: str, status: os.stat_result, objects: Objects, keep_bytes: int, digests: DigestCache
) -> ContentRef:
    keep = status.st_size <= keep_bytes
    known = digests.known(path, status)
    if known is not None and (not keep or objects.touch(known[0])):
        sha256, size = known[0], status.st_size
    else:
        read_at_ns = digests.now_ns()
        sha256, size = objects.put_file(Path(path), sync=False) if keep else input_digest(Path(path))
        digests.remember(path, status, sha256, False, read_at_ns)
    return ContentRef(path=name, sha256=sha256, size=size, mode=stat.S_IMODE(status.st_mode), kept=keep)


class _Allowance:
    """How many files outside the project are still looked at, and how large ones."""

    def __init__(self) -> None:
        self._files, self._bytes = _MOST_OUTSIDE, _MOST_OUTSIDE_BYTES

    def take(self, size: int) -> bool:
        """Whether a file of that size is; it is counted then."""
        if not self._files or size > self._bytes:
            return False
        self._files, self._bytes = self._files - 1, self._bytes - size
        return True


def _notes(changed: list[str], passed: list[str], is_full: bool) -> Iterator[str]:
    if changed:
        names = some([repr(name) for name in changed])
        yield f"{names} changed after main had opened it, so what was read is not on record as an input."
    if passed:
        names = some([repr(name) for name in passed])
        yield (
            f"{names} outside the project are too many or too large to be looked at, and not on record as inputs. "
            "To have them: run.input(path), or anew.inputs.roots=[FOLDER]"
        )
    if is_full:
        yield "More files were opened than anew.inputs.max_files; the others are not on record as inputs."


def _module_files() -> set[str]:
    """Return the files of loaded modules: they are source."""
    found = set()
    for module in list(sys.modules.values()):
        if type(module) is ModuleType and isinstance(file := vars(module).get("__file__"), str):
            found.add(os.path.abspath(file))
    return found


def _in_venv(path: str) -> bool:
    folder = os.path.dirname(path)
    return path.startswith((f"{sys.prefix}{os.sep}", f"{sys.base_prefix}{os.sep}")) or os.path.exists(
        os.path.join(folder, "pyvenv.cfg")
    )


# --- the hook -----------------------------------------------------------------------------------------------------


class Hook:
    """
    The process's audit hook, which stays for good.

    Attributes:
        watching: Who is told of files that are opened.
        refusing: Who may refuse an event, told of it first.
    """

    def __init__(self) -> None:
        self.watching: OpenedFiles | None = None
        self.refusing: Callable[[str, tuple[Any, ...]], object] | None = None
        self._installed = False

    def install(self) -> None:
        """Have the interpreter call the hook, from the first time on."""
        if not self._installed:
            self._installed = True
            sys.addaudithook(_tell)


hook = Hook()


def _tell(event: str, arguments: tuple[Any, ...]) -> None:
    if hook.refusing is not None:
        hook.refusing(event, arguments)
    if event == "open" and hook.watching is not None:
        try:
            hook.watching.note(*arguments)
        except Exception:
            return  # an error here would stop the program from opening its file
