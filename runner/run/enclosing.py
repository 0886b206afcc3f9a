"""The run that this code runs in, as whatever is started here is tied to it."""

from __future__ import annotations

import os
from pathlib import Path

from anew.runner.capture.seeds import derive_seed
from anew.runner.format import serial
from anew.runner.format.ids import is_number
from anew.runner.records import ParentRun
from anew.runner.run.handle import RUN_VARIABLE, here
from anew.runner.store.files import read_regular
from anew.runner.store.passing import is_passing
from anew.runner.store.paths import RunLayout
from anew.runner.store.reading import MOST_RECORD_BYTES
from anew.runner.store.related import Enclosing


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
