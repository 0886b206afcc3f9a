"""
Many finished runs in one file: which runs the packs of a store hold, and how one is laid out as a folder again.

A pack is an SQLite archive (`sqlite3 PACK -Ax` takes it apart), with the runs and the checksums of all files beside
it. It is written once and never changed: that a run is out of a pack is said by an empty file beside that.
"""

from __future__ import annotations

import os
import stat
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from anew.runner.dataclass import dataclass
from anew.runner.errors import StoreError
from anew.runner.format import ids
from anew.runner.format.ids import is_number
from anew.runner.lazy.modules import later
from anew.runner.places import cache_folder
from anew.runner.store.files import cannot, make_folders, names_in, sync_folder, write_new
from anew.runner.store.index_file import odd_errors
from anew.runner.store.paths import OUT, PACK, RunLayout, StoreLayout
from anew.runner.store.stamps import Stamp

if TYPE_CHECKING:
    import shutil
    import sqlite3
    import tempfile
else:
    shutil, sqlite3, tempfile = later("shutil"), later("sqlite3"), later("tempfile")

TABLES = (
    "CREATE TABLE sqlar(name TEXT PRIMARY KEY, mode INT, mtime INT, sz INT, data BLOB)",
    "CREATE TABLE sums(name TEXT PRIMARY KEY, ns INT, sha256 TEXT)",
    "CREATE TABLE runs(number INTEGER PRIMARY KEY, uid TEXT, files INT)",
)
MOST_BYTES = 1 << 28
"""What one file of a packed run may have: it is read into memory whole."""

_FILES = "SELECT name, mode, sz, data, ns, sha256 FROM sqlar LEFT JOIN sums USING (name) WHERE name >= ? AND name < ?"
_KEPT_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Pack:
    """
    One file.

    Attributes:
        path: Where it lies.
        seen: Its inode, size and time, by which another one in its place is told.
        uids: Number -> uid of all runs that are in it.
        flaw: Why it cannot be read; empty when it can.
    """

    path: Path
    seen: tuple[int, int, int]
    uids: Mapping[int, str]
    flaw: str = ""

    @property
    def out(self) -> Path:
        """The folder with a name for each run that was taken out."""
        return self.path.with_suffix(OUT)

    @property
    def stamp(self) -> Stamp:
        """By what a run in it is known to be as it was: nothing but another file could change it."""
        _, size, changed = self.seen
        return Stamp(((self.path.name, size, os.lstat(self.path).st_ctime_ns, changed),), is_young=False)


