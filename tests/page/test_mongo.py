"""The page of a database, in which runs of ours and of Sacred lie: the same as of a folder."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database

from anew.observers.mongo.read.store import open_url
from anew.runner.store.folder import FolderStore
from tests.helpers.browser import Browser
from tests.helpers.sacred import a_run
from tests.helpers.wire import MongoServer, with_database
from tests.helpers.wire import database as database
from tests.helpers.wire import database_name as database_name
from tests.helpers.wire import mongo_server as mongo_server
from tests.page.driving import serving
from tests.page.stores import Kinds

PRINTED = "\x1b[1;31mred\x1b[0m and \x1b]0;taken\x07plain\n<img src=x onerror=document.title='taken'>\n"


def test_runs_in_a_database_are_listed_opened_and_tagged(
    kinds: Kinds, browser: Browser, mongo_server: MongoServer, database: Database[dict[str, Any]]
) -> None:
    url = with_database(mongo_server.url, database.name)
    mongo, store = open_url(url), FolderStore.open(kinds.store)
    for number in (kinds.full, kinds.failed):
        observer = mongo.observer(keep_number=True)
        observer.begin(store)
        for event in store.events(number):
            observer.handle(event)
        observer.close()
    database["runs"].insert_one(a_run(_id=900, captured_out=PRINTED))

    with serving(url, browser, cwd=kinds.folder) as served:
        view = served.open("runs?sort=id")
        view.wait_for(f'[href="#/run/{kinds.failed}"]')
        assert view.count(".rows .row") == 3
        view.go("run/900/output")
        view.wait_for_text("<img src=x onerror=document.title='taken'>", ".text-lines")
        assert "red and plain" in view.text(".text-lines")
        view.go(f"run/{kinds.full}")
        view.wait_for_text("best of all")
        view.wait_for(".charts-grid canvas")
        view.go(f"run/{kinds.full}/files?artifact=table.csv")
        view.wait_for("[aria-label='table.csv'] td")
        view.go(f"run/{kinds.failed}")
        view.wait_for_text("does not fit", ".trouble")
        view.fill("Add a tag", "seen")
        view.page.press_enter()
        view.wait_for_text("seen", ".tag")
        assert "seen" in mongo.get(kinds.failed).tags
        view.go(f"compare?runs={kinds.full},{kinds.failed}")
        view.wait_for_text("Configuration (")
        view.close()
