"""LightGBM: the parameters of a training, and its evaluations."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from anew.runner.autolog.of_sklearn import KIND as SKLEARN
from anew.runner.autolog.patched import Numbered, Patches, plain

KIND = "lightgbm"


def watch_lightgbm(patches: Patches, module: ModuleType) -> None:
    """Notice trainings, those of LGBMClassifier and the like as well, unless they are parts of a search."""
    names = Numbered(50)

    def before(given: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if patches.depth(SKLEARN) > 1 or (name := names.name("train")) is None:
            return given, named
        params = given[0] if given else named.get("params")
        rounds = given[2] if len(given) > 2 else named.get("num_boost_round")
        patches.keep(KIND, name, {"params": plain(params), "num_boost_round": plain(rounds)})
        return given, {**named, "callbacks": [*(named.get("callbacks") or ()), _Callback(patches, name)]}

    home = sys.modules["lightgbm.engine"]
    original = vars(home)["train"]
    patches.wrap(home, "train", KIND, before=before)
    # whoever has imported the function by its name
    for other in (module, sys.modules.get("lightgbm.sklearn")):
        if other is not None and vars(other).get("train") is original:
            patches.put(other, "train", vars(home)["train"])


class _Callback:
    """Logs an iteration, before LightGBM's own callback ends a training early."""

    order = 15
    before_iteration = False

    def __init__(self, patches: Patches, name: str) -> None:
        self._patches = patches
        self._before = "" if name == "train" else f"{name}/"

    def __call__(self, env: Any) -> None:
        self._patches.tried(lambda: self._log(env))

    def _log(self, env: Any) -> None:
        for data, name, value, *_ in env.evaluation_result_list or ():
            self._patches.run.log({f"{self._before}{data}/{name}": float(value)}, env.iteration)
