"""One of the two runs that are compared: its record, and what of it lies in its store."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping, Sequence

from anew.runner import events as ev
from anew.runner.attached.media import Histogram
from anew.runner.dataclass import dataclass
from anew.runner.errors import AnewError
from anew.runner.records import Part, RunRecord, Severity, Stop
from anew.runner.rerun.series import Lanes
from anew.runner.store import older
from anew.runner.store.files import read_most
from anew.runner.store.happenings import happenings
from anew.runner.store.reading import read_outcome
from anew.runner.store.run_folders import RunFolders

_CURATOR = "curate-"


def stops_of(record: RunRecord, store: RunFolders) -> tuple[Stop, ...]:
    """Return when a run of a store was told to stop, for a re-run to be told so, too."""
    number = record.id or 0
    if not record.pruned:
        return ()
    told = [event for event in happenings(store.present(number), record) if isinstance(event, ev.ToldToStop)]
    if not told:
        return older.stops_of(store.layout.run(number), record)
    return tuple(
        Stop(asked=event.asked, step=event.step, thread=event.thread, own=event.writer == ev.MAIN_WRITER)
        for event in told
        if event.asked
    )


@dataclass(frozen=True, slots=True)
class Side:
    """
    A run and the store that it is read from.

    Attributes:
        record: Whole.
        store: Where it lies; `record.id` is its number there.
    """

    record: RunRecord
    store: RunFolders

    @property
    def lost(self) -> tuple[str, ...]:
        """What of the run's journals and outcome is damaged, gone, or was never recorded, a sentence each."""
        parts = (Part.JOURNAL, Part.OUTCOME, Part.RECORD, Part.FOLDER)
        damage = (each for each in self.record.damage if each.severity is Severity.ERROR and each.part in parts)
        return (*(each.what for each in damage), *self.record.losses)

    @property
    def lost_points(self) -> bool:
        """Whether points, artifacts or facts of the run may be lost."""
        return bool(self.record.losses) or any(each.hides_content for each in self.record.damage)

    def lanes(self, names: Sequence[str]) -> Mapping[str, Lanes]:
        """Return the points of some metrics by who logged them."""
        return self.store.lanes(self.number, names)

    def histograms(self, names: Container[str]) -> dict[str, list[tuple[int, Histogram]]]:
        """Return the histograms of some names, each name's with their steps."""
        found: dict[str, list[tuple[int, Histogram]]] = {}
        for event in self.store.histograms(self.number, names):
            for name, each in event.values.items():
                if name in names:
                    found.setdefault(name, []).append((event.step, each))
        return found

    @property
    def number(self) -> int:
        """Which run of its store it is."""
        return self.record.id if self.record.id is not None else self.store.resolve(self.record.uid)

    def tags(self) -> frozenset[str]:
        """Return the tags that main set: neither given at the start nor by a command later."""
        if not self.record.tags:
            return frozenset()
        found: set[str] = set()
        for event in self._happenings():
            if isinstance(event, ev.TagsChanged) and not event.writer.startswith(_CURATOR):
                found = (found | set(event.added)) - set(event.removed)
        return frozenset(found)

    def versions(self, name: str) -> frozenset[str]:
        """Return the digests of all that was kept as an artifact of this name, one after the other."""
        return frozenset(
            event.artifact.sha256
            for event in self._happenings()
            if isinstance(event, ev.ArtifactAdded) and event.artifact.path == name
        )

    def content(self, sha256: str, most: int) -> bytes | None:
        """Return content, at most so many bytes of it; None when it cannot be had."""
        try:
            with self.store.open_object(sha256) as file:
                return read_most(file, most)
        except (AnewError, OSError):
            return None

    @property
    def is_output_damaged(self) -> bool:
        """Whether the log of what it printed is not what was written there."""
        return any(each.part is Part.OUTPUT and each.severity is Severity.ERROR for each in self.record.damage)

    @property
    def has_output(self) -> bool:
        """Whether what it printed is on record."""
        ended = self._ended()
        return ended is not None and ended.output_bytes is not None

    def printed(self) -> tuple[str, tuple[int, ...] | None]:
        """Return the log of what it printed, and how many lines are of stdout, of stderr, and so on, where known."""
        ended = self._ended()
        return "".join(self.store.output(self.number)), None if ended is None else ended.output_turns

    def _ended(self) -> ev.RunEnded | None:
        return read_outcome(self.store.present(self.number), self.record.uid)[0]

    def _happenings(self) -> Iterator[ev.Event]:
        return happenings(self.store.present(self.number), self.record)


def own_folders(*sides: Side) -> list[str]:
    """Return the paths that are another in every run: of its folder, and of the project where that was."""
    found = []
    for side in sides:
        record = side.record
        if record.id is not None:
            found.append(str(side.store.layout.run(record.id).folder))
        found += [record.source.root or "", record.command.cwd]
    return [folder for folder in dict.fromkeys(found) if folder and folder != os.sep]
