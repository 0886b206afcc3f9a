"""XGBoost: `xgboost.train(..., callbacks=[AnewCallback()])`, and `XGBClassifier(callbacks=[AnewCallback()])`."""

from __future__ import annotations

from typing import Any

from anew.integrations.runs import missing, run_of
from anew.runner.run.handle import Run

try:
    from xgboost.callback import TrainingCallback
except ModuleNotFoundError as error:
    raise missing("xgboost", "xgboost", error) from None


class AnewCallback(TrainingCallback):
    """
    Logs each evaluation of a training into a run, as `validation_0/logloss`.

    Args:
        run: The run; None for the one that is going on, or else for a new one.
        name: The experiment of a new run.
        log_model: Whether the trained model becomes the artifact `model.ubj` at the end.
    """

    def __init__(self, run: Run | None = None, *, name: str = "xgboost", log_model: bool = False) -> None:
        self._given = run
        self._name = name
        self._log_model = log_model

    @property
    def run(self) -> Run:
        """The run that is logged into; begins one where none is going on."""
        self._given = run_of(self._given, self._name)
        return self._given

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Log an iteration; the training goes on."""
        # of a cross-validation each is the mean and the deviation
        found = {
            f"{data}/{name}": values[-1][0] if isinstance(values[-1], tuple) else values[-1]
            for data, metrics in evals_log.items()
            for name, values in metrics.items()
        }
        if found:
            self.run.log({name: float(value) for name, value in found.items()}, epoch)
        return False

    def after_training(self, model: Any) -> Any:
        """Keep the model, where that is wanted, and hand it on."""
        if self._log_model:
            path = self.run.dir / "model.ubj"
            model.save_model(path)
            self.run.log_artifact(path)
        return model
