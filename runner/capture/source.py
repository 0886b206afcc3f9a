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
import stat
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Protocol

from anew.runner.capture.answered import known_answer, remember_answer
from anew.runner.capture.beside import PYTHON_SUFFIXES, belongs, is_left_out
from anew.runner.capture.digests import DigestCache, Unkept
from anew.runner.capture.git import GitError, is_in_repository, query, without_left_out
from anew.runner.capture.modules import as_loaded, imported_files, place_of
from anew.runner.capture.written import WrittenFiles
from anew.runner.dataclass import dataclass
from anew.runner.errors import StoreError
from anew.runner.format.secret_forms import seems_secret
from anew.runner.places import is_marked
from anew.runner.records import ContentRef, SourceFacts
from anew.runner.settings import SourceSettings
from anew.runner.store.reading import is_store
from anew.runner.wording import some

CONFIG_SUFFIXES = frozenset({".yaml", ".yml", ".toml", ".json", ".cfg", ".ini", ".gin", ".jsonnet", ".txt"})
# beside a script in a folder of all kinds of things, texts and JSON may be anything: passwords, other people's records
_SURE_SUFFIXES = CONFIG_SUFFIXES - {".json", ".txt"}
_NAMES = frozenset({"requirements.txt", "Makefile", "Dockerfile", "Pipfile", "Snakefile", "uv.lock", "poetry.lock"})
_MOST_WALKED = 50_000
# a kind of files that are no code, and not sure to be configuration, is data when there are more of it below a folder
_MOST_OF_A_KIND = 500
_ANYTHING = 2
_MOST_LOST = 100


class Objects(Protocol):
    """A place for content."""

    def put_bytes(self, data: bytes, *, sync: bool = True) -> str:
        """Keep content; return its digest."""
        ...

    def touch(self, sha256: str) -> bool:
        """Mark content as used, so that a purge under way spares it; return whether it is here."""
        ...


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
        keeper = self._kept(objects, settings, exclude)
        if self._asked is None and self._listing is not None and keeper.has_read:
            self._ask()
            keeper = self._kept(objects, settings, exclude)
        listing = self._listing
        if self._asked is not None and listing is not None:
            remember_answer(self._root, listing, self._asked, keeper.files)
        notes = [self._note] if self._note else []
        notes += [*(listing.notes if listing is not None else ()), *keeper.limits()]
        self.news = (*notes, *(keeper.secrets() if keeper.new_secret else ()))
        return SourceFacts(
            root=str(self._root),
            method="git" if listing is not None else "imports",
            git=without_left_out(listing.facts, keeper.is_uncopied) if listing is not None else None,
            files=tuple(keeper.files[path] for path in sorted(keeper.files)),
            notes=(*notes, *keeper.secrets()),
            lost=tuple(keeper.lost[:_MOST_LOST]),
        )

    def _kept(self, objects: Objects, settings: SourceSettings, exclude: tuple[Path, ...]) -> _Keeper:
        written = WrittenFiles(self._cache.parent, self._root)
        target = _kept_in(objects, settings)
        keeper = _Keeper(self._root, target, settings, exclude, DigestCache.load(self._cache), written)
        for path, text in self._made.items():
            keeper.take_text(path, text)
        programs = (place_of(str(self._root), file) for file in self._programs)
        keeper.take((*imported_files(self._root), *(each for each in programs if each is not None)), is_code=True)
        keeper.take(_in_order(self._found(keeper)))
        keeper.take_as_loaded()
        keeper.cache.save(self._cache)
        return keeper

    def _found(self, keeper: _Keeper) -> Iterator[str]:
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
    known = {file.path for file in facts.files}
    added = [path for path in imported_files(root) if path not in known]
    if not added:
        return ()
    keeper = _Keeper(root, _kept_in(objects, settings), settings, exclude, DigestCache(), WrittenFiles(root, root))
    keeper.take(added, is_code=True)
    return tuple(keeper.files[path] for path in sorted(keeper.files))


def added_text(path: str, text: str, root: Path, objects: Objects, settings: SourceSettings) -> tuple[ContentRef, ...]:
    """Keep and return source that lies in no file, under the *path* that it has in the project. Raises StoreError."""
    keeper = _Keeper(root, _kept_in(objects, settings), settings, (), DigestCache(), WrittenFiles(root, root))
    keeper.take_text(path, text)
    return tuple(keeper.files.values())


# --- which files ------------------------------------------------------------------------------------------------


def _is_source(path: str) -> bool:
    name = path.rpartition("/")[2]
    return os.path.splitext(name)[1] in PYTHON_SUFFIXES | CONFIG_SUFFIXES or name in _NAMES


