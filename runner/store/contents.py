"""Content on its way out of a store: found by its name, and handed over only when it is what the record says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from anew.runner.attached.unread import reader_of, unread
from anew.runner.errors import ArtifactNotFoundError, ContentDamagedError, ObjectNotFoundError
from anew.runner.records import ContentRef, RunRecord
from anew.runner.wording import closest, printable, some

_BLOCK = 1 << 20
_NAMED = 20


def intact(file: ContentRef, open_object: Callable[[str], BinaryIO]) -> BinaryIO:
    """
    Open content that has been read once, and has the digest on record.

    Raises:
        ObjectNotFoundError: The store does not hold it, or it was never kept.
        ContentDamagedError: It is something else.
        StoreError: It cannot be read.
    """
    if not file.kept:
        raise ObjectNotFoundError(
            f"Of {printable(file.path)!r} the digest alone was recorded, and its content was not kept.",
            sha256=file.sha256,
        )
    digest = hashlib.sha256()
    with open_object(file.sha256) as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != file.sha256:
        raise ContentDamagedError(
            f"The content of {printable(file.path)!r} is damaged: its digest is no longer {file.sha256[:12]}. To see "
            "what else is: anew check --deep",
            sha256=file.sha256,
        )
    return open_object(file.sha256)


def bind(record: RunRecord, open_object: Callable[[str], BinaryIO]) -> RunRecord:
    """Return a record, whose inputs and artifacts can be opened from now on."""

    def opener(file: ContentRef) -> BinaryIO:
        return intact(file, open_object)

    def set_in(files: Iterable[ContentRef]) -> None:
        for file in files:
            # the one thing about it that is set later; no field, and so neither compared nor kept
            object.__setattr__(file, "_opener", opener)

    if (reader := reader_of(record)) is None:
        set_in((*record.artifacts, *record.inputs))
        return record

    def read(name: str) -> Mapping[str, Any]:
        values = reader(name)
        set_in((*values.get("artifacts", ()), *values.get("inputs", ())))
        return values

    # of its own for each who asks: what they may do to its configuration is nobody else's
    return unread(RunRecord, read)


def named(files: Iterable[ContentRef], patterns: Sequence[str]) -> list[ContentRef]:
    """Return the files that are named, or below a folder that is; all of them without a pattern."""
    return [file for file in files if not patterns or any(is_named(file.path, each) for each in patterns)]


def is_named(path: str, pattern: str) -> bool:
    """Whether a pattern names a file, or a folder that it is in."""
    pattern = pattern.rstrip("/") or pattern
    places = (path, *map(str, PurePosixPath(path).parents[:-1])) if not path.startswith("/") else (path,)
    return any(place == pattern or fnmatchcase(place, pattern) for place in places)


def artifact_of(record: RunRecord, name: str) -> ContentRef:
    """Return a run's artifact by its whole name. Raises ArtifactNotFoundError."""
    for artifact in record.artifacts:
        if artifact.path == name:
            return artifact
    raise not_found(record, name, record.artifacts)


def not_found(
    record: RunRecord, name: str, files: Sequence[ContentRef], what: str = "artifact"
) -> ArtifactNotFoundError:
    """Return the error that says what there is instead."""
    names = [file.path for file in files]
    near = closest(name, names)
    has = f"it has: {some([printable(each) for each in names], _NAMED)}" if names else "it has none"
    hint = f" Did you mean {near!r}?" if near else ""
    return ArtifactNotFoundError(
        f"Run {record.id} has no {what} {name!r}; {has}.{hint} To see them: anew show {record.id}",
        ref=record.id,
        name=name,
        candidates=tuple(names),
    )
