"""The files of a search, in the folder of its sweep; whoever reads one finds it whole."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner.dataclass import dataclass
from anew.runner.errors import StoreError
from anew.runner.format import serial
from anew.runner.lazy.modules import later

if TYPE_CHECKING:
    import tempfile
else:
    tempfile = later("tempfile")


@dataclass(frozen=True, slots=True)
class SearchFiles:
    """
    Where things are.

    Attributes:
        sweep: The folder of the sweep.
    """

    sweep: Path

    @property
    def folder(self) -> Path:
        """All of it, but for the results."""
        return self.sweep / "search"

    @property
    def record(self) -> Path:
        """What was asked for, and the seed: what makes the search again."""
        return self.folder / "search.json"

    @property
    def summary(self) -> Path:
        """What the search had found when it ended, and of which storage that is said."""
        return self.folder / "summary.json"

    @property
    def results(self) -> Path:
        """The best, where the sweepers of others put it too."""
        return self.sweep / "optimization_results.yaml"

    def trial(self, index: int) -> Path:
        """Where a job finds its trial; there before the job begins."""
        return self.folder / f"{index}.json"

    def stop_mark(self, index: int) -> Path:
        """There once a job was told to stop."""
        return self.folder / f"{index}.stopped"


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a file at once, in the place of one that was there. Raises StoreError."""
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(serial.seal(values))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
        raise StoreError(f"Cannot write {str(path)!r}: {error.strerror or error}", path=str(path)) from error


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a file of `write_json`; None when there is none. Raises StoreError."""
    try:
        return serial.unseal_or_older(read_regular(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"Cannot read {str(path)!r}: {error}", path=str(path)) from error


def read_regular(path: Path) -> bytes:
    """Return what a regular file holds: anything else would be waited for. Raises OSError."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    return path.read_bytes()
