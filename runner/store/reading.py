"""One run's folder, read: the start, the journals and the outcome folded into a record."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from heapq import merge
from pathlib import Path
from typing import Any

from anew.runner import events as ev
from anew.runner.errors import StoreFormatError
from anew.runner.format import serial
from anew.runner.format.replay import Replay
from anew.runner.format.serial import DamagedError
from anew.runner.guard.journal_ends import END_BYTES, seal_in
from anew.runner.records import CommandFacts, Damage, Part, RunRecord, Status
from anew.runner.store.curated import read_curated
from anew.runner.store.files import read_regular, size_of
from anew.runner.store.journal_forms import is_there, journals, length_of, lies_in, open_journal
from anew.runner.store.lines import Flaw, iter_journal, read_entries
from anew.runner.store.living import is_alive
from anew.runner.store.logged import Told
from anew.runner.store.paths import RunLayout
from anew.runner.store.summed import Kept, Summed, Summing, long_files

# far more than any record has; what is longer is none of ours, or will not fit into memory
MOST_RECORD_BYTES = 256 * 2**20
_MOST_PIECES = 20
_IS_LINK = "is a link, which is not followed: what it leads to is not part of the store"
_MEND = "copy the file back from a backup; what is intact is shown"
# of a file that may be whole: the process had no descriptor left, or the disk was away
_MEND_UNREAD = "see to what the system says, and look again; where it is lost, copy it back from a backup"
# its lines, which it had before, would not count beside it
_MEND_COMPRESSED = "copy the file back from a backup, or {} in its place, and remove it; what is intact is shown"
_PARTS = {
    "run.json": Part.RECORD,
    "outcome.json": Part.OUTCOME,
    "curated.json": Part.OUTCOME,
    "output.log": Part.OUTPUT,
    "events": Part.JOURNAL,
}
JournalsKnown = Told | Summed | None
"""What is known of journals without reading them, by who wrote them or by who read them before."""


def read_run(layout: RunLayout, number: int, told: Told | None = None, kept: Kept | None = None) -> RunRecord | None:
    """
    Return a run's record, or None when the folder was claimed but its run never started.

    What *told* says of its journal holds, as far as that is the only one with metrics, and as it was; likewise what is
    *kept* of journals. Where nothing that holds is kept, what they come to is.

    Damage costs what is damaged and is listed in `damage`, in words in `warnings`. Of a run that cannot be understood
    at all, such as one that a newer version wrote, it is said that it was, and why no more is. Never raises.
    """
    try:
        if layout.folder.is_symlink():
            return _unread(layout, number, _IS_LINK)
        start, lost = read_start(layout)
        known = told if told is not None and told.is_so() else None
        return None if start is None else read_known(layout, replace(start, id=number), lost, known, kept)
    except OSError as error:
        return _unread(layout, number, f"cannot be read: {error.strerror}", error)


def _unread(layout: RunLayout, number: int, why: str, error: OSError | None = None) -> RunRecord:
    damage = _lost(layout.folder, why, error)
    return replace(_stand_in(layout), id=number, damage=(damage,), warnings=(damage.what,))


def read_known(
    layout: RunLayout, start: RunRecord, lost: Sequence[Damage], known: JournalsKnown, kept: Kept | None = None
) -> RunRecord:
    """
    Return the record of a run that began with *start*, of which *lost* is damaged. Raises OSError.

    What is *known* of its journals holds, as far as the others have no metrics; *kept* as in `read_run`.
    """
    # in this order: what stands in the journals when the outcome is there was written before it
    ended, broken = read_outcome(layout, start.uid)
    state, found, ends = _replayed(layout, start, known, None if ended is None else kept)
    for damage in (*lost, *broken, *found.listed(), *missing_later(layout, ended, ends)):
        state.find(damage)
    if broken:
        return replace(state.record(), status=Status.LOST)
    record = judged(layout, start, state, ended)
    # it may have ended while we looked
    return read_known(layout, start, lost, None) if record is None else record


def missing_later(layout: RunLayout, ended: ev.RunEnded | None, ends: Mapping[str, int]) -> Iterator[Damage]:
    """Yield what was there once, by what the outcome and `curated.json` say, and is not there now."""
    yield from _curated_off(layout, ends)
    yield from _cut_off(layout, ended, ends)


def judged(layout: RunLayout, start: RunRecord, state: Replay, ended: ev.RunEnded | None) -> RunRecord | None:
    """
    Return the record of a run whose journals are folded: how it ended, or else whether it lives.

    None when it has an outcome by now, so that its journals are to be read again.
    """
    if ended is not None:
        state.apply(ended)
        return state.record()
    if is_alive(layout, start):
        return state.record()
    if os.path.lexists(layout.outcome):
        return None
    record = state.record()
    beat = record.heartbeat_at or record.started_at
    return replace(record, status=Status.LOST, duration_s=(beat - record.started_at).total_seconds())


def read_start(layout: RunLayout, *, light: bool = False) -> tuple[RunRecord | None, list[Damage]]:
    """
    Return a run's record as it was at the start, a stand-in when that is lost, and the damage. Raises OSError.

    With *light* without the bulk: most of the time goes into that.
    """
    if layout.folder.is_symlink():
        return _stand_in(layout), [_lost(layout.folder, _IS_LINK)]
    try:
        data = serial.unseal(read_regular(layout.record, MOST_RECORD_BYTES))
        return serial.record_from_start(data, light=light), []
    except (FileNotFoundError, NotADirectoryError):
        return (None, []) if not has_begun(layout) else (_stand_in(layout), [_lost(layout.record, "is missing")])
    except StoreFormatError as error:
        return _stand_in(layout), [_lost(layout.record, f"cannot be understood: {error}")]
    except DamagedError as error:
        return _stand_in(layout), [_lost(layout.record, f"is damaged ({error}); what it held is not shown")]
    except OSError as error:
        return _stand_in(layout), [
            _lost(layout.record, f"cannot be read ({error.strerror}), so it is not shown", error)
        ]


def has_begun(layout: RunLayout) -> bool:
    """Whether there is more than the claim of a number: a record, or what is left of one."""
    return os.path.lexists(layout.record) or os.path.lexists(layout.outcome) or bool(journals(layout))


def _lost(path: Path, what: str, error: OSError | None = None) -> Damage:
    """Return what is wrong with a file of a run's folder, where need be with why it could not be read."""
    if path.suffix != ".jsonl":
        part = _PARTS.get(path.name, Part.FOLDER)
        return Damage(part=part, what=f"{path.name} {what}", where=path.name, mend=_MEND_UNREAD if error else _MEND)
    form = lies_in(path)
    return Damage(
        part=Part.JOURNAL,
        what=f"events/{path.name}: {what}",
        where=f"events/{form.name}",
        mend=_MEND_UNREAD if error else _MEND if form == path else _MEND_COMPRESSED.format(path.name),
    )


