"""What happens in a run, as frozen values.

Every event carries the run's `uid`, its `writer` (one per writing process) and `q`, its number in that
writer's journal, from 1 on: together they tell a repeat from news. `t` is in seconds since the run
started, on the machine's monotonic clock where the writer shares it.

How a journal line spells an event stands here and nowhere else: the `kind` of its class, and beside each field the key
that it has in the line. What is without a kind has no line in a journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from datetime import datetime
from typing import Any, ClassVar

from anew.runner.attached.comments import Comment
from anew.runner.attached.media import Histogram
from anew.runner.dataclass import dataclass
from anew.runner.records import ContentRef, ErrorFacts, GitFacts, RunRecord, Status, Verdict

KIND_KEY = "k"
MAIN_WRITER = "main"  # the process that runs main
CURATING = "curate-"  # what the name of a writer begins with that speaks of a run of before


def _as(key: str, *, later: bool = False) -> dict[str, Any]:
    """Return the metadata of a field called *key* in a line; one that came *later* is left out at its default."""
    return {"key": key, "later": later}


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """The base of all events."""

    kind: ClassVar[str] = ""

    uid: str
    writer: str
    q: int = field(metadata=_as("q"))
    t: float = field(metadata=_as("t"))


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStarted(Event):
    """The run's record, complete, before user code; writer "run", q 0."""

    record: RunRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricsLogged(Event):
    """
    Numbers at one step; ints of any size stay ints.

    Attributes:
        thread: Which of the writer's threads logged them: 0 for the first that logged, and so on.
    """

    kind: ClassVar[str] = "m"

    step: int = field(metadata=_as("s"))
    values: Mapping[str, float | int] = field(metadata=_as("m"))
    thread: int = field(default=0, metadata=_as("h", later=True))


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
    """
    An artifact whose content the store holds; the same name again replaces it.

    Attributes:
        form: "figure", "image", "text" or "table" of one that was logged as such; empty of any other.
        series: What it was logged as; the artifact's own name has the step and an ending, too.
        step: At which step; None without.
    """

    kind: ClassVar[str] = "a"

    artifact: ContentRef = field(metadata=_as("f"))
    form: str = field(default="", metadata=_as("x", later=True))
    series: str = field(default="", metadata=_as("n", later=True))
    step: int | None = field(default=None, metadata=_as("s", later=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class HistogramsLogged(Event):
    """Histograms of values at one step, by name."""

    kind: ClassVar[str] = "b"

    step: int = field(metadata=_as("s"))
    values: Mapping[str, Histogram] = field(metadata=_as("v"))


@dataclass(frozen=True, kw_only=True, slots=True)
class InputUsed(Event):
    """A file that the run read. `origin_mark` tells whose entry it is; see `anew.runner.store.marks`."""

    kind: ClassVar[str] = "u"

    input: ContentRef = field(metadata=_as("f"))
    origin_mark: str = field(default="", metadata=_as("om"))


@dataclass(frozen=True, kw_only=True, slots=True)
class InfoSet(Event):
    """Facts the user added; merged into `info` key by key, at every depth."""

    kind: ClassVar[str] = "i"

    values: Mapping[str, Any] = field(metadata=_as("v"))


@dataclass(frozen=True, kw_only=True, slots=True)
class TagsChanged(Event):
    """Tags added and tags taken away, in that order."""

    kind: ClassVar[str] = "g"

    added: tuple[str, ...] = field(default=(), metadata=_as("add"))
    removed: tuple[str, ...] = field(default=(), metadata=_as("remove"))


@dataclass(frozen=True, kw_only=True, slots=True)
class NoteSet(Event):
    """The run's note, replacing the one before; empty text takes it away."""

    kind: ClassVar[str] = "n"

    text: str = field(metadata=_as("x"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Commented(Event):
    """A comment, beside those that were there."""

    kind: ClassVar[str] = "o"

    comment: Comment = field(metadata=_as("v"))


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceAdded(Event):
    """Source found after the start: modules imported later, and their repositories. `origin_mark` as for an input."""

    kind: ClassVar[str] = "s"

    files: tuple[ContentRef, ...] = field(metadata=_as("f"))
    repositories: Mapping[str, GitFacts] = field(default_factory=dict, metadata=_as("g"))
    origin_mark: str = field(default="", metadata=_as("om"))


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedsSet(Event):
    """Libraries seeded, or made deterministic, after the start."""

    kind: ClassVar[str] = "d"

    seeded: Mapping[str, int] = field(metadata=_as("v"))
    deterministic: Mapping[str, str] = field(default_factory=dict, metadata=_as("x"))


@dataclass(frozen=True, kw_only=True, slots=True)
class ModulesImported(Event):
    """Modules of distributions that were imported by the end, by their first names, and the libraries below them."""

    kind: ClassVar[str] = "p"

    names: tuple[str, ...] = field(metadata=_as("v"))
    libraries: Mapping[str, str] = field(default_factory=dict, metadata=_as("x"))


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewsMade(Event):
    """Files for people that were made while the run goes on: their checksums, by their paths in its folder."""

    kind: ClassVar[str] = "y"

    sums: Mapping[str, str] = field(metadata=_as("v"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged(Event):
    """How a re-run came out; written after its end by whoever compared."""

    kind: ClassVar[str] = "v"

    verdict: Verdict = field(metadata=_as("v"))


@dataclass(frozen=True, kw_only=True, slots=True)
class ToldToStop(Event):
    """
    That `should_stop()` answered yes, the first time in a thread of the writer, or that main ended itself as pruned.

    Attributes:
        asked: Which question of this thread it was, from 1; 0 when main ended itself.
        step: The greatest step that the writer had reported by then; None for none.
        thread: Which of the writer's threads asked: 0 for the one that runs main.
    """

    kind: ClassVar[str] = "e"

    asked: int = field(metadata=_as("n"))
    step: int | None = field(default=None, metadata=_as("s", later=True))
    thread: int = field(default=0, metadata=_as("h", later=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class Warned(Event):
    """Something the recorder had to say."""

    kind: ClassVar[str] = "w"

    text: str = field(metadata=_as("x"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Heartbeat(Event):
    """The run is alive."""

    kind: ClassVar[str] = "h"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunEnded(Event):
    """
    The outcome; writer "outcome", q 0. Exactly one per run, whoever wrote it.

    Attributes:
        writers: The last number in each journal when the run ended; later ones may have been written since. None when
            that is not known, as in what earlier versions wrote.
        seals: The seal of the line of that number in each, where it is known; None as above.
        output_bytes: How many bytes the output log had by then that would not change any more; None as above.
        output_sealed: How many of these had their checksums on record beside it; None as above.
        output_turns: How many of its lines were of stdout, of stderr, and so on by turns; None where that is not known.
        unkept: Why what main returned is not on record; None when it is.
        losses: What could not be recorded, in sentences; None for nothing.
    """

    status: Status = field(metadata=_as("status"))
    ended_at: datetime = field(metadata=_as("ended_at"))
    duration_s: float = field(metadata=_as("duration_s"))
    result: Any = field(default=None, metadata=_as("result"))
    error: ErrorFacts | None = field(default=None, metadata=_as("error"))
    signal: str | None = field(default=None, metadata=_as("signal"))
    exit_code: int | None = field(default=None, metadata=_as("exit_code"))
    writers: Mapping[str, int] | None = field(default=None, metadata=_as("writers"))
    seals: Mapping[str, str] | None = field(default=None, metadata=_as("seals"))
    output_bytes: int | None = field(default=None, metadata=_as("output_bytes"))
    output_sealed: int | None = field(default=None, metadata=_as("output_sealed"))
    output_turns: tuple[int, ...] | None = field(default=None, metadata=_as("output_turns"))
    unkept: str | None = field(default=None, metadata=_as("unkept"))
    losses: tuple[str, ...] | None = field(default=None, metadata=_as("losses"))


# looked for among the names here, since `Event.__subclasses__()` also has the classes that `slots` has replaced
KINDS: dict[str, type[Event]] = {
    each.kind: each
    for each in list(globals().values())
    if isinstance(each, type) and issubclass(each, Event) and each.kind
}


def keys(kind: type[Event]) -> dict[str, str]:
    """Return the fields of a kind of event that a line holds, each with its key there."""
    return {item.name: item.metadata["key"] for item in fields(kind) if item.metadata}
