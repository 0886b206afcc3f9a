"""Tags, notes and comments given later, deleting, restoring, purging."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner import events as ev
from anew.runner.attached.comments import Comment, user_name
from anew.runner.dataclass import dataclass
from anew.runner.errors import AnewError, RunNotFoundError, RunStateError, StoreError, ValueRefusedError
from anew.runner.format import ids
from anew.runner.format.serial import from_json, to_json
from anew.runner.format.values import flaw_of_tags
from anew.runner.lazy.modules import later
from anew.runner.query.filters import parse_filter
from anew.runner.records import ContentRef, RunRecord, Status, Verdict
from anew.runner.store.files import cannot
from anew.runner.store.living import may_live
from anew.runner.store.marker import move_marker
from anew.runner.store.paths import PURGING, RunLayout
from anew.runner.store.reading import read_run
from anew.runner.store.stored import StoredRun
from anew.runner.store.sweep_refs import job_of
from anew.runner.wording import some

if TYPE_CHECKING:
    import shutil

    from anew.runner.store.run_folders import RunFolders
else:
    shutil = later("shutil")

GRACE_S = 3600.0


@dataclass(frozen=True, slots=True)
class Purged:
    """
    What a purge removed.

    Attributes:
        runs: Their numbers.
        objects: Pieces of content.
        bytes_freed: Of content.
        content_kept: Why no content was removed, as a sentence; empty when it was.
        left: Runs that were left, since they may be going on.
    """

    runs: tuple[int, ...]
    objects: int
    bytes_freed: int
    content_kept: str = ""
    left: tuple[int, ...] = ()


def tag(store: RunFolders, ref: str | int, add: Sequence[str] = (), remove: Sequence[str] = ()) -> RunRecord:
    """Add and take away tags; return the record. Raises as `StoredRuns.resolve`, StoreError, and ValueRefusedError."""
    if flaw := flaw_of_tags(add):
        raise ValueRefusedError(f"{list(add)!r} cannot be added: {flaw} Such as: anew tag {ref} paper")
    return _add(store, ref, ev.TagsChanged, added=tuple(add), removed=tuple(remove))


def note(store: RunFolders, ref: str | int, text: str) -> RunRecord:
    """Set a run's note; empty text takes it away. Returns and raises as `tag`."""
    return _add(store, ref, ev.NoteSet, text=text)


def comment(store: RunFolders, ref: str | int, text: str) -> RunRecord:
    """Add a comment of this process's user; return the record. Raises as `tag`, ValueRefusedError without text."""
    if not text.strip():
        raise ValueRefusedError('An empty comment says nothing. To add one: anew comment REF "what there is to say"')
    said = Comment(text=text, by=user_name(), at=datetime.now(timezone.utc))
    return _add(store, ref, ev.Commented, comment=said)


def judge(store: RunFolders, run: StoredRun, verdict: Verdict) -> None:
    """Write down how a re-run, which was just read, came out. Raises StoreError."""
    store.add_event(run, ev.Judged, **_without_secrets({"verdict": verdict}))


def _add(store: RunFolders, ref: str | int, kind: type[ev.Event], **values: Any) -> RunRecord:
    """Add one event; return the record as it is then."""
    run = store.look_up(ref)
    store.add_event(run, kind, **_without_secrets(values))
    return store.get(run.number)


def _without_secrets(values: dict[str, Any]) -> dict[str, Any]:
    """Return what an event is made of without the secrets in this process's environment."""
    # not at the top: whoever only looks at a store knows of no secrets, and does without what finds them
    from anew.runner.format.redact import Redactor

    redactor = Redactor.of_environment()
    facts = (Verdict, Comment)
    return {
        name: from_json(type(value), redactor.texts(to_json(value)))
        if isinstance(value, facts)
        else redactor.texts(value)
        for name, value in values.items()
    }


