"""The page of a database: the same questions, answered by the same store interface."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database

from anew.observers.mongo.read.store import open_url
from anew.runner.store.folder import FolderStore
from tests.helpers.serving import served
from tests.helpers.wire import MongoServer, with_database
from tests.helpers.wire import database as database
from tests.helpers.wire import database_name as database_name
from tests.helpers.wire import mongo_server as mongo_server


def test_runs_in_a_database_are_listed_shown_drawn_and_tagged(
    store: FolderStore, mongo_server: MongoServer, database: Database[dict[str, Any]]
) -> None:
    url = with_database(mongo_server.url, database.name)
    mongo = open_url(url)
    for number in (1, 2):
        observer = mongo.observer(keep_number=True)
        observer.begin(store)
        for event in store.events(number):
            observer.handle(event)
        observer.close()

    with served(url) as page:
        assert page.get("store")["runs"] == 2
        assert [row["cells"] for row in page.get("runs", q="lr < 0.15", columns="config.lr,loss")["rows"]] == [
            [0.1, 0.05]
        ]
        [curve] = page.get("series", runs="1", names="loss")["series"]
        assert (curve["x"], curve["mean"]) == ([0, 1], [0.1, 0.05])
        assert page.get("runs/2")["config"] == {"lr": 0.2}
        assert page.get("compare", runs="1,2")["runs"] == [1, 2]
        assert page.post("runs/1/tags", add=["paper"])["tags"] == ["paper"]
        with page.live() as live:
            mongo.tag(2, "other")
            assert [row["tags"] for row in live.next("rows")[0]["rows"]] == [["other"]]
