"""LightGBM: `lightgbm.train(..., callbacks=[AnewCallback()])`, and the same of `LGBMClassifier.fit`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from anew.integrations.runs import missing, run_of
from anew.runner.run.handle import Run

if find_spec("lightgbm") is None:
    raise missing("lightgbm", "lightgbm", ModuleNotFoundError(name="lightgbm"))


class AnewCallback:
    """
    Logs each evaluation of a training into a run, as `valid_0/binary_logloss`.

    Args:
        run: The run; None for the one that is going on, or else for a new one.
        name: The experiment of a new run.

    Attributes:
        order: Before the callback of LightGBM's that ends a training early.
        before_iteration: False: after each iteration.
    """

    order = 15
    before_iteration = False

    def __init__(self, run: Run | None = None, *, name: str = "lightgbm") -> None:
        self._given = run
        self._name = name

    @property
    def run(self) -> Run:
        """The run that is logged into; begins one where none is going on."""
        self._given = run_of(self._given, self._name)
        return self._given

    def __call__(self, env: Any) -> None:
        """Log an iteration."""
        # data, metric, value; of a cross-validation the mean, with its deviation after it
        found = {f"{data}/{name}": float(value) for data, name, value, *_ in env.evaluation_result_list or ()}
        if found:
            self.run.log(found, env.iteration)
