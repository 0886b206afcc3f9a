"""
The files of the project that a run can reach.

In a git repository: what git tracks, and Python and configuration files that it neither tracks nor ignores. In another
folder that is marked as a project: its Python and configuration files. Elsewhere, where anything may lie beside the
script: the modules imported from below its folder, and what can only be configuration there. Modules imported from
below the root are always among them, ignored or not, also those imported while main runs. A link that leads out of the
project is kept as a link: what it leads to is not the project's. A module that was imported by one is the exception.

Data is no source: files that may be anything, and are there by the hundred below a folder. Of the rest limits leave out
what lies in large numbers: imported modules are kept first, however many and large, then code, then configuration.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from anew.runner.capture.answered import known_answer, remember_answer
from anew.runner.capture.beside import PYTHON_SUFFIXES, belongs, is_passed_over
from anew.runner.capture.digests import DigestCache, Unkept
from anew.runner.capture.git import GitError, is_in_repository, query, without_left_out
from anew.runner.capture.held import held, hold, paths_of
from anew.runner.capture.keeper import Keeper, Objects
from anew.runner.capture.modules import imported_files, place_of
from anew.runner.capture.written import WrittenFiles
from anew.runner.places import is_marked
from anew.runner.records import ContentRef, SourceFacts
from anew.runner.settings import SourceSettings

CONFIG_SUFFIXES = frozenset({".yaml", ".yml", ".toml", ".json", ".cfg", ".ini", ".gin", ".jsonnet", ".txt"})
# beside a script in a folder of all kinds of things, texts and JSON may be anything: passwords, other people's records
_SURE_SUFFIXES = CONFIG_SUFFIXES - {".json", ".txt"}
_NAMES = frozenset({"requirements.txt", "Makefile", "Dockerfile", "Pipfile", "Snakefile", "uv.lock", "poetry.lock"})
_MOST_WALKED = 50_000
# a kind of files that are no code, and not sure to be configuration, is data when there are more of it below a folder
_MOST_OF_A_KIND = 500
_ANYTHING = 2
_MOST_LOST = 100


class SourceScan:
    """
    A scan under way. Git is asked in a thread, so that its answer costs nothing while the configuration is composed.

    What git answered a moment ago is used again, unless something has changed since: many short runs of one process do
    not ask each time.

    Args:
        root: The project's root.
        cache: A file that remembers digests by size and times of files; it may be missing or damaged.
        programs: Files that were started, which need be no module's.
        made: Source that lies in no file: the path in the project that it is kept as -> text.

    Attributes:
        news: Those of the notes found that should be said aloud: not, each time anew, that a file that has not changed
            seems to hold a secret.
    """

    def __init__(
        self,
        root: Path,
        cache: Path,
        programs: Iterable[str] = (),
        made: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.news: tuple[str, ...] = ()
        self._made = made
        self._root = root
        self._programs = tuple(programs)
        self._cache = cache
        self._note: str | None = None
        self._asked: tuple[float, int] | None = None
        self._thread: threading.Thread | None = None
        self._listing = known_answer(root)
        if self._listing is None and is_in_repository(root):
            self._thread = threading.Thread(target=self._ask, name="anew-git", daemon=True)
            self._thread.start()

    def _ask(self) -> None:
        self._asked = time.monotonic(), time.time_ns()
        try:
            self._listing = query(self._root)
        except GitError as error:
            self._listing = None
            self._note = f"The source was not listed by git, since {error}; imported modules were kept instead."

    def finish(self, objects: Objects, settings: SourceSettings, *, exclude: tuple[Path, ...] = ()) -> SourceFacts:
        """
        Keep the content of the files found, and return what they are.

        Args:
            objects: Where content goes.
            settings: Limits and globs to leave out.
            exclude: Folders that are no source, such as the store's.

        Raises:
            StoreError: The content cannot be written.
        """
        if self._thread is not None:
            self._thread.join()
        target, latest = _kept_in(objects, settings), held(self._root)
        written = WrittenFiles(self._cache.parent, self._root)
        if latest is not None and latest.holds(self._depends_on(settings, exclude), target, written):
            self._remember_answer(latest.keeper)
            self.news = latest.notes
            return latest.facts
        looked_ns = DigestCache.now_ns()
        keeper = self._kept(target, settings, exclude, written)
        if self._asked is None and self._listing is not None and keeper.has_read:
            self._ask()
            looked_ns = DigestCache.now_ns()
            keeper = self._kept(target, settings, exclude, written)
        self._remember_answer(keeper)
        notes = (*self._notes(), *keeper.limits())
        facts = self._facts(keeper, notes)
        self.news = (*notes, *(keeper.secrets() if keeper.new_secret else ()))
        hold(self._depends_on(settings, exclude), facts, notes, keeper, looked_ns)
        return facts

    def _depends_on(self, settings: SourceSettings, exclude: tuple[Path, ...]) -> tuple[Any, ...]:
        """Return all that a list of source depends on beside the project's files."""
        modules = imported_files(self._root)
        return settings, exclude, self._programs, self._made, self._note, modules, self._listing

    def _remember_answer(self, keeper: Keeper) -> None:
        if self._asked is not None and self._listing is not None:
            remember_answer(self._root, self._listing, self._asked, keeper.files)

    def _notes(self) -> tuple[str, ...]:
        own = (self._note,) if self._note else ()
        return own if self._listing is None else (*own, *self._listing.notes)

    def _facts(self, keeper: Keeper, notes: tuple[str, ...]) -> SourceFacts:
        listing = self._listing
        return SourceFacts(
            root=str(self._root),
            method="git" if listing is not None else "imports",
            git=without_left_out(listing.facts, keeper.is_uncopied) if listing is not None else None,
            files=tuple(keeper.files[path] for path in sorted(keeper.files)),
            notes=(*notes, *keeper.secrets()),
            lost=tuple(keeper.lost[:_MOST_LOST]),
        )

    def _kept(
        self, target: Objects, settings: SourceSettings, exclude: tuple[Path, ...], written: WrittenFiles
    ) -> Keeper:
        keeper = Keeper(self._root, target, settings, exclude, DigestCache.load(self._cache), written)
        for path, text in self._made.items():
            keeper.take_text(path, text)
        programs = (place_of(str(self._root), file) for file in self._programs)
        keeper.take((*imported_files(self._root), *(each for each in programs if each is not None)), is_code=True)
        keeper.take(_in_order(self._found(keeper)))
        keeper.take_as_loaded()
        keeper.cache.save(self._cache)
        return keeper

    def _found(self, keeper: Keeper) -> Iterator[str]:
        listing = self._listing
        if listing is None:
            # a folder that is marked as a project holds nothing else; scripts that main starts are among its files
            suffixes = CONFIG_SUFFIXES | PYTHON_SUFFIXES if is_marked(self._root) else _SURE_SUFFIXES
            yield from (path for path in _walk(self._root, keeper, suffixes) if not keeper.is_hydras(path))
            return
        yield from listing.tracked
        yield from (path for path in listing.untracked if _is_source(path) and not keeper.is_hydras(path))
        for submodule in listing.submodules:
            yield from _walk(self._root / submodule, keeper, PYTHON_SUFFIXES | CONFIG_SUFFIXES)