def _walk(folder: Path, keeper: _Keeper, suffixes: frozenset[str]) -> Iterator[str]:
    """Yield files with one of *suffixes* below *folder*, relative to the root; not in hidden or foreign folders."""
    seen, level = 0, [str(folder)]
    while level:
        listed = [entries for path in level if (entries := next(os.walk(path), None)) is not None]
        level = []
        # where a limit is reached, it is in the depth, and in the fullest folder
        for current, folders, files in sorted(listed, key=lambda entries: len(entries[2])):
            level += [os.path.join(current, name) for name in sorted(folders) if _belongs_here(current, name, keeper)]
            for name in sorted(files):
                seen += 1
                if seen > _MOST_WALKED:
                    keeper.unwalked.append(str(folder))
                    return
                if os.path.splitext(name)[1] in suffixes or name in _NAMES:
                    yield os.path.relpath(os.path.join(current, name), keeper.root).replace(os.sep, "/")


def _belongs_here(parent: str, name: str, keeper: _Keeper) -> bool:
    # a link to a folder is not gone into: it may lead in a circle
    return not os.path.islink(os.path.join(parent, name)) and belongs(parent, name, keeper.excluded)


# --- keeping them -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Keeper:
    """Keeps files within the limits and counts what was left out, by reason."""

    root: Path
    objects: Objects
    settings: SourceSettings
    exclude: tuple[Path, ...]
    cache: DigestCache
    written: WrittenFiles
    stores: dict[str, bool] = field(default_factory=dict)
    files: dict[str, ContentRef] = field(default_factory=dict)
    total: int = 0
    large: list[str] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    unwalked: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    leading_out: list[str] = field(default_factory=list)
    secret: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)
    new_secret: bool = False
    has_read: bool = False

    @property
    def keeps(self) -> bool:
        """Whether content is kept, and not digests alone."""
        return self.settings.keep == "content"

    @property
    def excluded(self) -> frozenset[str]:
        return frozenset(str(path) for path in self.exclude)

    def take(self, paths: Iterable[str], *, is_code: bool = False) -> None:
        """Keep files; of code that was imported the content, also where a link leads out to it."""
        prefixes = tuple(f"{os.path.relpath(path, self.root)}/" for path in self.exclude)
        for path in paths:
            is_known = path in self.files and not (is_code and self.files[path].link is not None)
            if is_known or path.startswith(prefixes or "\0") or (not is_code and self.is_made(path)):
                continue
            if self.is_left_out(path):
                self.hidden += [path] * is_code
                continue
            try:
                self._take(path, is_code)
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                continue
            except StoreError:
                raise
            except OSError:
                self.unreadable.append(path)

    def take_text(self, path: str, text: str) -> None:
        """Keep source that lies in no file."""
        if self.is_left_out(path):
            self.hidden.append(path)
            return
        data = text.encode("utf-8", "surrogatepass")
        if seems_secret(data):
            self.secret.append(path)
            self.new_secret = True
        self.files[path] = ContentRef(
            path=path, sha256=self.objects.put_bytes(data, sync=False), size=len(data), mode=0o644, kept=self.keeps
        )

    def take_as_loaded(self) -> None:
        """Take of modules whose files have changed since they were loaded what runs, as far as it is to be had."""
        for path, file in as_loaded(self.root, self.files).items():
            if self.objects.touch(file.sha256):
                self.files[path] = file
                self.loaded.append(path)
            else:
                self.unlike.append(path)

    def is_hydras(self, path: str) -> bool:
        """Whether a file is what Hydra wrote of a job or a sweep, by its path in the project."""
        *folders, name = path.split("/")
        if ".hydra" in folders:
            return True
        if name != "multirun.yaml":
            return False
        with suppress(OSError), open(f"{self.root}/{path}", "rb") as file:
            return file.read(64).startswith(b"hydra:\n  run:\n    dir: ")
        return False

    def is_made(self, path: str) -> bool:
        """Whether a file, by its path in the project, is as a run left it, or lies in a store of runs."""
        folder = path.rpartition("/")[0]
        if folder and folder not in self.stores:
            self.stores[folder] = is_store(self.root / folder) or self.is_made(folder)
        return self.stores.get(folder, False) or self.written.has(path)

    def is_no_source(self, path: str) -> bool:
        """Whether a file is left out, or was made by a run and is no code that was imported."""
        return self.is_left_out(path) or (path not in self.files and self.is_made(path))

    def is_uncopied(self, path: str) -> bool:
        """Whether nothing of a file goes on record, as in a diff: it is no source, or no source is copied."""
        return not self.keeps or self.is_no_source(path)

    def is_left_out(self, path: str) -> bool:
        """Whether the settings leave a file out, by its path in the project."""
        return is_left_out(path, self.settings)

    def _take(self, path: str, is_code: bool) -> None:
        full = f"{self.root}/{path}"
        status = os.lstat(full)
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(full)
            is_inside = os.path.realpath(full).startswith(f"{os.path.realpath(self.root)}{os.sep}")
            if not (is_inside and os.path.isabs(target)) and not (is_code and not is_inside):
                self._take_link(path, target)
                if not is_inside:
                    self.leading_out.append(path)
                return
            status = os.stat(full)
        if not stat.S_ISREG(status.st_mode):
            return
        limits = self.settings
        is_many = len(self.files) >= limits.max_files and not is_code
        if status.st_size > (limits.max_total_bytes if is_code else limits.max_file_bytes):
            self.large.append(path)
        elif is_many or self.total + status.st_size > limits.max_total_bytes:
            self.beyond.append(path)
        else:
            self._keep(full, path, status)

    def _keep(self, full: str, path: str, status: os.stat_result) -> None:
        self.total += status.st_size
        self.files[path] = self._kept(full, path, status)

    def _take_link(self, path: str, target: str) -> None:
        data = os.fsencode(target)
        digest = self.objects.put_bytes(data, sync=False)
        self.files[path] = ContentRef(path=path, sha256=digest, size=len(data), link=target, kept=self.keeps)

    def _kept(self, full: str, path: str, status: os.stat_result) -> ContentRef:
        known = self.cache.known(full, status)
        if known is not None and self.objects.touch(known[0]):
            (digest, secret), size = known, status.st_size
        else:
            read_at_ns = self.cache.now_ns()
            with open(full, "rb") as file:
                data = file.read()
            digest = self.objects.put_bytes(data, sync=False)
            secret, size = seems_secret(data), len(data)
            self.new_secret |= secret and not _is_test(path)
            self.has_read = True
            self.cache.remember(full, status, digest, secret, read_at_ns)
        if secret:
            self.secret.append(path)
        return ContentRef(path=path, sha256=digest, size=size, mode=stat.S_IMODE(status.st_mode), kept=self.keeps)

    def limits(self) -> list[str]:
        limit = self.settings
        found = []
        if self.large:
            found.append(
                f"{_named(self.large)} larger than anew.source.max_file_bytes={limit.max_file_bytes} "
                "and not kept as source."
            )
        if self.beyond:
            found.append(
                f"{len(self.beyond)} source files are beyond anew.source.max_files={limit.max_files} or "
                f"anew.source.max_total_bytes={limit.max_total_bytes} and were not kept."
            )
        if self.lost:
            found.append(f"{_named(self.lost)} code: whatever imports it will fail when the run is run again.")
        found += [f"Below {folder!r} only the first {_MOST_WALKED} files were looked at." for folder in self.unwalked]
        outside = [path for path in self.leading_out if self.files[path].link is not None]
        if outside:
            found.append(
                f"{_named(outside)} linked to what lies outside of the project, and kept as links: a re-run finds "
                "there what is there then."
            )
        if self.loaded:
            found.append(f"{_named(self.loaded)} kept as loaded: edited since, and not loaded again by this process.")
        if self.unlike:
            found.append(
                f"{_named(self.unlike)} not as loaded: edited since, and what this process runs is not in the store."
            )
        if self.unreadable:
            found.append(f"{_named(self.unreadable)} unreadable and not kept as source.")
        return found

    @property
    def lost(self) -> list[str]:
        """Code that was left out: what a limit or the settings leave out of what was imported, or could be."""
        code = [path for path in (*self.large, *self.beyond) if path.endswith(".py")]
        return list(dict.fromkeys((*self.hidden, *code)))

    def secrets(self) -> list[str]:
        if not (self.secret and self.keeps):
            return []
        return [
            f"{_named(self.secret)} kept as source, with what looks like a secret inside; to leave such files out: "
            "anew.source.exclude=[PATTERN]"
        ]


def _is_test(path: str) -> bool:
    """Whether a file is one of tests, whose secrets are made up: on record, but no news at every start."""
    *folders, name = PurePosixPath(path).parts
    return bool({"test", "tests"} & {*folders}) or name.startswith("test_")


def _named(paths: list[str]) -> str:
    return f"{some([repr(path) for path in paths])} {'is' if len(paths) == 1 else 'are'}"


def cache_file(folder: Path, root: Path) -> Path:
    """Return the file in *folder* that remembers the digests of the project at *root*."""
    return folder / f"source-{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.json"
