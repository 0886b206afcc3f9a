"""What every store has to do, of runs in MongoDB, over the wire."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import pytest

from anew.observers.mongo.chunks import COLLECTION, OUTCOME, START
from anew.observers.mongo.read.store import MongoStore, open_url
from anew.runner.contracts import RunStore
from anew.runner.dispatch.transfer import to_observer
from anew.runner.store.folder import FolderStore
from anew.runner.testing import RunStoreContract
from tests.helpers.wire import MongoServer, with_database

pytest_plugins = ("tests.helpers.wire",)


class TestMongoStore(RunStoreContract):
    server: MongoServer

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _served(cls, mongo_server: MongoServer) -> None:
        cls.server = mongo_server

    @pytest.fixture(autouse=True)
    def _cached(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make_store(self, runs: FolderStore, folder: Path) -> RunStore:
        url = with_database(self.server.url, f"contract{uuid.uuid4().hex[:12]}")
        store = open_url(url)
        for moved in to_observer(runs, store.url, lambda: store.observer(keep_number=True), lambda uid: False):
            assert moved.what != "failed", moved
        return store

    def damage(self, store: RunStore, number: int, part: str) -> RunStore | None:
        """Damage it, and forget what was fetched: what is in the cache stays as it was."""
        assert isinstance(store, MongoStore)
        writer = {"start": START, "points": "main", "end": OUTCOME}[part]
        uid = store.get(number).uid
        found = store.database[COLLECTION].update_many({"run": uid, "w": writer}, {"$set": {"z": b"damaged"}})
        assert found.modified_count
        shutil.rmtree(store.layout.run(number).folder)
        return open_url(store._given_url)
