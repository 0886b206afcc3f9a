"""What libraries do, logged without a word of it in the program: each is waited for, and none imported."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from anew.runner.autolog.of_keras import watch_keras
from anew.runner.autolog.of_lightgbm import watch_lightgbm
from anew.runner.autolog.of_sklearn import SklearnWatch, watch_metrics, watch_validation
from anew.runner.autolog.of_torch import watch_torch
from anew.runner.autolog.of_xgboost import watch_xgboost
from anew.runner.autolog.patched import Patches, Sink
from anew.runner.kernel.importing import ImportWatch

# module -> the library that is named for it
_MODULES = {
    "sklearn.base": "sklearn",
    "sklearn.metrics": "sklearn",
    "sklearn.model_selection": "sklearn",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "keras": "keras",
    "torch.optim": "torch",
    "torch.optim.lr_scheduler": "torch",
}
_MODELS = "models"


class Autolog:
    """
    Notices fits, their parameters and scores, while a run goes on.

    Args:
        wanted: Names of libraries, "all", and "models" to have what was fitted become artifacts.
        run: Takes what is noticed.
    """

    def __init__(self, wanted: Sequence[str], run: Sink) -> None:
        libraries = {each for each in wanted if each != _MODELS}
        modules = [name for name, library in _MODULES.items() if not libraries or libraries & {"all", library}]
        self._patches = Patches(run)
        self._sklearn = SklearnWatch(self._patches, with_models=_MODELS in wanted)
        self._imports = ImportWatch(modules, self._loaded)

    def start(self) -> None:
        """Begin to notice."""
        self._imports.start()

    def stop(self) -> str | None:
        """Leave the libraries as they were."""
        self._imports.close()
        self._patches.close()
        return None

    def _loaded(self, name: str, module: ModuleType) -> None:
        watch: dict[str, Any] = {
            "sklearn.base": self._sklearn.watch,
            "sklearn.metrics": lambda found: watch_metrics(self._patches, found),
            "sklearn.model_selection": lambda found: watch_validation(self._patches, found),
            "xgboost": lambda found: watch_xgboost(self._patches, found),
            "lightgbm": lambda found: watch_lightgbm(self._patches, found),
            "keras": lambda found: watch_keras(self._patches, found),
            "torch.optim": lambda found: watch_torch(self._patches, found),
            "torch.optim.lr_scheduler": lambda found: watch_torch(self._patches, found),
        }
        self._patches.tried(lambda: watch[name](module))
