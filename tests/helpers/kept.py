"""
Stores as earlier versions wrote them, in tests/data/stores, a folder for each format; README.md there says more.

    python -m tests.helpers.kept FOLDER/project/runs FOLDER/venv/bin/anew tests/data/stores/FORMAT

has the anew of that format show a store and send it to MongoDB, and writes down what it said and what it put there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.helpers.places import TESTS
from tests.helpers.wire import MongoServer, with_database

if TYPE_CHECKING:
    from pymongo.database import Database

STORES = TESTS / "data" / "stores"
DATABASE = "kept"
LONG_AGO = 1_000_000_000.0


def kept_folder(version: int, folder: Path) -> Path:
    """Copy the folder store of a format into *folder*, since reading changes stores, and return where it is."""
    copy = folder / "runs"
    shutil.copytree(STORES / str(version) / "folder", copy)
    for path in copy.rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))  # else what was checked out just now looks like a sign of life
    return copy


def fill(database: Database[dict[str, Any]], version: int) -> None:
    """Put into a database what an earlier version's observer left in one."""
    from bson import json_util

    lines = (STORES / str(version) / "mongodb.jsonl").read_text().splitlines()
    for line in lines:
        entry = json_util.loads(line)
        database[entry["collection"]].insert_one(entry["document"])


def dump(database: Database[dict[str, Any]], file: Path) -> None:
    """Write every document of a database as a line, with its collection; GridFS keeps files in collections, too."""
    from bson import json_util

    options = json_util.CANONICAL_JSON_OPTIONS
    lines = [
        json_util.dumps({"collection": name, "document": document}, json_options=options)
        for name in sorted(database.list_collection_names())
        for document in database[name].find().sort("_id")
    ]
    file.write_text("".join(line + "\n" for line in lines))


def shown(anew: Callable[..., str], *what: str) -> dict[str, Any]:
    """Return what the command says of a store with those runs; *anew* is handed words, and returns what it prints."""
    numbers = [str(run["id"]) for run in json.loads(anew("list", "--all", "--json"))]

    def of_each(*words: str) -> dict[str, Any]:
        return {number: json.loads(anew(words[0], number, *words[1:])) for number in numbers}

    ways: dict[str, Callable[[], Any]] = {
        "list": lambda: json.loads(anew("list", "--all", "--json")),
        "show": lambda: of_each("show", "--json"),
        "metrics": lambda: of_each("metrics", "--json"),
        "logs": lambda: {number: anew("logs", number) for number in numbers},
        "diff": lambda: json.loads(anew("diff", "1", "2", "--json")),
        "sweeps": lambda: [json.loads(anew("sweep", *words, "--json")) for words in (("list",), ("show", "1"))],
    }
    return {name: ways[name]() for name in what or ways}


def main(store: str, anew: str, folder: str) -> None:
    """Write `shown.json` and `mongodb.jsonl`, and copy the store."""

    def typed(*words: str) -> str:
        return subprocess.run(
            [anew, *words], env={**os.environ, "ANEW_STORE": store}, check=True, capture_output=True, text=True
        ).stdout

    text = json.dumps(shown(typed), indent=1, ensure_ascii=False)
    Path(folder, "shown.json").write_text(text + "\n")
    # without the file that would hide it all from git, and without what is made again
    shutil.copytree(store, Path(folder, "folder"), ignore=shutil.ignore_patterns(".gitignore", "index.sqlite*"))
    with tempfile.TemporaryDirectory() as database, MongoServer(Path(database)) as server:
        subprocess.run([anew, "sync", store, with_database(server.url, DATABASE)], check=True)
        with server.client() as client:
            dump(client[DATABASE], Path(folder, "mongodb.jsonl"))


if __name__ == "__main__":
    main(*sys.argv[1:])
