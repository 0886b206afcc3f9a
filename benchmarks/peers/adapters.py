"""
How each tracker begins a run, logs and ends, as its own pages say. Read by the Python that it is installed for.

Everything that a tracker records by itself stays on; what samples the machine is off, and nothing goes to a network.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

Log = Callable[[Mapping[str, float], int], object]
"""Logs numbers at a step."""


class Peer(ABC):
    """
    A tracker. A store is a folder; `record` may be called several times in a process.

    Attributes:
        package: What is installed; empty for what needs nothing.
        slower: By what a workload is made shorter, so that a round takes seconds.
    """

    package = ""
    slower = 1

    def version(self) -> str:
        """Return its version."""
        return metadata.version(self.package) if self.package else ""

    @abstractmethod
    def record(self, store: Path, number: int, main: Callable[[Log], object]) -> None:
        """Record one run with the parameter `x`, which is *number*; when this returns, all of it is on disk."""


class Listing(Peer):
    """One that lists and filters its runs."""

    @abstractmethod
    def newest(self, store: Path) -> object:
        """Return the newest 50 runs, each with its parameter."""

    @abstractmethod
    def found(self, store: Path) -> object:
        """Return the runs with `x >= 10`, by their metric `loss`."""


class Reading(Peer):
    """One that gives its series back."""

    @abstractmethod
    def series(self, store: Path) -> object:
        """Return the steps and values of the metric `loss` of the only run."""


class Floor(Peer):
    """What any tracker does at least: a file for what is known, one for the points, one for the end; synced."""

    LINE = b'{"q":184100,"k":"m","t":52.113456,"s":184099,"m":{"train/loss":0.11345678},"c":"8f3a01bc"}\n'

    def record(self, store: Path, number: int, main: Callable[[Log], object]) -> None:
        folder = store / str(number)
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps({"x": number}))
        descriptor = os.open(folder / "points", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        write, line = os.write, self.LINE
        main(lambda values, step: [write(descriptor, line) for _ in values])
        os.fsync(descriptor)
        os.close(descriptor)
        (folder / "end.json").write_text("{}")


class Anew(Listing, Reading):
    """What is in this working copy."""

    SETTINGS = ("anew.system.enabled=false", "anew.quiet=true")

    def __init__(self) -> None:
        self._main: Any = None
        self._body: Callable[[Log], object] = lambda log: None

    def version(self) -> str:
        return metadata.version("anew")

    def record(self, store: Path, number: int, main: Callable[[Log], object]) -> None:
        if self._main is None:
            self._main = self._experiment()
        self._body = main
        self._main.run(f"x={number}", *self.SETTINGS, store=store)

    def _experiment(self) -> Any:
        from anew import Experiment, Run

        def peers(run: Run, x: int = 0) -> None:
            self._body(run.log)

        peers.__annotations__ = {"run": Run, "x": int, "return": None}
        return Experiment("peers").main(peers)

    def newest(self, store: Path) -> object:
        return [run.config["x"] for run in self._store(store).find(limit=50)]

    def found(self, store: Path) -> object:
        return self._store(store).find("config.x >= 10", sort="loss")

    def series(self, store: Path) -> object:
        return self._store(store).metrics(1, "loss")

    def _store(self, store: Path) -> Any:
        import anew

        return anew.open_store(str(store))


class Sacred(Listing, Reading):
    package = "sacred"

    def record(self, store: Path, number: int, main: Callable[[Log], object]) -> None:
        from sacred import SETTINGS, Experiment
        from sacred.observers import FileStorageObserver

        SETTINGS.CAPTURE_MODE = "fd"
        experiment = Experiment("peers", save_git_info=False)
        experiment.observers.append(FileStorageObserver(str(store)))
        experiment.add_config(x=number)
        experiment.logger = _silent()

        @experiment.main
        def peers(_run: Any, x: int) -> None:
            def log(values: Mapping[str, float], step: int) -> None:
                for name, value in values.items():
                    _run.log_scalar(name, value, step)

            main(log)

        experiment.run()

    def newest(self, store: Path) -> object:
        numbers = sorted((int(each.name) for each in store.iterdir() if each.name.isdigit()), reverse=True)
        return [self._read(store / str(number), "config.json")["x"] for number in numbers[:50]]

    def found(self, store: Path) -> object:
        folders = [each for each in store.iterdir() if each.name.isdigit()]
        chosen = [each for each in folders if self._read(each, "config.json")["x"] >= 10]
        return sorted(chosen, key=lambda each: float(self._read(each, "metrics.json")["loss"]["values"][-1]))

    def series(self, store: Path) -> object:
        loss = self._read(store / "1", "metrics.json")["loss"]
        return loss["steps"], loss["values"]

    @staticmethod
    def _read(folder: Path, name: str) -> Any:
        return json.loads((folder / name).read_bytes())


class Signac(Listing):
    """Has no series; a run is a job with its state point, and a number in its document."""

    package = "signac"

    def record(self, store: Path, number: int, main: Callable[[Log], object]) -> None:
        import signac

        store.mkdir(exist_ok=True)
        job = signac.init_project(str(store)).open_job({"x": number}).init()
        job.document["loss"] = float(number)

    def newest(self, store: Path) -> object:
        import signac

        jobs = signac.get_project(str(store)).find_jobs()
        newest = sorted(jobs, key=lambda job: os.stat(job.path).st_mtime_ns, reverse=True)
        return [job.statepoint["x"] for job in newest[:50]]

    def found(self, store: Path) -> object:
        import signac

        jobs = signac.get_project(str(store)).find_jobs({"x": {"$gte": 10}})
        return sorted(jobs, key=lambda job: float(job.document["loss"]))


class TensorBoardX(Peer):
    package = "tensorboardX"

    def record(self, store: Path, number: int, main: Callable[[Log], object]) -> None:
        from tensorboardX import SummaryWriter

        writer = SummaryWriter(str(store / str(number)))
        writer.add_text("x", str(number))

        def log(values: Mapping[str, float], step: int) -> None:
            for name, value in values.items():
                writer.add_scalar(name, value, step)

        main(log)
        writer.close()


class Wandb(Peer):
    package = "wandb"
    slower = 10

    def record(self, store: Path, number: int, main: Callable[[Log], object]) -> None:
        import wandb

        store.mkdir(exist_ok=True)
        settings = wandb.Settings(silent=True, x_disable_stats=True)
        run = wandb.init(project="peers", mode="offline", dir=str(store), config={"x": number}, settings=settings)
        main(lambda values, step: run.log(dict(values), step=step))
        run.finish()


class Aim(Peer):
    package = "aim"
    slower = 20

    def record(self, store: Path, number: int, main: Callable[[Log], object]) -> None:
        from aim import Run

        store.mkdir(exist_ok=True)
        run = Run(repo=str(store), experiment="peers", system_tracking_interval=None)
        run["x"] = number

        def log(values: Mapping[str, float], step: int) -> None:
            for name, value in values.items():
                run.track(value, name=name, step=step)

        main(log)
        run.close()


class Trackio(Peer):
    package = "trackio"
    slower = 20

    def record(self, store: Path, number: int, main: Callable[[Log], object]) -> None:
        os.environ["TRACKIO_DIR"] = str(store)
        import trackio

        trackio.init(project="peers", name=str(number), config={"x": number}, auto_log_gpu=False)
        main(lambda values, step: trackio.log(dict(values), step=step))
        trackio.finish()


class Mlflow(Listing, Reading):
    package = "mlflow"
    slower = 100

    def record(self, store: Path, number: int, main: Callable[[Log], object]) -> None:
        mlflow = self._at(store)
        with mlflow.start_run():
            mlflow.log_param("x", number)
            main(lambda values, step: mlflow.log_metrics(dict(values), step=step))

    def newest(self, store: Path) -> object:
        return self._at(store).search_runs(search_all_experiments=True, max_results=50, output_format="list")

    def found(self, store: Path) -> object:
        mlflow = self._at(store)
        found = mlflow.search_runs(search_all_experiments=True, order_by=["metrics.loss"], output_format="list")
        return [run for run in found if float(run.data.params["x"]) >= 10]

    def series(self, store: Path) -> object:
        mlflow = self._at(store)
        (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
        return mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")

    @staticmethod
    def _at(store: Path) -> Any:
        import mlflow

        store.mkdir(exist_ok=True)
        mlflow.set_tracking_uri(f"sqlite:///{store}/mlflow.db")
        return mlflow


def _silent() -> Any:
    import logging

    logger = logging.getLogger("peers")
    logger.setLevel(logging.ERROR)
    return logger


PEERS: Mapping[str, type[Peer]] = {
    "floor": Floor,
    "anew": Anew,
    "sacred": Sacred,
    "signac": Signac,
    "tensorboardx": TensorBoardX,
    "wandb": Wandb,
    "aim": Aim,
    "trackio": Trackio,
    "mlflow": Mlflow,
}
