"""
What git answered about a folder, used again for as long as nothing that the answer is made of has changed.

That is told by `stat` alone: of the repository's own files (where HEAD is, its branch, the index, what it ignores), of
the folders where files come and go, also of those that are empty yet, and of those files that nobody else looks at.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from anew.runner.capture.git import GitError, Listing, open_folders, query
from anew.runner.capture.states import Seen, state
from anew.runner.dataclass import dataclass

# what is not seen, such as settings of the user's, is noticed after this at the latest
_RECENT_S = 2.0
# of so many folders without a file none is looked at
_MOST_EMPTY = 500


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer, when it was asked for, and the files that it is made of."""

    listing: Listing
    asked_s: float
    seen: Seen


class _TooManyError(Exception):
    """There is too much to be looked at each time."""


# by folder, and by whether others look at some of its files
_answers: dict[tuple[Path, bool], _Answer] = {}
_asked_before: set[Path] = set()


def answer_about(folder: Path) -> Listing | None:
    """
    Return what git answers about a folder that nothing else looks at, as `query` does.

    From the second time on it is remembered: whoever asks once is not to pay for what saves time later.

    Raises:
        GitError: As `query`.
    """
    if (known := known_answer(folder, is_shared=False)) is not None:
        return known
    asked = time.monotonic(), time.time_ns()
    listing = query(folder)
    if listing is not None and folder in _asked_before:
        remember_answer(folder, listing, asked)
    _asked_before.add(folder)
    return listing


def known_answer(root: Path, *, is_shared: bool = True) -> Listing | None:
    """
    Return what git answered about a folder a moment ago, unless something has changed since. Safe in threads.

    Args:
        root: The folder.
        is_shared: Whether its source files are looked at by who asks.
    """
    answer = _answers.get((root, is_shared))
    if answer is None or time.monotonic() - answer.asked_s >= _RECENT_S:
        return None
    return answer.listing if answer.seen.are_same() else None


def remember_answer(
    root: Path, listing: Listing, asked: tuple[float, int], looked_at: Iterable[str] | None = None
) -> None:
    """
    Remember an answer, unless something may have changed while it was given.

    Args:
        root: The folder that was asked about.
        listing: The answer.
        asked: When, by the monotonic clock in seconds, and in nanoseconds since 1970.
        looked_at: Files, relative to the folder, that are compared with what they were by others; None where nobody
            does that.
    """
    key = root, looked_at is not None
    _answers.pop(key, None)
    if listing.submodules:
        return  # each has a HEAD and an index of its own
    asked_s, asked_ns = asked
    try:
        seen = Seen({path: state(path) for path in _made_of(root, listing, frozenset(looked_at or ()))})
    except (GitError, _TooManyError):
        return
    if seen.are_settled(asked_ns):
        _answers[key] = _Answer(listing, asked_s, seen)


def _made_of(root: Path, listing: Listing, looked_at: frozenset[str]) -> Iterator[str]:
    yield from _own_files(root)
    files = (*listing.tracked, *listing.untracked)
    folders = {""}
    for path in files:
        folder = path.rpartition("/")[0]
        while folder not in folders:  # also those above: a folder that comes has a name in one of them
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    yield from (f"{root}/{folder}" for folder in folders)
    yield from (f"{root}/{path}" for path in files if path not in looked_at)
    empty: list[str] = []
    for folder in folders:
        inside = f"{folder}/" if folder else ""
        names = [name for name in _folders_in(f"{root}/{folder}") if f"{inside}{name}" not in folders]
        empty += [f"{inside}{name}" for name in names]
        # one that ignores itself is in no listing
        yield f"{root}/{inside}.gitignore"
    if len(empty) > _MOST_EMPTY:
        raise _TooManyError
    yield from _of_empty(root, open_folders(root, empty) if empty else [])


def _of_empty(root: Path, folders: list[str]) -> Iterator[str]:
    """Yield what tells of the first file in folders without one, at any depth. Raises _TooManyError."""
    waiting, left = [*folders], _MOST_EMPTY
    while waiting:
        folder = f"{root}/{waiting.pop()}"
        left -= 1
        if left < 0:
            raise _TooManyError
        yield f"{folder}/.gitignore"
        if not _ignores_all(_text(Path(folder, ".gitignore"))):
            yield folder
            waiting += [os.path.relpath(f"{folder}/{name}", root) for name in _folders_in(folder)]


def _folders_in(folder: str) -> list[str]:
    """Return the names of the folders in one, but for those whose files come with them."""
    try:
        with os.scandir(folder) as entries:
            found = [each.name for each in entries if each.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [name for name in found if name not in (".git", "__pycache__")]


def _ignores_all(text: str) -> bool:
    """Whether a folder whose .gitignore says this, as that of a store does, has no file that counts."""
    lines = text.split("\n")
    return "*" in lines and not any(line.startswith("!") for line in lines)


def _own_files(root: Path) -> Iterator[str]:
    """Yield the files of a repository that an answer is made of, wherever it keeps them."""
    top = next((folder for folder in (root, *root.parents) if os.path.lexists(folder / ".git")), root)
    for folder in (root, *root.parents):
        yield f"{folder}/.git"
        if folder != root:
            yield f"{folder}/.gitignore"
        if folder == top:
            break
    own = top / ".git"
    if own.is_file():  # of a further working tree, or of a submodule
        own = top / _text(own).removeprefix("gitdir:").strip()
    common = own / (_text(own / "commondir").strip() or ".")
    head = _text(own / "HEAD")
    yield from (f"{own}/{name}" for name in ("HEAD", "index", "logs/HEAD", "config.worktree"))
    yield from (f"{common}/{name}" for name in ("config", "packed-refs", "info/exclude", "reftable/tables.list"))
    if head.startswith("ref: "):
        yield f"{common}/{head.removeprefix('ref: ').strip()}"


def _text(path: Path) -> str:
    with suppress(OSError, ValueError):
        return path.read_text("utf-8", "surrogateescape")
    return ""
