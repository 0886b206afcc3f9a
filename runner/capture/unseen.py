"""
Files that are used past Python's back: by C libraries (SQLite, HDF5, Arrow, ...) and by other programs (`cat`).

The kernel tells of the first use of each file that is watched for it, by whatever process, at no cost to the second.
Watching begins when something turns up that may open files unseen: most programs do without, and pay nothing.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath
from typing import Any

from anew.runner.capture.loaded import derived
from anew.runner.dataclass import dataclass
from anew.runner.kernel.door import first_uses, mapped_files, open_watch, watch_first_use

# two lines for each file have to fit into what the kernel keeps of them, 16,384
_MOST = 8_000
STARTING = frozenset({"subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"})
# extension modules that have Python open their files, or open none of a project
_OPEN_BY_PYTHON = frozenset(
    (
        *("_cffi_backend", "_yaml", "charset_normalizer", "contourpy", "coverage", "google", "joblib", "kiwisolver"),
        *("markupsafe", "matplotlib", "numpy", "pandas", "PIL", "psutil", "scipy", "sklearn", "yaml"),
    )
)
_OF_PYTHON = ("_sqlite3", "_dbm", "_gdbm")
_PYTHON = ("python", "pypy")
_ISOLATING = frozenset("IES")


@dataclass(frozen=True, slots=True)
class Use:
    """The first use of a file: what it was before, and whether it was written, not read."""

    path: str
    size: int
    changed_ns: int
    writes: bool


class Unseen:
    """
    Has the kernel tell of the first use of files. Safe between threads; one that was begun has to be closed.

    Args:
        files: Which; asked when watching begins. Those made or changed after this object are none.
    """

    def __init__(self, files: Callable[[], Iterable[str]]) -> None:
        self._files = files
        self._since = time.time()
        self._lock = threading.Lock()
        self._watch: int | None = None
        self._watched: dict[int, list[Use]] = {}
        self._found: list[Use] | None = None
        self._by_path: dict[str, tuple[int, int]] | None = None
        self._is_begun = False
        self.is_full = False

    def begin_where_needed(self) -> None:
        """Begin when a module that is loaded may open files unseen."""
        if derived("unseen", _any_unseen):
            self.begin()

    def begin(self) -> None:
        """Watch from now on; does nothing the second time."""
        with self._lock:
            if self._is_begun:
                return
            self._is_begun = True
            self._watch = open_watch()
            if self._watch is not None:
                for path in self._files():
                    if len(self._watched) >= _MOST or not self._add(self._watch, path):
                        self.is_full = True
                        return

    def _add(self, watch: int, path: str) -> bool:
        """Watch one file; return whether there may be more."""
        try:
            status = os.stat(path)
        except OSError:
            return True
        if not stat.S_ISREG(status.st_mode) or status.st_ctime > self._since:
            return True
        number = watch_first_use(watch, path)
        if number >= 0:
            self._watched.setdefault(number, []).append(Use(path, status.st_size, status.st_mtime_ns, False))
        return number >= 0 or not os.access(path, os.R_OK)

    def uses(self) -> list[Use]:
        """Return what was used, and end watching."""
        if self._found is None:
            told = first_uses(self._watch) if self._watch is not None and self._watched else {}
            mapped = mapped_files() if self._watched else set()
            self._found = [
                Use(use.path, use.size, use.changed_ns, told.get(number, False))
                for number, use in self._all()
                if number in told or use.path in mapped
            ]
            self.close()
        return self._found

    def _all(self) -> Iterator[tuple[int, Use]]:
        return ((number, use) for number, uses in self._watched.items() for use in uses)

    def before(self, path: str) -> tuple[int, int] | None:
        """Return a file's size and time as they were when watching began; None for one that is not watched."""
        if self._by_path is None:
            self._by_path = {use.path: (use.size, use.changed_ns) for _, use in self._all()}
        return self._by_path.get(path)

    def close(self) -> None:
        """End watching. May be called again."""
        with self._lock:
            self._is_begun = True
            watch, self._watch = self._watch, None
            if watch is not None:
                os.close(watch)


def _any_unseen(modules: Iterable[tuple[str, Any, bool]]) -> bool:
    return any(
        is_module and isinstance(file, str) and (may_open(name, file) or starts_processes(name))
        for name, file, is_module in modules
    )


def may_open(name: str, file: Any) -> bool:
    """Whether a module, by its name and file, is one of somebody's that is no Python, and may open files unseen."""
    if not isinstance(file, str) or not file.endswith((".so", ".pyd")):
        return False
    if "lib-dynload" in file:
        return name in _OF_PYTHON
    return name.partition(".")[0] not in _OPEN_BY_PYTHON and not name.endswith("__mypyc")


def starts_processes(name: str) -> bool:
    """Whether a module begins processes without any event that would tell of it."""
    return name.rpartition(".")[2].startswith("popen_") or name.endswith("popen_loky_posix")


def isolated(event: str, arguments: tuple[Any, ...]) -> str | None:
    """Return how a Python is started that heeds no variables (`-I`, `-E`), or no `sitecustomize` (`-S`), if any."""
    words = _words(event, arguments)
    for place, word in enumerate(words):
        if not PurePath(word).name.startswith(_PYTHON):
            continue
        for option in words[place + 1 :]:
            if not option.startswith("-") or option in ("-c", "-m", "-"):
                break
            if not option.startswith("--") and _ISOLATING & set(option):
                return f"{PurePath(word).name} {option}"
    return None


def _words(event: str, arguments: tuple[Any, ...]) -> list[str]:
    given = arguments[0] if event == "os.system" else arguments[1] if len(arguments) > 1 else ""
    if isinstance(given, (str, bytes)):
        return os.fsdecode(given).split()
    words = [os.fsdecode(each) for each in given or () if isinstance(each, (str, bytes, os.PathLike))]
    # what a shell is given
    return [part for word in words for part in (word.split() if words[1:2] == ["-c"] and "sh" in words[0] else [word])]
