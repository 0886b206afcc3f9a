"""Launchers: each is an engine in a module of its own, a configuration, and a line in the table."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from anew import configs
from anew.runner.sweep.dask_connection import DaskOptions
from anew.runner.sweep.engines import ENGINES
from anew.runner.sweep.pool import PoolOptions
from anew.runner.sweep.slurm_engine import SlurmOptions
from tests.helpers.scripts import Project

LAUNCHERS = sorted(Path(str(configs.__path__[0]), "hydra/launcher").glob("*.yaml"))
OPTIONS: dict[str, Any] = {"local": PoolOptions, "dask": DaskOptions, "slurm": SlurmOptions}
BODY = """
from pathlib import Path
from anew.runner.sweep import engines
engines.ENGINES["mine"] = "pool"

@experiment.main(config_path="conf", config_name="config")
def main(cfg, run: Run):
    return cfg.i
"""


@pytest.fixture
def trial(project: Path) -> Project:
    return Project(project)


def test_every_engine_of_the_table_has_a_launcher_and_every_launcher_an_engine() -> None:
    found = {path.stem: yaml.safe_load(path.read_text())["engine"] for path in LAUNCHERS}

    assert found == {f"anew_{name}": name for name in ENGINES}
    for module in ENGINES.values():
        assert callable(import_module(f"anew.runner.sweep.{module}").make_engine)


@pytest.mark.parametrize("path", LAUNCHERS, ids=lambda path: path.stem)
def test_the_configuration_of_a_launcher_offers_what_its_engine_reads(path: Path) -> None:
    given = yaml.safe_load(path.read_text())
    options = {name for name in given if not name.startswith("_")} - {"engine"}

    assert options == set(OPTIONS[given["engine"]].__dataclass_fields__)


def test_a_launcher_takes_a_line_of_the_table_and_a_configuration(trial: Project) -> None:
    trial.write(BODY)
    folder = trial.folder / "conf/hydra/launcher"
    folder.mkdir(parents=True)
    (trial.folder / "conf/config.yaml").write_text("i: 0\n")
    head = "# @package hydra.launcher\n_target_: hydra_plugins.anew.launchers.EngineLauncher\n"
    (folder / "mine.yaml").write_text(f"{head}engine: mine\n")
    (folder / "none.yaml").write_text(f"{head}engine: nobody\n")
    (folder / "more.yaml").write_text(f"{head}engine: mine\nspeed: 3\n")

    trial.run("-m", "i=1,2", "hydra/launcher=mine", "anew.sweep.workers=1")
    assert [job.result for job in trial.store.sweep(1).jobs] == [1, 2]
    assert trial.store.sweep(1).start.launcher == "mine"

    unknown = trial.run("-m", "i=1,2", "hydra/launcher=none", "anew.sweep.workers=1", code=2)
    assert "'nobody'. There are: local, dask, slurm" in unknown.stderr
    refused = trial.run("-m", "i=1,2", "hydra/launcher=more", "anew.sweep.workers=1", code=2)
    assert "hydra.launcher has no 'speed' for more; it has none" in refused.stderr


def test_the_processes_that_joblib_keeps_for_main_do_not_hold_up_the_end(trial: Project) -> None:
    """It keeps them for five minutes, and multiprocessing has a worker wait for them before it ends."""
    trial.write("""
    @experiment.main
    def main(i: int = 0):
        from joblib import Parallel, delayed
        return sum(Parallel(n_jobs=2)(delayed(abs)(-number) for number in range(4)))
    """)
    began = time.monotonic()
    with trial.start("-m", "i=1,2", "anew.sweep.workers=1") as process:
        process.communicate(timeout=200)

    assert process.returncode == 0
    assert [job.result for job in trial.store.sweep(1).jobs] == [6, 6]
    assert time.monotonic() - began < 200
