"""Which of the files that main opened are its inputs, their content kept up to a size."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Collection, Iterator
from dataclasses import field
from pathlib import Path
from typing import Protocol

from anew.runner.capture.digests import DigestCache
from anew.runner.capture.inputs import input_digest
from anew.runner.capture.loaded import derived
from anew.runner.capture.noted import Noted
from anew.runner.capture.opened import OpenedFiles
from anew.runner.dataclass import dataclass
from anew.runner.errors import ArtifactError
from anew.runner.places import Places
from anew.runner.records import ContentRef
from anew.runner.wording import some

# stands in what is said of files that main may have read, and that are no inputs on record
UNKNOWN_INPUT = "not on record as an input"
_MOST_MISSED = 100
# of files outside the project, whose content is not kept, so many are looked at, and so much is read for their digests
_MOST_OUTSIDE = 200
_MOST_OUTSIDE_BYTES = 2**30


class Objects(Protocol):
    """A place for content."""

    def put_file(self, path: Path, *, sync: bool = True) -> tuple[str, int]:
        """Keep a file's content; return digest and size."""
        ...

    def put_bytes(self, data: bytes, *, sync: bool = True) -> str:
        """Keep content; return its digest."""
        ...

    def touch(self, sha256: str) -> bool:
        """Mark content as used; return whether it is here."""
        ...


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
    items = [*opened.noted()]
    digests, modules = (DigestCache.load(cache), _module_files()) if items else (DigestCache(), frozenset[str]())
    noticed = _Noticed(opened, places, objects, keep_bytes, digests, set(known), modules)
    noticed.before = {item.path: item.size for item in items if item.appends}
    noticed.replaced = {item.path: item for item in reversed(items) if item.replaces and item.sha256 is not None}
    for item in items:
        noticed.take(item)
    noticed.digests.save(cache)
    return tuple(sorted(noticed.found, key=lambda ref: ref.path)), tuple(noticed.notes())


@dataclass(slots=True)
class _Noticed:
    """What was opened, sorted one by one."""

    opened: OpenedFiles
    places: Places
    objects: Objects
    keep_bytes: int
    digests: DigestCache
    known: set[str]
    modules: frozenset[str]
    # files that something was added to -> how large they were
    before: dict[str, int] = field(default_factory=dict)
    # files that were read and then written anew -> what they were at the first of that
    replaced: dict[str, Noted] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    changed: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    found: list[ContentRef] = field(default_factory=list)
    outside: _Allowance = field(default_factory=lambda: _Allowance())

    def take(self, item: Noted) -> None:
        """Look at one opening."""
        if item.replaces or (item.writes and item.size < 0):
            if item.path not in self.done:
                self.own.add(item.path)  # what it was has not been read
            return
        is_known = item.path in self.done or item.path in self.own or item.path in self.modules
        if is_known or item.size < 0 or item.appends or _in_venv(item.path):
            return
        self.done.add(item.path)
        path = _in_project(item.path, self.opened, self.places)
        name = self.places.name(Path(path))
        if name in self.known or (path != item.path and (path in self.done or path in self.own)):
            return
        self.done.add(path)
        try:
            self._take(item, path, name)
        except (FileNotFoundError, NotADirectoryError):
            # elsewhere it was somebody's temporary file: nothing of it would have been kept
            if not self.opened.is_outside(path):
                self.changed.append(name)
        except (ArtifactError, PermissionError):
            return

    def _take(self, item: Noted, path: str, name: str) -> None:
        then = self.replaced.get(item.path, item)
        if then.sha256 is not None and (then.size, then.changed_ns) == (item.size, item.changed_ns):
            # whoever writes it anew in its place leaves it its rights; one that is gone has none to be known
            mode = stat.S_IMODE(os.stat(path).st_mode) if os.path.exists(path) else None
            self.found.append(ContentRef(path=name, sha256=then.sha256, size=item.size, mode=mode))
            return
        status, is_outside = os.stat(path), self.opened.is_outside(path)
        if not stat.S_ISREG(status.st_mode):
            return
        if path in self.before and not is_outside and self.before[path] <= min(status.st_size, self.keep_bytes):
            self.found.append(self._beginning(path, name, status, self.before[path]))
        elif (status.st_size, status.st_mtime_ns) != (item.size, item.changed_ns):
            self.changed.append(name)
        elif is_outside and not self.outside.take(status.st_size):
            self.passed.append(name)
        else:
            keep = -1 if is_outside else self.keep_bytes
            self.found.append(_kept(path, name, status, self.objects, keep, self.digests))

    def _beginning(self, path: str, name: str, status: os.stat_result, size: int) -> ContentRef:
        """Keep what a file was before something was added to it."""
        with open(path, "rb") as file:
            data = file.read(size)
        digest = self.objects.put_bytes(data, sync=False)
        return ContentRef(path=name, sha256=digest, size=size, mode=stat.S_IMODE(status.st_mode))

    def notes(self) -> Iterator[str]:
        """Yield what there is to say."""
        if self.changed:
            names = some([repr(name) for name in self.changed])
            yield f"{names} changed after main had opened it, so what was read is {UNKNOWN_INPUT}."
        if self.passed:
            names = some([repr(name) for name in self.passed])
            yield (
                f"{names} outside the project are too many or too large to be looked at, and {UNKNOWN_INPUT} each. "
                "To have them: run.input(path), or anew.inputs.roots=[FOLDER]"
            )
        if self.opened.is_full:
            yield f"More files were opened than anew.inputs.max_files; each of the others is {UNKNOWN_INPUT}."
        if self.opened.isolated:
            yield (
                f"{some(list(self.opened.isolated))}: a Python that was started so heeds no variables. In a re-run it "
                "finds modules as they are installed then, and what it opens outside of the project is not on record."
            )


def _in_project(path: str, opened: OpenedFiles, places: Places) -> str:
    """Return where a file lies that was opened through a link from elsewhere into the project; any other as it is."""
    if not opened.is_outside(path):
        return path
    real = os.path.realpath(path)
    return path if os.path.isabs(places.name(Path(real))) else real


def written_files(opened: OpenedFiles) -> tuple[str, ...]:
    """Return the files that were written and not read before that, as they were opened."""
    read: set[str] = set()
    written: dict[str, None] = {}
    for item in opened.noted():
        if not item.writes or not (item.replaces or item.appends):
            read.update([item.path] if item.size >= 0 else ())
        elif item.path not in read:
            written[item.path] = None
    return tuple(written)


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


def _module_files() -> frozenset[str]:
    """Return the files of loaded modules: they are source."""
    try:
        here = os.getcwd()
    except OSError:  # it was removed; what is relative leads nowhere
        here = os.sep
    return derived(
        ("whole", here),
        lambda modules: frozenset(
            os.path.normpath(os.path.join(here, file))
            for _, file, is_module in modules
            if is_module and isinstance(file, str)
        ),
    )


def _in_venv(path: str) -> bool:
    folder = os.path.dirname(path)
    return path.startswith((f"{sys.prefix}{os.sep}", f"{sys.base_prefix}{os.sep}")) or os.path.exists(
        os.path.join(folder, "pyvenv.cfg")
    )