def _in_order(paths: Iterable[str]) -> list[str]:
    """Return files by how likely a run reaches them, without data: what main opens of that is an input."""
    found = [(path, path.partition("/")[0], *os.path.split(path)) for path in dict.fromkeys(paths)]
    kinds = [os.path.splitext(name)[1] for *_, name in found]
    below = Counter((top, kind) for (_, top, *_), kind in zip(found, kinds, strict=True) if kind)
    beside = Counter((folder, kind) for (*_, folder, _), kind in zip(found, kinds, strict=True))
    ranked = [
        # what lies in the root itself is below no folder
        (_rank(name, kind), below[top, kind] if folder else beside[folder, kind], beside[folder, kind], path)
        for (path, top, folder, name), kind in zip(found, kinds, strict=True)
    ]
    return [path for rank, many, _, path in sorted(ranked) if rank < _ANYTHING or many <= _MOST_OF_A_KIND]


def _rank(name: str, kind: str) -> int:
    if kind in PYTHON_SUFFIXES or name in _NAMES:
        return 0
    return 1 if kind in _SURE_SUFFIXES else _ANYTHING if kind in CONFIG_SUFFIXES else _ANYTHING + 1


def _kept_in(objects: Objects, settings: SourceSettings) -> Objects:
    return objects if settings.keep == "content" else Unkept()


