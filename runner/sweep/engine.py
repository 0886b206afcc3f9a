"""What runs the jobs of a sweep beside each other, and how it says that one has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError
from anew.runner.settings import SweepSettings
from anew.runner.store.paths import SweepLayout
from anew.runner.sweep.reference import Attachment, MainReference

if TYPE_CHECKING:
    from anew.runner.config.main import Ticket

_Options = TypeVar("_Options")


class Fate(Enum):
    """
    What became of a job that was handed to an engine.

    ENDED: It was begun and came to its end; the store says how. TAKEN: Another process has it. NOT_BEGUN: It was
    refused before main, as any further try would be. DIED: Its process did not come to its end by itself, before main
    or in it.
    """

    ENDED = "ended"
    TAKEN = "taken"
    NOT_BEGUN = "not begun"
    DIED = "died"


@dataclass(frozen=True, slots=True)
class JobEnd:
    """
    How a job ended for the engine that ran it. What became of its run is in the store.

    Attributes:
        fate: What became of it.
        why: Why it was not begun, or what ended it or its process; else empty.
        code: The exit code of its process as a shell has it, where that died and it is known.
    """

    fate: Fate
    why: str = ""
    code: int | None = None


class Batch(Protocol):
    """
    What an engine's jobs belong to: a sweep, or a search for a cause. What became of each is in the store.

    Attributes:
        name: As lists of others show it, such as Slurm's.
        resumption: The command that goes on with it.
    """

    @property
    def name(self) -> str: ...

    @property
    def resumption(self) -> str: ...

    def words(self, ticket: Ticket, settings: Sequence[str]) -> list[str]:
        """
        Return what follows the interpreter where a job is run, on any machine that shares the store's folder.

        That process takes the job's claim, sees to its record, and ends with its stdin.
        """
        ...

    def has_begun(self, ticket: Ticket) -> bool:
        """Whether a job was taken."""
        ...

    def has_ended(self, ticket: Ticket) -> bool:
        """Whether it is on record how a job ended."""
        ...


class Engine(Protocol):
    """
    Runs jobs beside each other.

    Attributes:
        slots: How many jobs it can run at a time, now. With none, it is handed one all the same, which it keeps until
            it can: whether there is anything left to run is seen when it is asked for.
        is_remote: Whether jobs run where this process cannot see theirs: what the store says of a job is then looked at
            too, since a network may be cut.
    """

    @property
    def slots(self) -> int: ...

    @property
    def is_remote(self) -> bool: ...

    def submit(self, ticket: Ticket) -> Future[JobEnd]:
        """Have a job run. The future is given a result in any case, and no exception."""
        ...

    def interrupt(self) -> None:
        """Have the running jobs interrupted, as by a Ctrl-C. Returns at once; their futures end."""
        ...

    def close(self, *, kill: bool = False) -> None:
        """Let go of processes and connections; with *kill*, whatever they are doing."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Workers:
    """
    What processes on this machine need that run the jobs of a sweep.

    Attributes:
        settings: What `anew.sweep` says.
        main: Where main is found by another process of this machine.
        attachment: The sweep, as other processes are told of it.
        layout: The sweep's folder.
    """

    settings: SweepSettings
    main: MainReference
    attachment: Attachment
    layout: SweepLayout


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineSetup:
    """
    What an engine is made for.

    Attributes:
        launcher: The launcher's name, as it is chosen and as messages have it.
        options: What `hydra.launcher` says, plain values.
        most: How many jobs at a time; None for as many as the engine can.
        batch: What they belong to.
        folder: Where the engine keeps what it needs beside, in a folder of its own.
        workers: For an engine whose processes have main imported; None where there is none such.
    """

    launcher: str
    options: Mapping[str, Any]
    most: int | None
    batch: Batch
    folder: Path
    workers: Workers | None = None


def read_options(kind: type[_Options], options: Mapping[str, Any], launcher: str) -> _Options:
    """Return a launcher's options as the dataclass *kind*. Raises ConfigError for one that it has not."""
    known = [each.name for each in fields(kind)]  # type: ignore[arg-type]  # there is no type of dataclasses
    for name in options:
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise ConfigError(f"hydra.launcher has no {name!r} for {launcher}; {has}.", key=name)
    return kind(**options)
