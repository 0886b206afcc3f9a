"""A main function, named or packed for another process."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner.dataclass import dataclass
from anew.runner.places import Places
from anew.runner.records import CommandFacts, ProcessFacts, SourceFacts
from anew.runner.store.folder import FolderStore
from anew.runner.store.related import Enclosing
from anew.runner.store.sweep_folder import SweepFolder
from anew.runner.store.typed import as_typed

if TYPE_CHECKING:
    from anew.runner.config.main import Ticket


@dataclass(frozen=True, slots=True)
class MainReference:
    """Where a main function is found: as a name in a module, or, for one that has none, packed."""

    module: str
    name: str
    packed: bytes | None = None

    @property
    def is_in_script(self) -> bool:
        """Whether it is in the script that was started, or in a module that this one imported."""
        return self.module == "__main__" and self.packed is None

    def load(self) -> Any:
        """Return the main function. Raises ImportError, AttributeError."""
        if self.packed is not None:
            import pickle

            return pickle.loads(self.packed)
        found: Any = sys.modules.get(self.module) or import_module(self.module)
        for part in self.name.split("."):
            found = getattr(found, part)
        return found


def reference_to(main: Any, *, script: bool = True) -> MainReference:
    """
    Return where *main* is found by another process.

    Args:
        main: The main function.
        script: Whether that process imports the same script.
    """
    module, name = main.function.__module__, main.function.__qualname__
    named = MainReference(module, name)
    try:
        found = named.load()
    except (ImportError, AttributeError):
        found = None
    file = vars(sys.modules[module]).get("__file__") if module in sys.modules else None
    # what is started as a folder, an archive or a package is not imported anew by its name
    spec = vars(sys.modules[module]).get("__spec__") if module == "__main__" else None
    is_importable = spec is None or not f".{spec.name}".endswith(".__main__")
    if found is main and file and Path(file).is_file() and is_importable and (script or module != "__main__"):
        return named
    import cloudpickle

    return MainReference(module, name, cloudpickle.dumps(main))


@dataclass(frozen=True, kw_only=True, slots=True)
class Attachment:
    """
    A sweep, as a process that runs its jobs is told of it.

    Attributes:
        root: The store's folder.
        sweep: The sweep's number.
        command: How the sweep was started.
        attempts: The attempts that jobs are due in, by index.
        options: What was typed beside overrides: the store's URL.
        places: Where the project's files are, when the recorded ones were laid out.
        source: The files on record, in that case.
        made: Source that lies in no file: the path that it is kept as -> text.
        uid: The sweep's uid, which tells it from another one that had its number.
        is_resumed: Whether the sweep was taken up again.
        within: The run that the sweep was started in.
    """

    root: str
    sweep: int
    command: CommandFacts
    attempts: Mapping[int, int] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    places: Places | None = None
    source: SourceFacts | None = None
    made: Mapping[str, str] = field(default_factory=dict)
    uid: str = ""
    is_resumed: bool = False
    within: Enclosing | None = None

    @property
    def folder(self) -> SweepFolder:
        """The sweep on disk."""
        return _folder(self.root, self.sweep, self.uid)

    @property
    def resumption(self) -> str:
        """The command that goes on with the sweep."""
        return as_typed(f"anew sweep resume {self.sweep}", self.root)

    def has_begun(self, ticket: Ticket) -> bool:
        """Whether a job was taken."""
        return self.folder.layout.attempt(ticket.index, ticket.attempt).exists()

    def process_of(self, ticket: Ticket) -> ProcessFacts | None:
        """Return the process that took a job; None when none has."""
        return self.folder.claim(ticket.index, ticket.attempt).process


@cache
def _folder(root: str, sweep: int, uid: str) -> SweepFolder:
    """Return a sweep's folder, the same for all of its jobs in this process: what sweep.json says is read once."""
    return SweepFolder(FolderStore(Path(root)).layout.sweep(sweep), sweep)
