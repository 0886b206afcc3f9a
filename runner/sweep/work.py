"""What a run does, as a digest: those of one digest were given the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

from anew.runner.capture.seeds import seed_from_config
from anew.runner.dataclass import dataclass
from anew.runner.format import serial
from anew.runner.format.values import encode
from anew.runner.records import CommandFacts, EnvironmentFacts, RunRecord, SourceFacts


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


def _below(path: str, root: str | None) -> str:
    """Return a path as it lies in the project, wherever that is."""
    return os.path.relpath(path, root) if root and os.path.isabs(path) else path
