"""Trials by the engines of sweeps: a real Dask, and a real Slurm of one node."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from anew.runner.records import Status
from anew.runner.why.asked import resume
from tests.helpers.scripts import ANEW, Project, anew
from tests.helpers.waiting import until
from tests.sweep.test_dask import Cluster, cluster  # noqa: F401  # a fixture
from tests.why.test_why import names

pytestmark = pytest.mark.long

pytest_plugins = ("tests.helpers.slurm",)

BODY = """
@experiment.main
def main(lr: float = 0.1, depth: int = 1, width: int = 1, nap: float = 0.0):
    print(os.getsid(0))
    time.sleep(nap)
    if width > 1 and depth == 1:
        os._exit(3)  # what kills a trial is no end of the search
    return 1.0 + lr * 10 * (depth > 1)
"""


@pytest.fixture
def trial(project: Path) -> Project:
    trial = Project(project)
    trial.write(BODY)
    trial.run("anew.seed=1")
    trial.run("anew.seed=1", "lr=0.2", "depth=2", "width=2")
    return trial


def test_trials_run_on_the_workers_of_dask(trial: Project, cluster: Cluster) -> None:  # noqa: F811
    dask = ["hydra/launcher=anew_dask", f"hydra.launcher.address={cluster.address}"]
    found = json.loads(anew(trial, "why", "1", "2", *dask, "--workers", "2", "--json").stdout)
    causes = [delta["what"] for delta in found["deltas"] if delta["n"] in found["causes"]]
    assert sorted(causes) == ["config.depth", "config.lr"], found["sentence"]
    runs = [each["run"] for each in found["trials"] if each["run"]]
    # what a worker starts has a session of its own
    sessions = {(trial.folder / f"runs/{run}/output.log").read_text().strip() for run in runs}
    assert len(sessions) == len(runs) >= 4
    assert str(os.getsid(0)) not in sessions
    assert not list((trial.folder / "runs/whys/1/trials").iterdir()), "what was handed out is left behind"
    warnings = [line for line in anew(trial, "check", "--deep").stdout.splitlines() if "warning" in line]
    assert all("LOST" in line for line in warnings), warnings  # the trials that were killed, and no stray file


def test_trials_are_jobs_of_slurm(trial: Project, slurm: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    words = ["hydra/launcher=anew_slurm", "hydra.launcher.poll_s=0.2", "hydra.launcher.ask_s=2"]
    done = anew(trial, "why", "1", "2", "--only", "config", *words, "--workers", "2", "--json")
    found = json.loads(done.stdout)
    assert found["status"] == "found"
    assert sorted(each["what"] for each in found["deltas"] if each["n"] in found["causes"]) == [
        "config.depth",
        "config.lr",
    ]


def test_a_search_on_dask_that_is_interrupted_is_gone_on_with_here(
    trial: Project,
    cluster: Cluster,  # noqa: F811
) -> None:
    trial.run("anew.seed=2", "nap=0")
    trial.run("anew.seed=2", "nap=0.01", "lr=0.3", "depth=2")
    dask = ["hydra/launcher=anew_dask", f"hydra.launcher.address={cluster.address}"]
    process = subprocess.Popen(
        [*ANEW, "why", "3", "4", *dask],
        cwd=trial.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        until(lambda: bool(trial.store.find("why == 1")))
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    if process.returncode == 130:  # else it had come to its end already
        assert "anew why --resume 1" in err
        assert "Traceback" not in err
        found = resume(1, store=trial.folder / "runs", launcher=())
        assert sorted(names(found)) == ["config.depth", "config.lr"]
    assert all(run.status is not Status.RUNNING for run in trial.store.find("why == 1"))


def test_what_is_wrong_with_a_launcher_is_said_and_begins_no_search(trial: Project) -> None:
    for word, said in {
        "hydra/launcher=anew_dusk": "anew_dask",
        "hydra/launcher=basic": "is Hydra's own",
        "hydra/launcher=anew_local": "--workers N",
        "lr=0.3": "'lr=0.3' says nothing of the launcher",
    }.items():
        done = anew(trial, "why", "1", "2", word, code=2)
        assert said in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
    assert not (trial.folder / "runs/whys").exists()


def test_an_order_that_is_another_than_was_handed_out_is_not_run(trial: Project) -> None:
    place = trial.folder / "runs/whys/1/trials/1"
    place.mkdir(parents=True)
    (place / "order.json").write_text("{}")
    words = ["-m", "anew.runner.why.remote", str(trial.folder / "runs"), "1", "1", "0" * 64]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "is another than was handed out" in done.stderr
    assert trial.store.numbers()[0] == 2
