"""Recorded files, laid out again in a folder of their own: the source byte for byte, and inputs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from anew.runner.dataclass import dataclass
from anew.runner.errors import ObjectNotFoundError, RefusedError, RerunError, StoreError
from anew.runner.places import Places
from anew.runner.records import ContentRef, SourceFacts
from anew.runner.store.files import digest_of
from anew.runner.store.objects import ObjectStore
from anew.runner.wording import some

_NAMED = 5
# the time of change of what has no content on record, and was not changed since
_NEVER = 0


@dataclass(frozen=True, slots=True)
class InputState:
    """
    How a recorded input is found today.

    Attributes:
        ref: As on record.
        now: Today's digest; None when the file is not there, or unreadable.
        restored: Whether main finds the recorded content, whatever today's is.
    """

    ref: ContentRef
    now: str | None
    restored: bool


def lay_out_source(
    source: SourceFacts,
    places: Places,
    objects: ObjectStore,
    *,
    ref: int | None,
    what: str = "run",
    again: str,
) -> int:
    """
    Lay out the recorded source in the mirror: contents, modes and links; return how many files are today's.

    Those are files that are on record by their digests alone, and that are today what they were.

    Args:
        source: As on record.
        places: Where the project was, and where the mirror is.
        objects: The contents.
        ref: The number of what is to be run again.
        what: What that is: "run", or "sweep".
        again: The command that runs today's source.

    Raises:
        RerunError: Content is missing, and which files need it; files that are known by their digests alone are
            others today, or gone; or a path leads out of the project.
        RefusedError: Content is there, and is not what was recorded.
        StoreError: The disk is full, or cannot be written.
    """
    lost: list[str] = []
    replaced: list[str] = []
    changed: list[str] = []
    todays = 0
    project = places.project
    folders: set[str] = set()
    for file in source.files:
        target = _elsewhere(places, file.path) if os.path.isabs(file.path) else _inside(project, file.path)
        folder = os.path.dirname(target)
        if folder not in folders:
            os.makedirs(folder, exist_ok=True)
            folders.add(folder)
        try:
            if file.link is not None:
                os.symlink(_target_of(file.link, file.path, places), target)
            elif file.kept or objects.has(file.sha256):
                objects.lay_out(file.sha256, Path(target), mode=file.mode)
            elif _lay_out_todays(file, places.root / file.path, Path(target)):
                todays += 1
            else:
                changed.append(file.path)
        except (ObjectNotFoundError, StoreError) as error:
            if isinstance(error, StoreError) and isinstance(error.__cause__, OSError):
                raise
            (replaced if isinstance(error, StoreError) else lost).append(f"{file.path} ({file.sha256[:12]})")
    if replaced:
        raise RefusedError(
            f"In the store stands something else for {some(replaced, _NAMED)} than {what} {ref} was recorded with: it "
            f"is damaged, or was replaced, and is not run. To see what is damaged: anew check --deep. To run today's "
            f"source with the recorded configuration: {again}",
            ref=ref,
        )
    if lost:
        raise RerunError(
            f"The recorded source of {what} {ref} is not whole: the content of {some(lost, _NAMED)} is missing from "
            f"the store. To run today's source with the recorded configuration: "
            f"{again}",
            files=tuple(lost),
        )
    if changed:
        raise RerunError(
            f"The source of {what} {ref} is on record by its digests alone (anew.source.keep=digest), and cannot be "
            f"restored: changed since, or gone: {some(changed, _NAMED)}. Bring back what was there, such as by git "
            f"checkout. To run today's source with the recorded configuration: {again}",
            files=tuple(changed),
        )
    return todays


def _lay_out_todays(file: ContentRef, origin: Path, target: Path) -> bool:
    """Copy today's file; return whether it is the recorded one, by the digest of what was copied."""
    try:
        data = origin.read_bytes()
    except OSError:
        return False
    if sha256(data).hexdigest() != file.sha256:
        return False
    target.write_bytes(data)
    target.chmod(0o644 if file.mode is None else file.mode)
    return True