class Packs:
    """
    The packs of a store. Safe between threads and processes.

    Args:
        layout: The store.
    """

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout
        self._read: dict[str, Pack] = {}

    def all(self) -> list[Pack]:
        """Return the packs, as they lie there now. Raises StoreError."""
        try:
            names = sorted(name for name in names_in(self._layout.packs) if name.endswith(PACK) and name[0] != ".")
        except OSError as error:
            raise cannot("read", self._layout.packs, error) from error
        found = {}
        for name in names:
            with suppress(FileNotFoundError):
                found[name] = self._pack(self._layout.packs / name)
        self._read = found
        return list(found.values())

    def _pack(self, path: Path) -> Pack:
        status = os.lstat(path)
        seen, before = (status.st_ino, status.st_size, status.st_mtime_ns), self._read.get(path.name)
        # what could not be read may be by now: a process has descriptors again, or rights
        if before is not None and before.seen == seen and not before.flaw:
            return before
        try:
            with closing(opened(path)) as database:
                return Pack(path, seen, dict(database.execute("SELECT number, uid FROM runs").fetchall()))
        except odd_errors(StoreError) as error:
            return Pack(path, seen, {}, f"{str(path)!r} is no pack of runs, or damaged: {error}")

    def runs(self) -> dict[int, Pack]:
        """Return the runs that are in packs, and of each which one; some may have a folder, too, which goes before."""
        found: dict[int, Pack] = {}
        for pack in self.all():
            taken = {int(name) for name in names_in(pack.out) if is_number(name)}
            found.update((number, pack) for number in pack.uids if number not in taken)
        return found

    def holding(self, number: int) -> Pack | None:
        """Return the pack that a run is to be read from; None for one with a folder, and where there is none."""
        if os.path.lexists(self._layout.run(number).folder):
            return None
        held = self._held(number)
        return held[-1] if held else None

    def keeps(self, number: int) -> bool:
        """Whether a run is in a pack, and was not taken out of it, whatever folder there is."""
        return bool(self._held(number))

    def _held(self, number: int) -> list[Pack]:
        return [pack for pack in self.all() if number in pack.uids and not is_out(pack.path, number)]

    def lengths(self, pack: Pack) -> dict[int, int]:
        """Return how many bytes each run takes in a pack; nothing of what cannot be read."""
        each = "CAST(substr(name, 1, instr(name, '/') - 1) AS INTEGER)"
        with suppress(*odd_errors(), StoreError, OSError), closing(opened(pack.path)) as database:
            return dict(database.execute(f"SELECT {each}, sum(coalesce(length(data), 0)) FROM sqlar GROUP BY 1"))
        return {}

    def digest(self, number: int, name: str) -> tuple[str, int] | None:
        """Return SHA-256 and bytes of a file of a run, given its name in the folder; None where it is in no pack."""
        query = "SELECT sha256, sz FROM sqlar JOIN sums USING (name) WHERE name = ?"
        pack = self.holding(number)
        with suppress(*odd_errors(), StoreError, OSError):
            if pack is not None:
                with closing(opened(pack.path)) as database:
                    for digest, length in database.execute(query, (f"{number}/{name}",)).fetchall():
                        return (digest, length) if isinstance(digest, str) and type(length) is int else None
        return None

    def leave(self, number: int) -> list[Pack]:
        """Say that a run is in no pack any more: it has its folder. Return those it was in. Raises StoreError."""
        held = self._held(number)
        for pack in held:
            mark_out(pack.path, number)
        return held

    # --- as folders ---------------------------------------------------------------------------------------------------

    def folder(self, pack: Pack, number: int) -> RunLayout:
        """Return a run's folder, laid out in the user's cache, where it stays for a day. Raises StoreError."""
        home = cache_folder() / "packed" / f"{pack.path.stem}-{pack.seen[0]:x}-{pack.seen[2]:x}"
        layout = RunLayout(home / str(number))
        if not layout.folder.exists():
            try:
                make_folders(home)
                _forget_others(home)
                lay_out(pack, number, layout.folder, sync=True)
            except OSError as error:
                raise cannot("write", layout.folder, error) from error
        with suppress(OSError):
            os.utime(home / str(number))
        return layout

    @contextmanager
    def looked_at(self, pack: Pack, number: int) -> Iterator[RunLayout]:
        """Give a run's folder without what main wrote there, for as long as it is looked at. Raises StoreError."""
        with tempfile.TemporaryDirectory(prefix="anew-packed-") as home:
            layout = RunLayout(Path(home, str(number)))
            try:
                lay_out(pack, number, layout.folder, whole=False)
            except OSError as error:
                raise cannot("write", layout.folder, error) from error
            yield layout


def is_out(path: Path, number: int) -> bool:
    """Whether a run was taken out of a pack, the file at *path*."""
    return (path.with_suffix(OUT) / str(number)).exists()


def mark_out(path: Path, number: int) -> None:
    """Say that a run is in one pack no more, the file at *path*. Raises StoreError."""
    out = path.with_suffix(OUT)
    try:
        make_folders(out)
        with suppress(FileExistsError):
            write_new(out / str(number), b"")
            sync_folder(out)
    except OSError as error:
        raise cannot("write", out, error) from error


def _forget_others(home: Path) -> None:
    """Remove what was laid out, and not asked for since."""
    for name in names_in(home):
        with suppress(OSError):
            if (home / name).stat().st_mtime < time.time() - _KEPT_S:
                shutil.rmtree(home / name, ignore_errors=True)


def opened(path: Path) -> sqlite3.Connection:
    """Open a pack for reading. Raises sqlite3.Error, and StoreError for what is no pack."""
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise StoreError("it is no regular file")
    # nobody writes to it, so that no lock is needed, which a network file system might not have
    database = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)
    try:
        database.execute("PRAGMA trusted_schema = OFF")
        schema = database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL LIMIT 9").fetchall()
        if sorted(sql for (sql,) in schema) != sorted(TABLES):
            raise StoreError("it has other tables")
    except BaseException:
        database.close()
        raise
    return database


