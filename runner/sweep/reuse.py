"""Which completed run has done already what a job is to do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anew.runner.capture.seeds import seed_from_config
from anew.runner.format import serial
from anew.runner.format.values import encode
from anew.runner.records import RunRecord, SourceFacts, Status
from anew.runner.store.files import digest_of
from anew.runner.store.folder import FolderStore


def work_key(record: RunRecord) -> str:
    """
    Return what a run did, as a digest: experiment, source, configuration, seed where it was given, and inputs.

    Two runs of one key were given the same. A seed that was drawn is left out, since nobody asked for it.
    """
    inputs = sorted((item.path, item.sha256) for item in record.inputs)
    return _digest([_given(record.experiment, record.source, record.config, _seed_set_apart(record)), inputs])


def _seed_set_apart(record: RunRecord) -> int | None:
    """Return the seed that `anew.seed` gave, which the configuration does not show."""
    return record.seed if record.seeds is not None and record.seeds.origin == "setting" else None


def _given(experiment: str, source: SourceFacts, config: Mapping[str, Any], seed: int | None) -> list[Any]:
    files = sorted((file.path, file.sha256) for file in source.files)
    return [experiment, files, encode(config), *([] if seed is None else [seed])]


def _digest(value: Any) -> str:
    return hashlib.sha256(serial.dumps(value).encode()).hexdigest()[:32]


class Reuse:
    """
    The completed runs of an experiment with a given source, by what they were given.

    Args:
        store: Where they are.
        experiment: The experiment's name.
        source: The source as it is now.
        seed: What `anew.seed` gives.
    """

    def __init__(self, store: FolderStore, experiment: str, source: SourceFacts, seed: int | None = None) -> None:
        self._store = store
        self._experiment = experiment
        self._source = source
        self._seed = seed
        self._by_given: dict[str, list[int]] | None = None

    def find(self, config: Mapping[str, Any]) -> int | None:
        """Return the newest completed run that did the same with inputs that are now as they were then, or None."""
        if self._by_given is None:
            self._by_given = self._collect()
        # of a configuration with a seed, that one shows in it
        seed = self._seed if seed_from_config(config) is None else None
        for number in self._by_given.get(_digest(_given(self._experiment, self._source, config, seed)), ()):
            record = self._store.get(number)
            if all(_is_as_it_was(self._source.root, item.path, item.sha256) for item in record.inputs):
                return number
        return None

    def _collect(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for light in self._store.records():
            if light.experiment != self._experiment or light.status is not Status.COMPLETED or light.id is None:
                continue
            record = self._store.get(light.id)
            given = _given(record.experiment, record.source, record.config, _seed_set_apart(record))
            found.setdefault(_digest(given), []).append(light.id)
        return found


def _is_as_it_was(root: str | None, path: str, sha256: str) -> bool:
    full = Path(path) if Path(path).is_absolute() or not root else Path(root, path)
    try:
        return digest_of(full)[0] == sha256
    except OSError:
        return False
