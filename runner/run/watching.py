"""The weights and gradients of a torch model, as histograms while it learns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from anew.runner import events as ev
from anew.runner.attached.media import Histogram
from anew.runner.errors import ValueRefusedError
from anew.runner.run.current import current_run
from anew.runner.run.media import histogram, series_name, unfinite
from anew.runner.run.recorder import Recorder

_BINS = 32


def watch(model: Any, every: int = 100, *, name: str = "") -> Watch:
    """
    Log histograms of a torch model's weights and gradients while it learns, and name the layers that get NaN.

    They are called `weights/LAYER` and `gradients/LAYER`. Their step counts the passes forward that gradients are
    recorded for, from 0 on; those of step 0, *every*, 2 * *every* ... are logged: weights as they are before the pass,
    gradients as each pass backward gives them. Nothing is drawn at random, and no number of the model's is changed, so
    that a run which is watched comes out as one that is not. What cannot be logged is said once; the model goes on.

    Args:
        model: A `torch.nn.Module`.
        every: From one pass that is logged to the next.
        name: Goes before the names, as `NAME/weights/LAYER`, where several models are watched.

    Returns:
        What watches; `close` ends it, and so does the end of the run.

    Raises:
        RunStateError: No run is going on.
        ValueRefusedError: This is no model with parameters, or no such number.
        ArtifactError: The name is not a relative path without "..".
    """
    if not callable(getattr(model, "named_parameters", None)) or not hasattr(model, "register_forward_pre_hook"):
        raise ValueRefusedError(
            f"anew.watch got a value of type {type(model).__name__}; it takes a torch.nn.Module, such as "
            "anew.watch(model)."
        )
    if type(every) is not int or every < 1:
        raise ValueRefusedError(f"anew.watch got every={every!r}; it takes a whole number from 1 on.")
    prefix = f"{series_name(name, 'watch')}/" if name else ""
    # the room's own way to the journal: a hook has no caller to tell what is wrong
    return Watch(current_run()._recorder, model, every, prefix)


class Watch:
    """
    What watches a model: hooks on it and on its parameters. To be used in the thread that trains.

    A copy of the model, or what is saved of it, has no part in it.
    """

    def __init__(self, recorder: Recorder, model: Any, every: int, prefix: str) -> None:
        self._recorder = recorder
        self._model = model
        self._every = every
        self._prefix = prefix
        self._step = -1
        self._awaited: set[str] = set()
        self._strays: dict[str, str] = {}
        self._handles = [model.register_forward_pre_hook(_Hook(self._forward))]
        for layer, parameter in model.named_parameters():
            if parameter.requires_grad:
                self._handles.append(parameter.register_hook(_Hook(self._backward, layer)))
        if len(self._handles) == 1:
            self.close()
            raise ValueRefusedError(
                f"anew.watch got a {type(model).__name__} without parameters that learn (requires_grad)."
            )

    def close(self) -> None:
        """Watch no more; a second time does nothing."""
        handles, self._handles = self._handles, []
        for handle in handles:
            handle.remove()
        self._name_the_rest()

    def _forward(self, *_: object) -> None:
        if not sys.modules["torch"].is_grad_enabled():
            return
        if not self._recorder.is_open:
            self.close()
            return
        self._name_the_rest()
        self._step += 1
        self._awaited.clear()
        if self._step % self._every == 0:
            learning = {layer: each for layer, each in self._model.named_parameters() if each.requires_grad}
            self._awaited.update(learning)
            self._recorder.name_strays(self._step, unfinite(self._log("weights", learning)))

    def _backward(self, layer: str, gradient: Any) -> None:
        if layer not in self._awaited or not self._recorder.is_open:
            return
        self._awaited.discard(layer)
        found = unfinite(self._log("gradients", {layer: gradient}))
        if not self._strays:
            # the first of a pass, which is nearest to the loss, at once; those it reaches are named together
            self._recorder.name_strays(self._step, found)
        self._strays.update(found)
        if not self._awaited:
            self._name_the_rest()

    def _name_the_rest(self) -> None:
        strays, self._strays = self._strays, {}
        if strays and self._recorder.is_open:
            self._recorder.name_strays(self._step, strays)

    def _log(self, what: str, tensors: Mapping[str, Any]) -> dict[str, Histogram]:
        found: dict[str, Histogram] = {}
        for layer, tensor in tensors.items():
            key = f"{self._prefix}{what}/{layer}"
            try:
                found[key] = histogram(_dense(tensor), _BINS, "anew.watch")
            except ValueRefusedError as error:
                self._recorder.warn_once(f"watch:{key}", f"{key} was not kept: {error}")
        if found:
            self._recorder.add(ev.HistogramsLogged, step=self._step, values=found)
        return found


class _Hook:
    """A hook that is called for its effect alone, and that copies and files of the model go without."""

    def __init__(self, call: Callable[..., None], *given: object) -> None:
        self._call: Callable[..., None] | None = call
        self._given = given

    def __call__(self, *args: object) -> None:
        if self._call is not None:
            self._call(*self._given, *args)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Hook, (_nothing,)


def _nothing(*_: object) -> None:
    """Do nothing: what a hook becomes in a copy."""


def _dense(tensor: Any) -> Any:
    return tensor.detach().coalesce().values() if getattr(tensor, "is_sparse", False) else tensor