def lay_out(pack: Pack, number: int, target: Path, *, whole: bool = True, sync: bool = False) -> None:
    """
    Write a run's folder; it appears at once complete. What of it is damaged in the pack is left out.

    Args:
        pack: The pack.
        number: The run.
        target: The folder; where there is one by now, that stays.
        whole: Whether with what main wrote there.
        sync: Whether it is to survive a power cut.

    Raises:
        OSError: It cannot be written.
    """
    draft = target.with_name(f".{target.name}.{ids.new_uid()}")
    folders: dict[Path, tuple[int, int | None]] = {draft: (0o755, None), draft / "events": (0o755, None)}
    try:
        (draft / "events").mkdir(parents=True)
        for name, mode, ns, data in _members(pack, number, whole):
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if stat.S_ISDIR(mode):
                path.mkdir(exist_ok=True)
                folders[path] = (stat.S_IMODE(mode), ns)
            elif stat.S_ISLNK(mode):
                os.symlink(data, path)
            else:
                write_new(path, data, sync=sync, mode=0o600)
                os.chmod(path, stat.S_IMODE(mode))
                if ns is not None:
                    os.utime(path, ns=(ns, ns))
        if not os.path.lexists(draft / "run.json"):
            (draft / "run.json").touch()  # so that it is said what is lost
        for folder, (mode, ns) in sorted(folders.items(), reverse=True):
            if sync:
                sync_folder(folder)
            if ns is not None:
                os.utime(folder, ns=(ns, ns))
            os.chmod(folder, mode)
        move_unless_there(draft, target)
        if sync:
            sync_folder(target.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def move_unless_there(folder: Path, target: Path) -> None:
    """Move a folder to where there may be one by now, which stays then. Raises OSError."""
    try:
        folder.rename(target)
    except OSError:
        if not os.path.lexists(target):  # else somebody else was quicker
            raise


def _members(pack: Pack, number: int, whole: bool) -> Iterator[tuple[str, int, int | None, bytes]]:
    """Yield the name in the folder, mode, time and content of what is in a pack of a run, links last."""
    links = []
    with suppress(*odd_errors(), StoreError, OSError), closing(opened(pack.path)) as database:
        for name, mode, size, data, ns, _ in database.execute(_FILES, (f"{number}/", f"{number}0")):
            inside = name.partition("/")[2]
            content = _content(mode, size, data)
            if not _leads_in(inside) or content is None or not (whole or not inside.startswith("files/")):
                continue
            member = inside, mode, ns if isinstance(ns, int) else None, content
            if stat.S_ISLNK(mode):
                links.append(member)
            else:
                yield member
    yield from links


def _leads_in(name: str) -> bool:
    return all(part not in ("", ".", "..") for part in name.split("/")) and "\0" not in name


def _content(mode: Any, size: Any, data: Any) -> bytes | None:
    """Return the content of one file of an archive; None for what is none."""
    if type(mode) is not int or type(size) is not int or size > MOST_BYTES:
        return None
    if stat.S_ISDIR(mode):
        return b""
    if stat.S_ISLNK(mode):
        return os.fsencode(data) if isinstance(data, str) else None
    if not isinstance(data, bytes) or not stat.S_ISREG(mode):
        return None
    if len(data) == size:
        return data
    with suppress(zlib.error):
        inflating = zlib.decompressobj()
        found = inflating.decompress(data, size + 1)
        return found if len(found) == size else None
    return None


def flaws(pack: Pack) -> Iterator[str]:
    """Yield what is wrong with a pack, all of which is read, a sentence each."""
    if pack.flaw:
        yield pack.flaw
        return
    counts = dict.fromkeys(pack.uids, 0)
    try:
        with closing(opened(pack.path)) as database:
            [(said,)] = database.execute("PRAGMA integrity_check(1)").fetchall()
            if said != "ok":
                yield f"it is damaged: {said}"
            for name, mode, size, data, _, digest in database.execute(_FILES, ("", "~")):
                number = name.partition("/")[0]
                if is_number(number) and int(number) in counts:
                    counts[int(number)] += 1
                content = _content(mode, size, data)
                if content is None or (stat.S_ISREG(mode) and sha256(content).hexdigest() != digest):
                    yield f"{name} in it is not what was written"
            expected = dict(database.execute("SELECT number, files FROM runs").fetchall())
        for number, count in counts.items():
            if count != expected[number]:
                yield f"of run {number} it has {count} files, where {expected[number]} were written"
    except odd_errors(StoreError, OSError) as error:
        yield f"it is damaged: {error}"
