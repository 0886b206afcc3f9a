"""
Launchers of ours, as Hydra finds them by name. They only say which engine is wanted; the jobs are conducted by anew.

Hydra imports this file at the start of every app in the environment, so it imports next to nothing.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class LocalLauncher(Launcher):
    """Jobs on this machine: one after the other in this process, or in worker processes."""

    engine: ClassVar[str] = "local"

    def __init__(self, **options: Any) -> None:
        self.options = options

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra hands to launchers."""
        self.config = config
        self.hydra_context = hydra_context
        self.task_function = task_function

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Refuse: anew hands out the jobs itself, and only its own apps have an experiment to record."""
        raise HydraException(
            f"The launcher anew_{self.engine} runs experiments of anew: decorate main with @experiment.main, or choose "
            "another launcher, such as hydra/launcher=basic"
        )


class DaskLauncher(LocalLauncher):
    """Jobs on the workers of a Dask scheduler."""

    engine: ClassVar[str] = "dask"


class SlurmLauncher(LocalLauncher):
    """Jobs of a Slurm cluster, by submitit."""

    engine: ClassVar[str] = "slurm"
