"""One run's folder, read: the start, the journals and the outcome folded into a record, and whether it lives."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from heapq import merge
from pathlib import Path
from typing import Any

from anew.runner import events as ev
from anew.runner.errors import StoreError, StoreFormatError
from anew.runner.format import serial
from anew.runner.format.replay import Replay
from anew.runner.format.serial import DamagedError
from anew.runner.records import CommandFacts, Damage, Part, RunRecord, Status
from anew.runner.store.files import cannot
from anew.runner.store.journal import Flaw, iter_journal
from anew.runner.store.liveness import process_alive
from anew.runner.store.paths import RunLayout

SILENT_S = 120.0
_MEND = "copy the file back from a backup; what is intact is shown"


def read_run(layout: RunLayout, number: int) -> RunRecord | None:
    """
    Return a run's record, or None when the folder was claimed but its run never started.

    Damage costs what is damaged and is listed in `damage`, in words in `warnings`.

    Raises:
        StoreFormatError: A newer version wrote it.
        StoreError: It cannot be read.
    """
    try:
        start, lost = read_start(layout)
        if start is None:
            return None
        state = Replay(replace(start, id=number))
        ended, broken = read_outcome(layout, start.uid)
        for damage in (*lost, *broken, *_replay_journals(layout, start.uid, state)):
            state.find(damage)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise cannot("read", layout.folder, error) from error
    if ended is None and not broken:
        return _unfinished(layout, start, state)
    if ended is not None:
        state.apply(ended)
    record = state.record()
    return record if ended is not None else replace(record, status=Status.LOST)


def _unfinished(layout: RunLayout, start: RunRecord, state: Replay) -> RunRecord:
    """Return a run without outcome as RUNNING or LOST; one that ended while we looked, as it ended."""
    if is_alive(layout, start):
        return state.record()
    ended, _ = read_outcome(layout, start.uid)
    if ended is not None:
        _replay_journals(layout, start.uid, state)
        state.apply(ended)
        return state.record()
    record = state.record()
    beat = record.heartbeat_at or record.started_at
    return replace(record, status=Status.LOST, duration_s=(beat - record.started_at).total_seconds())


def read_start(layout: RunLayout) -> tuple[RunRecord | None, list[Damage]]:
    """Return a run's record as it was at the start, a stand-in when that is lost, and what is damaged."""
    try:
        data = layout.record.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return (None, []) if not has_begun(layout) else (_stand_in(layout), [_lost(layout.record, "is missing")])
    try:
        return serial.record_from_start(serial.unseal(data)), []
    except DamagedError as error:
        return _stand_in(layout), [_lost(layout.record, f"is damaged ({error}); what it held is not shown")]


def has_begun(layout: RunLayout) -> bool:
    """Whether there is more than the claim of a number: a record, or what is left of one."""
    return layout.record.exists() or layout.outcome.exists() or any(layout.events.glob("*.jsonl"))


def _lost(path: Path, what: str) -> Damage:
    """Return what is wrong with a file of a run's folder."""
    journal = path.suffix == ".jsonl"
    where = f"events/{path.name}" if journal else path.name
    return Damage(
        part=Part.JOURNAL if journal else Part.RECORD if path.name == "run.json" else Part.OUTCOME,
        what=f"{where}: {what}" if journal else f"{where} {what}",
        where=where,
        mend=_MEND,
    )


def _stand_in(layout: RunLayout) -> RunRecord:
    """Return what can be said of a run whose `run.json` is lost: that it was, and when."""
    changed = datetime.fromtimestamp(layout.folder.stat().st_mtime, timezone.utc)
    return RunRecord(
        uid="", experiment="(unknown)", started_at=changed, command=CommandFacts(argv=(), cwd=""), status=Status.LOST
    )


