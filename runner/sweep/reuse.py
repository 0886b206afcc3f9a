"""Which completed run has done already what a job is to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from anew.runner.capture.command import unrepeatable
from anew.runner.capture.noticed import UNKNOWN_INPUT
from anew.runner.records import ContentRef, SourceFacts, Status
from anew.runner.store.choosing import tell_left_out
from anew.runner.store.files import digest_of
from anew.runner.store.folder import FolderStore
from anew.runner.sweep.work import Work, work_of
from anew.runner.wording import some


class Reuse:
    """
    The completed runs that did the same work, by what they were given.

    Args:
        store: Where they are.
        work: What jobs do now.
    """

    def __init__(self, store: FolderStore, work: Work) -> None:
        self._store = store
        self._work = work
        self._files = {file.path: file.sha256 for file in work.source.files}
        self._by_given: dict[str, list[int]] | None = None

    def find(self, config: Mapping[str, Any]) -> tuple[int, str] | None:
        """Return number and uid of the newest run that did the same with files that are as they were then, or None."""
        if self._by_given is None:
            self._by_given = self._collect()
        for number in self._by_given.get(self._work.digest(config), ()):
            record = self._store.get(number)
            if self._has_this_code(record.source) and self._are_as_they_were(record.inputs):
                return number, record.uid
        return None

    def _has_this_code(self, source: SourceFacts) -> bool:
        """Whether the code is what a run called: all of it now, and what main imported only once it ran."""
        recorded = {file.path: file.sha256 for file in source.files}
        if any(recorded.get(path) != sha256 for path, sha256 in self._files.items()):
            return False
        return self._are_as_they_were(file for file in source.files if file.path not in self._files)

    def _are_as_they_were(self, files: Iterable[ContentRef]) -> bool:
        root = self._work.source.root or ""
        return all(_digest_of(Path(root, file.path)) == file.sha256 for file in files)

    def _collect(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        tell_left_out(self._store)
        for light in self._store.records():
            if light.experiment != self._work.experiment or light.state != Status.COMPLETED.value or light.id is None:
                continue
            record = self._store.get(light.id)
            work = work_of(record)
            if not unknown(work) and not any(UNKNOWN_INPUT in text for text in record.warnings):
                found.setdefault(work.digest(record.config), []).append(light.id)
        return found


def unknown(work: Work) -> str:
    """Return why the code that runs call is not known; "" when it is."""
    if unrepeatable(work.command):
        return "the main function is in no file"
    if not work.source.files:
        return "the source is not recorded (anew.source.enabled=false)"
    if work.source.lost:
        return f"the source is recorded without {some(work.source.lost)}"
    return ""


def _digest_of(path: Path) -> str | None:
    try:
        return digest_of(path)[0]
    except OSError:
        return None
