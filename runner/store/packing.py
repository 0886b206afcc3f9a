"""Finished runs put into a pack, and taken out of one; at every instant each of them can be read, and once."""

from __future__ import annotations

import os
import stat
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from anew.runner.contracts import Packed
from anew.runner.dataclass import dataclass
from anew.runner.errors import StoreError
from anew.runner.format import ids
from anew.runner.guard.store_format import WITH_PACKS, raise_format
from anew.runner.lazy.modules import later
from anew.runner.store.choosing import choose
from anew.runner.store.durability import sync_file
from anew.runner.store.files import cannot, make_folders, names_in, open_regular, sync_folder
from anew.runner.store.marker import move_marker
from anew.runner.store.packs import (
    MOST_BYTES,
    TABLES,
    Pack,
    flaws,
    is_out,
    lay_out,
    mark_out,
    move_unless_there,
)
from anew.runner.store.paths import PACK, RunLayout
from anew.runner.store.position import observers_of, read_cursor
from anew.runner.store.stream import RunSource
from anew.runner.wording import size

if TYPE_CHECKING:
    import shutil
    import sqlite3

    from anew.runner.records import RunRecord
    from anew.runner.store.folder import FolderStore
else:
    shutil, sqlite3 = later("shutil"), later("sqlite3")

_DRAFT = ".draft-"
_LEFT_S = 3600.0
_MOST_RUNS, _MOST_BYTES, _AT_A_TIME = 10_000, 1 << 30, 512
_PAGE = 1 << 12
_Seen = tuple[str, int, int, int, int]
_FORMATS = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
_INSERT = "INSERT INTO sqlar VALUES (?, ?, ?, ?, ?)"


def meant(store: FolderStore, words: Iterable[str | int]) -> list[int]:
    """
    Return the runs that references, ranges, tags, sweeps and filters name.

    Raises:
        AnewError: What the first odd one does.
    """
    chosen = choose(store, map(str, words))
    for _, error in chosen.refused:
        raise error
    return chosen.numbers


def pack(store: FolderStore, numbers: Iterable[int]) -> Packed:
    """
    Put runs that have ended into packs, in the order of their numbers, and remove their folders.

    Each pack is written, synced, and compared with what was read before any folder is removed. Killed at any instant,
    it leaves every run in its folder, in a pack, or in both, of which the folder counts. Safe beside readers; a run
    that is written to meanwhile stays in its folder.

    Args:
        store: The store.
        numbers: Which runs; those that are in a pack are passed over.

    Raises:
        StoreError: The store cannot be read or written; every run is as it was, or packed.
    """
    left: dict[int, str] = {}
    done: list[int] = []
    packs: list[Path] = []
    before = 0
    _remove_drafts(store)
    for portion in _portions(store, numbers, left):
        path, some = _written(store, portion)
        packs.append(path)
        before += sum(each.bytes for each in some)
        for each in some:
            if why := _put_away(store, each, path):
                left[each.number] = why
            else:
                done.append(each.number)
        _carry_over(store, path, [each for each in some if each.number not in left])
        move_marker(store.layout.root)
    after = sum(path.stat().st_size for path in packs)
    return Packed(tuple(done), tuple(str(path) for path in packs), before, after, left)


def _carry_over(store: FolderStore, path: Path, runs: Sequence[_Run]) -> None:
    """Have the index know the runs of a pack without reading each of them."""
    for each in store.packs.all():
        if each.path == path:
            files = {run.number: [(name, length, ctime, ns) for name, _, length, ns, ctime in run.seen] for run in runs}
            store.carry_over(each, files)


