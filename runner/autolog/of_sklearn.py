"""scikit-learn: the parameters of what is fitted, scores that are computed, what a search found."""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
import weakref
from types import ModuleType
from typing import Any

from anew.runner.autolog.patched import Numbered, Patches, number, plain

KIND = "sklearn"
_FITS = ("fit", "fit_transform", "fit_predict")
_MOST = 50


class SklearnWatch:
    """
    Notices fits. One inside another, of a step of a pipeline or a candidate of a search, is a part of that.

    Args:
        patches: Holds what was put in place.
        with_models: Whether what was fitted becomes an artifact.
    """

    def __init__(self, patches: Patches, *, with_models: bool) -> None:
        self._patches = patches
        self._with_models = with_models
        self._names = Numbered(_MOST)
        # an estimator that is fitted again keeps its name
        self._known: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
        self._fits: dict[str, int] = {}

    def watch(self, base: ModuleType) -> None:
        """Notice the fits of all classes that there are, and of those that come."""
        root = base.BaseEstimator
        original = root.__init_subclass__

        def begun(cls: Any, /, **given: Any) -> None:
            original.__func__(cls, **given)
            if self._patches.is_here:
                self._patches.tried(lambda: self._watch_class(cls))

        self._patches.put(root, "__init_subclass__", classmethod(begun))
        for each in list(vars(base).values()):
            # of classifiers, regressors, ...: beside the estimators, and no classes of theirs
            if isinstance(each, type) and each.__module__ == base.__name__ and "score" in vars(each):
                self._patches.wrap(each, "score", KIND, self._scored)
        waiting = [root]
        while waiting:
            for each in waiting.pop().__subclasses__():
                self._watch_class(each)
                waiting.append(each)

    def _watch_class(self, cls: Any) -> None:
        for name in _FITS:
            if name in vars(cls):
                self._patches.wrap(cls, name, KIND, self._fitted)
        if "score" in vars(cls):
            self._patches.wrap(cls, "score", KIND, self._scored)

    def _fitted(self, original: Any, given: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        estimator = given[0] if given else named["self"]
        name = self._name_of(estimator)
        if name is None:
            return
        self._fits[name] = self._fits.get(name, 0) + 1
        facts: dict[str, Any] = {"params": _params(estimator)}
        if self._fits[name] > 1:
            facts["fits"] = self._fits[name]
        if hasattr(estimator, "best_params_"):
            facts["best_params"] = plain(estimator.best_params_)
        self._patches.keep(KIND, name, facts)
        self._log_search(name, estimator)
        if self._with_models:
            self._keep(name, estimator)

    def _name_of(self, estimator: Any) -> str | None:
        for name, known in self._known.items():
            if known is estimator:
                return name
        made = self._names.name(type(estimator).__qualname__)
        if made is not None:
            self._known[made] = estimator
        return made

    def _log_search(self, name: str, estimator: Any) -> None:
        """Log the mean score of each candidate of a search, and the best."""
        results = getattr(estimator, "cv_results_", None)
        for index, each in enumerate(results.get("mean_test_score", ()) if isinstance(results, dict) else ()):
            self._patches.run.log({f"{name}/mean_test_score": float(each)}, index)
        best = number(getattr(estimator, "best_score_", None))
        if best is not None:
            self._patches.run.log({f"{name}/best_score": best})

    def _scored(self, original: Any, given: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        name, value = self._name_of(given[0] if given else named["self"]), number(result)
        if name is not None and value is not None:
            self._patches.run.log({f"{name}/score": value})

    def _keep(self, name: str, estimator: Any) -> None:
        with tempfile.TemporaryDirectory(prefix="anew-model-") as folder:
            path = os.path.join(folder, "model.pkl")
            with open(path, "wb") as file:
                pickle.dump(estimator, file)
            self._patches.run.log_artifact(path, f"models/{name}.pkl")


def _params(estimator: Any) -> Any:
    # a name with two underscores is of a step, or of what an estimator is made with
    return plain(estimator.get_params(deep=True))


def watch_metrics(patches: Patches, module: ModuleType) -> None:
    """Notice what functions such as `accuracy_score` return, where the program calls them itself."""
    for name in getattr(module, "__all__", ()):
        function = getattr(module, name, None)
        home = sys.modules.get(str(getattr(function, "__module__", "")))
        is_score = name.endswith(("_score", "_error", "_loss")) and getattr(home, name, None) is function
        # in both places, so that it can still be pickled by its name
        if not is_score or home is None or name not in vars(home):
            continue

        def scored(original: Any, given: Any, named: Any, result: Any, name: str = name) -> None:
            if (value := number(result)) is not None:
                patches.run.log({name: value})

        patches.wrap(home, name, KIND, scored)
        if home is not module:
            patches.put(module, name, getattr(home, name))


def watch_validation(patches: Patches, module: ModuleType) -> None:
    """Notice the scores of `cross_val_score` and `cross_validate`, and take their fits for a part of them."""
    home = sys.modules.get("sklearn.model_selection._validation")
    for name in ("cross_val_score", "cross_validate", "cross_val_predict", "learning_curve", "validation_curve"):
        if home is None or name not in vars(home):
            continue

        def validated(original: Any, given: Any, named: Any, result: Any, name: str = name) -> None:
            found = result if isinstance(result, dict) else {"": result} if name == "cross_val_score" else {}
            for key, values in found.items():
                if key == "" or key.startswith(("test_", "train_")):
                    for fold, each in enumerate(values):
                        patches.run.log({f"{name}/{key}".rstrip("/"): float(each)}, fold)

        patches.wrap(home, name, KIND, validated)
        if vars(module).get(name) is not getattr(home, name):
            patches.put(module, name, getattr(home, name))
