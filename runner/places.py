"""Where a project begins, and where its files are now: at the paths on record, or in the mirror of a re-run."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.lazy.patterns import regexp

_MARKS = (".git", "pyproject.toml")
_XDG = {"cache": ".cache", "state": ".local/state"}


def _working_directory() -> str:
    """Return where this process is; where it was when that is gone: `.` is still there then, and has no name."""
    try:
        return os.getcwd()
    except OSError:
        return os.environ.get("PWD", "")


# where this process was when it first came here: a script's relative name leads on from there
STARTED_IN = _working_directory()
_URL = regexp(r"([\w+.-]+:/{2,3}(?=/))?(.*)", re.DOTALL)


def cache_folder() -> Path:
    """Return the user's folder for what only saves time."""
    return _folder("cache")


def state_folder() -> Path:
    """Return the user's folder for what is to outlive a cache."""
    return _folder("state")


def _folder(kind: str) -> Path:
    given, home = os.environ.get(f"XDG_{kind.upper()}_HOME", ""), os.path.expanduser("~")
    # where the answer is this short, importing what knows all systems takes longer than a run's own folder
    if sys.platform == "linux" and "ANDROID_DATA" not in os.environ and os.path.isabs(home):
        if os.path.isabs(given) and "~" not in given:
            return _path(given, "anew")
        if not given.strip():
            return _path(home, _XDG[kind], "anew")
    import platformdirs

    return Path(getattr(platformdirs, f"user_{kind}_path")("anew"))


@functools.lru_cache(maxsize=16)
def _path(*parts: str) -> Path:
    """Return a path, the same one with the text that it has made: a run asks for these folders several times."""
    return Path(*parts)


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
        text = str(full)
        for base in (str(self.root), os.path.realpath(self.root)):
            if _is_below(text, base):
                return full.relative_to(base).as_posix()
        return text

    def as_recorded(self, value: Any) -> Any:
        """Return plain values with paths in the mirror as they are on record."""
        if self.mirror is None:
            return value
        if isinstance(value, str):
            return value.replace(f"{self.mirror}{os.sep}", os.sep)
        if isinstance(value, Mapping):
            return {key: self.as_recorded(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.as_recorded(item) for item in value)
        return value

    def laid_out(self, text: str, *, always: bool = False) -> str | None:
        """
        Return a text that is an absolute path, or a URL of one, into the project, as it leads into the mirror.

        None for any other, and for what is not laid out; with *always* for no path into the project. A path that
        comes into the project through a link elsewhere is one, too.
        """
        url, path = _split(text)
        if not (self.moved and os.path.isabs(path)):
            return None
        full = os.path.normpath(path)
        if not _is_below(full, str(self.root)):
            full = os.path.realpath(full)
        if not _is_below(full, str(self.root)):
            return None
        found = self.mirrored(Path(full))
        return f"{url}{found}" if always or os.path.lexists(found) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnPlaces:
    """
    A recorded run's own places: what leads there leads to the same place of whoever repeats the run.

    Attributes:
        folders: The run's folder in its store, as on record, and as it is now; absolute.
        output: Where Hydra's output went, as on record.
        cwd: Where the run was started.
        of_cwd: Keys of the configuration that were written as `${hydra:runtime.cwd}`.
    """

    folders: tuple[str, ...] = ()
    output: str = ""
    cwd: str = ""
    of_cwd: tuple[str, ...] = ()

    @property
    def is_apart(self) -> bool:
        """Whether the output's folder holds the output alone, and not where the run was started."""
        return bool(self.output) and not _is_below(self.cwd, self.output)

    def led(self, text: str, folder: str, output: str) -> str | None:
        """
        Return a path, or a URL of one, into these places as it leads into others; None for any other text.

        Args:
            text: Any text.
            folder: The new run's folder.
            output: Where its output goes.
        """
        url, path = _split(text)
        moves = [*([(self.output, output)] if self.is_apart else []), *((each, folder) for each in self.folders)]
        for was, now in moves:
            for spelled in (was, *self._from_cwd(was)):
                full = os.path.normpath(path)
                if _is_below(full, spelled) and (os.sep in path):
                    ends = os.sep if path.endswith(os.sep) else ""
                    return f"{url}{now}{full[len(spelled) :]}{ends}"
        return None

    def _from_cwd(self, path: str) -> Iterator[str]:
        """Yield how a path is spelled where the run was started, if it lies below."""
        if self.cwd and _is_below(path, self.cwd) and path != self.cwd:
            yield os.path.relpath(path, self.cwd)


def _split(text: str) -> tuple[str, str]:
    """Return what stands before the path in a URL, and the path."""
    found = _URL.fullmatch(text)
    return (found[1] or "", found[2]) if found else ("", text)


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip(os.sep)}{os.sep}")


def _plain(path: Path) -> Path:
    """Return a path absolute; where it goes up, it goes up from where its links lead."""
    return path.resolve() if ".." in path.parts else path.absolute()


def project_root(start: Path) -> Path:
    """
    Return the nearest folder at or above the folder *start* with a `.git` or a `pyproject.toml`, else *start*.

    A mark in the user's home folder or in the root of the file system counts only for what lies directly there:
    whoever keeps their dotfiles in git does not mean all of their files to be one project.
    """
    for folder in upwards(start):
        if is_marked(folder):
            found = Path(folder)
            too_wide = found != start and found in (Path.home(), Path(found.anchor))
            return start if too_wide else found
    return start


def is_marked(folder: Path | str) -> bool:
    """Whether a folder is marked as the root of a project."""
    return any(os.path.exists(f"{folder}{os.sep}{mark}") for mark in _MARKS)


def upwards(folder: Path | str) -> Iterator[str]:
    """Yield a folder, given by an absolute path, and those above it; the root of the file system as it stands."""
    path = str(folder)
    while (above := os.path.dirname(path)) != path:
        yield path
        path = above
    yield path
