"""
A sweeper that searches with Optuna, as Hydra finds it by name.

Hydra imports this file at the start of every app in the environment, so it imports next to nothing.
"""

from types import ModuleType
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class OptunaSweeper(Sweeper):
    """
    Chooses each job by what came of those before; see `hydra/sweeper/optuna.yaml` for the arguments.

    A launcher that has `stream` is handed one job after the other; it is first handed those of earlier starts again, so
    that jobs are counted from 0. Any other launcher is handed batches of `n_jobs`, and of earlier starts only what was
    not finished.
    """

    def __init__(
        self,
        sampler: Any = "tpe",
        direction: Any = None,
        n_trials: Any = 20,
        n_jobs: Any = 1,
        params: Any = None,
        pruner: Any = None,
        max_failure_rate: Any = 1.0,
        study_name: Any = None,
        storage: Any = None,
        value: Any = None,
        constraints: Any = None,
        patience: Any = None,
        start_from: Any = None,
        **unknown: Any,
    ) -> None:
        self.n_jobs = n_jobs
        self.direction = _plain(direction)
        self._values = {
            "sampler": _plain(sampler),
            "direction": self.direction,
            "n_trials": n_trials,
            "n_jobs": n_jobs,
            "params": _plain(params),
            "pruner": _plain(pruner),
            "max_failure_rate": max_failure_rate,
            "study_name": study_name,
            "storage": storage,
            "value": _plain(value),
            "constraints": _plain(constraints),
            "patience": patience,
            "start_from": _plain(start_from),
            "unknown": tuple(unknown),
        }
        self._beside = n_jobs
        self.settled: Any = None
        self.config: DictConfig | None = None
        self.hydra_context: HydraContext | None = None
        self.launcher: Launcher | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """
        Take what Hydra hands to sweepers, and refuse what is wrong before anything is written.

        Raises:
            ConfigError: The configuration of the search is not as it has to be.
            MissingExtraError: Optuna is not installed.
        """
        from hydra.core.plugins import Plugins

        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        self._settings(self._typed())

    def prepare(self, ground: Any) -> None:
        """
        Hold the search to what it stands on, before anything is written.

        Args:
            ground: What anew knows of the sweep; see `anew.runner.config.batch.searching.Ground`.

        Raises:
            ConfigError: Another direction is the sweep's, or some of the space can never be had.
            FilterError: The filter of earlier runs cannot be read.
        """
        self._values["direction"] = _searches().direction_of(self.direction, ground)
        self._beside = ground.beside
        self.settled = _searches().settled(self._settings(self._typed()), ground)

    def _typed(self) -> list[str]:
        assert self.config is not None
        return [str(override) for override in OmegaConf.to_container(self.config.hydra.overrides.task) or ()]

    def sweep(self, arguments: list[str]) -> None:
        """
        Run the search to its end and write `optimization_results.yaml`.

        Raises:
            ConfigError: As `setup`, or another search was begun in the folder of this sweep.
            SearchFailedError: More jobs have failed than may, or one returned nothing to compare.
        """
        assert self.config is not None
        begun = _searches().begin(self.config, self._settings(arguments), beside=self._beside)
        stream = getattr(self.launcher, "stream", None)
        if stream is not None:
            self._stream(begun, stream)
        else:
            self._in_batches(begun)
        _searches().conclude(begun)

    def _settings(self, arguments: list[str]) -> Any:
        assert self.hydra_context is not None
        assert self.config is not None
        return _searches().asked(self._values, arguments, self.config, self.hydra_context.config_loader, self.settled)

    def _stream(self, search: Any, stream: Any) -> None:
        asked = 0

        def ask() -> list[str] | None:
            nonlocal asked
            if search.has_failed or asked >= search.jobs:
                return None
            if search.is_over and not search.has_begun(asked):
                return None
            if search.has_begun(asked):
                self._take_up(search, asked)
            overrides: list[str] = search.job(asked)
            asked += 1
            return overrides

        stream(ask, lambda index, done: _tell(search, index, done))

    def _take_up(self, search: Any, index: int) -> None:
        """Take note of what became of a job of an earlier start, where the launcher has that on record."""
        recorded = getattr(self.launcher, "recorded", None)
        if recorded is None:
            return
        done = recorded(index)
        if search.has_ended(index):
            search.take_up(index, again=done is None)
        elif done is not None and done.status is JobStatus.COMPLETED:
            # Before it is handed out once more, which makes void that it was told to stop. One that failed is told by
            # the launcher, which may run it again first.
            _tell(search, index, done)

    def _in_batches(self, search: Any) -> None:
        assert self.launcher is not None
        index = 0
        while index < search.jobs and not search.has_failed:
            if search.is_over and not search.has_begun(index):
                return
            if search.has_ended(index):
                search.take_up(index, again=False)
                index += 1
                continue
            first = index
            batch: list[list[str]] = []
            while len(batch) < self.n_jobs and index < search.jobs and not search.has_ended(index):
                batch.append(search.job(index))
                index += 1
            for offset, done in enumerate(self.launcher.launch(batch, initial_job_idx=first)):
                _tell(search, first + offset, done)


def _searches() -> ModuleType:
    """Return the module that knows of searches; not at the top, since Hydra imports this file for every app."""
    from anew.runner.config.batch import searches

    return searches


def _tell(search: Any, index: int, done: JobReturn) -> None:
    """Hand on how a job ended."""
    if done.status is JobStatus.FAILED:
        search.tell_failed(index, _searches().failure_of(done))
        return
    try:
        returned = done.return_value
    except Exception as error:
        search.tell_failed(index, f"{type(error).__name__}: {error}".split("\n")[0])
        return
    search.tell(index, returned, getattr(done, "metrics", None))


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