def delete(store: RunFolders, ref: str | int, *, force: bool = False) -> int:
    """
    Move a run into the trash; return its number.

    Args:
        store: The store.
        ref: The run.
        force: Whether one is taken, too, that may be going on.

    Raises:
        RunStateError: It is going on, or may be.
        StoreError: The store cannot be written.
    """
    store.refuse_removal()
    run = store.look_up(ref)
    if not force:
        with store.looked_at(run.number) as layout:
            _refuse_living(layout, run.record, "delete")
    _move(store.writable(run.number).folder, store.layout.trashed(run.number).folder)
    member = run.record.sweep
    of = None if member is None else member.uid or member.id
    if member is not None and of is not None:
        with suppress(AnewError):  # it may have been copied without its sweep
            store.sweep_folder(of).note_deleted(member.index, run.number)
    return run.number


def _refuse_living(layout: RunLayout, record: RunRecord, verb: str) -> None:
    """Raise RunStateError for a run that may be going on."""
    number = layout.folder.name
    if not may_live(layout, record):
        return
    if record.status is Status.RUNNING:
        why = f"Run {number} is going on. Stop it first, or wait until it has ended."
    else:
        host = f" was on {record.process.hostname}, which cannot be seen from here" if record.process else " is unknown"
        why = f"Run {number} may be going on: it has no outcome, and its process{host}."
    raise RunStateError(f"{why} To {verb} it all the same: anew {verb} --force {number}", run=int(number))


def restore(store: RunFolders, ref: str | int) -> int:
    """
    Bring a deleted run back under its number; return that.

    Raises:
        RunNotFoundError: The trash holds no such run.
        StoreError: The store cannot be written.
    """
    store.refuse_removal()
    number = number_in_trash(store, ref)
    _move(store.layout.trashed(number).folder, store.layout.run(number).folder)
    move_marker(store.layout.root)
    return number


def trashed(store: RunFolders) -> list[RunRecord]:
    """Return the deleted runs, newest first."""
    return [run.record for run in _in_trash(store)]


def _in_trash(store: RunFolders) -> list[StoredRun]:
    records = ((number, read_run(store.layout.trashed(number), number)) for number in store.trashed_numbers())
    return [StoredRun(number, store.named(record)) for number, record in records if record is not None]


def number_in_trash(store: RunFolders, ref: str | int) -> int:
    """Return the number of a deleted run. Raises RunNotFoundError, RefSyntaxError."""
    return Trash(store).resolve(ref)


class Trash:
    """The deleted runs of a store, to choose from."""

    def __init__(self, store: RunFolders) -> None:
        self.url = f"the trash of {store.url}"
        self._runs = _in_trash(store)

    def resolve(self, ref: str | int) -> int:
        """Return the number of a deleted run. Raises RunNotFoundError, RefSyntaxError."""
        parsed = ids.parse_ref(ref)
        if isinstance(parsed, ids.ByNumber):
            found = [run for run in self._runs if run.number == parsed.number]
        elif isinstance(parsed, ids.ByUid):
            found = [run for run in self._runs if run.record.uid.startswith(parsed.prefix)]
        elif isinstance(parsed, ids.ByAge):
            found = self._runs[parsed.back : parsed.back + 1]
        elif isinstance(parsed, ids.ByForeignId):
            theirs = ((run, run.record.foreign) for run in self._runs)
            found = [run for run, foreign in theirs if foreign is not None and foreign.id == parsed.name]
        else:
            numbers = job_of(((run.number, run.record) for run in self._runs), parsed)
            found = [run for run in self._runs if run.number in numbers]
        if len(found) != 1:
            held = some([run.number for run in self._runs], 20) or "nothing"
            whose = self.url[0].upper() + self.url[1:]
            raise RunNotFoundError(f"{whose} holds no run {str(ref)!r}; it holds: {held}.", ref=str(ref))
        return found[0].number

    def get(self, ref: str | int) -> RunRecord:
        """Return the record of a deleted run. Raises as `resolve`."""
        number = self.resolve(ref)
        return next(run.record for run in self._runs if run.number == number)

    def find(self, where: str = "") -> list[RunRecord]:
        """Return the records of those that match, newest first. Raises FilterError."""
        matches = parse_filter(where).matches if where.strip() else None
        return [run.record for run in self._runs if matches is None or matches(run.record)]