class _Found:
    """Damage in journals, as it is found: of each the first pieces, and how many more there are."""

    def __init__(self) -> None:
        self._pieces: dict[Path, list[Damage]] = {}
        self._more: dict[Path, int] = {}

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def add(self, path: Path, what: str, error: OSError | None = None) -> None:
        pieces = self._pieces.setdefault(path, [])
        if len(pieces) < _MOST_PIECES:
            pieces.append(_lost(path, what, error))
        else:
            self._more[path] = self._more.get(path, 0) + 1

    def listed(self) -> Iterator[Damage]:
        """Yield what was found, a journal at a time."""
        for path, pieces in self._pieces.items():
            yield from pieces
            if path in self._more:
                yield _lost(path, f"and {self._more[path]} more places are damaged")


def _cut_off(layout: RunLayout, ended: ev.RunEnded | None, ends: Mapping[str, int]) -> Iterator[Damage]:
    """Yield what was there when the run ended, and is not there now: the outcome names it."""
    if ended is None:
        return
    yield from _missing(layout, ended.writers or {}, ended.seals or {}, ends)
    if ended.output_bytes:
        size = size_of(layout.output)
        if size is None:
            yield _lost(layout.output, f"is missing; it had {ended.output_bytes} bytes or more")
        elif size < ended.output_bytes:
            yield _lost(layout.output, f"is cut short: it has {size} bytes, and had {ended.output_bytes} or more")


