"""
Make a store of many finished runs, to measure or to try things on.

    python -m benchmarks.filled_store FOLDER 10000 [--small]

One run is really run; the others are that one with other parameters, written through the store as any run is. Nothing
is synced: only reading is measured.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest import mock

from anew import Experiment, Run
from anew.runner import events
from anew.runner.format import ids
from anew.runner.records import SourceFacts
from anew.runner.store.folder import FolderStore

experiment = Experiment("curve")


@experiment.main
def curve(lr: float = 0.1, layers: int = 2, epochs: int = 20, *, run: Run) -> float:
    """Log a curve."""
    for epoch in range(epochs):
        loss = (1 - lr) ** epoch / layers
        run.log({"train/loss": loss, "test/loss": 1.1 * loss, "test/acc": 1 - loss}, step=epoch)
    return (1 - lr) ** epochs / layers


def fill(root: Path, count: int, *, small: bool = False) -> None:
    """Make *count* runs in a new store at *root*; *small* ones have no source on record, as those of a lone script."""
    with tempfile.TemporaryDirectory() as place, mock.patch.object(os, "fsync"), mock.patch.object(os, "fdatasync"):
        record = curve.run("anew.source.exclude=[tests/*]", store=place)
        if small:
            record = replace(record, source=SourceFacts(root=record.source.root))
        first = FolderStore.open(Path(place))
        ended = next(event for event in first.events(1) if isinstance(event, events.RunEnded))
        journal = first.layout.run(1).journal("main")
        store = FolderStore.open(root, create=True)
        for index in range(count):
            number, layout = store.claim()
            uid = ids.new_uid()
            config = {"lr": 10 ** (-(index % 7) / 2), "layers": index % 5 + 1, "epochs": 20}
            store.start(number, replace(record, uid=uid, id=number, config=config))
            shutil.copyfile(journal, layout.journal("main"))
            store.finish(number, replace(ended, uid=uid, result=1 / (index + 1)))


if __name__ == "__main__":
    fill(Path(sys.argv[1]), int(sys.argv[2]), small="--small" in sys.argv)
