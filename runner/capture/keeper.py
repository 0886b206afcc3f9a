"""Keeping the files of a project: which of those that are offered, and of these what they hold."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import field
from pathlib import Path, PurePosixPath
from typing import Protocol

from anew.runner.capture.beside import is_left_out
from anew.runner.capture.digests import DigestCache
from anew.runner.capture.modules import as_loaded
from anew.runner.capture.states import Seen
from anew.runner.capture.written import WrittenFiles
from anew.runner.dataclass import dataclass
from anew.runner.errors import StoreError
from anew.runner.format.secret_forms import seems_secret
from anew.runner.records import ContentRef
from anew.runner.settings import SourceSettings
from anew.runner.store.format_file import is_store
from anew.runner.wording import some


class Objects(Protocol):
    """A place for content."""

    def put_bytes(self, data: bytes, *, sync: bool = True) -> str:
        """Keep content; return its digest."""
        ...

    def touch(self, sha256: str) -> bool:
        """Mark content as used, so that a purge under way spares it; return whether it is here."""
        ...

    def touch_all(self, digests: tuple[str, ...]) -> bool:
        """Mark contents as used, those again that were just now excepted; return whether all are here."""
        ...


@dataclass(slots=True)
class Keeper:
    """Keeps files within the limits, counts what was left out, by reason, and knows what all that was told by."""

    root: Path
    objects: Objects
    settings: SourceSettings
    exclude: tuple[Path, ...]
    cache: DigestCache
    written: WrittenFiles
    seen: Seen = field(default_factory=Seen)
    foreign: list[tuple[str, str]] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    stores: dict[str, bool] = field(default_factory=dict)
    files: dict[str, ContentRef] = field(default_factory=dict)
    total: int = 0
    large: list[str] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    unwalked: list[tuple[str, int]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    leading_out: list[str] = field(default_factory=list)
    secret: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)
    as_found: Mapping[str, ContentRef] = field(default_factory=dict)
    as_loaded: Mapping[str, ContentRef] = field(default_factory=dict)
    new_secret: bool = False
    has_read: bool = False

    @property
    def keeps(self) -> bool:
        """Whether content is kept, and not digests alone."""
        return self.settings.keep == "content"

    @property
    def excluded(self) -> frozenset[str]:
        """The folders that are no source, as `belongs` takes them."""
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
        self.as_found = dict(self.files)
        self.as_loaded = as_loaded(self.root, self.as_found)
        for path, file in self.as_loaded.items():
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
        self.seen.look(f"{self.root}/{path}")
        with suppress(OSError), open(f"{self.root}/{path}", "rb") as file:
            return file.read(64).startswith(b"hydra:\n  run:\n    dir: ")
        return False

    def is_made(self, path: str) -> bool:
        """Whether a file, by its path in the project, is as a run left it, or lies in a store of runs."""
        folder = path.rpartition("/")[0]
        if folder and folder not in self.stores:
            self.seen.look(f"{self.root}/{folder}")
            self.seen.look(f"{self.root}/{folder}/FORMAT")
            self.stores[folder] = is_store(self.root / folder) or self.is_made(folder)
        if self.stores.get(folder, False):
            return True
        self.asked.add(path)
        if not self.written.has(path):
            return False
        self.made.add(path)
        return True

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
        status = self.seen.look(full)
        if status is None:
            return
        if stat.S_ISLNK(status.st_mode):
            self.seen.look_through(full)
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
        """Return what was left out, and what is not as it lies there, in sentences."""
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
        found += [f"Below {folder!r} only the first {most} files were looked at." for folder, most in self.unwalked]
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
        """Return which files seem to hold a secret, in a sentence; nothing where no content is kept."""
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