def _move(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(exist_ok=True)
        if target.exists():
            raise StoreError(f"{str(target)!r} is there already; move it away first.")
        source.rename(target)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise cannot("move", source, error) from error


def purge(
    store: RunFolders,
    refs: Iterable[str | int] | None = None,
    *,
    force: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Purged:
    """
    Remove deleted runs for good, and then the content that no run refers to any more.

    Content put within the last hour stays, since a run that is starting may be about to refer to it. Interrupted half
    way, the next purge goes on.

    Args:
        store: The store.
        refs: Which deleted runs; None for all but those that may be going on.
        force: Whether runs are taken, too, that may be going on.
        progress: Called with a sentence now and then.

    Raises:
        RunNotFoundError: The trash holds no such run.
        RunStateError: One that was named may be going on.
        StoreError: The store cannot be written.
    """
    store.refuse_removal()
    chosen = _in_trash(store)
    if refs is not None:
        named = {number_in_trash(store, ref) for ref in refs}
        chosen = [run for run in chosen if run.number in named]
    left = [] if force else [run for run in chosen if may_live(store.layout.trashed(run.number), run.record)]
    if refs is not None and left:
        _refuse_living(store.layout.trashed(left[0].number), left[0].record, "purge")
    numbers = [run.number for run in chosen if run not in left]
    if numbers:
        store.retire(max(numbers))
    for number in numbers:
        _remove(store, number)
    _remove_leftovers(store)
    if progress is not None and numbers:
        progress(f"removed {len(numbers)} runs; looking for content that nothing refers to")
    objects, freed, why_not = _sweep_objects(store)
    return Purged(tuple(numbers), objects, freed, why_not, tuple(run.number for run in left))


def _remove(store: RunFolders, number: int) -> None:
    folder = store.layout.trashed(number).folder
    going = store.layout.purging(number, ids.new_uid())
    try:
        folder.rename(going)
        shutil.rmtree(going)
    except OSError as error:
        raise cannot("remove", folder, error) from error


def _remove_leftovers(store: RunFolders) -> None:
    for path in store.layout.trash.glob(f"{PURGING}*"):
        shutil.rmtree(path, ignore_errors=True)


def _sweep_objects(store: RunFolders) -> tuple[int, int, str]:
    for path in store.objects.temporaries(GRACE_S):
        with suppress(OSError):
            path.unlink()
    records = list(every_record(store))
    damaged = [str(record.id) for record in records if any(each.hides_content for each in record.damage)]
    if damaged:
        return 0, 0, f"No content was removed, since what the damaged runs {', '.join(damaged)} refer to is not known."
    limit = time.time() - GRACE_S
    used = {file.sha256 for record in records for file in contents(record)}
    removed = freed = 0
    for sha256 in set(store.objects.all()) - used:
        if store.objects.used_since(sha256) < limit:
            freed += store.objects.remove(sha256, unless_used_since=limit)
            removed += not store.objects.has(sha256)
    return removed, freed, ""


def every_record(store: RunFolders) -> Iterator[RunRecord]:
    """Yield all runs, deleted ones too."""
    for number in store.numbers():
        with store.looked_at(number) as layout:
            record = read_run(layout, number)
        if record is not None:
            yield record
    for number in store.trashed_numbers():
        record = read_run(store.layout.trashed(number), number)
        if record is not None:
            yield record


def contents(record: RunRecord) -> list[ContentRef]:
    """Return everything of a run whose content is kept: sources, inputs, artifacts."""
    files = (*record.source.files, *record.inputs, *record.artifacts)
    return [file for file in files if file.kept]