def read_outcome(layout: RunLayout, uid: str) -> tuple[ev.RunEnded | None, list[Damage]]:
    """Return how the run ended, if it did, and what is damaged."""
    try:
        data = serial.unseal(layout.outcome.read_bytes())
        return serial.outcome_from_json(uid, data), []
    except FileNotFoundError:
        return None, []
    except DamagedError as error:
        return None, [_lost(layout.outcome, f"is damaged ({error}); how the run ended is not known")]


def journals(layout: RunLayout) -> list[Path]:
    """Return the run's journals, in order of their names."""
    return sorted(layout.events.glob("*.jsonl"))


def _replay_journals(layout: RunLayout, uid: str, state: Replay) -> list[Damage]:
    """Fold all journals into *state*; metrics go the short way, since there may be millions."""
    damage: list[Damage] = []
    paths = journals(layout)
    for entry_writer, entry in _entries(paths, damage):
        try:
            if (points := serial.points_of(entry)) is not None:
                state.metrics(*points)
            elif (event := serial.event_from_entry(uid, entry_writer, entry)) is not None:
                state.apply(event)
        except (DamagedError, TypeError, ValueError, AttributeError) as error:
            what = f"entry {serial.number_of(entry)} cannot be understood: {error}"
            damage.append(_lost(layout.journal(entry_writer), what))
    return damage


def _entries(paths: list[Path], damage: list[Damage]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (writer, entry) of all journals in order of time; what is damaged is noted and passed over."""

    def tagged(path: Path) -> Iterator[tuple[float, str, dict[str, Any]]]:
        for item in iter_journal(path):
            if isinstance(item, Flaw):
                damage.append(_lost(path, str(item)))
            else:
                yield serial.time_of(item), path.stem, item

    streams = [tagged(path) for path in paths]
    ordered = streams[0] if len(streams) == 1 else merge(*streams, key=lambda item: item[:2])
    for _, writer, entry in ordered:
        yield writer, entry


def read_events(layout: RunLayout, record: RunRecord) -> Iterator[ev.Event]:
    """Yield a run's events in order, from its start to its end; damaged entries are passed over."""
    start, _ = read_start(layout)
    if start is None:
        return
    yield ev.RunStarted(uid=record.uid, writer="run", q=0, t=0.0, record=replace(start, id=record.id))
    for writer, entry in _entries(journals(layout), []):
        try:
            event = serial.event_from_entry(record.uid, writer, entry)
        except DamagedError:
            continue
        if event is not None:
            yield event
    ended, _ = read_outcome(layout, record.uid)
    if ended is not None:
        yield ended


# --- does it live? ----------------------------------------------------------------------------------------------


def is_alive(layout: RunLayout, record: RunRecord) -> bool:
    """
    Return whether a run without outcome is still going on.

    On the same host its process is looked at. From another host it lives as long as its folder changes: heartbeats
    are written every few seconds, and 120 s of silence, on the file system's own clock, count as death.
    """
    alive = process_alive(record.process) if record.process else None
    if alive is not None:
        return alive
    return file_clock(layout.folder) - _newest_change(layout) < SILENT_S


def _newest_change(layout: RunLayout) -> float:
    times = [layout.folder.stat().st_mtime]
    for path in (*journals(layout), layout.output):
        try:
            times.append(path.stat().st_mtime)
        except FileNotFoundError:
            continue
    return max(times)


def file_clock(folder: Path) -> float:
    """Return the time as the file system of *folder* has it, since a server's clock may differ from ours."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=".clock-", dir=folder.parent)
    except OSError:
        return time.time()
    try:
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
        Path(name).unlink()


def check_format(root: Path, text: str, newest: int) -> None:
    """Refuse a store of a newer format, or one whose FORMAT file makes no sense. Raises StoreFormatError."""
    if not (text.strip().isascii() and text.strip().isdigit()):
        raise StoreFormatError(f"{str(root / 'FORMAT')!r} holds {text[:40]!r}, not a number: this is no store of anew.")
    if int(text) > newest:
        raise StoreFormatError(
            f"The store {str(root)!r} has format {int(text)}; this version of anew reads up to {newest}. "
            "To use it: pip install --upgrade anew"
        )
