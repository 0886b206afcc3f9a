"""Runs that the real Sacred recorded, run again from their sources in GridFS, and judged."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from anew.runner.records import Status
from anew.runner.store.folder import FolderStore
from tests.helpers.sacred import Sacred
from tests.helpers.scripts import Project
from tests.helpers.scripts import anew as run_anew
from tests.helpers.wire import MongoServer, with_database

pytest_plugins = ("tests.helpers.wire",)


@pytest.fixture
def place(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Project(project)


@pytest.fixture
def sacred(tmp_path: Path, mongo_server: MongoServer, database: Database[dict[str, Any]]) -> Sacred:
    return Sacred(tmp_path / "sacred", mongo_server.url, database)


@pytest.fixture
def url(mongo_server: MongoServer, database: Database[dict[str, Any]]) -> str:
    return with_database(mongo_server.url, database.name)


def anew(place: Project, *words: str, sacred: Sacred | None = None, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `anew`; with *sacred*, where that can be imported."""
    return run_anew(place, *words, code=code, **({} if sacred is None else sacred.environment))


def test_a_run_of_sacred_is_run_again_and_judged(place: Project, sacred: Sacred, url: str) -> None:
    sacred.run("with", "lr=0.5", "model.name=large", "seed=7")
    anew(place, "sync", url, "runs/")
    (sacred.root / "trial.py").write_text("raise SystemExit('today it is another')\n")
    assert "--trust" in anew(place, "rerun", "1", code=4, sacred=sacred).stderr
    done = anew(place, "rerun", "1", "--trust", "--json", code=0, sacred=sacred)
    told = json.loads(done.stdout)
    store = FolderStore.open(place.folder / "runs")
    again = store.get("last")
    assert again.rerun_of is not None
    assert again.config["lr"] == 0.5
    assert again.config["model"]["name"] == "large"
    assert list(store.metrics("last", "count").exact) == list(store.metrics(1, "count").exact)
    assert again.result == store.get(1).result
    assert told["verdict"] == "identical", done.stdout + done.stderr
    # no observer of the script's own heard of it
    assert sacred.database["runs"].count_documents({}) == 1


OTHER = """\
import os, sys
from sacred import Experiment, Ingredient
from sacred.observers import MongoObserver
from . import parts

data = Ingredient("data")

@data.config
def of_data():
    name = "digits"
    parts = (1, 2)

ex = Experiment("other", ingredients=[data])
ex.observers.append(MongoObserver(url=os.environ["SACRED_URL"], db_name=os.environ["SACRED_DATABASE"]))

@ex.config
def config():
    rate = 1.5

@ex.named_config
def fast():
    rate = 9.0

@data.capture
def loaded(name, parts):
    return [name, parts]

@ex.command(unobserved=False)
def evaluate(_run, rate, _rnd):
    for step in range(3):
        _run.log_scalar("drawn", float(_rnd.random()), step)
    return {"loaded": loaded(), "rate": rate, "scale": parts.SCALE}

@ex.main
def main(rate):
    raise SystemExit("the wrong command")
"""


def test_a_command_of_a_package_with_ingredients_is_run_again(place: Project, sacred: Sacred, url: str) -> None:
    folder = sacred.root / "models"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "parts.py").write_text("SCALE = 3\n")
    (folder / "other.py").write_text(OTHER)
    (sacred.root / "start.py").write_text("from models.other import ex\nex.run_commandline()\n")
    with sacred.start("evaluate", "with", "fast", "data.name=faces", name="start.py") as process:
        errors = process.communicate(timeout=240)[1]
    assert sacred.newest()["status"] == "COMPLETED", errors
    done = anew(place, "--store", url, "rerun", "1", "--trust", "--json", sacred=sacred)
    told = json.loads(done.stdout)
    assert told["verdict"] == "identical", done.stdout + done.stderr


def test_what_is_changed_on_top_is_said_to_be_another(place: Project, sacred: Sacred, url: str) -> None:
    sacred.run("with", "seed=7")
    sacred.run("with", "seed=7", "how=badly")
    anew(place, "sync", url, "runs/")
    store = FolderStore.open(place.folder / "runs")
    changed = anew(place, "rerun", "1", "how=badly", "--trust", "--json", code=1, sacred=sacred)
    assert json.loads(changed.stdout)["verdict"] == "different"
    failed = store.get("last")
    assert (failed.status, failed.config["how"]) == (Status.FAILED, "badly")
    assert failed.error is not None
    assert failed.error.type == "ValueError"
    again = anew(place, "rerun", "2", "--trust", "--json", sacred=sacred)
    assert json.loads(again.stdout)["verdict"] == "identical", again.stdout + again.stderr


def test_where_it_cannot_be_run_its_source_is_given_and_why(place: Project, sacred: Sacred, url: str) -> None:
    sacred.run("with", "seed=7")
    anew(place, "--store", url, "get", "1", "--source", "--to", "was")
    assert (place.folder / "was/source/trial.py").read_text() == (sacred.root / "trial.py").read_text()
    (sacred.root.parent / "shims" / "pkg_resources.py").write_text("raise ImportError('no pkg_resources')\n")
    failed = anew(place, "--store", url, "rerun", "1", "--trust", code=2, sacred=sacred)
    assert "pip install sacred" in failed.stderr
    assert "anew get 1 --source" in failed.stderr
    sacred.database["fs.chunks"].delete_many({})
    sacred.database["runs"].update_one({}, {"$set": {"experiment.sources": []}, "$currentDate": {"heartbeat": True}})
    failed = anew(place, "--store", url, "rerun", "1", "--trust", code=2, sacred=sacred)
    assert "its main file 'trial.py' is not on record" in failed.stderr
