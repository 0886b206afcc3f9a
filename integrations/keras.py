"""Keras: `model.fit(..., callbacks=[AnewCallback()])`."""

from __future__ import annotations

from typing import Any

from anew.integrations.runs import missing, numbers, plain, run_of
from anew.runner.run.handle import Run

try:
    from keras.callbacks import Callback
except ModuleNotFoundError as error:
    raise missing("keras", "keras", error) from None


class AnewCallback(Callback):
    """
    Logs each epoch of a training into a run; what it was given as the fact `training`.

    Args:
        run: The run; None for the one that is going on, or else for a new one.
        name: The experiment of a new run.
        each_batch: Whether each batch is logged, too, below `batch/`.
        log_model: Whether the trained model becomes the artifact `model.keras` at the end.
    """

    def __init__(
        self, run: Run | None = None, *, name: str = "keras", each_batch: bool = False, log_model: bool = False
    ) -> None:
        super().__init__()
        self._given = run
        self._name = name
        self._each_batch = each_batch
        self._log_model = log_model
        self._batches = 0

    @property
    def run(self) -> Run:
        """The run that is logged into; begins one where none is going on."""
        self._given = run_of(self._given, self._name)
        return self._given

    def on_train_begin(self, logs: Any = None) -> None:
        """Put on record how it is trained."""
        optimizer = getattr(self.model, "optimizer", None)
        config = optimizer.get_config() if optimizer is not None else {}
        self.run.info({"training": plain({**(self.params or {}), "optimizer": config})})

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Log a batch, where that is wanted."""
        if self._each_batch and (found := numbers(logs or {})):
            self.run.log({f"batch/{name}": value for name, value in found.items()}, self._batches)
        self._batches += 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Log an epoch."""
        if found := numbers(logs or {}):
            self.run.log(found, epoch)

    def on_train_end(self, logs: Any = None) -> None:
        """Keep the model, where that is wanted."""
        if self._log_model:
            path = self.run.dir / "model.keras"
            self.model.save(path)
            self.run.log_artifact(path)
