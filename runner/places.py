"""Where a project begins, and where its files are now: at the paths on record, or in the mirror of a re-run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_MARKS = (".git", "pyproject.toml")


@dataclass(frozen=True, slots=True)
class Places:
    """
    Paths as they are on record, and where they are now.

    A re-run lays files out in a mirror: what was at /home/ada/fit.py lies at MIRROR/home/ada/fit.py, so that relative
    paths between files lead where they led. Without a mirror every path is itself.

    Attributes:
        root: The project's root, as on record.
        mirror: The folder that stands for the root of the file system, absolute and without links; None for none.
        moved: Whether the project itself lies in the mirror, or only inputs do.
    """

    root: Path
    mirror: Path | None = None
    moved: bool = False

    @property
    def project(self) -> Path:
        """Where the project's root is now."""
        return self.mirrored(self.root) if self.moved else self.root

    def mirrored(self, path: Path) -> Path:
        """Return where an absolute path would lie in the mirror."""
        return path if self.mirror is None else self.mirror / path.relative_to(path.anchor)

    def here(self, path: Path) -> Path:
        """Return where a path as on record is to be read from: the mirror, for what was laid out there."""
        if self.mirror is None:
            return path
        found = self.mirrored(_plain(path))
        return found if os.path.lexists(found) else path

    def origin(self, path: Path) -> Path:
        """Return the path on record of a file, wherever it lies now; absolute."""
        full = _plain(path)
        if self.mirror is None or not full.is_relative_to(self.mirror):
            return full
        return Path(full.anchor) / full.relative_to(self.mirror)

    def name(self, path: Path) -> str:
        """Return what a file is called on record: its path in the project (POSIX form), or an absolute path."""
        full = self.origin(path)
        for base in (self.root, self.root.resolve()):
            if full.is_relative_to(base):
                return full.relative_to(base).as_posix()
        return str(full)


def _plain(path: Path) -> Path:
    """Return a path absolute; where it goes up, it goes up from where its links lead."""
    return path.resolve() if ".." in path.parts else path.absolute()


def project_root(start: Path) -> Path:
    """
    Return the nearest folder at or above the folder *start* with a `.git` or a `pyproject.toml`, else *start*.

    A mark in the user's home folder or in the root of the file system counts only for what lies directly there:
    whoever keeps their dotfiles in git does not mean all of their files to be one project.
    """
    for folder in (start, *start.parents):
        if is_marked(folder):
            too_wide = folder != start and folder in (Path.home(), Path(folder.anchor))
            return start if too_wide else folder
    return start


def is_marked(folder: Path) -> bool:
    """Whether a folder is marked as the root of a project."""
    return any((folder / mark).exists() for mark in _MARKS)
