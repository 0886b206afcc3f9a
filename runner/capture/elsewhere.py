"""Modules imported out of folders that are neither the project's nor installed: they are code of the run, too."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from anew.runner.capture.answered import answer_about
from anew.runner.capture.beside import is_left_out
from anew.runner.capture.digests import DigestCache, Unkept
from anew.runner.capture.git import GitError, without_left_out
from anew.runner.capture.keeper import Objects
from anew.runner.capture.loaded import derived
from anew.runner.errors import StoreError
from anew.runner.places import Places, upwards
from anew.runner.records import ContentRef, GitFacts, SourceFacts
from anew.runner.settings import SourceSettings

_INSTALLED = ("site-packages", "dist-packages")
# of an interpreter's own beginning, and ours
_PASSED_OVER = frozenset({"anew", "hydra_plugins", "sitecustomize", "usercustomize"})


# what this process has read of them
_read = DigestCache()


def modules_elsewhere(
    places: Places, objects: Objects, settings: SourceSettings, *, known: frozenset[str] = frozenset()
) -> tuple[ContentRef, ...]:
    """
    Keep and return the files of such modules, by their absolute paths as on record.

    Args:
        places: Where the project was and is.
        objects: Where content goes.
        settings: No more files than its limit are kept, none that is larger, and none that it leaves out.
        known: Names on record of files that are kept already.

    Raises:
        StoreError: The content cannot be written.
    """
    found: dict[str, ContentRef] = {}
    target: Objects = objects if settings.keep == "content" else Unkept()
    for path in _imported(places):
        name = _name(places, path)
        if name in known or name in found or not os.path.isabs(name) or len(found) >= settings.max_files:
            continue
        if is_left_out(name, settings):
            continue
        try:
            status = os.stat(path)
            if status.st_size > settings.max_file_bytes:
                continue
            digest, size = _put(path, status, target)
        except StoreError:
            raise
        except OSError:
            continue
        mode = stat.S_IMODE(status.st_mode)
        found[name] = ContentRef(path=name, sha256=digest, size=size, mode=mode, kept=target is objects)
    return tuple(found[name] for name in sorted(found))


@lru_cache(maxsize=4_096)
def _name(places: Places, path: str) -> str:
    """Return what a file is called on record; asked once in a process, which loaded it from there."""
    return places.name(Path(path))


def _put(path: str, status: os.stat_result, target: Objects) -> tuple[str, int]:
    """Keep a file; return its digest and size. One that has not changed since this process read it is not read."""
    known = _read.known(path, status)
    if known is not None and target.touch_all((known[0],)):
        return known[0], status.st_size
    read_at_ns = _read.now_ns()
    data = Path(path).read_bytes()
    digest = target.put_bytes(data, sync=False)
    _read.remember(path, status, digest, False, read_at_ns)
    _read.entries[path] = _read.used.get(path, [])
    return digest, len(data)


def with_elsewhere(source: SourceFacts, places: Places, objects: Objects, settings: SourceSettings) -> SourceFacts:
    """Return the facts of a project's source with such modules, and the states of their repositories."""
    files = modules_elsewhere(places, objects, settings)
    if not files:
        return source
    return replace(source, files=(*source.files, *files), repositories=repositories_of(files, settings))


def repositories_of(
    files: Iterable[ContentRef], settings: SourceSettings, *, known: Collection[str] = ()
) -> dict[str, GitFacts]:
    """
    Return the states of the repositories that such modules lie in, by their folders: of libraries installed in place.

    Args:
        files: The modules.
        settings: What it leaves out is left out of diffs, too.
        known: Folders that are not asked about.
    """
    folders = {folder for file in files if (folder := _repository(file.path)) is not None}
    found: dict[str, GitFacts] = {}
    for folder in sorted(folders.difference(known)):
        # what git does not tell of another's repository is no reason to say anything of this run
        with suppress(GitError):
            if (listing := answer_about(Path(folder))) is not None:
                found[folder] = without_left_out(listing.facts, partial(_is_left_out, folder, settings))
    return found


def _repository(path: str) -> str | None:
    """Return the folder of the repository that a module lies in; None for one in none."""
    folders = upwards(os.path.dirname(path)) if os.path.isabs(path) else ()
    return next((each for each in folders if os.path.exists(os.path.join(each, ".git"))), None)


def _is_left_out(folder: str, settings: SourceSettings, path: str) -> bool:
    return settings.keep == "digest" or is_left_out(f"{folder}/{path}", settings)


def _imported(places: Places) -> tuple[str, ...]:
    folders = sorted({sys.prefix, sys.base_prefix, str(places.project), str(places.root)})
    own = tuple(f"{path}{os.sep}" for path in folders)
    return derived(("elsewhere", own), lambda modules: tuple(_outside(own, modules)))


def _outside(own: tuple[str, ...], modules: Iterable[tuple[str, Any, bool]]) -> Iterator[str]:
    for name, file, is_module in modules:
        if name.partition(".")[0] in _PASSED_OVER or not is_module:
            continue
        if not isinstance(file, str) or not os.path.isabs(file) or not file.endswith(".py"):
            continue
        path = os.path.normpath(file)
        if not path.startswith(own) and not any(each in path for each in _INSTALLED):
            yield path
