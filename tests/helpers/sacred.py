"""A project of Sacred's, whose runs the real Sacred records into a MongoDB, and documents as it writes them."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pymongo.database import Database

START = datetime(2024, 5, 6, 7, 8, 9, 123000, tzinfo=timezone.utc)

# Sacred imports `pkg_resources`, which setuptools no longer has; this is what it uses of it.
PKG_RESOURCES = """\
import importlib.metadata, importlib.util, pathlib

class Distribution:
    def __init__(self, found):
        self._found = found
        self.project_name, self.version = found.metadata["Name"], found.version
        self.key = self.project_name.lower()
    def _get_metadata(self, name):
        return (self._found.read_text(name) or "").split()

class WorkingSet(list):
    @property
    def by_key(self):
        return {each.key: each for each in self}

working_set = WorkingSet(map(Distribution, importlib.metadata.distributions()))

def resource_filename(package, path):
    return str(pathlib.Path(importlib.util.find_spec(package).origin).parent / path)
"""

EXPERIMENT = """\
import os
import pathlib
import sys
import time

import numpy as np
from sacred import Experiment
from sacred.observers import MongoObserver
from sacred.utils import TimeoutInterrupt

import helper

ex = Experiment("trial")
ex.observers.append(MongoObserver(url=os.environ["SACRED_URL"], db_name=os.environ["SACRED_DATABASE"]))


@ex.config
def config():
    lr = 0.1
    layers = (32, 16)
    model = {"name": "tiny", "password": "open sesame"}
    how = "well"


@ex.main
def main(_run, lr, how):
    print("training with", lr)
    print("\\r10 %\\r99 %\\rdone, \\u00e4\\u00f6")
    for step in range(5):
        ex.log_scalar("loss", 1 / (1 + step), step * 10)
        ex.log_scalar("count", step, step * 10)
    ex.log_scalar("loss", float("nan"), 50)
    ex.info["matrix"] = np.eye(2)
    ex.info["remark"] = {"all": ["is", how]}
    work = pathlib.Path(os.environ["SACRED_WORK"])
    (work / "data.csv").write_text("1,2,3\\n")
    with ex.open_resource(str(work / "data.csv")) as file:
        file.read()
    (work / "model.bin").write_bytes(bytes(range(256)) * 4000)
    ex.add_artifact(str(work / "model.bin"))
    (work / "old.txt").write_text("old")
    ex.add_artifact(str(work / "old.txt"), name="notes/remark.txt")
    (work / "new.txt").write_text("new")
    ex.add_artifact(str(work / "new.txt"), name="notes/remark.txt")
    if how == "badly":
        raise ValueError("it went badly:\\nreally")
    if how == "slowly":
        raise TimeoutInterrupt
    if how == "forever":
        _run._emit_heartbeat()
        print("READY", flush=True, file=sys.__stderr__)
        time.sleep(600)
    return {"accuracy": np.float64(0.75), "sizes": (1, 2)}


if __name__ == "__main__":
    ex.run_commandline()
"""


class Sacred:
    """A project with an experiment of Sacred, under git, that records into a database."""

    def __init__(self, folder: Path, url: str, database: Database[dict[str, Any]]) -> None:
        self.database = database
        self.root = folder / "project"
        self.work = folder / "work"
        shims = folder / "shims"
        for each in (self.root, self.work, shims):
            each.mkdir(parents=True)
        (shims / "pkg_resources.py").write_text(PKG_RESOURCES)
        (self.root / "trial.py").write_text(EXPERIMENT)
        (self.root / "helper.py").write_text("RATE = 2\n")
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(shims),
            "PYTHONWARNINGS": "ignore",
            "SACRED_URL": url,
            "SACRED_DATABASE": database.name,
            "SACRED_WORK": str(self.work),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        self.git("init", "-q")
        self.git("remote", "add", "origin", "https://someone:hunter22@example.org/trial.git")
        self.git("add", ".")
        self.git("-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-q", "-m", "first")

    def git(self, *words: str) -> str:
        command = ["git", *words]
        done = subprocess.run(command, cwd=self.root, env=self.environment, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def start(self, *words: str, name: str = "trial.py") -> subprocess.Popen[str]:
        command = [sys.executable, name, *words]
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> dict[str, Any]:
        """Run it to its end; return the run's document."""
        with self.start(*words) as process:
            errors = process.communicate(timeout=120)[1]
        found = self.newest()
        assert found["status"] != "RUNNING", errors
        return found

    def newest(self) -> dict[str, Any]:
        found = self.database["runs"].find_one(sort=[("_id", -1)])
        assert found is not None
        return found


def a_run(**members: Any) -> dict[str, Any]:
    """A run's document as Sacred writes it, with other members."""
    return {
        "_id": 1,
        "experiment": {
            "name": "trial",
            "base_dir": "/home/a/project",
            "mainfile": "trial.py",
            "sources": [],
            "dependencies": ["numpy==1.26.0"],
            "repositories": [],
        },
        "format": "MongoObserver-0.7.0",
        "command": "main",
        "host": {"hostname": "node7", "os": ["Linux", "Linux-6.1"], "cpu": "Some CPU", "python_version": "3.9.1"},
        "start_time": START,
        "stop_time": START + timedelta(seconds=60),
        "heartbeat": START + timedelta(seconds=59),
        "config": {"seed": 7},
        "meta": {"command": "main", "options": {"UPDATE": []}},
        "status": "COMPLETED",
        "resources": [],
        "artifacts": [],
        "captured_out": "",
        "info": {},
        "result": None,
        **members,
    }