def _curated_off(layout: RunLayout, ends: Mapping[str, int]) -> Iterator[Damage]:
    """Yield which tags, notes and verdicts given later are not there any more."""
    try:
        curated = read_curated(layout)
        yield from _missing(layout, curated.writers, curated.seals, ends)
    except OSError as error:
        yield _lost(layout.curated, f"cannot be read: {error.strerror}", error)
    except DamagedError as error:
        yield _lost(layout.curated, f"is damaged ({error}); whether tags or notes are missing is not known")


def _missing(
    layout: RunLayout, writers: Mapping[str, int], seals: Mapping[str, str], ends: Mapping[str, int]
) -> Iterator[Damage]:
    """Yield what of journals is not there any more, given the last number that each had, its seal, and the last now."""
    for writer, last in writers.items():
        path, seen = layout.journal(writer), ends.get(writer, 0)
        if not seen and not is_there(path):
            yield _lost(path, f"is missing, with its {last} entries")
        elif seen < last:
            which = f"entry {last} is" if seen + 1 == last else f"the entries {seen + 1} to {last} are"
            yield _lost(path, f"{which} missing at its end")
        elif _is_another(path, last, seals.get(writer)):
            yield _lost(path, f"entry {last} is not the one that was written: it may be another run's journal")


def _is_another(path: Path, number: int, seal: str | None) -> bool:
    with suppress(OSError):
        with open_journal(path) as file:
            file.seek(max(0, length_of(file) - END_BYTES))
            found = seal_in(file.read(END_BYTES), number)
        return seal is not None and found is not None and found != seal
    return False


def _stand_in(layout: RunLayout) -> RunRecord:
    """Return what can be said of a run whose `run.json` is lost: that it was, and when."""
    try:
        seconds = layout.folder.lstat().st_mtime
    except OSError:
        seconds = 0.0
    changed = datetime.fromtimestamp(seconds, timezone.utc)
    return RunRecord(
        uid="", experiment="(unknown)", started_at=changed, command=CommandFacts(argv=(), cwd=""), status=Status.LOST
    )


def read_outcome(layout: RunLayout, uid: str) -> tuple[ev.RunEnded | None, list[Damage]]:
    """Return how the run of this uid ended, if it did, and what is damaged; without a uid, whichever run it is."""
    try:
        data = serial.unseal(read_regular(layout.outcome, MOST_RECORD_BYTES))
        if uid and data.get("uid", uid) != uid:
            raise DamagedError("it is another run's")
        return serial.outcome_from_json(uid, data), []
    except (FileNotFoundError, NotADirectoryError):
        return None, []
    except DamagedError as error:
        return None, [_lost(layout.outcome, f"is damaged ({error}); how the run ended is not known")]
    except OSError as error:
        what = f"cannot be read: {error.strerror}; how the run ended is not known"
        return None, [_lost(layout.outcome, what, error)]


