"""
What lies in a project beside its source: the names of its folders and files, and how large these are.

Programs list folders, look whether a file is there and how large it is, and write into folders that they find: none of
that opens a file. A re-run lays the same names out, and puts content where there is some on record.
"""

from __future__ import annotations

import fnmatch
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from anew.runner.capture.states import State, are_settled, state
from anew.runner.dataclass import dataclass
from anew.runner.places import Places, is_marked
from anew.runner.records import ContentRef, FolderFacts, SourceFacts
from anew.runner.settings import SourceSettings
from anew.runner.store.format_file import is_store

T = TypeVar("T")
PYTHON_SUFFIXES = frozenset({".py", ".pyi", ".pyx", ".ipynb", ".sh"})
_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "outputs", "multirun", "site-packages", "build", "dist"})
# an environment, another repository, what is left of a store of runs
_FOREIGN = (("pyvenv.cfg",), ("conda-meta",), (".git",), ("objects", "sha256"))
_MOST_NAMES = 2_000
# beside a script in a folder of all kinds of things, what lies there by the hundred is none of the run's business
_MOST_UNMARKED = 200
_MOST_WALKED = 20_000


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder as it lies there, and what is said of it on record but for the sizes."""

    folder: str
    path: str
    names: tuple[str, ...]
    more: int

    def facts(self) -> FolderFacts:
        """Return the folder with the sizes that its files have now, without those that are gone meanwhile."""
        sizes = {name: size for name in self.names if (size := _size(f"{self.folder}/{name}")) is not None}
        return FolderFacts(path=self.path, names=tuple(sizes), sizes=tuple(sizes.values()), more=self.more)


@dataclass(frozen=True, slots=True)
class _Listing:
    """The names in a folder: of folders, and of files that are not hidden."""

    folders: tuple[str, ...]
    files: tuple[str, ...]


# what was made of a project's names last, and of what
_latest: dict[tuple[str, Path], tuple[tuple[Any, ...], Any]] = {}
# a folder -> what it was like, and the names in it
_listings: dict[str, tuple[State, _Listing]] = {}
# a folder that is a project's own -> what it was like
_own: dict[str, State] = {}
_MOST_KEPT = 20_000


def folders_beside(
    root: Path, source: tuple[ContentRef, ...], *, exclude: Collection[Path], settings: SourceSettings
) -> tuple[FolderFacts, ...]:
    """
    Return the folders of a project with the files in them that are no source, up to a number of names.

    Folders with few files come first; of one that is beyond the limit the folder alone is returned. Safe between
    threads.

    Args:
        root: The project's root.
        source: Its source.
        exclude: Folders that do not count, such as the store's.
        settings: What they leave out is left out here, too.
    """
    listed = list(_walk(str(root), exclude))
    folders: tuple[_Folder, ...] = _made_of(
        ("beside", root),
        (settings, is_marked(root), source, listed),
        lambda: _folders(root, {file.path for file in source}, listed, settings),
    )
    return tuple(each.facts() for each in folders)


def _made_of(key: tuple[str, Path], parts: tuple[Any, ...], make: Callable[[], T]) -> T:
    """Return what is made of some parts, made anew only where they are others than the last time."""
    latest = _latest.get(key)
    if latest is None or latest[0] != parts:
        _latest[key] = latest = parts, make()
    found: T = latest[1]
    return found


def _folders(
    root: Path, source: Collection[str], listed: Iterable[tuple[str, _Listing]], settings: SourceSettings
) -> tuple[_Folder, ...]:
    left = _MOST_NAMES if is_marked(root) else _MOST_UNMARKED
    found = []
    for folder, listing in sorted(listed, key=lambda each: len(each[1].files)):
        path = os.path.relpath(folder, root).replace(os.sep, "/")
        inside = "" if path == os.curdir else f"{path}/"
        names = tuple(name for name in listing.files if _is_beside(f"{inside}{name}", source, settings))
        is_whole = len(names) <= left
        if not is_whole and not is_marked(root):
            continue
        left -= len(names) if is_whole else 0
        listed_names = names if is_whole else ()
        found.append(_Folder(folder, path, listed_names, len(names) - len(listed_names)))
    return tuple(sorted(found, key=lambda each: each.path))


def unseen_files(
    places: Places, roots: Iterable[Path], source: SourceFacts, exclude: Collection[Path]
) -> Iterator[str]:
    """
    Yield the files that may be used past Python: of the project, which are no source, and below some folders.

    In a re-run, too, what lies today where there was something on record: an absolute path leads there.
    """
    for root in (places.project, *roots):
        listed = list(_walk(str(root), exclude))
        yield from _made_of(
            ("unseen", root),
            (places.project, source.files, listed),
            partial(_no_source, str(places.project), source.files, listed),
        )
    if places.moved:
        for each in source.beside:
            yield from (os.path.normpath(places.root / each.path / name) for name in each.names)


def _no_source(project: str, source: Iterable[ContentRef], listed: Iterable[tuple[str, _Listing]]) -> tuple[str, ...]:
    known = {f"{project}/{file.path}" for file in source}
    return tuple(
        path for folder, listing in listed for name in listing.files if (path := f"{folder}/{name}") not in known
    )


def _is_beside(path: str, source: Collection[str], settings: SourceSettings) -> bool:
    # code that is not on record is to be missed by whoever imports it
    return path not in source and os.path.splitext(path)[1] not in PYTHON_SUFFIXES and not is_left_out(path, settings)


def _walk(root: str, exclude: Collection[Path] = ()) -> Iterator[tuple[str, _Listing]]:
    """
    Yield each folder at and below *root* with the names in it, those near the root first.

    Not hidden ones, none of an environment, of another repository, or of a store; only so many files are looked at.
    """
    excluded = frozenset(str(path) for path in exclude)
    seen, level = 0, [root]
    while level:
        below: list[str] = []
        for folder in level:
            listing = _listed(folder)
            seen += len(listing.files)
            if seen > _MOST_WALKED:
                return
            below += [f"{folder}/{name}" for name in listing.folders if _is_own(folder, name, excluded)]
            yield folder, listing
        level = below


def _listed(folder: str) -> _Listing:
    """Return the names in a folder, which is listed anew only where it has changed."""
    now, known = state(folder), _listings.get(folder)
    if known is not None and known[0] == now:
        return known[1]
    looked_ns, has_links = time.time_ns(), False
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                has_links = has_links or entry.is_symlink()
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif entry.name[0] != "." and entry.is_file():
                    files.append(entry.name)
    except OSError:
        has_links = True  # one that cannot be read, or is gone meanwhile
    listing = _Listing(tuple(sorted(folders)), tuple(sorted(files)))
    # what a link leads to comes and goes without it
    if now is not None and not has_links and are_settled((now,), looked_ns):
        _keep(_listings, folder, (now, listing))
    return listing


def _is_own(parent: str, name: str, excluded: frozenset[str]) -> bool:
    """Whether a folder belongs to a project, as `belongs`, which is asked anew only where the folder has changed."""
    path = f"{parent}/{name}"
    if is_passed_over(name) or path in excluded:
        return False
    now, looked_ns = state(path), time.time_ns()
    if now is not None and _own.get(path) == now:
        return True
    is_own = belongs(parent, name, excluded)
    # what these two hold says more than that they are there
    is_plain = not any(os.path.lexists(f"{path}/{each}") for each in ("FORMAT", "objects"))
    if is_own and is_plain and are_settled((now,), looked_ns):
        _keep(_own, path, now)
    return is_own


def _keep(kept: dict[str, T], path: str, value: T) -> None:
    if len(kept) >= _MOST_KEPT:
        kept.clear()
    kept[path] = value


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def is_left_out(path: str, settings: SourceSettings) -> bool:
    """Whether the settings leave a file out, by its path in the project."""
    return any(
        fnmatch.fnmatch(path, pattern) or fnmatch.fnmatch(path, f"{pattern.rstrip('/')}/*")
        for pattern in settings.exclude
    )


def is_passed_over(name: str) -> bool:
    """Whether a folder's name alone says that it is none of the project's own."""
    return name.startswith(".") or name in _SKIPPED_FOLDERS


def belongs(parent: str, name: str, excluded: frozenset[str]) -> bool:
    """Whether a folder may be the project's own: no hidden, made or foreign one."""
    if is_passed_over(name):
        return False
    path = os.path.join(parent, name)
    if path in excluded or any(os.path.exists(os.path.join(path, *mark)) for mark in _FOREIGN):
        return False
    return not os.path.lexists(os.path.join(path, "FORMAT")) or not is_store(Path(path))
