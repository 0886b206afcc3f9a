"""XGBoost: the parameters of a training, and its evaluations."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from anew.runner.autolog.of_sklearn import KIND as SKLEARN
from anew.runner.autolog.patched import Numbered, Patches, plain

KIND = "xgboost"


def watch_xgboost(patches: Patches, module: ModuleType) -> None:
    """Notice trainings, those of XGBClassifier and the like as well, unless they are parts of a search."""
    names = Numbered(50)

    class Callback(module.callback.TrainingCallback):  # type: ignore[misc, name-defined]  # the library is not known
        def __init__(self, name: str) -> None:
            self._before = "" if name == "train" else f"{name}/"

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            patches.tried(lambda: self._log(epoch, evals_log))
            return False

        def _log(self, epoch: int, evals_log: Any) -> None:
            for data, metrics in evals_log.items():
                for name, values in metrics.items():
                    patches.run.log({f"{self._before}{data}/{name}": float(values[-1])}, epoch)

    def before(given: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if patches.depth(SKLEARN) > 1 or (name := names.name("train")) is None:
            return given, named
        params = given[0] if given else named.get("params")
        rounds = given[2] if len(given) > 2 else named.get("num_boost_round")
        patches.keep(KIND, name, {"params": plain(params), "num_boost_round": plain(rounds)})
        return given, {**named, "callbacks": [*(named.get("callbacks") or ()), Callback(name)]}

    home = sys.modules["xgboost.training"]
    original = vars(home)["train"]
    patches.wrap(home, "train", KIND, before=before)
    # whoever has imported the function by its name
    for other in (module, sys.modules.get("xgboost.sklearn")):
        if other is not None and vars(other).get("train") is original:
            patches.put(other, "train", vars(home)["train"])
