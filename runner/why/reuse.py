"""Runs that did already what a trial is to do: those of earlier searches."""

from __future__ import annotations

import hashlib

from anew.runner.capture.environment import capture_environment
from anew.runner.format import serial
from anew.runner.format.values import encode
from anew.runner.places import cache_folder
from anew.runner.records import EnvironmentFacts, RunRecord, Status
from anew.runner.settings import EnvironmentSettings
from anew.runner.store.folder import FolderStore


class Earlier:
    """
    The trials of earlier searches of one experiment, by what they were given. Read once, when first asked.

    Args:
        store: Where they are.
        experiment: Its name.
        uid: The search that is under way, whose own trials are known.
    """

    def __init__(self, store: FolderStore, experiment: str, uid: str) -> None:
        self._store, self._experiment, self._uid = store, experiment, uid
        self._known: dict[str, list[RunRecord]] | None = None

    def same_as(self, mixture: RunRecord) -> RunRecord | None:
        """
        Return a run that had the same configuration, source, seed and inputs, on today's software; None for none.

        Args:
            mixture: What a trial is to be run from.
        """
        if self._known is None:
            self._known = self._collect()
        inputs = {file.path: file.sha256 for file in mixture.inputs}
        for run in self._known.get(_given(mixture), ()):
            read = all(inputs.get(file.path) == file.sha256 for file in run.inputs)
            if read and _hash_seed(mixture) in (None, _hash_seed(run)):
                return run
        return None

    def _collect(self) -> dict[str, list[RunRecord]]:
        found: dict[str, list[RunRecord]] = {}
        today = capture_environment(EnvironmentSettings(), cache_folder() / "environment.json")
        for light in self._store.find("why != none"):
            if light.experiment != self._experiment:
                continue
            if light.why is None or light.why.uid == self._uid or light.status not in (Status.COMPLETED, Status.FAILED):
                continue
            run = self._store.get(light.uid)
            if not run.damage and not run.losses and _software(run.environment) == _software(today):
                found.setdefault(_given(run), []).append(run)
        return found


def _given(record: RunRecord) -> str:
    files = sorted((file.path, file.sha256) for file in record.source.files)
    command = [record.command.entry, record.command.function, record.command.options, record.command.target]
    given = [command, files, encode(record.config), record.seed]
    return hashlib.sha256(serial.dumps(given).encode()).hexdigest()


def _software(facts: EnvironmentFacts | None) -> object:
    return facts and (facts.implementation, facts.python, facts.packages)


def _hash_seed(record: RunRecord) -> str | None:
    """Return the hash seed that somebody gave; one that was drawn is another each time."""
    known = record.seeds.hash_randomization if record.seeds is not None else ""
    return known if known.isdigit() else None
