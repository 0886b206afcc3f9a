"""
What lies in a project beside its source: the names of its folders and files, and how large these are.

Programs list folders, look whether a file is there and how large it is, and write into folders that they find: none of
that opens a file. A re-run lays the same names out, and puts content where there is some on record.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from anew.runner.places import Places, is_marked
from anew.runner.records import FolderFacts, SourceFacts
from anew.runner.settings import SourceSettings
from anew.runner.store.reading import is_store

PYTHON_SUFFIXES = frozenset({".py", ".pyi", ".pyx", ".ipynb", ".sh"})
_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "outputs", "multirun", "site-packages", "build", "dist"})
# an environment, another repository, what is left of a store of runs
_FOREIGN = (("pyvenv.cfg",), ("conda-meta",), (".git",), ("objects", "sha256"))
_MOST_NAMES = 2_000
# beside a script in a folder of all kinds of things, what lies there by the hundred is none of the run's business
_MOST_UNMARKED = 200
_MOST_WALKED = 20_000


def folders_beside(
    root: Path, source: Collection[str], *, exclude: Collection[Path], settings: SourceSettings
) -> tuple[FolderFacts, ...]:
    """
    Return the folders of a project with the files in them that are no source, up to a number of names.

    Folders with few files come first; of one that is beyond the limit the folder alone is returned.

    Args:
        root: The project's root.
        source: Paths of its source files, relative to the root.
        exclude: Folders that do not count, such as the store's.
        settings: What they leave out is left out here, too.
    """
    left = _MOST_NAMES if is_marked(root) else _MOST_UNMARKED
    known, found = set(source), []
    for folder, files in sorted(walk(str(root), exclude), key=lambda each: len(each[1])):
        path = os.path.relpath(folder, root).replace(os.sep, "/")
        inside = "" if path == os.curdir else f"{path}/"
        named = [(name, size) for name, size in files if _is_beside(f"{inside}{name}", known, settings)]
        is_whole = len(named) <= left
        if not is_whole and not is_marked(root):
            continue
        left -= len(named) if is_whole else 0
        listed = named if is_whole else []
        found.append(
            FolderFacts(
                path=path,
                names=tuple(name for name, _ in listed),
                sizes=tuple(size for _, size in listed),
                more=len(named) - len(listed),
            )
        )
    return tuple(sorted(found, key=lambda each: each.path))


def unseen_files(
    places: Places, roots: Iterable[Path], source: SourceFacts, exclude: Collection[Path]
) -> Iterator[str]:
    """
    Yield the files that may be used past Python: of the project, which are no source, and below some folders.

    In a re-run, too, what lies today where there was something on record: an absolute path leads there.
    """
    known = {f"{places.project}/{file.path}" for file in source.files}
    for root in (places.project, *roots):
        for folder, files in walk(str(root), exclude):
            yield from (path for name, _ in files if (path := f"{folder}/{name}") not in known)
    if places.moved:
        for each in source.beside:
            yield from (os.path.normpath(places.root / each.path / name) for name in each.names)


def _is_beside(path: str, source: Collection[str], settings: SourceSettings) -> bool:
    # code that is not on record is to be missed by whoever imports it
    return path not in source and os.path.splitext(path)[1] not in PYTHON_SUFFIXES and not is_left_out(path, settings)


def walk(root: str, exclude: Collection[Path] = ()) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """
    Yield each folder at and below *root* with the names and sizes of its files, those near the root first.

    Not hidden ones, none of an environment, of another repository, or of a store; only so many files are looked at.
    """
    excluded = frozenset(str(path) for path in exclude)
    seen, level = 0, [root]
    while level:
        below: list[str] = []
        for folder in level:
            folders, files = _listed(folder)
            seen += len(files)
            if seen > _MOST_WALKED:
                return
            below += [f"{folder}/{name}" for name in folders if belongs(folder, name, excluded)]
            yield folder, files
        level = below


def _listed(folder: str) -> tuple[list[str], list[tuple[str, int]]]:
    folders: list[str] = []
    files: list[tuple[str, int]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif entry.name[0] != "." and entry.is_file():
                    files.append((entry.name, entry.stat().st_size))
    except OSError:
        pass  # one that cannot be read, or is gone meanwhile
    return sorted(folders), sorted(files)


def is_left_out(path: str, settings: SourceSettings) -> bool:
    """Whether the settings leave a file out, by its path in the project."""
    return any(
        fnmatch.fnmatch(path, pattern) or fnmatch.fnmatch(path, f"{pattern.rstrip('/')}/*")
        for pattern in settings.exclude
    )


def belongs(parent: str, name: str, excluded: frozenset[str]) -> bool:
    """Whether a folder may be the project's own: no hidden, made or foreign one."""
    if name.startswith(".") or name in _SKIPPED_FOLDERS:
        return False
    path = os.path.join(parent, name)
    if path in excluded or any(os.path.exists(os.path.join(path, *mark)) for mark in _FOREIGN):
        return False
    return not os.path.lexists(os.path.join(path, "FORMAT")) or not is_store(Path(path))
