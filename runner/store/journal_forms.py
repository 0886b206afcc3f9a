"""
The two forms that a journal lies in: lines, and the same lines compressed once its run has ended (`guard/gzipped`).

A journal is named by its path as lines, whichever form it has. Where there are both, the compressed one counts: it got
its name when it was complete, and what stands beside it is about to be removed, or an older copy's.
"""

from __future__ import annotations

import io
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from anew.runner.guard.gzipped import SUFFIX, Gzipped
from anew.runner.guard.holes import next_data
from anew.runner.lazy.patterns import regexp
from anew.runner.store.files import leads_out, names_in, open_regular
from anew.runner.store.paths import RunLayout

State = tuple[int, ...]
"""Size in bytes, when inode and content changed last, in nanoseconds, and the inode of the file that is read."""
_IS_JOURNAL = regexp(r"[^.].*\.jsonl(?:\.gz)?", re.DOTALL).fullmatch


def forms(path: Path) -> tuple[Path, Path]:
    """Return where a journal lies when it is compressed, and as lines."""
    return path.with_name(path.name + SUFFIX), path


def journals(layout: RunLayout) -> list[Path]:
    """Return the run's journals, in order of their names; none where their folder is none, a link, or unreadable."""
    return [layout.events / name for name in journal_names(layout)]


def journal_names(layout: RunLayout) -> list[str]:
    """Return the names of these alone."""
    with suppress(OSError):
        if not leads_out(layout.events):
            return sorted({name.removesuffix(SUFFIX) for name in names_in(layout.events) if _IS_JOURNAL(name)})
    return []


def open_journal(path: Path, *, buffering: int = 0) -> BinaryIO:
    """
    Open a journal for reading, as lines, whichever form it has.

    Raises:
        OSError: It cannot be read, or is no regular file.
    """
    compressed, lines = forms(path)
    # it may get its other form at any moment
    for _ in range(2):
        with suppress(FileNotFoundError):
            return _inflated(compressed, buffering)
        with suppress(FileNotFoundError):
            return open_regular(lines, buffering=buffering)
    return open_regular(lines, buffering=buffering)


def _inflated(path: Path, buffering: int) -> BinaryIO:
    file = Gzipped(open_regular(path))
    return cast("BinaryIO", io.BufferedReader(file, buffering) if buffering else file)


def status_of(path: Path) -> os.stat_result:
    """Return the status of the file that a journal is read from, no link followed. Raises OSError."""
    compressed, lines = forms(path)
    for _ in range(2):
        for form in (compressed, lines):
            with suppress(FileNotFoundError):
                return form.lstat()
    return lines.lstat()


def state_of(path: Path) -> State:
    """Return what a journal is, while which is the same it is as it was, once its run has ended. Raises OSError."""
    status = status_of(path)
    return status.st_size, status.st_ctime_ns, status.st_mtime_ns, status.st_ino


def is_there(path: Path) -> bool:
    """Whether a journal lies there, in any form, or anything else under its name."""
    with suppress(OSError):
        status_of(path)
        return True
    return False


def lies_in(path: Path) -> Path:
    """Return which form of a journal is read; as lines where there is none."""
    compressed, lines = forms(path)
    return compressed if os.path.lexists(compressed) else lines


def length_of(file: BinaryIO) -> int:
    """Return how many bytes an open journal has, as lines. Raises OSError."""
    raw = getattr(file, "raw", file)
    return raw.length if isinstance(raw, Gzipped) else os.fstat(file.fileno()).st_size


def next_bytes(file: BinaryIO, offset: int) -> int:
    """As `next_data`, of an open journal."""
    raw = getattr(file, "raw", file)
    return offset if isinstance(raw, Gzipped) else next_data(file.fileno(), offset)


def found_flaws(file: BinaryIO) -> dict[int, str]:
    """Return what of an open journal was found to be damaged since this was asked last: where, and a sentence."""
    raw = getattr(file, "raw", file)
    if not isinstance(raw, Gzipped):
        return {}
    found, raw.flaws = raw.flaws, {}
    return found
