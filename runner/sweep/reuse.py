"""Which completed run has done already what a job is to do."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from anew.runner.capture.command import unrepeatable
from anew.runner.capture.noticed import UNKNOWN_INPUT
from anew.runner.capture.seeds import seed_from_config
from anew.runner.dataclass import dataclass
from anew.runner.format import serial
from anew.runner.format.values import encode
from anew.runner.records import CommandFacts, ContentRef, EnvironmentFacts, RunRecord, SourceFacts, Status
from anew.runner.store.files import digest_of
from anew.runner.store.folder import FolderStore
from anew.runner.wording import some


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """
    What runs of one command do, whatever their configuration: the code that they call, and what it runs on.

    Attributes:
        experiment: The experiment's name.
        command: How they were started.
        source: The files of the code.
        environment: The software around it.
        seed: The one that `anew.seed` gave, which the configuration does not show; None for none.
    """

    experiment: str
    command: CommandFacts
    source: SourceFacts
    environment: EnvironmentFacts | None
    seed: int | None = None

    def digest(self, config: Mapping[str, Any], *more: Any) -> str:
        """Return what one of them does, as a digest, but for the files of the code."""
        command, environment, root = self.command, self.environment, self.source.root
        around = None
        if environment is not None:
            packages = sorted(environment.packages.items())
            around = [environment.implementation, environment.python, packages, environment.variables.get("PYTHONPATH")]
        target = command.target if command.entry == "module" else _below(command.target, root)
        called = [target, command.function, command.options, _below(command.cwd, root)]
        # of a configuration with a seed, that one shows in it
        seed = self.seed if seed_from_config(config) is None else None
        given = [self.experiment, called, around, encode(config), seed, *more]
        return hashlib.sha256(serial.dumps(given).encode()).hexdigest()[:32]

    def unknown(self) -> str:
        """Return why the code that they call is not known; "" when it is."""
        if unrepeatable(self.command):
            return "the main function is in no file"
        if not self.source.files:
            return "the source is not recorded (anew.source.enabled=false)"
        if self.source.lost:
            return f"the source is recorded without {some(self.source.lost)}"
        return ""


def work_of(record: RunRecord) -> Work:
    """Return what a run did."""
    # a seed that was drawn is left out, since nobody asked for it
    seed = record.seed if record.seeds is not None and record.seeds.origin == "setting" else None
    return Work(
        experiment=record.experiment,
        command=record.command,
        source=record.source,
        environment=record.environment,
        seed=seed,
    )


def work_key(record: RunRecord) -> str:
    """
    Return what a run did, as a digest of all that is known to bear on what comes out.

    Experiment, main function and what was started, source, Python and packages, configuration, seed where it was given,
    and inputs. Two runs of one key were given the same.
    """
    inputs = sorted((item.path, item.sha256) for item in record.inputs)
    files = sorted((file.path, file.sha256) for file in record.source.files)
    return work_of(record).digest(record.config, files, inputs)


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
        for light in self._store.records():
            if light.experiment != self._work.experiment or light.state != Status.COMPLETED.value or light.id is None:
                continue
            record = self._store.get(light.id)
            work = work_of(record)
            if not work.unknown() and not any(UNKNOWN_INPUT in text for text in record.warnings):
                found.setdefault(work.digest(record.config), []).append(light.id)
        return found


def _below(path: str, root: str | None) -> str:
    """Return a path as it lies in the project, wherever that is."""
    return os.path.relpath(path, root) if root and os.path.isabs(path) else path


def _digest_of(path: Path) -> str | None:
    try:
        return digest_of(path)[0]
    except OSError:
        return None
