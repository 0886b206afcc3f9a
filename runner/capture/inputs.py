"""Declared inputs: their digests always, their content when it is small."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from anew.runner.errors import ArtifactError, working_directory
from anew.runner.places import Places
from anew.runner.records import ContentRef
from anew.runner.store.files import digest_of


class Objects(Protocol):
    """A place for content."""

    def put_file(self, path: Path, *, sync: bool = True) -> tuple[str, int]:
        """Keep a file's content; return digest and size."""
        ...


def declare_inputs(path: Path, places: Places, objects: Objects, keep_bytes: int) -> Iterator[ContentRef]:
    """
    Yield the files of an input, a file or a folder, in order of their names.

    Links in a folder are followed, unless to a folder whose files are in the input anyway. What is neither file nor
    folder, such as a pipe, has no content and is left out.

    Args:
        path: As the user gave it.
        places: Say what files are called on record.
        objects: Where content goes.
        keep_bytes: Up to this size a file's content is kept; of a larger one the digest alone.

    Raises:
        ArtifactError: There is no such file or folder, or it cannot be read.
        StoreError: The content cannot be written.
    """
    for file in _files(path):
        status = _status(file)
        if status.st_size <= keep_bytes:
            (sha256, size), kept = objects.put_file(file), True
        else:
            (sha256, size), kept = input_digest(file), False
        yield ContentRef(path=places.name(file), sha256=sha256, size=size, mode=stat.S_IMODE(status.st_mode), kept=kept)


def _files(path: Path) -> list[Path]:
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise ArtifactError(
            f"There is no file or folder {str(path)!r} to use as an input (looked for in {working_directory()})."
        ) from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"The input {str(path)!r} cannot be read: {_why(error)}.") from error
    if stat.S_ISREG(status.st_mode):
        return [path]
    if not stat.S_ISDIR(status.st_mode):
        raise ArtifactError(f"{str(path)!r} is no regular file or folder and cannot be declared as an input.")
    return sorted(_walk(path))


def _walk(folder: Path) -> Iterator[Path]:
    root = os.path.realpath(folder)
    followed: set[str] = set()
    for current, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        folders[:] = [name for name in folders if _leads_on(os.path.join(current, name), root, followed)]
        for name in files:
            file = Path(current, name)
            if stat.S_ISREG(_status(file).st_mode):
                yield file


def _leads_on(path: str, root: str, followed: set[str]) -> bool:
    """Whether a folder is to be gone into: not by a link to where its files are found anyway."""
    if not os.path.islink(path):
        return True
    real = os.path.realpath(path)
    if os.path.commonpath([real, root]) in (real, root) or real in followed:
        return False
    followed.add(real)
    return True


def _status(file: Path) -> os.stat_result:
    try:
        return file.stat()
    except OSError as error:
        raise ArtifactError(f"The input {str(file)!r} cannot be read: {_why(error)}.") from error


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _refuse(error: OSError) -> None:
    raise ArtifactError(f"The input folder {error.filename!r} cannot be read: {error.strerror}.") from error


def input_digest(path: Path) -> tuple[str, int]:
    """Return a file's SHA-256 and its size. Raises ArtifactError."""
    try:
        return digest_of(path)
    except OSError as error:
        raise ArtifactError(f"The input {str(path)!r} cannot be read: {error.strerror}.") from error
