"""A folder of a re-run's own, outside of any project, that does not stay behind."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from anew.runner.dataclass import dataclass
from anew.runner.errors import RerunError
from anew.runner.format import ids
from anew.runner.places import cache_folder


@dataclass(frozen=True, slots=True)
class Sandbox:
    """
    A folder that is in use.

    Attributes:
        folder: Without links in its path.
        lock: A descriptor that holds the folder as long as any process has it open.
    """

    folder: Path
    lock: int


@contextmanager
def sandbox(keep: bool, tell: Callable[[str], object]) -> Iterator[Sandbox]:
    """
    Give a new folder, and remove it afterwards unless it is to be kept; remove those of killed re-runs, too.

    Raises:
        RerunError: It cannot be made.
    """
    parent = cache_folder() / "reruns"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_orphans(parent)
        lock_file = parent / f"{ids.new_uid()}.lock"
        lock = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = lock_file.with_suffix("")
        folder.mkdir()
    except OSError as error:
        reason = f"{error.strerror}. Another place: XDG_CACHE_HOME=FOLDER"
        raise RerunError(f"Cannot make a folder in {str(parent)!r}: {reason}") from error
    try:
        yield Sandbox(folder.resolve(), lock)
    finally:
        if keep:
            tell(f"the laid-out files are in {folder / 'files'}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            lock_file.unlink()
        os.close(lock)


def _remove_orphans(parent: Path) -> None:
    """Remove the folders whose re-run and its child are gone: nobody holds their lock."""
    for lock_file in parent.glob("*.lock"):
        with suppress(OSError):
            lock = os.open(lock_file, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock_file.with_suffix(""), ignore_errors=True)
                lock_file.unlink()
            finally:
                os.close(lock)
