"""
What Hydra takes for the launcher of a sweep of ours. It only says which engine is wanted; anew conducts the jobs.

Hydra imports this file at the start of every app in the environment, so it imports next to nothing.
"""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class EngineLauncher(Launcher):
    """
    Has an engine of ours run the jobs.

    Args:
        engine: Its name in the table of `anew.runner.sweep.engines`.
        options: What else the launcher's configuration says; the engine reads it.
    """

    def __init__(self, engine: str, **options: Any) -> None:
        self.engine = engine
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
