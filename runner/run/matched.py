"""Files that become artifacts because their names match what somebody asked for: `anew.artifacts`."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from anew.runner.errors import ArtifactError
from anew.runner.run.handle import Run

_Stamp = tuple[int, int, int]


class MatchedArtifacts:
    """
    Files that match a pattern, and were written while the run went on.

    Args:
        patterns: Relative to the working directory that the run starts in; `**` stands for any folders.
        run: Keeps them.
    """

    def __init__(self, patterns: Sequence[str], run: Run) -> None:
        self._patterns = patterns
        self._run = run
        self._folder = os.getcwd()
        self._before: dict[str, _Stamp] = {}

    def start(self) -> None:
        """Look what is there already."""
        self._before = dict(self._found())

    def stop(self) -> str | None:
        """Keep what is there beside. Returns what could not be kept; raises StoreError."""
        problems = []
        for name, stamp in sorted(self._found()):
            if self._before.get(name) == stamp:
                continue
            try:
                self._run.log_artifact(os.path.join(self._folder, name), _label(name))
            except ArtifactError as error:
                problems.append(str(error))
        return " ".join(problems) or None

    def _found(self) -> Iterator[tuple[str, _Stamp]]:
        for pattern in self._patterns:
            for name in glob.glob(os.path.expanduser(pattern), root_dir=self._folder, recursive=True):
                try:
                    status = os.stat(os.path.join(self._folder, name))
                except OSError:
                    continue  # gone meanwhile, or a link to nothing
                if os.path.isfile(os.path.join(self._folder, name)):
                    yield name, (status.st_mtime_ns, status.st_size, status.st_ino)


def _label(name: str) -> str:
    """Return what a file is called: its path from the working directory, or its own name where it lies outside."""
    plain = os.path.normpath(name)
    return Path(plain).name if os.path.isabs(plain) or plain.startswith(os.pardir) else Path(plain).as_posix()
