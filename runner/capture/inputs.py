"""Declared inputs: their digests always, their content when it is small."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from anew.runner.errors import ArtifactError
from anew.runner.records import ContentRef

_BLOCK = 1 << 20


class Objects(Protocol):
    """A place for content."""

    def put_file(self, path: Path, *, sync: bool = True) -> tuple[str, int]:
        """Keep a file's content; return digest and size."""
        ...


def declare_inputs(path: Path, root: Path, objects: Objects, keep_bytes: int) -> Iterator[ContentRef]:
    """
    Yield the files of an input, a file or a folder, in order of their names.

    Args:
        path: As the user gave it.
        root: The project's root; paths inside it are recorded relative to it.
        objects: Where content goes.
        keep_bytes: Up to this size a file's content is kept; of a larger one the digest alone.

    Raises:
        ArtifactError: There is no such file or folder, or it cannot be read.
        StoreError: The content cannot be written.
    """
    for file in _files(path):
        status = file.stat()
        if status.st_size <= keep_bytes:
            sha256, size = objects.put_file(file)
            kept = True
        else:
            sha256, size, kept = _digest(file), status.st_size, False
        yield ContentRef(
            path=_named(file, root), sha256=sha256, size=size, mode=stat.S_IMODE(status.st_mode), kept=kept
        )


def _files(path: Path) -> list[Path]:
    try:
        status = path.stat()
    except OSError as error:
        why = "There is no file or folder" if isinstance(error, FileNotFoundError) else f"{error.strerror}:"
        raise ArtifactError(f"{why} {str(path)!r} to use as an input (looked for in {Path.cwd()}).") from error
    if stat.S_ISREG(status.st_mode):
        return [path]
    if not stat.S_ISDIR(status.st_mode):
        raise ArtifactError(f"{str(path)!r} is no regular file or folder and cannot be declared as an input.")
    found = []
    for current, folders, files in os.walk(path, onerror=_refuse):
        folders.sort()
        found += [Path(current, name) for name in sorted(files) if Path(current, name).is_file()]
    return found


def _refuse(error: OSError) -> None:
    raise ArtifactError(f"The input folder {error.filename!r} cannot be read: {error.strerror}.") from error


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise ArtifactError(f"The input {str(path)!r} cannot be read: {error.strerror}.") from error
    return digest.hexdigest()


def _named(path: Path, root: Path) -> str:
    full = path.absolute()
    for base in (root, root.resolve()):
        if full.is_relative_to(base):
            return full.relative_to(base).as_posix()
    return str(full)
