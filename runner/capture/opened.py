"""
Files that main opens for reading, noticed without having been declared.

Python tells an audit hook (PEP 578) of every file that it opens. The hook notes paths below the folders that matter;
what they are is looked at after main, see `noticed`. Children made by fork are noticed too, by way of a file that they
inherit, and those of multiprocessing that begin anew, to which that file is handed. What C libraries and other programs
open, the kernel tells of, see `unseen`; and strace, where that is asked for, see `strace`.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote

from anew.runner.capture.noted import CHANGED, READ, REPLACED, Noted, way_of
from anew.runner.capture.unseen import STARTING, Unseen, isolated, may_open, starts_processes
from anew.runner.kernel.door import SYSTEM_FOLDERS, unnamed_file
from anew.runner.kernel.hook import hook
from anew.runner.lazy.modules import later

if TYPE_CHECKING:
    from anew.runner.capture import traced
    from anew.runner.capture.strace import Tracer
else:
    traced = later("anew.runner.capture.traced")

_LEFT_OUT = ("site-packages", "dist-packages", "__pycache__", ".git")
_ENDS = (".pyc", ".so", ".pyd")


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
        unseen: Is told when something turns up that may open files past Python; begun here, and closed.
        keep: Keeps what a file below the folders is, before it is opened to be changed; returns the digest, or None.
        writing: Told the path of a file that is about to be written, and was not read before.
        tracer: Tells what all processes open, beside what the hook and *unseen* notice; begun here, and closed.
        is_source: Whether a file, by its path, is source: that it was read is told by the tracer, and not noted.

    Attributes:
        isolated: How Pythons were started that heed no variables.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        *,
        exclude: Sequence[Path] = (),
        most: int = 10_000,
        outside: bool = False,
        unseen: Unseen | None = None,
        keep: Callable[[str], str | None] | None = None,
        writing: Callable[[str], object] | None = None,
        tracer: Tracer | None = None,
        is_source: Callable[[str], bool] = lambda path: False,
    ) -> None:
        self._folders = tuple(f"{os.path.abspath(folder)}{os.sep}" for folder in folders)
        self._exclude = tuple(f"{os.path.abspath(folder)}{os.sep}" for folder in exclude)
        self._most = most
        self._outside = outside
        self._unseen = unseen
        self._keep = keep
        self._keeping: set[int] = set()
        self._writing = writing
        self._tracer = tracer
        self._is_source = is_source
        self._told: traced.Told | None = None
        self._seen: set[Any] = set()
        self._read: set[str] = set()
        self._count = 0
        self._spool: BinaryIO | None = None
        self.isolated: dict[str, None] = {}

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

    def start(self, passes: Callable[[str], bool] = bool) -> None:
        """Begin to note files, with those that were read on the way here; but for what *passes*: configuration."""
        # inherited by forked children, whose writes append to it as ours do; closed in `close`
        self._begin(unnamed_file())
        if hook.is_early:
            # once: what is source for the first run was read for its record, and may be a result of the next
            hook.is_early = False
            hook.early = [path for path in map(os.path.normpath, hook.early) if self._is_early(path, passes)]
        for path in hook.early:
            self._note_at(path, os.O_RDONLY)
        if self._tracer is not None:
            # first what the files are, then what becomes of them
            self._may_be_unseen()
            with self.undisturbed():
                self._tracer.start()
        elif self._unseen is not None:
            self._unseen.begin_where_needed()

    def _is_early(self, path: str, passes: Callable[[str], bool]) -> bool:
        # elsewhere Hydra has read what it is configured by; a folder is no input
        return not self.is_outside(path) and self._counts(path) and not passes(path) and not os.path.isdir(path)

    def _begin(self, spool: Any) -> None:
        self._spool = spool
        hook.watching = self
        hook.install()

    def stop(self) -> None:
        """Note no more. May be called again."""
        if hook.watching is self:
            hook.watching = None
        if self._tracer is not None:
            self._tracer.stop()

    def close(self) -> None:
        """Stop, and forget what was noted. Raises OSError, once all is closed, where the program did that."""
        self.stop()
        spool, self._spool = self._spool, None
        with ExitStack() as closing:
            for each in (spool, self._tracer, self._unseen):
                if each is not None:
                    closing.callback(each.close)

    # --- called by the hook -------------------------------------------------------------------------------------

    def tell(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take one event."""
        if event == "open":
            self._note(arguments[0], arguments[2] or 0)
        elif event == "os.rename":
            # a file that is written beside its place, and moved to it
            if arguments[3] == -1:
                self._note(arguments[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        elif event == "import":
            if (arguments[1] and may_open(arguments[0], arguments[1])) or starts_processes(arguments[0]):
                self._may_be_unseen()
        elif event == "sqlite3.connect":
            self._may_be_unseen()
            self._note(_database(arguments[0]), os.O_RDWR | os.O_CREAT)
        elif event in STARTING:
            self._may_be_unseen()
            if how := isolated(event, arguments):
                self.isolated[how] = None

    def _may_be_unseen(self) -> None:
        if self._unseen is not None:
            with self.undisturbed():
                self._unseen.begin()

    def _note(self, path: Any, flags: int) -> None:
        if (path, flags) in self._seen or type(path) is int or threading.get_ident() in self._keeping:
            return
        # made whole here, since a relative path may be another file after a chdir
        full = os.fsdecode(path)
        if not os.path.isabs(full):
            full = os.path.join(os.getcwd(), full)
        self._note_at(os.path.normpath(full), flags)

    def _note_at(self, full: str, flags: int) -> None:
        if self._counts(full) and (full, flags) not in self._seen:
            self._seen.add((full, flags))
            self._write(full, flags)

    def _counts(self, full: str) -> bool:
        if full.startswith(self._exclude or "\0"):
            return False
        if not full.startswith(self._folders) and (not self._outside or full.startswith(_of_the_system())):
            return False
        return not full.endswith(_ENDS) and not any(f"{os.sep}{name}{os.sep}" in full for name in _LEFT_OUT)

    def _write(self, full: str, flags: int) -> None:
        self._count += 1
        if self._spool is None or self._count > self._most + 1:
            return
        before: tuple[int, int] | None = None
        with suppress(OSError):
            status = os.stat(full)
            before = status.st_size, status.st_mtime_ns
        way, sha256 = way_of(flags, before is not None), None
        is_lost = way == CHANGED or (way == REPLACED and full in self._read)
        if is_lost and before is not None and self._keep is not None and not self.is_outside(full):
            with self.undisturbed():
                sha256 = self._keep(full)
        size, changed = before or (-1, -1)
        line = b"%d %s %d %d %s\0" % (way, (sha256 or "-").encode(), size, changed, os.fsencode(full))
        self._spool.write(line)
        if way in (READ, CHANGED):
            self._read.update([full] if before is not None else ())
        elif self._writing is not None and full not in self._read:
            with self.undisturbed():
                self._writing(full)

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Note nothing of what this thread opens meanwhile, for noting or otherwise on our own behalf."""
        thread = threading.get_ident()
        self._keeping.add(thread)
        try:
            yield
        finally:
            self._keeping.discard(thread)

    # --- afterwards ---------------------------------------------------------------------------------------------

    def noted(self) -> Iterator[Noted]:
        """Yield what was noted, in order, by this process and its children; then what was used past Python."""
        if self._spool is None:
            return
        made, rest = self._traced()
        yield from made
        paths = {each.path for each in made}
        spool = self._spool.fileno()
        for line in os.pread(spool, os.fstat(spool).st_size, 0).split(b"\0")[:-1]:
            way, sha256, size, changed, name = line.split(b" ", 4)
            path, kind = os.fsdecode(name), int(way)
            paths.add(path)
            yield Noted.of(path, kind, (int(size), int(changed)), sha256.decode() if sha256 != b"-" else None)
        for each in rest:
            if each.path not in paths:
                yield each
        paths.update(each.path for each in rest)
        for use in self._unseen.uses() if self._unseen is not None else ():
            if use.path not in paths and self._counts(use.path):
                yield Noted(use.path, use.size, use.changed_ns, writes=use.writes, replaces=use.writes)

    def _traced(self) -> tuple[Sequence[Noted], Sequence[Noted]]:
        """Return what was traced: files that came to be by that, then all other openings."""
        if self._tracer is None:
            return (), ()
        if self._told is None:
            before = traced.Before(self._tracer.since_s, self._unseen, self._is_source)
            told = traced.noted_of((each for each in self._tracer.openings() if self._counts(each.path)), before)
            self._told, is_whole = told.within(self._most)
            if not is_whole:
                self._count = self._most + 1
        return self._told.made, self._told.rest

    @property
    def is_full(self) -> bool:
        """Whether there were more files than may be noted."""
        return self._count > self._most


def _database(name: Any) -> Any:
    """Return the file of an SQLite database by what it is opened by."""
    text = os.fsdecode(name)
    if text.startswith("file:"):
        text = unquote(text[5:].partition("?")[0]).removeprefix("//")
    return 0 if text in ("", ":memory:") else text


@cache
def _of_the_system() -> tuple[str, ...]:
    """Return what paths begin with that are no data of anybody's: the system, this Python, we, settings, caches."""
    variables = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
    ours = Path(__file__).parents[2]
    folders = [
        sys.prefix,
        sys.base_prefix,
        str(ours),
        # what is used past Python is known by where it lies, and a working copy of ours is installed by links
        str(Path(os.path.realpath(ours / "configs" / "anew" / "default.yaml")).parents[1]),
        *filter(None, map(os.environ.get, variables)),
    ]
    return (*SYSTEM_FOLDERS, *(f"{folder}{os.sep}" for folder in folders), os.path.expanduser(f"~{os.sep}."))
