"""What is written of a run after its main: what was written is settled, and what comes later gets a journal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from anew.runner import events as ev
from anew.runner.format import ids, serial
from anew.runner.store.curated import note_curated
from anew.runner.store.durability import settle as settle_writers
from anew.runner.store.durability import sync_file
from anew.runner.store.files import cannot, size_of, sync_folder
from anew.runner.store.journal import JournalWriter
from anew.runner.store.journal_forms import journal_names
from anew.runner.store.logged import Told
from anew.runner.store.paths import RunLayout


def settle(layout: RunLayout, told: Told | None = None) -> None:
    """
    Make what was written of a run survive a power cut, by children and the guard too, before it has an outcome.

    Args:
        layout: The run.
        told: What the journal holds that its writer has closed, and so synced with its name; None for none.

    Raises:
        StoreError: The disk reports a fault.
    """
    settle_writers()
    written = journal_names(layout)
    is_alone = told is not None and written == [told.path.name] and told.is_so()
    # nothing was printed: there is nothing to be lost, and whether the name is there says nothing
    printed = [path for path in (layout.output, layout.output_sums) if size_of(path) != 0]
    for path in (*(layout.events / name for name in written if not is_alone), *printed):
        try:
            sync_file(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise cannot("sync", path, error) from error
    for folder in (*([] if is_alone else [layout.events]), *([layout.folder] if any(map(size_of, printed)) else [])):
        with suppress(FileNotFoundError):
            sync_folder(folder)


def add_event(layout: RunLayout, began: datetime, kind: type[ev.Event], values: Mapping[str, Any]) -> None:
    """Write one event into a journal of its own, so that no file of the run changes. Raises StoreError."""
    name, body = serial.body(kind, **values)
    writer = JournalWriter(
        layout.journal(f"{ev.CURATING}{ids.new_uid()}"), clock=lambda: time.time() - began.timestamp()
    )
    try:
        writer.append(name, body)
    finally:
        writer.close()
    note_curated(layout)
