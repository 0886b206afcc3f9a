"""What runs are started from, and the place that one has taken in a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from anew.runner.capture.source import SourceScan
from anew.runner.dataclass import dataclass
from anew.runner.format import ids
from anew.runner.guard.orders import Orders
from anew.runner.places import Places
from anew.runner.records import CommandFacts, RerunOf, SourceFacts, SweepMembership, WhyMembership
from anew.runner.settings import Settings
from anew.runner.store.folder import FolderStore
from anew.runner.store.paths import RunLayout
from anew.runner.store.related import Enclosing


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """
    A place in a store, taken before the run has a record.

    Attributes:
        store: The store.
        number: The run's number in it.
        layout: The run's folder.
        settings: How it is recorded.
        uid: The run's uid, as it will be.
        sweep: The sweep that it is of.
        is_attached: Whether another process conducts that.
        orders: What has this job of it end before its time.
    """

    store: FolderStore
    number: int
    layout: RunLayout
    settings: Settings
    uid: str = field(default_factory=ids.new_uid)
    sweep: SweepMembership | None = None
    is_attached: bool = False
    orders: Orders | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """
    What starts runs.

    Attributes:
        experiment: Its name.
        command: How it was started.
        places: Where the project's files are.
        scan: The scan of its source under way; None where the source is given.
        source: The source, in a re-run of the recorded one.
        made: Source that lies in no file, such as cells: the path in the project that it is kept as -> text.
        cache: A folder for what only saves time.
        rerun_of: The run that is repeated.
        why: The search that they are trials of.
        within: The run that they are started in.
        seed: The root seed of a configuration without one; None to draw it.
        torch_threads: What torch's thread count is to be; None to leave it.
        observers: Those given in Python: name -> instance, class or function.
    """

    experiment: str
    command: CommandFacts
    places: Places
    scan: SourceScan | None
    cache: Path
    source: SourceFacts | None = None
    made: Mapping[str, str] = field(default_factory=dict)
    rerun_of: RerunOf | None = None
    why: WhyMembership | None = None
    within: Enclosing | None = None
    seed: int | None = None
    torch_threads: int | None = None
    observers: Mapping[str, Any] = field(default_factory=dict)
