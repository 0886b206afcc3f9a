"""What every answer is made of: the store, what may be done with it, and what is known of it already."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from anew.runner.contracts import CuratedStore
from anew.runner.places import project_root
from anew.runner.query.filters import Saved
from anew.runner.server.failures import Refused
from anew.runner.server.jobs import Jobs
from anew.runner.server.parts import Intact
from anew.runner.server.previews import Previews
from anew.runner.server.rows import Rows
from anew.runner.store.locate import as_run_folders
from anew.runner.wording import printable

if TYPE_CHECKING:
    from anew.runner.store.run_folders import RunFolders


@dataclass(frozen=True)
class Site:
    """
    One store, as the page shows it. Safe between threads.

    Attributes:
        store: The store.
        rows: Its runs as rows, and what has changed of them.
        jobs: The processes that were started from the page.
        read_only: Whether nothing is written.
        allow_rerun: Whether runs are started.
        project: The folder of the project that it was started in, where reports lie; it is no link, nor behind one.
        previews: Reports that were made for the page.
        stopping: Set once the server ends, so that what has no end of its own does, too.
    """

    store: CuratedStore
    rows: Rows
    jobs: Jobs
    read_only: bool = False
    allow_rerun: bool = False
    project: Path = field(default_factory=lambda: Path(os.path.realpath(project_root(Path.cwd()))))
    previews: Previews = field(default_factory=Previews)
    stopping: threading.Event = field(default_factory=threading.Event)

    @cached_property
    def folders(self) -> RunFolders:
        """The store, for what needs whole runs. Raises StoreError for one that does not give those."""
        return as_run_folders(self.store)

    @cached_property
    def contents(self) -> Intact:
        """What opens content of the store, which is what its record says."""
        return Intact(self.store.open_object)

    def refuse_gone(self) -> None:
        """Raise Refused where the store's folder is not there: the disk that it is on may be away."""
        root = getattr(self.store, "root", None)
        if root is not None and not os.path.isdir(root):
            raise Refused(
                503,
                f"The store {printable(str(self.store.url))} is not there: its folder was moved, or its disk is away.",
                "It is shown again once it is back.",
            )

    @property
    def saved(self) -> Saved | None:
        """What gives the filter that a name stands for; None for a store that keeps none."""
        found: Saved | None = getattr(self.store, "saved_filter", None)
        return found
