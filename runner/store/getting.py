"""
What a run kept, written into a folder of the user's again.

Names in a record may be anybody's: none of them leads out of that folder, by `..`, from the root or over a link.
Nothing that is there is replaced unless that was asked for; content is compared with its digest before it is written.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from anew.runner.contracts import RunStore
from anew.runner.dataclass import dataclass
from anew.runner.errors import ContentDamagedError, StoreError
from anew.runner.format import ids
from anew.runner.records import ContentRef, Part, RunRecord
from anew.runner.store.contents import intact, is_named, named, not_found
from anew.runner.wording import printable, some

_NAMED = 5
_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Piece:
    """
    One thing to be had back.

    Attributes:
        run: The run's number.
        name: As it is on record, or what is not a file there: "output.log".
        place: Where it goes below the folder: a path of the record, so it may be anything.
        open: Opens its content, compared with its digest. Raises ObjectNotFoundError, StoreError.
        mode: Permission bits.
        link: What it leads to, if it is a link.
    """

    run: int
    name: str
    place: str
    open: Callable[[], BinaryIO]
    mode: int = _MODE
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Kinds:
    """Which parts of a run are wanted."""

    artifacts: bool = False
    source: bool = False
    inputs: bool = False
    output: bool = False
    config: Callable[[RunRecord], str] | None = None


def pieces(store: RunStore, record: RunRecord, names: Sequence[str], kinds: Kinds) -> list[Piece]:
    """
    Return what is wanted of a run, in the order of its record.

    Args:
        store: Where it is.
        record: The whole record.
        names: Of artifacts, source files and inputs; a folder stands for what is in it, and `*` for anything.
        kinds: Which parts; `config` says a configuration as text.

    Raises:
        ArtifactNotFoundError: A name matches nothing; the message lists what there is.
    """
    files: list[tuple[str, ContentRef]] = []
    for is_wanted, below, kept in (
        (kinds.artifacts, "", record.artifacts),
        (kinds.source, "source/", record.source.files),
        (kinds.inputs, "inputs/", record.inputs),
    ):
        files += [(below, file) for file in kept if is_wanted]
    all_files = [file for _, file in files]
    what = "artifact" if kinds.artifacts and not (kinds.source or kinds.inputs) else "such file"
    for name in names:
        if not any(is_named(file.path, name) for file in all_files):
            raise not_found(record, name, all_files, what)
    chosen = {id(file) for file in named(all_files, names)}
    found = [_piece(store, record, below, file) for below, file in files if id(file) in chosen]
    if kinds.output:
        found.append(Piece(record.id or 0, "output.log", "output.log", lambda: _output(store, record)))
    if kinds.config is not None:
        text = kinds.config(record)
        found.append(Piece(record.id or 0, "config.yaml", "config.yaml", lambda: BytesIO(text.encode())))
    return found


def _piece(store: RunStore, record: RunRecord, below: str, file: ContentRef) -> Piece:
    # what lay outside of the project has its whole path below the folder of its kind; an artifact has none outside
    place = f"{below}{file.path.lstrip('/') if below else file.path}"
    mode = (_MODE if file.mode is None else file.mode) & 0o777 | 0o400
    return Piece(record.id or 0, file.path, place, lambda: intact(file, store.open_object), mode, file.link)


def _output(store: RunStore, record: RunRecord) -> BinaryIO:
    """Return what a run printed. Raises ContentDamagedError."""
    for each in record.damage:
        if each.part is Part.OUTPUT:
            raise ContentDamagedError(f"The output of run {record.id} is damaged: {each.what} To see more: anew check")
    return BytesIO("".join(store.output(record.id or record.uid)).encode("utf-8", "backslashreplace"))


def refuse_overwriting(wanted: Sequence[tuple[Path, Piece]]) -> None:
    """Raise StoreError where something is there already, before anything is written."""
    there = [str(place) for folder, piece in wanted for place in _lying(folder, piece)]
    if there:
        raise StoreError(
            f"{some(there, _NAMED)} {'is' if len(there) == 1 else 'are'} there already, and nothing was written. To "
            "replace what is there: --force; to have it elsewhere: --to DIR",
            paths=tuple(there),
        )


def _lying(folder: Path, piece: Piece) -> Iterator[Path]:
    """Yield what lies in the place of a piece."""
    with suppress(StoreError):
        target = place_of(folder, piece)
        if os.path.lexists(target):
            yield target


def place_of(folder: Path, piece: Piece) -> Path:
    """Return where a piece goes. Raises StoreError for a name that leads out of *folder*."""
    parts = PurePosixPath(piece.place).parts
    if not parts or piece.place.startswith("/") or ".." in parts or "\0" in piece.place:
        raise _leads_out(folder, piece, "its name leads out of it")
    target = folder.joinpath(*parts)
    if not _is_below(os.path.realpath(target.parent), folder):
        raise _leads_out(folder, piece, "a link in there leads out of it")
    return target


def _is_below(path: str, folder: Path) -> bool:
    real = os.path.realpath(folder)
    return path == real or path.startswith(os.path.join(real, ""))


def _leads_out(folder: Path, piece: Piece, why: str) -> StoreError:
    return StoreError(
        f"{printable(piece.name)!r} of run {piece.run} is not written into {str(folder)!r}: {why}. To see its content: "
        f"anew get {piece.run} NAME --to -"
    )


def write(folder: Path, piece: Piece, *, force: bool = False) -> Path:
    """
    Write one piece below *folder*; return where it is.

    Args:
        folder: Made when it is missing.
        piece: What to write.
        force: Whether a file that is there gives way.

    Raises:
        ObjectNotFoundError: Its content is missing, or was never kept.
        ContentDamagedError: Its content is not what was recorded.
        StoreError: Its name leads out of the folder, something is there, or it cannot be written.
    """
    target = place_of(folder, piece)
    if os.path.lexists(target) and not force:
        refuse_overwriting([(folder, piece)])
    try:
        if piece.link is not None:
            _make_link(folder, target, piece, piece.link)
            return target
        with piece.open() as content:
            os.makedirs(target.parent, exist_ok=True)
            _copy(content, target, piece.mode)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        # the disk is that of the folder, and not the store's
        hint = "To have it elsewhere: --to DIR; to print it: --to -"
        why = error.strerror or error
        raise StoreError(f"Cannot write {str(target)!r}: {why}. {hint}", path=str(target)) from error
    except ValueError as error:
        raise _leads_out(folder, piece, "there can be no file of that name") from error
    return target


def _copy(content: BinaryIO, target: Path, mode: int) -> None:
    """Write a file, whole or not at all; what was there until then gives way. Raises OSError."""
    beside = target.with_name(f".{ids.new_uid()}")
    try:
        with beside.open("xb") as copy:
            shutil.copyfileobj(content, copy, 1 << 20)
            os.fchmod(copy.fileno(), mode)
        beside.replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            beside.unlink()
        raise


def _make_link(folder: Path, target: Path, piece: Piece, link: str) -> None:
    """Make a link that leads to something in *folder*. Raises OSError, StoreError."""
    leads_to = os.path.realpath(os.path.join(os.path.realpath(target.parent), link))
    if os.path.isabs(link) or not _is_below(leads_to, folder):
        raise _leads_out(folder, piece, f"it is a link to {printable(link)!r}")
    os.makedirs(target.parent, exist_ok=True)
    beside = target.with_name(f".{ids.new_uid()}")
    os.symlink(link, beside)
    try:
        beside.replace(target)
    except OSError:
        beside.unlink()
        raise
