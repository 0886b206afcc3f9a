"""Lightning: `Trainer(logger=AnewLogger())`."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anew.integrations.runs import missing, numbers, plain, run_of
from anew.runner.run.handle import Run

try:
    from lightning.pytorch.loggers import Logger
    from lightning.pytorch.utilities import rank_zero_only
except ModuleNotFoundError:
    try:
        from pytorch_lightning.loggers import Logger
        from pytorch_lightning.utilities import rank_zero_only
    except ModuleNotFoundError as error:
        raise missing("lightning", "lightning", error) from None


class AnewLogger(Logger):
    """
    Logs what a Trainer logs into a run, its hyperparameters as the fact `hyperparameters`.

    Of a training in several processes the first logs. The run goes on when the training ends; it is ended by what
    began it.

    Args:
        run: The run; None for the one that is going on, or else for a new one.
        name: The experiment of a new run.
        prefix: Stands before each metric's name, with "/".
        log_models: Whether the checkpoints of the training become artifacts at its end: the best and the last.
    """

    def __init__(
        self, run: Run | None = None, *, name: str = "lightning", prefix: str = "", log_models: bool = False
    ) -> None:
        super().__init__()
        self._given = run
        self._name = name
        self._prefix = f"{prefix}/" if prefix else ""
        self._log_models = log_models
        self._checkpoints: Any = None

    @property
    def run(self) -> Run:
        """The run that is logged into; begins one where none is going on."""
        self._given = run_of(self._given, self._name)
        return self._given

    @property
    def experiment(self) -> Run:
        """The same, as Lightning calls it."""
        return self.run

    @property
    def name(self) -> str:
        """What its folder of checkpoints is called."""
        return self._name

    @property
    def version(self) -> str:
        """The run's uid."""
        return self.run.uid

    @property
    def save_dir(self) -> str:
        """Where Lightning leaves checkpoints: in the run's folder."""
        return os.fspath(self.run.dir)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Put hyperparameters on record."""
        values = vars(params) if isinstance(params, Namespace) else params
        if values:
            self.run.info({"hyperparameters": plain(values)})

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log metrics; the epoch is one of them."""
        found = numbers(metrics)
        if found:
            self.run.log({f"{self._prefix}{name}": value for name, value in found.items()}, step)

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Keep in mind who knows where the checkpoints are."""
        self._checkpoints = checkpoint_callback

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Keep the checkpoints, where that is wanted."""
        if not self._log_models or self._checkpoints is None:
            return
        paths = (getattr(self._checkpoints, name, "") for name in ("best_model_path", "last_model_path"))
        for path in dict.fromkeys(str(each) for each in paths if each):
            if os.path.isfile(path):
                self.run.log_artifact(path, f"checkpoints/{Path(path).name}")
