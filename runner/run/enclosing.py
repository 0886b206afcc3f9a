"""The run that this code runs in, as whatever is started here is tied to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from anew.runner.capture.seeds import derive_seed
from anew.runner.format import serial
from anew.runner.format.ids import is_number
from anew.runner.records import ParentRun
from anew.runner.run.current import RUN_VARIABLE, here
from anew.runner.store.files import read_regular
from anew.runner.store.passing import is_passing
from anew.runner.store.paths import RunLayout
from anew.runner.store.reading import MOST_RECORD_BYTES
from anew.runner.store.related import Enclosing


class Inner:
    """
    Runs of this process that no main's return ends, and that were begun in another's main: they end with that.

    Attributes:
        ends: What ends them, by what main raised; the innermost last.
    """

    def __init__(self) -> None:
        self.ends: list[Callable[[BaseException | None], object]] = []

    def end_since(self, count: int, failure: BaseException | None) -> None:
        """End those that were begun since there were *count*, the innermost first."""
        while len(self.ends) > count:
            self.ends.pop()(failure)


inner = Inner()


def enclosing() -> Enclosing | None:
    """Return the innermost run that this process is in, or is a child process of; None for none that stays."""
    folder = here.run.folder.of_run if here.run is not None else Path(os.environ.get(RUN_VARIABLE) or os.devnull)
    if not is_number(folder.name) or is_passing(folder.parent):
        return None
    try:
        start = serial.unseal(read_regular(RunLayout(folder).record, MOST_RECORD_BYTES))
        record = serial.record_from_start(start)
    except (OSError, serial.DamagedError):
        return None
    parent = ParentRun(id=int(folder.name), uid=record.uid)
    seed = None if here.run is None else derive_seed(record.seed, f"run {here.begin(here.run)}")
    return Enclosing(parent=parent, store=str(folder.parent), source=record.source, seed=seed)