def added_modules(
    facts: SourceFacts, root: Path, objects: Objects, settings: SourceSettings, *, exclude: tuple[Path, ...] = ()
) -> tuple[ContentRef, ...]:
    """Keep and return modules below *root* that were imported since *facts* were captured. Raises StoreError."""
    known = paths_of(facts)
    added = [path for path in imported_files(root) if path not in known]
    if not added:
        return ()
    keeper = Keeper(root, _kept_in(objects, settings), settings, exclude, DigestCache(), WrittenFiles(root, root))
    keeper.take(added, is_code=True)
    return tuple(keeper.files[path] for path in sorted(keeper.files))


def added_text(path: str, text: str, root: Path, objects: Objects, settings: SourceSettings) -> tuple[ContentRef, ...]:
    """Keep and return source that lies in no file, under the *path* that it has in the project. Raises StoreError."""
    keeper = Keeper(root, _kept_in(objects, settings), settings, (), DigestCache(), WrittenFiles(root, root))
    keeper.take_text(path, text)
    return tuple(keeper.files.values())


# --- which files ------------------------------------------------------------------------------------------------


def _is_source(path: str) -> bool:
    name = path.rpartition("/")[2]
    return os.path.splitext(name)[1] in PYTHON_SUFFIXES | CONFIG_SUFFIXES or name in _NAMES


def _walk(folder: Path, keeper: Keeper, suffixes: frozenset[str]) -> Iterator[str]:
    """Yield files with one of *suffixes* below *folder*, relative to the root; not in hidden or foreign folders."""
    seen, level = 0, [str(folder)]
    while level:
        listed = [entries for path in level if (entries := _listed(path, keeper)) is not None]
        level = []
        # where a limit is reached, it is in the depth, and in the fullest folder
        for current, folders, files in sorted(listed, key=lambda entries: len(entries[2])):
            level += [os.path.join(current, name) for name in sorted(folders) if _belongs_here(current, name, keeper)]
            for name in sorted(files):
                seen += 1
                if seen > _MOST_WALKED:
                    keeper.unwalked.append((str(folder), _MOST_WALKED))
                    return
                if os.path.splitext(name)[1] in suffixes or name in _NAMES:
                    yield os.path.relpath(os.path.join(current, name), keeper.root).replace(os.sep, "/")


def _belongs_here(parent: str, name: str, keeper: Keeper) -> bool:
    if is_passed_over(name):
        return False
    # a link to a folder is not gone into: it may lead in a circle
    if os.path.islink(os.path.join(parent, name)):
        return False
    is_here = belongs(parent, name, keeper.excluded)
    if not is_here:
        keeper.foreign.append((parent, name))
    return is_here


def _listed(folder: str, keeper: Keeper) -> tuple[str, list[str], list[str]] | None:
    keeper.seen.look(folder)
    return next(os.walk(folder), None)


@lru_cache(maxsize=64)
def cache_file(folder: Path, root: Path) -> Path:
    """Return the file in *folder* that remembers the digests of the project at *root*."""
    return folder / f"source-{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.json"
