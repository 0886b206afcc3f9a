"""Where the store is: what was named, the environment, or a place that follows from the project."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

from anew.runner.errors import StoreError
from anew.runner.places import project_root
from anew.runner.store.folder import FolderStore

STORE_VARIABLE = "ANEW_STORE"
# Kinds of store that are kept by an observer, by name since they build on this one.
_OPENERS = {"mongodb": "anew.observers.mongo.read.store", "mongodb+srv": "anew.observers.mongo.read.store"}


def default_store_path(start: Path) -> Path:
    """Return `runs/` in the project that the folder *start* belongs to."""
    return project_root(start.resolve()) / "runs"


def open_store(
    url: str | os.PathLike[str] | None = None, *, create: bool = False, start: Path | None = None
) -> FolderStore:
    """
    Open a store of runs.

    Args:
        url: A folder, or mongodb://...; None for `ANEW_STORE` in the environment, or else the default.
        create: Make it when it is not there.
        start: The folder whose project the default belongs to; None for the working directory.

    Raises:
        StoreError: There is no store, or it cannot be used.
    """
    named = os.fspath(url) if url is not None else os.environ.get(STORE_VARIABLE)
    if named and "://" in named:
        scheme, _, rest = named.partition("://")
        if scheme in _OPENERS:
            opened: FolderStore = import_module(_OPENERS[scheme]).open_url(named)
            return opened
        if scheme != "file":
            raise StoreError(
                f"A store at {scheme}:// cannot be opened by this version of anew; it opens folders and MongoDB. "
                "Name one: --store FOLDER or ANEW_STORE=FOLDER, or mongodb://HOST/DATABASE",
                url=scheme,
            )
        named = rest
    root = Path(named).expanduser() if named else default_store_path(start or Path.cwd())
    return FolderStore.open(root.absolute(), create=create)
