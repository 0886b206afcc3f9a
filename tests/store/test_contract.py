"""What every store has to do, of runs in a folder."""

from __future__ import annotations

from pathlib import Path

from anew.runner.contracts import RunStore
from anew.runner.store.folder import FolderStore
from anew.runner.store.locate import open_store
from anew.runner.testing import RunStoreContract


class TestFolderStore(RunStoreContract):
    def make_store(self, runs: FolderStore, folder: Path) -> RunStore:
        return open_store(runs.root)

    def damage(self, store: RunStore, number: int, part: str) -> RunStore | None:
        assert isinstance(store, FolderStore)
        layout = store.layout.run(number)
        path = {"start": layout.record, "points": layout.journal("main"), "end": layout.outcome}[part]
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] + b"?" + data[len(data) // 2 + 1 :])
        return open_store(store.root)
