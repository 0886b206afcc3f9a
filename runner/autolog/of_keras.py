"""Keras: how a model is trained, and each epoch."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from anew.runner.autolog.patched import Numbered, Patches, number, plain

KIND = "keras"


def watch_keras(patches: Patches, module: ModuleType) -> None:
    """Notice trainings by `Model.fit`."""
    names = Numbered(50)

    class Callback(module.callbacks.Callback):  # type: ignore[misc, name-defined]  # the library is not known
        def __init__(self, name: str) -> None:
            super().__init__()
            self._name = name

        def on_train_begin(self, logs: Any = None) -> None:
            patches.tried(self._begin)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            patches.tried(lambda: self._log(epoch, logs or {}))

        def _begin(self) -> None:
            optimizer = getattr(self.model, "optimizer", None)
            config = optimizer.get_config() if optimizer is not None else {}
            patches.keep(KIND, self._name, plain({**(self.params or {}), "optimizer": config}))

        def _log(self, epoch: int, logs: Any) -> None:
            before = "" if self._name == "fit" else f"{self._name}/"
            found = {f"{before}{key}": value for key, each in logs.items() if (value := number(each)) is not None}
            if found:
                patches.run.log(found, epoch)

    def before(given: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        callbacks = named.get("callbacks")
        # an own list of callbacks is the program's, and takes no more
        is_list = callbacks is None or isinstance(callbacks, (list, tuple, module.callbacks.Callback))
        is_whole = isinstance(callbacks, module.callbacks.CallbackList)
        # by its place it would be given twice
        if not is_list or is_whole or len(given) > 6 or (name := names.name("fit")) is None:
            return given, named
        kept = [callbacks] if isinstance(callbacks, module.callbacks.Callback) else [*(callbacks or ())]
        return given, {**named, "callbacks": [*kept, Callback(name)]}

    owner = next((each for each in module.Model.__mro__ if "fit" in vars(each)), None)
    if owner is not None:
        patches.wrap(owner, "fit", KIND, before=before)