def _replayed(
    layout: RunLayout, start: RunRecord, known: JournalsKnown, kept: Kept | None
) -> tuple[Replay, _Found, dict[str, int]]:
    """Return the record with all journals folded in, what of them is damaged, and the last number in each."""
    paths = journals(layout)
    files = long_files(paths) if kept is not None else None
    if kept is not None and files is not None and known is None:
        known = kept.of(files)
    if known is not None and not _have_metrics(each for each in paths if not known.knows(each)):
        state = Replay(start)
        state.summarized(known.metrics, known.t)
        with suppress(DamagedError):
            return state, *_replay_journals(layout, start.uid, state, known)
    state, summing = Replay(start), Summing(files) if files is not None else None
    found, ends = _replay_journals(layout, start.uid, state, summing=summing)
    if kept is not None and summing is not None and not found:
        kept.keep(summing, state.record().metrics, ends)
    return state, found, ends


def _have_metrics(paths: Iterable[Path]) -> bool:
    """Whether there are lines of metrics in a journal, or one cannot be read."""
    with suppress(OSError):
        return any(True for path in paths for _ in read_entries(path, [ev.MetricsLogged.kind]))
    return True


def _replay_journals(
    layout: RunLayout, uid: str, state: Replay, known: JournalsKnown = None, summing: Summing | None = None
) -> tuple[_Found, dict[str, int]]:
    """
    Fold all journals into *state*; metrics go the short way, since there may be millions.

    Those in journals that are *known* are there already. What all of them come to is added to *summing*.

    Returns:
        What is damaged, and the last number in each journal.

    Raises:
        DamagedError: What is *known* is damaged.
    """
    found, ends = _Found(), dict[str, int]()
    try:
        if layout.events.is_symlink():
            found.add(layout.events, _IS_LINK)
        os.scandir(layout.events).close()
    except FileNotFoundError:
        pass  # a run of which nothing was written
    except OSError as error:
        found.add(layout.events, f"cannot be read: {error.strerror}", error)
    if known is not None:
        ends.update(known.ends)
    for writer, entry in _entries(journals(layout), found, known):
        number = entry[serial.NUMBER_KEY]
        if number > ends.get(writer, 0):
            ends[writer] = number
        try:
            if (points := serial.points_of(entry)) is not None:
                state.metrics(*points)
                if summing is not None:
                    summing.leave_out(points[2])
                continue
            if summing is not None:
                summing.keep(writer, entry)
            if (event := serial.event_from_entry(uid, writer, entry)) is not None:
                state.apply(event)
        except DamagedError as error:
            found.add(layout.journal(writer), f"entry {number} cannot be understood: {error}")
    return found, ends


def _entries(paths: list[Path], found: _Found, known: JournalsKnown = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """
    Yield (writer, entry) of all journals in order of time; what is damaged is noted and passed over.

    Of those that are *known* without metrics. Raises DamagedError, where what is known is not as it was written.
    """

    def tagged(path: Path) -> Iterator[tuple[float, str, dict[str, Any]]]:
        writer = path.stem
        if known is not None and known.knows(path):
            yield from ((t, writer, entry) for t, entry in known.placed(path))
            return
        try:
            for item in iter_journal(path):
                if isinstance(item, Flaw):
                    found.add(path, str(item))
                else:
                    yield item[serial.TIME_KEY], writer, item
        except OSError as error:
            found.add(path, f"it cannot be read: {error.strerror}", error)

    streams = [tagged(path) for path in paths]
    ordered = streams[0] if len(streams) == 1 else merge(*streams, key=lambda item: item[:2])
    for _, writer, entry in ordered:
        yield writer, entry


def read_events(layout: RunLayout, record: RunRecord) -> Iterator[ev.Event]:
    """Yield a run's events in order, from its start to its end; damaged entries are passed over. Raises OSError."""
    start, _ = read_start(layout)
    if start is None:
        return
    yield ev.RunStarted(uid=record.uid, writer="run", q=0, t=0.0, record=replace(start, id=record.id))
    for writer, entry in _entries(journals(layout), _Found()):
        try:
            event = serial.event_from_entry(record.uid, writer, entry)
        except DamagedError:
            continue
        if event is not None:
            yield event
    ended, _ = read_outcome(layout, record.uid)
    if ended is not None:
        yield ended
