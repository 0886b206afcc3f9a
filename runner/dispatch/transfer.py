"""Whole runs from one store to another, content included."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from anew.runner.contracts import Observer
from anew.runner.dataclass import dataclass
from anew.runner.dispatch.outside import leads_out
from anew.runner.dispatch.pending import deliver_to
from anew.runner.errors import AnewError, ObjectNotFoundError, RunNotFoundError, StoreError
from anew.runner.format import ids
from anew.runner.guard.gzipped import SUFFIX
from anew.runner.guard.store_format import WITH_COMPRESSED, raise_format
from anew.runner.records import ContentRef, RunRecord, Status
from anew.runner.store.curate import contents
from anew.runner.store.curated import note_curated
from anew.runner.store.files import cannot, copy_with_holes, sync_folder
from anew.runner.store.folder import FolderStore
from anew.runner.store.journal_forms import forms, is_there, journals
from anew.runner.store.marker import move_marker
from anew.runner.store.paths import FETCHED, TRANSFER, RunLayout
from anew.runner.store.position import read_cursor
from anew.runner.store.run_folders import RunFolders
from anew.runner.store.stored import StoredRun
from anew.runner.store.stream import RunSource
from anew.runner.wording import some

# what a process that delivers, or fetches, keeps for itself
_OWN = ("observers", FETCHED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """
    What came of one run, or one sweep.

    Attributes:
        kind: "run" or "sweep".
        number: In the source.
        name: What the run is called there: the number, or the identifier that it stands for.
        to: In the target; empty when it is not there.
        what: "copied", "updated", "there already", or, of what is left out, "going on", "queued", "not heard of" or
            "failed".
        detail: Why, and what is missing.
        damaged: Whether content of it is not what its digest says, and is therefore not there.
    """

    kind: str = "run"
    number: int
    to: str
    what: str
    detail: str = ""
    damaged: bool = False
    name: str = ""

    @property
    def is_left(self) -> bool:
        """Whether it is not in the target, or not as it should be."""
        return self.damaged or self.what not in ("copied", "updated", "there already")


# why a run that has not ended is left for the next time
_LEFT = {
    Status.RUNNING: ("going on", ""),
    Status.QUEUED: ("queued", "it has not started"),
    Status.UNKNOWN: ("not heard of", "its end has not come; on its machine: anew sync"),
}


def every_run(record: RunRecord) -> bool:
    """Whether a run is one of all."""
    return True


def to_folder(
    source: RunFolders, target: FolderStore, is_meant: Callable[[RunRecord], bool] = every_run
) -> Iterator[Moved]:
    """
    Copy runs, oldest first, byte for byte; those that are there already get what was added to them since.

    A run keeps its number where that is free and means anything. One that goes on, or of which that cannot be told, is
    left for the next time. Interrupted, nothing is half there, and the next call goes on.

    Args:
        source: The store.
        target: The other one.
        is_meant: Which of its runs.

    Raises:
        StoreError: A store cannot be read or written.
    """
    for run in _oldest_first(source, is_meant):
        number, record = run.number, run.record
        layout = source.present(number)
        there = _same(target, record.uid)
        moved = partial(Moved, number=number, name=run.name)
        if outside := leads_out(layout) or (leads_out(target.present(there)) if there is not None else ""):
            yield moved(to="", what="failed", detail=outside)
        elif there is not None:
            added = _add_journals(layout, _with_space(target, there, layout))
            yield moved(to=str(there), what="updated" if added else "there already")
        elif record.status in _LEFT:
            what, why = _LEFT[record.status]
            yield moved(to="", what=what, detail=why)
        else:
            lost = copy_contents(source, target, contents(source.get(number)))
            to = _place(layout, target, None if run.is_made_up else number)
            yield moved(to=str(to), what="copied", detail=lost.told(source.url), damaged=bool(lost.damaged))
    if is_meant is every_run:
        yield from _unreadable(source)


def to_observer(
    source: RunFolders,
    url: str,
    build: Callable[[], Observer],
    has: Callable[[str], bool],
    is_meant: Callable[[RunRecord], bool] = every_run,
) -> Iterator[Moved]:
    """
    Deliver runs, oldest first, to another kind of store; what it has already is not sent again.

    Args:
        source: The store.
        url: Where it goes, without secrets.
        build: Makes the observer that writes there.
        has: Whether the run of a uid is there.
        is_meant: Which of its runs.

    Raises:
        StoreError: The source cannot be read, or its cursors not be written.
    """
    name = f"{TRANSFER}{hashlib.sha256(url.encode()).hexdigest()[:12]}"
    for run in _oldest_first(source, is_meant):
        number, record = run.number, run.record
        layout = source.present(number)
        if read_cursor(layout.cursor(name)).done.started and not has(record.uid):
            # emptied since
            layout.cursor(name).unlink(missing_ok=True)
        done = deliver_to(source, number, name, build)
        is_there = not done.events or (has(record.uid) and _was_sent(layout, name, done.sink))
        new = "updated" if has(record.uid) else "copied"
        what = "failed" if done.error else "there already" if is_there else new
        if done.events and record.status in _LEFT:
            what = _LEFT[record.status][0]
        aside = f"{done.aside} events could not be taken" if done.aside else ""
        lost = _lost(source, number) if done.events else Lost()
        detail = "; ".join(filter(None, (done.error or aside, lost.told(source.url))))
        yield Moved(number=number, name=run.name, to=done.sink, what=what, detail=detail, damaged=bool(lost.damaged))
    if is_meant is every_run:
        yield from _unreadable(source)


def _was_sent(layout: RunLayout, name: str, sink: str) -> bool:
    """Whether an observer of the run has sent all of it to the same place, under another name."""
    others = (path for path in layout.observers.glob("*.cursor") if path != layout.cursor(name))
    cursors = (read_cursor(path) for path in others)
    return any(
        each.sink == sink and not each.aside and not RunSource(layout, None).behind(each.done)
        for each in cursors
        if sink
    )


def _unreadable(source: RunFolders) -> Iterator[Moved]:
    """Yield what a source has among its runs, and cannot read."""
    for why in source.left_out():
        yield Moved(number=0, to="", what="failed", detail=why)


def _oldest_first(source: RunFolders, is_meant: Callable[[RunRecord], bool]) -> list[StoredRun]:
    return [run for run in reversed(list(source.all_runs())) if is_meant(run.record)]


def _same(target: FolderStore, uid: str) -> int | None:
    try:
        return target.resolve(uid)
    except (RunNotFoundError, AnewError):
        return None


@dataclass(frozen=True, slots=True)
class Lost:
    """The names of what a store should hold of a run and does not, or holds otherwise than its digest says."""

    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    def told(self, where: str) -> str:
        """Return it as a sentence; empty when nothing is lost."""
        parts = (("missing", self.missing), ("damaged", self.damaged))
        return "; ".join(f"the content of {some(names)} is {what} in {where}" for what, names in parts if names)


def copy_contents(source: RunFolders, target: FolderStore, references: Iterable[ContentRef]) -> Lost:
    """Have the target hold what a record refers to, as far as it is what its digest says. Raises StoreError."""
    lost = Lost()
    for reference in references:
        if target.objects.touch(reference.sha256):
            continue
        temporary = target.objects.temporary()
        try:
            with temporary.open("wb") as file:
                if _is_copied(source, reference, file, lost):
                    file.flush()
                    target.objects.put_file(temporary)
        except OSError as error:
            raise cannot("write", temporary, error) from error
        finally:
            with suppress(OSError):
                temporary.unlink()
    return lost


def _lost(source: RunFolders, number: int) -> Lost:
    """Return what a store that content was sent from does not hold as it should; nothing of it was sent."""
    lost = Lost()
    with open(os.devnull, "wb") as nowhere:
        for reference in contents(source.get(number)):
            _is_copied(source, reference, nowhere, lost)
    return lost


def _is_copied(source: RunFolders, reference: ContentRef, file: BinaryIO, lost: Lost) -> bool:
    """Copy content into a file; return whether it is what its digest says, and note it if not."""
    digest = hashlib.sha256()
    try:
        content = source.open_object(reference.sha256)
    except ObjectNotFoundError:
        lost.missing.append(reference.path)
        return False
    except StoreError:
        # a link, a folder
        lost.damaged.append(reference.path)
        return False
    with content:
        while block := content.read(1 << 20):
            digest.update(block)
            file.write(block)
    if digest.hexdigest() != reference.sha256:
        lost.damaged.append(reference.path)
        return False
    return True


def _place(layout: RunLayout, target: FolderStore, number: int | None) -> int:
    """Copy a run's folder; it gets its number, or the next, when it is complete."""
    temporary = target.root / f".run-{ids.new_uid()}"
    try:
        shutil.copytree(layout.folder, temporary, symlinks=True, ignore=_not_delivery(layout), copy_function=_copy)
        (temporary / "events").mkdir(exist_ok=True)
        if any((temporary / "events").glob(f"*{SUFFIX}")):
            raise_format(str(target.root), WITH_COMPRESSED)
        to = _free(target, number)
        try:
            temporary.rename(to.folder)
        except OSError:
            to.folder.rmdir()
            raise
        sync_folder(target.root)
    except shutil.Error as error:
        # of each file that could not be copied: (source, target, why); the first says it
        _, place, why = error.args[0][0]
        raise StoreError(f"Cannot write {place}: {why}", path=str(place)) from error
    except OSError as error:
        raise cannot("write", target.root, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    move_marker(target.root)  # another run may have been there
    return int(to.folder.name)


def _not_delivery(layout: RunLayout) -> Callable[[str, list[str]], list[str]]:
    return lambda folder, names: [name for name in names if name in _OWN] if Path(folder) == layout.folder else []


def _free(target: FolderStore, number: int | None) -> RunLayout:
    """Claim the same number, or else the next; the folder is empty, so that another can take its place."""
    if number is not None and not target.has(number) and not (layout := target.layout.run(number)).folder.exists():
        with suppress(FileExistsError):
            layout.folder.mkdir()
            return layout
    _, layout = target.claim()
    layout.events.rmdir()
    return layout


def _with_space(target: FolderStore, number: int, source: RunLayout) -> RunLayout:
    """Return the folder of a run of the target; it is in no pack any more where there is something to add."""
    here = target.present(number)
    is_behind = any(not is_there(here.journal(path.stem)) for path in journals(source))
    return target.writable(number) if is_behind else here


def _add_journals(source: RunLayout, target: RunLayout) -> int:
    """Copy journals that were begun since, such as those of tags and notes; return how many."""
    added = 0
    for path in journals(source):
        to = target.journal(path.stem)
        if is_there(to):
            continue
        temporary = to.with_name(f".{to.name}-{os.getpid()}")
        try:
            form = _copied(path, temporary)
            if form.endswith(SUFFIX):
                raise_format(str(target.folder.parent), WITH_COMPRESSED)
            temporary.replace(to.with_name(form))
        except OSError as error:
            raise cannot("write", to, error) from error
        added += 1
    if added:
        note_curated(target)
    return added


def _copied(journal: Path, target: Path) -> str:
    """Copy a journal in the form that it has; return what that is called. Raises OSError."""
    compressed, lines = forms(journal)
    with suppress(FileNotFoundError):
        copy_with_holes(compressed, target)
        return compressed.name
    copy_with_holes(lines, target)
    return lines.name


def _copy(source: str, target: str) -> None:
    """Copy a file of a run's folder; a journal that is compressed meanwhile, in that form. Raises OSError."""
    try:
        copy_with_holes(source, target)
    except FileNotFoundError:
        if not os.path.lexists(f"{source}{SUFFIX}"):
            raise
        with suppress(FileExistsError):
            copy_with_holes(f"{source}{SUFFIX}", f"{target}{SUFFIX}")