@dataclass(frozen=True, slots=True)
class _Run:
    number: int
    uid: str
    layout: RunLayout
    seen: tuple[_Seen, ...]

    @property
    def bytes(self) -> int:
        """What it takes on most disks."""
        return _PAGE + sum((length + _PAGE - 1) // _PAGE * _PAGE or _PAGE for _, _, length, *_ in self.seen)


def _portions(store: FolderStore, numbers: Iterable[int], left: dict[int, str]) -> Iterator[list[_Run]]:
    """Yield the runs that can be packed, as many at a time as go into one pack; of the others *left* says why."""
    some: list[_Run] = []
    length, packed = 0, store.packs.runs().keys()
    wanted = sorted(set(numbers))
    for begin in range(0, len(wanted), _AT_A_TIME):
        records = store.runs(wanted[begin : begin + _AT_A_TIME])
        for number in wanted[begin : begin + _AT_A_TIME]:
            layout = store.layout.run(number)
            if number in packed:
                if not os.path.lexists(layout.folder):
                    continue
                # a packing was killed, or is under way: what is in that pack is older than the folder
                take_out(store, number)
            run, why = _looked_at(number, layout, records.get(number))
            why = why or _waiting(layout)
            if why or run is None:
                left[number] = why
                continue
            if some and (len(some) == _MOST_RUNS or length + run.bytes > _MOST_BYTES):
                yield some
                some, length = [], 0
            some.append(run)
            length += run.bytes
    if some:
        yield some


def _looked_at(number: int, layout: RunLayout, record: RunRecord | None) -> tuple[_Run | None, str]:
    """Return a run as it lies there, or why it is left in its folder."""
    if layout.folder.is_symlink():
        return None, f"The folder of run {number} is a link; it stays."
    if record is None or not record.status.final or not os.path.lexists(layout.outcome):
        how = "is going on, or was killed before its outcome was on record"
        return None, f"Run {number} {how}; it stays in its folder. To see: anew show {number}"
    if record.damage:
        return None, f"Run {number} is damaged; it stays in its folder. To see how: anew show {number}"
    seen = tuple(_tree(layout.folder))
    for name, mode, length, *_ in seen:
        if stat.S_IFMT(mode) not in _FORMATS:
            return None, f"{name} of run {number} is no file; the run stays in its folder."
        if stat.S_ISREG(mode) and length > MOST_BYTES:
            most = f"a pack takes files of up to {size(MOST_BYTES)}"
            return None, f"{name} of run {number} has {size(length)}, and {most}; the run stays in its folder."
    return _Run(number, record.uid, layout, seen), ""


def _waiting(layout: RunLayout) -> str:
    """Return why a run stays in its folder for the sake of its observers."""
    names = observers_of(layout)
    late = [name for name in names if RunSource(layout, None).behind(read_cursor(layout.cursor(name)).done)]
    number = layout.folder.name
    return f"Observers wait for events of run {number}: {', '.join(late)}. First: anew sync {number}" if late else ""


def _tree(folder: Path) -> Iterator[_Seen]:
    """Yield name, mode, size and times of all that is in a folder; of folders less. Raises StoreError."""

    def refuse(error: OSError) -> None:
        raise cannot("read", folder, error) from error

    for above, folders, files in os.walk(folder, onerror=refuse):
        folders.sort()
        for name in sorted([*folders, *files]):
            path = os.path.join(above, name)
            status = os.lstat(path)
            is_folder = stat.S_ISDIR(status.st_mode)
            length, changed = (0, 0) if is_folder else (status.st_size, status.st_ctime_ns)
            yield os.path.relpath(path, folder), status.st_mode, length, status.st_mtime_ns, changed


# --- writing ----------------------------------------------------------------------------------------------------------


def _written(store: FolderStore, runs: Sequence[_Run]) -> tuple[Path, Sequence[_Run]]:
    """Write a pack, and compare it with what was read; return where it lies, and what is in it. Raises StoreError."""
    folder = store.layout.packs
    first, last = runs[0].number, runs[-1].number
    path = folder / f"{first}-{last}-{ids.new_uid()[-6:]}{PACK}"
    draft = folder / f"{_DRAFT}{ids.new_uid()}{PACK}"
    try:
        make_folders(folder)
        while not _is_filled(draft, runs):
            before, runs = runs, [replace(run, seen=tuple(_tree(run.layout.folder))) for run in runs]
            if runs == before:
                raise StoreError(f"What lies in runs {first} to {last} is listed and cannot be opened.")
        os.chmod(draft, 0o444)
        sync_file(draft)
        for flaw in flaws(Pack(draft, (0, 0, 0), {run.number: run.uid for run in runs})):
            raise StoreError(f"The pack is not what was written to it, and was removed: {flaw}. No run was touched.")
        # what earlier versions would not see, they are not to take for unused: numbers, and content
        store.retire(max(last, *store.numbers()))
        raise_format(str(store.root), WITH_PACKS)
        draft.rename(path)
        sync_folder(folder)
    except sqlite3.Error as error:
        raise StoreError(f"Cannot write {str(path)!r}: {error}. No run was touched.", path=str(path)) from error
    except OSError as error:
        raise error if isinstance(error, StoreError) else cannot("write", path, error) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return path, runs


def _is_filled(draft: Path, runs: Sequence[_Run]) -> bool:
    """Write runs into a draft; False where a file is gone, as of one that has just ended a journal is compressed."""
    try:
        _fill(draft, runs)
    except FileNotFoundError:
        draft.unlink()
        return False
    return True


def _fill(path: Path, runs: Sequence[_Run]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")  # it is synced as a whole
        database.execute("BEGIN")
        for text in TABLES:
            database.execute(text)
        for run in runs:
            for name, mode, _, ns, _ in run.seen:
                _add(database, run.layout.folder / name, f"{run.number}/{name}", mode, ns)
            database.execute("INSERT INTO runs VALUES (?, ?, ?)", (run.number, run.uid, len(run.seen)))
        database.execute("COMMIT")


def _add(database: sqlite3.Connection, path: Path, name: str, mode: int, ns: int) -> None:
    mtime, digest = ns // 10**9, None
    if stat.S_ISDIR(mode):
        database.execute(_INSERT, (name, mode, mtime, 0, None))
    elif stat.S_ISLNK(mode):
        database.execute(_INSERT, (name, mode, mtime, -1, os.readlink(path)))
    else:
        with open_regular(path) as file:
            data = file.read(MOST_BYTES + 1)
        digest, small = sha256(data).hexdigest(), zlib.compress(data, 6)
        database.execute(_INSERT, (name, mode, mtime, len(data), small if len(small) < len(data) else data))
    database.execute("INSERT INTO sums VALUES (?, ?, ?)", (name, ns, digest))


def _put_away(store: FolderStore, run: _Run, path: Path) -> str:
    """
    Remove the folder of a run that is in the pack at *path* by now; where it stays, return why, as a sentence.

    Whoever is about to write to the run says first that it is out of the pack, and looks then whether its folder is
    there, see `take_out`; here the folder is moved first, and then it is looked whether that was said. So one of both
    notices the other.
    """
    written = f"Run {run.number} was written to meanwhile; it stays in its folder."
    folder, going = run.layout.folder, store.layout.purging(run.number, ids.new_uid())
    try:
        if is_out(path, run.number):
            return written
        going.parent.mkdir(exist_ok=True)
        if not (_is_as_it_was(folder, run) and _is_moved(folder, going)):
            mark_out(path, run.number)
            return written if os.path.lexists(folder) else f"Run {run.number} was deleted or packed meanwhile."
        is_same = _is_as_it_was(going, run)
        if is_out(path, run.number) or not is_same:
            mark_out(path, run.number)
            move_unless_there(going, folder)
            if is_same:  # and another one was laid out meanwhile
                shutil.rmtree(going, ignore_errors=True)
            return written
        shutil.rmtree(going)
    except OSError as error:
        raise error if isinstance(error, StoreError) else cannot("remove", folder, error) from error
    return ""


def _is_moved(folder: Path, going: Path) -> bool:
    """Move a folder; False where it is gone. Raises OSError."""
    with suppress(FileNotFoundError):
        folder.rename(going)
        return True
    return False


def _is_as_it_was(folder: Path, run: _Run) -> bool:
    """Whether all in a folder is as it was when it was looked at. Raises StoreError."""
    try:
        return tuple(_tree(folder)) == run.seen
    except OSError:
        if os.path.lexists(folder):
            raise
        return False


def _remove_drafts(store: FolderStore) -> None:
    """Remove what a packing left that was killed."""
    with suppress(OSError):
        for name in names_in(store.layout.packs):
            path = store.layout.packs / name
            if name.startswith(_DRAFT) and path.stat().st_mtime < time.time() - _LEFT_S:
                path.unlink()


# --- taking out -------------------------------------------------------------------------------------------------------


def unpack(store: FolderStore, numbers: Iterable[int]) -> list[int]:
    """
    Give runs that are in packs their folders back; return which those were. Packs that hold no more runs are removed.

    Raises:
        StoreError: The store cannot be written, or of a run not all is in its pack.
    """
    done = [number for number in sorted(set(numbers)) if take_out(store, number)]
    for each in store.packs.all():
        if each.uids and not each.uids.keys() & store.packs.runs().keys():
            with suppress(OSError):
                each.path.unlink()
                shutil.rmtree(each.out)
    if done:
        move_marker(store.layout.root)
    return done


def take_out(store: FolderStore, number: int) -> bool:
    """Give a run its folder back, before it is written to; False when it is in no pack. Raises as `unpack`."""
    layout = store.layout.run(number)
    held = store.packs.holding(number)
    if held is None:
        left = store.packs.leave(number)
        if not left or os.path.lexists(layout.folder):
            return False
        # in this moment a packing, which did not see that this was said, has put the folder away
        held = left[-1]
    try:
        lay_out(held, number, layout.folder, sync=True)
        store.packs.leave(number)
    except OSError as error:
        raise error if isinstance(error, StoreError) else cannot("write", layout.folder, error) from error
    return True
