"""
The copy of a configuration file with a run's values, which the program's process reads at the path of the file itself.

In a process of Python whatever opens the file for reading by `open`, `os.open` or a path's methods gets the copy. What
reads it by other means, as libraries in C might, and other programs that the program starts, find the file itself.
"""

from __future__ import annotations

import builtins
import functools
import io
import os
import pathlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.program.configured.file import ConfigFile
from anew.runner.relaunch.plan import assignment
from anew.runner.run.handle import Run

_FACT = "config_file"


@dataclass(frozen=True, slots=True)
class Copied:
    """
    A file, and what is read in place of it.

    Attributes:
        path: The file, absolute.
        copy: Its copy, absolute.
        recorded: Where the file was on record, in a re-run that lays it out elsewhere.
    """

    path: str
    copy: str
    recorded: str

    @classmethod
    def of(cls, file: ConfigFile, values: Mapping[str, Any], run: Run) -> Copied | None:
        """
        Return the copy that holds *values*; None where these are the file's own. Both are put on record.

        Raises:
            ConfigError: A value cannot be written there.
        """
        made = copy_of(file, values, run)
        return made if file.changed(values) != file.text else None

    def as_words(self) -> tuple[str, str, str]:
        """Return it as what it is made of again in another process."""
        return self.path, self.copy, self.recorded

    def is_meant(self, path: Any) -> bool:
        """Whether a path that is opened is the file's."""
        try:
            text = os.fsdecode(path)
        except TypeError:
            return False
        if os.path.basename(text) != os.path.basename(self.path) and not os.path.islink(text):
            return False
        full = os.path.abspath(text)
        return full in (self.path, self.recorded) or os.path.realpath(full) == os.path.realpath(self.path)


def copy_of(file: ConfigFile, values: Mapping[str, Any], run: Run) -> Copied:
    """Return a copy with other values, in the run's folder, whether or not it differs. Raises ConfigError."""
    text = file.changed(values)
    folder = run.dir / ".config"
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / file.path.name
    copy.write_text(text, encoding="utf-8", newline="")
    errand = assignment.errand
    recorded = file.path if errand is None else errand.places.origin(file.path)
    run.info({_FACT: {"path": str(recorded), "is_changed": text != file.text}})
    if errand is None:
        run.input(file.path)
    return Copied(str(file.path), str(copy.absolute()), str(recorded))


@contextmanager
def opened_in_place(copied: Copied) -> Iterator[None]:
    """Have this process read the copy, while a program runs."""
    owners = open_in_place(copied)
    try:
        yield
    finally:
        for owner, name, ours, original in owners:
            # the program may have put its own there since
            if getattr(owner, name) is ours:
                setattr(owner, name, original)


def open_in_place(copied: Copied) -> list[tuple[Any, str, Any, Any]]:
    """Have this process read the copy from now on; return what was put where, and what was there."""
    original, original_os = builtins.open, os.open

    def opener(path: Any, flags: int) -> int:
        return original_os(copied.copy, flags)

    @functools.wraps(original)
    def open(file: Any, mode: Any = "r", *rest: Any, **named: Any) -> Any:
        is_read = isinstance(mode, str) and not set(mode) & set("wax+") and not isinstance(file, int)
        if is_read and len(rest) < 6 and named.get("opener") is None and copied.is_meant(file):
            # by an opener, so that the file that is opened has the name that it was opened by
            named["opener"] = opener
        return original(file, mode, *rest, **named)

    @functools.wraps(original_os)
    def open_descriptor(path: Any, flags: Any, *rest: Any, **named: Any) -> int:
        is_read = isinstance(flags, int) and not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_DIRECTORY)
        is_ours = is_read and named.get("dir_fd") is None and not isinstance(path, int) and copied.is_meant(path)
        return original_os(copied.copy if is_ours else path, flags, *rest, **named)

    put: list[tuple[Any, str, Any, Any]] = []
    places: list[tuple[Any, str, Any]] = [(builtins, "open", open), (io, "open", open), (os, "open", open_descriptor)]
    if (accessor := vars(pathlib).get("_NormalAccessor")) is not None:  # of Python 3.10
        places.append((accessor, "open", staticmethod(open)))
    for owner, name, ours in places:
        was = vars(owner)[name]
        setattr(owner, name, ours)
        put.append((owner, name, getattr(owner, name), was))
    return put
