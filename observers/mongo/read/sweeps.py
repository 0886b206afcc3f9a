"""One sweep of a database as a folder: what is new is fetched, and what was brought to it is sent."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from anew.observers.mongo import sweeps
from anew.runner.errors import StoreError
from anew.runner.records import RunRecord, SweepMembership
from anew.runner.store.files import cannot, read_regular, replace_whole
from anew.runner.store.paths import FETCHED, SweepLayout
from anew.runner.store.sweep_copy import Brought, Numbers, bring
from anew.runner.store.sweep_folder import SweepFolder

if TYPE_CHECKING:
    from pymongo.database import Database

_MOST_BYTES = 2**30
_ATTEMPTS = 30


class SweepMirror:
    """
    The folder of one sweep.

    Args:
        database: Where the sweep is.
        layout: The folder.
        number: The sweep's number in the database.
    """

    def __init__(self, database: Database[dict[str, Any]], layout: SweepLayout, number: int) -> None:
        self._database = database
        self._layout = layout
        self._number = number
        self._state = layout.folder / FETCHED

    @property
    def folder(self) -> SweepFolder:
        """The sweep, as it was fetched."""
        return SweepFolder(self._layout, self._number)

    def fetch(self) -> dict[str, Any] | None:
        """Have the folder be as the sweep is in the database; return its document, None where there is none."""
        with self._alone():
            return self._fetch()

    def bring(self, sweep: SweepFolder, runs: Numbers) -> Brought:
        """
        Bring what is new of a sweep here, and send it.

        Raises:
            StoreError: It cannot be read or written, or others are writing it all the time.
        """
        start = sweep.start()
        with self._alone():
            for _ in range(_ATTEMPTS):
                document = self._fetch()
                if document is None or start is None:
                    break
                brought = bring(sweep, self.folder, runs)
                if sweeps.put(self._database, document, start, self._files()):
                    taken = (each for attempts in self.folder.taken().values() for each in attempts if not each.reused)
                    members = {each.uid: each.index for each in taken if each.uid}
                    sweeps.mark_runs(self._database, self._number, document["uid"], members)
                    return brought
        raise StoreError(f"Sweep {self._number} in the database is written by others, or was taken away just now.")

    # --- the folder -------------------------------------------------------------------------------------------------

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Be the only one who writes; others wait."""
        path = self._layout.folder.parent / ".lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise error if isinstance(error, StoreError) else cannot("write", self._layout.folder, error) from error

    def _fetch(self) -> dict[str, Any] | None:
        document = sweeps.of_number(self._database, self._number)
        had = self._had()
        if document is None or had.get("uid") != document["uid"]:
            shutil.rmtree(self._layout.folder, ignore_errors=True)
            had = {}
        if document is None:
            return None
        manifest, there = sweeps.manifest_of(document), had.get("files")
        known = there if isinstance(there, dict) else {}
        missing = {
            path: sha256
            for path, (sha256, _) in manifest.items()
            if known.get(path) != sha256 or not (self._layout.folder / path).is_file()
        }
        found = sweeps.content(self._database, document["uid"], missing.values())
        for path, sha256 in missing.items():
            if sha256 in found:
                to = self._layout.folder / path
                to.parent.mkdir(parents=True, exist_ok=True)
                replace_whole(to, found[sha256])
        for path in self._paths():
            if path not in manifest:
                (self._layout.folder / path).unlink(missing_ok=True)
        for path, (_, touched) in manifest.items():
            if touched:
                with suppress(OSError):
                    os.utime(self._layout.folder / path, ns=(touched, touched))
        fetched = {path: sha256 for path, (sha256, _) in manifest.items() if path not in missing or sha256 in found}
        self._layout.folder.mkdir(parents=True, exist_ok=True)
        replace_whole(self._state, json.dumps({"uid": document["uid"], "files": fetched}).encode())
        return document

    def _had(self) -> dict[str, Any]:
        try:
            had = json.loads(self._state.read_bytes())
        except (OSError, ValueError):
            return {}
        return had if isinstance(had, dict) else {}

    def _paths(self) -> Iterator[str]:
        """Yield the files that are here, by their paths in the folder."""
        for path in sorted(self._layout.folder.rglob("*")):
            name = path.relative_to(self._layout.folder).as_posix()
            if sweeps.is_kept(name) and path.is_file() and not path.is_symlink():
                yield name

    def _files(self) -> dict[str, tuple[bytes, int]]:
        found = {}
        for name in self._paths():
            path = self._layout.folder / name
            is_sign_of_life = name.startswith("conductors/") and not name.endswith(".ended.json")
            found[name] = read_regular(path, _MOST_BYTES), path.stat().st_mtime_ns if is_sign_of_life else 0
        return found


def membership_of(document: Mapping[str, Any], record: RunRecord, numbers: Mapping[int, str]) -> SweepMembership | None:
    """
    Return which job of which sweep a run is, with the number that the database gave to the sweep.

    Args:
        document: The run's.
        record: The run as it was recorded.
        numbers: The sweeps of the database, by number.
    """
    member = record.sweep
    if member is None:
        return None
    ours = document.get("anew")
    told = ours.get("sweep") if isinstance(ours, dict) else None
    if isinstance(told, dict) and sweeps.is_uid(told.get("uid")):
        number, uid = told.get("number"), told["uid"]
        if member.uid in (None, uid) and type(number) is int and numbers.get(number, uid) == uid:
            return SweepMembership(id=number, index=member.index, uid=uid)
    # sent by an earlier version: its number may be another sweep's here
    return (
        SweepMembership(id=None, index=member.index, uid=member.uid) if member.uid or member.id in numbers else member
    )
