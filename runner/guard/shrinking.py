"""
Long journals of a run that has ended, compressed: the process that the guard starts for it, and what it does.

A journal stays what it was until its compressed form is complete, synced, and compared with it byte by byte; that then
gets its name, and from there on counts before the journal, which is removed. Killed at any instant, one of the two is
there, or both. The standard library has to do.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import BinaryIO

from anew.runner.guard.gzipped import BLOCK, SUFFIX, Gzipped, compress
from anew.runner.guard.journal_ends import LONG_BYTES, journal_ends, journal_seals
from anew.runner.guard.reserve import sync_folder
from anew.runner.guard.store_format import WITH_COMPRESSED, raise_format
from anew.runner.kernel.door import is_held, nameless_file

_MAIN = "main"
_JOURNAL = ".jsonl"
_MOST_OUTCOME_BYTES = 1 << 26
_NICE = 19


def main(words: Sequence[str]) -> None:
    """Compress what there is to be of the run in the folder that *words* name, when nothing else wants to be done."""
    with suppress(OSError):
        os.nice(_NICE)
    shrink(words[0])


def shrink(folder: str) -> list[str]:
    """
    Compress the long journals of a run that has ended; return which. Safe beside readers, and beside another one.

    Left as they are: those whose end is not what the outcome says, and those of children that may still write. Never
    raises on account of the files.

    Args:
        folder: The run's, in its store.
    """
    done = []
    events = os.path.join(folder, "events")
    for writer in _whole(folder, events):
        path = os.path.join(events, f"{writer}{_JOURNAL}")
        with suppress(OSError, ValueError):
            # main's is closed when its run has ended; a child may outlive that
            if (writer == _MAIN or not is_held(path)) and _shrink(path, os.path.dirname(folder)):
                done.append(writer)
    return done


def _whole(folder: str, events: str) -> list[str]:
    """Return the writers whose journals end as the run's outcome says."""
    try:
        with open(os.path.join(folder, "outcome.json"), "rb") as file:
            outcome = json.loads(file.read(_MOST_OUTCOME_BYTES))
        expected = outcome["writers"], outcome["seals"]
    except (OSError, ValueError, LookupError, TypeError):
        return []
    ends = journal_ends(events)
    seals = journal_seals(events, ends)
    return [
        writer
        for writer, last in ends.items()
        if all(isinstance(each, dict) for each in expected)
        and expected[0].get(writer) == last
        and expected[1].get(writer, "") == seals.get(writer)
    ]


def _shrink(path: str, store: str) -> bool:
    """Compress one journal; return whether it is. Raises OSError, ValueError where it, or the store, is odd."""
    target = f"{path}{SUFFIX}"
    with _opened(path) as source:
        before = os.fstat(source.fileno())
        # what has holes may be of any length
        if before.st_size < LONG_BYTES or before.st_blocks * 512 < before.st_size // 2:
            return False
        if not os.path.lexists(target):
            _write(source, before, target, store)
        else:
            # whoever wrote it was killed before the journal was removed
            with _opened(target) as file:
                if not _are_same(source, file):
                    return False
        _refuse_changed(source, before)
    os.unlink(path)
    return True


def _refuse_changed(source: BinaryIO, before: os.stat_result) -> None:
    """Raise OSError where a file is not as long and as old any more as it was."""
    now = os.fstat(source.fileno())
    if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise OSError("it was written to meanwhile")


def _opened(path: str) -> BinaryIO:
    """Open a regular file, and nothing else. Raises OSError."""
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC), "rb", buffering=0)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(f"{path!r} is no regular file")
    return file


def _write(source: BinaryIO, status: os.stat_result, target: str, store: str) -> None:
    """Give a journal's compressed form its name, once it is there and what it is to be. Raises OSError, ValueError."""
    events = os.path.dirname(target)
    with _draft(events) as (file, path):
        compress(source, file)
        file.flush()
        os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode))
        os.utime(file.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fsync(file.fileno())
        if not _are_same(source, file):
            raise OSError(f"{target!r} is not what was written")
        raise_format(store, WITH_COMPRESSED)
        _refuse_changed(source, status)
        _link(path, target)
    sync_folder(events)


def _link(path: str, target: str) -> None:
    """Give a file a further name; one without any is reached by a link, which is followed. Raises OSError."""
    folder = os.open(os.path.dirname(target), os.O_RDONLY | os.O_CLOEXEC)
    try:
        # without a descriptor Python calls link(2), which follows none
        os.link(path, target, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


@contextmanager
def _draft(folder: str) -> Iterator[tuple[BinaryIO, str]]:
    """Give a new file, and what it is linked from; nothing of it stays. Raises OSError."""
    nameless = nameless_file(folder)
    if nameless is not None:
        with os.fdopen(nameless[0], "w+b") as file:
            yield file, nameless[1]
        return
    path = os.path.join(folder, f".shrinking-{os.getpid()}")
    with open(path, "x+b") as file:
        try:
            yield file, path
        finally:
            os.unlink(path)


def _are_same(source: BinaryIO, compressed: BinaryIO) -> bool:
    """Whether a compressed form holds a journal, byte by byte. Raises OSError."""
    source.seek(0)
    found = Gzipped(os.fdopen(os.dup(compressed.fileno()), "rb", buffering=0))
    with found:
        while block := source.read(BLOCK):
            if found.read(len(block)) != block:
                return False
        return not found.read(1) and not found.flaws
