"""Whole runs from one store to another, content included."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from anew.runner.contracts import Observer
from anew.runner.dispatch.pending import deliver_to
from anew.runner.errors import AnewError, ObjectNotFoundError, RunNotFoundError
from anew.runner.format import ids
from anew.runner.records import RunRecord, Status
from anew.runner.store.curate import contents
from anew.runner.store.files import cannot, sync_folder
from anew.runner.store.folder import FolderStore
from anew.runner.store.paths import RunLayout
from anew.runner.store.position import read_cursor
from anew.runner.store.run_folders import RunFolders
from anew.runner.wording import some

# what a process that delivers keeps for itself
_OWN = "observers"


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """
    What came of one run.

    Attributes:
        number: In the source.
        to: In the target; None when it is not there.
        what: "copied", "updated", "there already", "going on" or "failed".
        detail: Why, and what is missing.
    """

    number: int
    to: str
    what: str
    detail: str = ""


def to_folder(source: RunFolders, target: FolderStore) -> Iterator[Moved]:
    """
    Copy all runs, oldest first, byte for byte; those that are there already get what was added to them since.

    A run keeps its number where that is free. One that goes on is left for the next time. Interrupted, nothing is half
    there, and the next call goes on.

    Raises:
        StoreError: A store cannot be read or written.
    """
    for run in reversed(list(source.all_runs())):
        number, record = run.number, run.record
        there = _same(target, record.uid)
        if there is not None:
            added = _add_journals(source.present(number), target.layout.run(there))
            yield Moved(number=number, to=str(there), what="updated" if added else "there already")
        elif record.status is Status.RUNNING:
            yield Moved(number=number, to="", what="going on")
        else:
            layout = source.present(number)
            missing = _copy_contents(source, target, source.get(number))
            to = _place(layout, target, number)
            detail = f"the content of {some(missing)} is missing in {source.url}" if missing else ""
            yield Moved(number=number, to=str(to), what="copied", detail=detail)


def to_observer(
    source: RunFolders, url: str, build: Callable[[], Observer], has: Callable[[str], bool]
) -> Iterator[Moved]:
    """
    Deliver all runs, oldest first, to another kind of store; what it has already is not sent again.

    Args:
        source: The store.
        url: Where it goes, without secrets.
        build: Makes the observer that writes there.
        has: Whether the run of a uid is there.

    Raises:
        StoreError: The source cannot be read, or its cursors not be written.
    """
    name = f"sync-{hashlib.sha256(url.encode()).hexdigest()[:12]}"
    for run in reversed(list(source.all_runs())):
        number, record = run.number, run.record
        layout = source.present(number)
        if read_cursor(layout.cursor(name)).done.started and not has(record.uid):
            # emptied since
            layout.cursor(name).unlink(missing_ok=True)
        done = deliver_to(source, number, name, build)
        what = "failed" if done.error else "copied" if done.events else "there already"
        if done.events and record.status is Status.RUNNING:
            what = "going on"
        aside = f"{done.aside} events could not be taken" if done.aside else ""
        yield Moved(number=number, to=done.sink, what=what, detail=done.error or aside)


def _same(target: FolderStore, uid: str) -> int | None:
    try:
        return target.resolve(uid)
    except (RunNotFoundError, AnewError):
        return None


def _copy_contents(source: RunFolders, target: FolderStore, record: RunRecord) -> list[str]:
    """Have the target hold what a run refers to; return the names of what the source does not hold."""
    missing = []
    for reference in contents(record):
        if target.objects.touch(reference.sha256):
            continue
        temporary = target.root / f".content-{ids.new_uid()}"
        try:
            with source.open_object(reference.sha256) as content, temporary.open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
            target.objects.put_file(temporary)
        except ObjectNotFoundError:
            missing.append(reference.path)
        except OSError as error:
            raise cannot("write", temporary, error) from error
        finally:
            with suppress(OSError):
                temporary.unlink()
    return missing


def _place(layout: RunLayout, target: FolderStore, number: int) -> int:
    """Copy a run's folder; it gets its number when it is complete."""
    temporary = target.root / f".run-{ids.new_uid()}"
    try:
        shutil.copytree(layout.folder, temporary, symlinks=True, ignore=_not_delivery(layout))
        (temporary / "events").mkdir(exist_ok=True)
        to = _free(target, number)
        try:
            temporary.rename(to.folder)
        except OSError:
            to.folder.rmdir()
            raise
        sync_folder(target.root)
    except OSError as error:
        raise cannot("write", target.root, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return int(to.folder.name)


def _not_delivery(layout: RunLayout) -> Callable[[str, list[str]], list[str]]:
    return lambda folder, names: [_OWN] if Path(folder) == layout.folder and _OWN in names else []


def _free(target: FolderStore, number: int) -> RunLayout:
    """Claim the same number, or else the next; the folder is empty, so that another can take its place."""
    layout = target.layout.run(number)
    if number > max(target.numbers(), default=0) or not layout.folder.exists():
        with suppress(FileExistsError):
            layout.folder.mkdir()
            return layout
    _, layout = target.claim()
    for folder in (layout.events, layout.files):
        folder.rmdir()
    return layout


def _add_journals(source: RunLayout, target: RunLayout) -> int:
    """Copy journals that were begun since, such as those of tags and notes; return how many."""
    added = 0
    for path in sorted(source.events.glob("*.jsonl")):
        to = target.events / path.name
        if to.exists():
            continue
        temporary = to.with_name(f".{to.name}-{os.getpid()}")
        try:
            shutil.copyfile(path, temporary)
            temporary.replace(to)
        except OSError as error:
            raise cannot("write", to, error) from error
        added += 1
    return added
