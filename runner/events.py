"""What happens in a run, as frozen values.

Every event carries the run's `uid`, its `writer` (one per writing process) and `q`, its number in that
writer's journal, from 1 on: together they tell a repeat from news. `t` is in seconds since the run
started, on the machine's monotonic clock where the writer shares it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from anew.runner.records import ContentRef, ErrorFacts, RunRecord, Status, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """The base of all events."""

    uid: str
    writer: str
    q: int
    t: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStarted(Event):
    """The run's record, complete, before user code; writer "run", q 0."""

    record: RunRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricsLogged(Event):
    """Numbers at one step; ints of any size stay ints."""

    step: int
    values: Mapping[str, float | int]


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputCaptured(Event):
    """
    A piece of captured output, already in its final form; `offset` in bytes from the log's start.

    It takes the place of everything from its offset on, which is where a piece before it began or ended: rows that a
    progress bar wrote anew come again. Writer "output"; `q` counts what one observer was handed.
    """

    text: str
    offset: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactAdded(Event):
    """An artifact whose content the store holds; the same name again replaces it."""

    artifact: ContentRef


@dataclass(frozen=True, kw_only=True, slots=True)
class InputUsed(Event):
    """A file that the run read."""

    input: ContentRef


@dataclass(frozen=True, kw_only=True, slots=True)
class InfoSet(Event):
    """Facts the user added; merged into `info` key by key, at every depth."""

    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class TagsChanged(Event):
    """Tags added and tags taken away, in that order."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class NoteSet(Event):
    """The run's note, replacing the one before; empty text takes it away."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceAdded(Event):
    """Source files found after the start (modules imported later)."""

    files: tuple[ContentRef, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedsSet(Event):
    """Libraries seeded, or made deterministic, after the start."""

    seeded: Mapping[str, int]
    deterministic: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged(Event):
    """How a re-run came out; written after its end by whoever compared."""

    verdict: Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Warned(Event):
    """Something the recorder had to say."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Heartbeat(Event):
    """The run is alive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunEnded(Event):
    """The outcome; writer "outcome", q 0. Exactly one per run, whoever wrote it."""

    status: Status
    ended_at: datetime
    duration_s: float
    result: Any = None
    error: ErrorFacts | None = None
    signal: str | None = None
    exit_code: int | None = None
