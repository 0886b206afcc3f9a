"""Modules imported out of folders that are neither the project's nor installed: they are code of the run, too."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Protocol

from anew.runner.capture.beside import is_left_out
from anew.runner.capture.digests import Unkept
from anew.runner.places import Places
from anew.runner.records import ContentRef
from anew.runner.settings import SourceSettings

_INSTALLED = ("site-packages", "dist-packages")
# of an interpreter's own beginning, and ours
_PASSED_OVER = frozenset({"anew", "hydra_plugins", "sitecustomize", "usercustomize"})


class Objects(Protocol):
    """A place for content."""

    def put_bytes(self, data: bytes, *, sync: bool = True) -> str:
        """Keep content; return its digest."""
        ...


def modules_elsewhere(
    places: Places, objects: Objects, settings: SourceSettings, *, known: frozenset[str] = frozenset()
) -> tuple[ContentRef, ...]:
    """
    Keep and return the files of such modules, by their absolute paths as on record.

    Args:
        places: Where the project was and is.
        objects: Where content goes.
        settings: No more files than its limit are kept, none that is larger, and none that it leaves out.
        known: Names on record of files that are kept already.

    Raises:
        StoreError: The content cannot be written.
    """
    found: dict[str, ContentRef] = {}
    target = objects if settings.keep == "content" else Unkept()
    for path in _imported(places):
        name = places.name(Path(path))
        if name in known or name in found or not os.path.isabs(name) or len(found) >= settings.max_files:
            continue
        if is_left_out(name, settings):
            continue
        try:
            status = os.stat(path)
            if status.st_size > settings.max_file_bytes:
                continue
            data = Path(path).read_bytes()
        except OSError:
            continue
        digest = target.put_bytes(data, sync=False)
        mode = stat.S_IMODE(status.st_mode)
        found[name] = ContentRef(path=name, sha256=digest, size=len(data), mode=mode, kept=target is objects)
    return tuple(found[name] for name in sorted(found))


def _imported(places: Places) -> Iterator[str]:
    own = tuple(f"{path}{os.sep}" for path in {sys.prefix, sys.base_prefix, str(places.project), str(places.root)})
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in _PASSED_OVER or type(module) is not ModuleType:
            continue
        file = vars(module).get("__file__")
        if not isinstance(file, str) or not os.path.isabs(file) or not file.endswith(".py"):
            continue
        path = os.path.normpath(file)
        if not path.startswith(own) and not any(each in path for each in _INSTALLED):
            yield path
