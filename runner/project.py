"""Where a project begins."""

from __future__ import annotations

from pathlib import Path

_MARKS = (".git", "pyproject.toml")


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
