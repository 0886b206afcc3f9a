"""Optuna: `study.optimize(objective, n_trials=20, callbacks=[AnewCallback()])`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from anew.integrations.runs import missing, numbers, plain, run_of
from anew.runner.run.handle import Run

if find_spec("optuna") is None:
    raise missing("optuna", "optuna", ModuleNotFoundError(name="optuna"))


class AnewCallback:
    """
    Logs each trial of a study into one run: its value, its parameters below `params/`, and what is best so far.

    For a study each of whose trials is a run of its own: `anew run train.py -m hydra/sweeper=optuna`.

    Args:
        run: The run; None for the one that is going on, or else for a new one.
        name: The experiment of a new run.
    """

    def __init__(self, run: Run | None = None, *, name: str = "optuna") -> None:
        self._given = run
        self._name = name

    @property
    def run(self) -> Run:
        """The run that is logged into; begins one where none is going on."""
        self._given = run_of(self._given, self._name)
        return self._given

    def __call__(self, study: Any, trial: Any) -> None:
        """Log a trial that has ended."""
        values = trial.values or ()
        named = {"value" if len(values) == 1 else f"value_{index}": each for index, each in enumerate(values)}
        params = {f"params/{name}": value for name, value in numbers(trial.params).items()}
        if named or params:
            self.run.log({**named, **params}, trial.number)
        self.run.info({"study": {"name": study.study_name, "trials": trial.number + 1, **self._best(study)}})

    def _best(self, study: Any) -> dict[str, Any]:
        try:
            trials = study.best_trials if len(study.directions) > 1 else [study.best_trial]
        except ValueError:  # none has come to its end yet
            return {}
        return {
            "best": [{"trial": each.number, "values": each.values, "params": plain(each.params)} for each in trials]
        }