def lay_out_beside(source: SourceFacts, inputs: Iterable[ContentRef], places: Places) -> None:
    """
    Lay out the names of what else lay in the project: folders, and files of the recorded size without their content.

    Inputs are left out, also those that could not be put back: they are to be missed.

    Raises:
        RerunError: A path leads out of the project.
        OSError: That cannot be written.
    """
    known = {ref.path for ref in inputs}
    for folder in source.beside:
        if folder.path != os.curdir:
            os.makedirs(_inside(places.project, folder.path), exist_ok=True)
        for name, size in zip(folder.names, folder.sizes, strict=False):
            path = os.path.normpath(f"{folder.path}/{name}")
            full = _inside(places.project, path)
            if path not in known and not os.path.lexists(full):
                with open(full, "xb") as file, suppress(OSError):
                    file.truncate(size)  # a hole, which not every place can have
                os.utime(full, ns=(_NEVER, _NEVER))


def _target_of(link: str, path: str, places: Places) -> str:
    """Return where a link is to lead: as it did; but out of the project to what is there today, at its own place."""
    full = os.path.normpath(os.path.join(os.path.dirname(f"{places.root}/{path}"), link))
    is_inside = f"{full}/".startswith(f"{places.root}/")
    return link if os.path.isabs(link) or is_inside else full


def _elsewhere(places: Places, path: str) -> str:
    """Return where a module from outside of the project lies in the mirror. Raises RerunError."""
    target = places.mirrored(Path(path))
    if Path(path).is_relative_to(places.root) or not _is_in_mirror(target, places):
        raise RerunError(f"The record names a source file {path!r}, which leads out of the laid-out files.")
    return str(target)


def _inside(root: Path, path: str) -> str:
    """Return where a recorded path lies below *root*, which it must not leave. Raises RerunError."""
    target = os.path.normpath(f"{root}/{path}")
    parent = os.path.realpath(os.path.dirname(target))
    real = os.path.realpath(root)
    if os.path.isabs(path) or not (target.startswith(f"{root}/") and f"{parent}/".startswith(f"{real}/")):
        raise RerunError(
            f"The record names a source file {path!r}, which leads out of the project. It is not laid out."
        )
    return target


# --- inputs -------------------------------------------------------------------------------------------------------


def restore_inputs(inputs: Iterable[ContentRef], places: Places, objects: ObjectStore) -> list[InputState]:
    """
    Look at each recorded input, and put back the content of those that changed, where the store has it.

    In a mirrored project all of its inputs are put in place: from the store, or else as a link to today's file. Those
    outside are linked from the mirror, for relative paths that lead to them.

    Raises:
        StoreError: The disk is full, or cannot be written.
    """
    return [_restore(ref, places, objects) for ref in inputs]


def _restore(ref: ContentRef, places: Places, objects: ObjectStore) -> InputState:
    origin = Path(ref.path) if os.path.isabs(ref.path) else places.root / ref.path
    now = digest(origin)
    target = places.mirrored(origin)
    if not _is_in_mirror(target, places):
        return InputState(ref, now, now == ref.sha256)
    if os.path.lexists(target):
        # the source holds it; what main read may have been another state of it
        if digest(target) == ref.sha256:
            return InputState(ref, now, True)
        target.unlink()
    changed = now != ref.sha256
    wanted = changed or (places.moved and not os.path.isabs(ref.path))
    if wanted and ref.kept and objects.verify(ref.sha256):
        objects.lay_out(ref.sha256, target, mode=ref.mode)
        return InputState(ref, now, True)
    if places.moved and now is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(origin)
    return InputState(ref, now, not changed)


def _is_in_mirror(target: Path, places: Places) -> bool:
    """Whether a file written at *target* lies in the mirror: a record's paths and links may lead anywhere."""
    if places.mirror is None or ".." in target.parts:
        return False
    return Path(os.path.realpath(target.parent)).is_relative_to(os.path.realpath(places.mirror))


def digest(path: Path) -> str | None:
    """Return a file's SHA-256, None when it cannot be read."""
    try:
        return digest_of(path)[0]
    except OSError:
        return None


# --- what main left -----------------------------------------------------------------------------------------------


def files_made(places: Places, known: Iterable[str]) -> Iterator[Path]:
    """Yield the files that main wrote into the laid-out project, relative to it."""
    known = set(known)
    for current, folders, files in os.walk(places.project):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in files:
            path = Path(current, name)
            relative = path.relative_to(places.project)
            if relative.as_posix() not in known and not path.is_symlink() and path.stat().st_mtime_ns != _NEVER:
                yield relative
