"""Where the store is: what was named, the environment, or a place that follows from the project."""

from __future__ import annotations

import os
from pathlib import Path

from anew.runner.contracts import CuratedStore, RunStore
from anew.runner.errors import MissingExtraError, StoreError, working_directory
from anew.runner.store.folder import FolderStore
from anew.runner.store.registry import STORES, offers
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.typed import STORE_VARIABLE, default_store_path, nearest_store_path

__all__ = ["STORE_VARIABLE", "default_store_path"]


def open_store(
    url: str | os.PathLike[str] | None = None, *, create: bool = False, start: Path | None = None
) -> CuratedStore:
    """
    Open a store of runs.

    Args:
        url: A folder, or a URL whose scheme an installed package offers, such as mongodb://HOST/DATABASE; None for
            `ANEW_STORE` in the environment, or else the default: `runs/` of the project or, to look at where no project
            is marked, the nearest one further up.
        create: Make it when it is not there.
        start: The folder whose project the default belongs to; None for the working directory.

    Raises:
        StoreError: There is no store, or it cannot be used.
        MissingExtraError: What the store needs is not installed.
    """
    named = os.fspath(url) if url is not None else os.environ.get(STORE_VARIABLE) or None
    if named is None:
        found = default_store_path if create else nearest_store_path
        return FolderStore.open(found(start or Path(working_directory())).absolute(), create=create)
    if not named.strip():
        raise StoreError(f"The store's name is empty: {named!r}. Name a folder or a URL: --store FOLDER")
    if "://" in named:
        return _open_url(named, create)
    return FolderStore.open(_absolute(named), create=create)


def open_run_folders(url: str | os.PathLike[str] | None = None, *, create: bool = False) -> RunFolders:
    """Open a store whose runs can be had as folders; raises as `open_store`, and StoreError for one that only reads."""
    return as_run_folders(open_store(url, create=create))


def as_run_folders(store: RunStore) -> RunFolders:
    """Return a store whose runs can be had as folders. Raises StoreError for any other."""
    if isinstance(store, RunFolders):
        return store
    raise StoreError(
        f"Runs in {store.url} can be looked at (anew list, show, diff, logs, metrics, plot), and nothing more: its "
        "store does not give whole runs. For anything else name a folder: --store FOLDER"
    )


def open_for_recording(url: str | os.PathLike[str] | None = None, *, start: Path | None = None) -> FolderStore:
    """Open the store that a run is to be recorded in, made when it is not there; raises as `open_store`."""
    store = as_run_folders(open_store(url, create=True, start=start))
    store.refuse_recording()
    if not isinstance(store, FolderStore):
        raise StoreError(f"Runs are recorded in folders, and {store.url} is none. Name one: --store FOLDER")
    return store


def open_folder_url(url: str, *, create: bool = False) -> FolderStore:
    """Open the folder of a `file://` URL; raises as `open_store`."""
    return FolderStore.open(_absolute(url.partition("://")[2]), create=create)


def _absolute(named: str) -> Path:
    if "\0" in named:
        raise StoreError(f"The store's name has a NUL in it, as no path may: {named!r}. Name a folder: --store FOLDER")
    try:
        path = Path(named).expanduser()
    except RuntimeError as error:  # Python's word for a home that nobody has
        raise StoreError(f"There is no such home as in {named!r}. Name a folder: --store FOLDER") from error
    return path if path.is_absolute() else Path(working_directory(), path)


def _open_url(url: str, create: bool) -> CuratedStore:
    scheme = url.partition("://")[0]
    known = offers(STORES)
    offer = known.get(scheme)
    if offer is None:
        schemes = ", ".join(f"{name}://" for name in sorted(known))
        raise StoreError(
            f"A store at {scheme}:// cannot be opened by this version of anew, nor by a package that is installed; it "
            f"opens folders and {schemes}. Name one: --store FOLDER or ANEW_STORE=FOLDER, or mongodb://HOST/DATABASE",
            url=scheme,
        )
    try:
        store: CuratedStore = offer.load()(url, create=create)
    except MissingExtraError:
        raise
    except ImportError as error:
        raise offer.missing(error) from error
    return store
